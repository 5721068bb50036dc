"""Plans a batch that has too many rows for memory, window of numbers by window. What is decided is in `plan`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from cli.importing.frame import build_frame, find_shift, shift_lots
from cli.importing.lookup import Ledger, find_span
from cli.importing.plan import Planner
from cli.importing.spool import Spool, SpooledBatch

WINDOW_ROWS: Final = 5_000
"""Rows of a batch in memory at once, with the lots the ledger has where they lie."""


class _Window(NamedTuple):
    """A range of numbers that is planned at once."""

    first: int
    stop: int | None
    """The first number of the next window; None: there is none."""
    starts: tuple[int, ...]
    """Where its rows begin."""


def plan_big(
    ledger: Ledger, spool: Spool, batch: SpooledBatch, unassigned: str, as_of: str, window_rows: int = WINDOW_ROWS
) -> None:
    """Plan a batch from the spool into the spool; the same as `plan_batch` for one that fits."""
    known = ledger.describe(batch.key)
    frame = build_frame(spool.claims(batch.number), known)
    low, high = find_span(frame.span, known)
    spool.drop_lots()
    others: set[str] = set()
    for window in _windows(spool, batch.number, min(low, frame.span[0] - 1), window_rows):
        until = high if window.stop is None else window.stop - 1
        if window.first <= until and (known.exists or window.stop is None):
            first = window.first if known.exists else low
            found = ledger.find(batch.key, known, frame.space, (first, until), window.starts)
            spool.put_lots(found.lots)
            others |= found.others
    known = known._replace(strangers=tuple(ledger.describe_other(name) for name in sorted(others)))
    last = spool.lot_at(known.last) if known.assumed else None
    settled = find_shift(frame, known, last)
    if last is not None and settled.first != known.first:
        spool.replace_lot(last, shift_lots([last], known, settled, last))
    planner = Planner(batch.key, frame, settled, unassigned, as_of)
    for shown in (False, True):
        refused = ((claim.ordinal, planner.admit(claim)) for claim in spool.claims(batch.number, shown))
        spool.put_verdicts((at, verdict) for at, verdict in refused if verdict is not None)
    for window in _windows(spool, batch.number, min(low, frame.span[0] - 1), window_rows):
        fresh = list(spool.units_between(batch.number, window.first, window.stop))
        for at, record in fresh:
            planner.about.add(at, record)
        laid = planner.lay(fresh, spool.lots_between(window.first, window.stop), window.stop)
        spool.put_verdicts(laid.verdicts)
        spool.put_news(batch.number, laid.news)
    spool.put_plan(batch.number, planner.finish())


def _windows(spool: Spool, batch: int, first: int, window_rows: int) -> Iterator[_Window]:
    """Windows that follow each other from `first` on, each with so many rows that begin in it, or a few more."""
    starts: list[int] = []
    for low in spool.lows(batch):
        if len(starts) >= window_rows and low > starts[-1]:
            yield _Window(first, low, tuple(starts))
            first, starts = low, []
        starts.append(low)
    yield _Window(first, None, tuple(starts))
