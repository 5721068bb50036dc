"""Asks the ledger what it knows of the batches a file speaks of: extents, lots with labels, neighbours in the space.

What follows from the answers is decided in `plan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from cli.exits import ExitCode, Failed
from cli.importing.identity import day_of_run
from cli.importing.model import KnownBatch, KnownLot, Stranger, UnitSource
from cli.session import Session
from keeling.v1 import ledger_pb2 as pb

_WINDOW_ROWS: Final = 40
"""Rows looked up in one call: the ledger finds at most a hundred lots, each with its history."""
_CALLS_AT_ONCE: Final = 8
_LABEL: Final = "LABEL"
_REGISTRY_STATE: Final = "REGISTRY_STATE"

_Asked = tuple[int, int]
"""First and last number of a question."""


class Between(NamedTuple):
    """What lies between two numbers of a space: lots of the batch asked about, and the names of other batches."""

    lots: list[KnownLot]
    others: set[str]


class Ledger(Protocol):
    """What the ledger knows of batches; questions may come from several threads."""

    def describe(self, key: str) -> KnownBatch:
        """A batch without its lots and neighbours; one that does not exist if there is none."""

    def find(self, key: str, known: KnownBatch, space: str, span: tuple[int, int], starts: Sequence[int]) -> Between:
        """Look at a span of numbers. `starts` are the numbers at which the rows in it begin, ascending."""

    def describe_other(self, name: str) -> Stranger:
        """Another batch of the space."""


def look_up(ledger: Ledger, batches: Mapping[str, Sequence[UnitSource]]) -> dict[str, KnownBatch]:
    """What the ledger has of each batch, as far as its rows touch it, and which other batches lie between."""
    with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
        found = pool.map(lambda key: _look_up_batch(ledger, key, batches[key]), batches)
        return dict(zip(batches, found, strict=True))


def _look_up_batch(ledger: Ledger, key: str, rows: Sequence[UnitSource]) -> KnownBatch:
    known = ledger.describe(key)
    low = min(row.record.serials.first - (not row.record.batch.first_known) for row in rows)
    span = find_span((low, max(row.record.serials.last for row in rows)), known)
    starts = sorted({row.record.serials.first for row in rows})
    found = ledger.find(key, known, rows[0].record.serials.space, span, starts)
    strangers = tuple(ledger.describe_other(name) for name in sorted(found.others))
    return known._replace(lots=tuple(sorted(found.lots)), strangers=strangers)


def find_span(rows: tuple[int, int], known: KnownBatch) -> tuple[int, int]:
    """First and last number to look at: the rows (number 0 where they count from 0 or 1), and any gap to the batch."""
    low, high = rows
    if not known.exists:
        return low, high
    if known.assumed:
        high = max(high, known.last)
    return min(low, known.last + 1), max(high, known.first - 1)


class NodeLedger:
    """A `Ledger` that asks a node."""

    def __init__(self, session: Session) -> None:
        self._session: Final = session
        _ = session.ledger  # opened once, before threads use it

    def describe(self, key: str) -> KnownBatch:
        """See `Ledger`."""
        try:
            batch = self._session.ask(self._session.ledger.GetBatch, pb.GetBatchRequest(batch=key))
        except Failed as failed:
            if failed.code is ExitCode.NOT_FOUND:
                return KnownBatch()
            raise
        return KnownBatch(
            first=int(batch.first_number),
            last=int(batch.last_number),
            base=int(batch.base_number),
            exact=batch.exact,
            unseen=batch.unseen,
            assumed=batch.numbers_assumed,
            registry=batch.registry,
        )

    def find(self, key: str, known: KnownBatch, space: str, span: tuple[int, int], starts: Sequence[int]) -> Between:
        """See `Ledger`."""
        low, high = span
        inner = starts[_WINDOW_ROWS::_WINDOW_ROWS] if known.exists else ()  # a new batch has no lots to look through
        borders = [low, *(at for at in inner if low < at <= high), high + 1]
        between = Between([], set())
        for first, after in pairwise(borders):
            for asked, answer in _find(self._session, space, first, after - 1):
                own = [found for found in answer.lots if found.lot.range.batch == key]
                between.lots.extend(part for found in own for part in _clip(found, asked))
                between.others.update(found.lot.range.batch for found in answer.lots)
                between.others.update(item.batch for item in answer.unseen)
        between.others.discard(key)
        return between

    def describe_other(self, name: str) -> Stranger:
        """See `Ledger`."""
        known = self.describe(name)
        return Stranger(name, known.first, known.last)


def _find(session: Session, space: str, first: int, last: int) -> Iterator[tuple[_Asked, pb.FindLotsResponse]]:
    """Find the lots of a range, in as many calls as it takes, each with the range it was asked for."""
    request = pb.FindLotsRequest(space=space, first_number=str(first), last_number=str(last))
    try:
        yield (first, last), session.ask(session.ledger.FindLots, request)
    except Failed as failed:
        if failed.code is ExitCode.NOT_FOUND:
            return
        if failed.reason != "TOO_MANY_LOTS" or first == last:
            raise
        middle = (first + last) // 2
        yield from _find(session, space, first, middle)
        yield from _find(session, space, middle + 1, last)


def _clip(found: pb.FoundLot, asked: _Asked) -> list[KnownLot]:
    """The part of a lot that was asked for, cut where labels begin and end: marks are told for that part only."""
    lot = found.lot
    whole = (int(lot.first_number), int(lot.last_number))
    shift = whole[0] - lot.range.first  # number = position + shift
    low, high = max(whole[0], asked[0]), min(whole[1], asked[1])
    marks = [
        (mark.kind, mark.name or mark.value, mark.range.first + shift, mark.range.first + mark.range.units - 1 + shift)
        for mark in found.marks
        if mark.kind in (_LABEL, _REGISTRY_STATE)
    ]
    borders, as_of = {low, high + 1}, _as_of(found)
    for _, _, first, last in marks:
        borders |= {at for at in (first, last + 1) if low < at <= high}
    parts = []
    for first, after in pairwise(sorted(borders)):
        on = [(kind, name) for kind, name, start, end in marks if start <= first and after - 1 <= end]
        labels = frozenset(name for kind, name in on if kind == _LABEL)
        said = next((name for kind, name in on if kind == _REGISTRY_STATE), "")
        parts.append(KnownLot(first, after - 1, lot.state, lot.account, labels, said, whole, as_of))
    return parts


def _as_of(found: pb.FoundLot) -> str:
    """Up to which day the ledger's knowledge of a lot's state reaches: of the export that said it, or of its date."""
    event = found.custody[0] if found.custody else pb.Event()
    run = next((fact.value for fact in event.facts if fact.name == "run"), "")
    said = event.effective.ms if event.effective.ms not in (0, event.time_ms) else 0
    return max(day_of_run(run), datetime.fromtimestamp(said / 1000, UTC).date().isoformat() if said else "")
