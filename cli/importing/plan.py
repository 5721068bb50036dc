"""Decides what an export's rows are to the ledger: news, known, or refused. Pure: no clock, no network, no disk.

Rows of one batch are laid over the lots the ledger has. What is not there is new; what is there in another state
changes, while nobody has claimed it; what the ledger knows better stands against the row and both are recorded
(`node.core.observe` decides the same way). A row that shows a whole issuance says that units came into being, not
that they are still active. A file that is older than what the ledger knows of some units says nothing new of them.

A batch is planned in one go where its rows fit in memory (`plan_batch`), else in windows of numbers by whoever keeps
the rows (`cli.importing.big`): first `Frame` from all rows, then `admit` each, then `lay` them down window by window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from adapters.exports import Answer, UnitRow, UnitStatus
from cli.importing.about import AboutBuilder
from cli.importing.frame import Claim, Frame, build_frame, claim_of, find_shift, shift_lots, shows_issuance
from cli.importing.model import LIVE, TERMINAL, BatchPlan, Fate, KnownBatch, KnownLot, Seen, UnitSource, Verdict
from cli.importing.shelf import Part, Shelf
from keeling.units import unassigned_account

ALIGNMENT: Final = 2**63
"""Positions of a MIRRORED batch lie between two multiples of this (`node.core.limits`)."""

_STATES: Final = {
    UnitStatus.ACTIVE: "FREE",
    UnitStatus.ENDED: "ENDED",
    UnitStatus.RETIRED: "RETIRED",
    UnitStatus.CANCELLED: "CANCELLED",
    UnitStatus.CONVERTED: "CONVERTED",
    UnitStatus.BUFFER: "BUFFER",
}
_GONE: Final = ("ENDED", "CANCELLED", "CONVERTED")
"""States in which a registry shows units whose tonnes may live on elsewhere."""
SIDES_SHOWN_MAX: Final = 3
"""Contradictions told of one row; the ledger has them all."""
_STATUS_OF: Final = {state: "ACTIVE" if state == "FREE" else state for state in _STATES.values()}


def plan_batch(key: str, rows: Sequence[UnitSource], known: KnownBatch, unassigned: str, as_of: str = "") -> BatchPlan:
    """The plan for the rows of one batch, given what the ledger has of it.

    `unassigned` is the account of the file's registry, `as_of` the day up to which the file knows; empty: not known.
    """
    claims = [claim_of(at, row.record) for at, row in enumerate(rows)]
    frame = build_frame(claims, known)
    last = next((lot for lot in known.lots if lot.first <= known.last <= lot.last), None)
    settled = find_shift(frame, known, last)
    planner = Planner(key, frame, settled, unassigned, as_of)
    verdicts: dict[int, Verdict] = {}
    for claim in sorted(claims, key=attrgetter("shown")):
        if (refusal := planner.admit(claim)) is not None:
            verdicts[claim.ordinal] = refusal
    fresh = [(at, row.record) for at, row in enumerate(rows) if at not in verdicts]
    for at, row in enumerate(rows):
        planner.about.add(at, row.record)
    laid = planner.lay(fresh, shift_lots(known.lots, known, settled, last), None)
    verdicts |= dict(laid.verdicts)
    issued, shown = ([seen for layer, seen in laid.news if layer is wanted] for wanted in (False, True))
    return planner.finish()._replace(
        verdicts=tuple(verdicts[at] for at in range(len(rows))),
        issued=tuple(sorted(issued, key=attrgetter("first"))),
        shown=tuple(sorted(shown, key=attrgetter("first"))),
    )


def list_labels(row: UnitRow) -> tuple[str, ...]:
    """The row's labels as the ledger keeps them: what is answered otherwise than yes carries its answer."""
    return tuple(
        label.name if label.answer is Answer.YES else f"{label.name}={label.answer.value}" for label in row.labels
    )


def _join(pieces: Sequence[Seen]) -> list[Seen]:
    """One row's observations, those side by side that say the same made one: labels must not split a lot."""
    joined: list[Seen] = []
    for seen in pieces:
        before = joined[-1] if joined else None
        if (
            before is not None
            and before._replace(first=seen.first, last=seen.last) == seen
            and (before.last + 1 == seen.first)
        ):
            joined[-1] = before._replace(last=seen.last)
        else:
            joined.append(seen)
    return joined


def _status_of(state: str) -> str:
    """What to say of units of which only labels are news: what the ledger has."""
    return _STATUS_OF.get(state, "ENDED" if state in TERMINAL else "ACTIVE")


def _both_sides(part: Part, lot: KnownLot, said: str) -> str:
    return f"{part.first} to {part.last}: the ledger has {lot.state} in {lot.account}, the file shows {said}"


class _Row:
    """A row that is being laid down: up to where, and what came of it so far."""

    def __init__(self, ordinal: int, record: UnitRow) -> None:
        self.ordinal = ordinal
        self.record = record
        self.shown = not shows_issuance(record)
        self.at = record.serials.first
        self.fates: set[Fate] = set()
        self.against: list[str] = []
        self.news: list[Seen] = []

    @property
    def order(self) -> tuple[bool, int]:
        return self.shown, self.ordinal


class Laid(NamedTuple):
    """What came of a window: rows that are done, and observations with whether they are of shown states."""

    verdicts: list[tuple[int, Verdict]]
    news: list[tuple[bool, Seen]]


class Planner:
    """Lays the rows of one batch over its lots: issuances first, else in their order."""

    def __init__(self, key: str, frame: Frame, known: KnownBatch, unassigned: str, as_of: str) -> None:
        self.about = AboutBuilder()
        self._key = key
        self._frame = frame
        self._known = known
        self._unassigned = unassigned_account(known.registry) if known.registry else unassigned
        self._as_of = as_of
        self._units: Counter[str] = Counter()
        self._changed: Counter[tuple[int, int]] = Counter()  # units that change, by whole lot on the ledger
        self._split = 0
        self._first, self._last = known.first, known.last
        self._shown_last = -1
        self._has_news = False
        self._open: list[_Row] = []
        self._shelf = Shelf(())

    def admit(self, claim: Claim) -> Verdict | None:
        """Why a row cannot be taken into this batch; None if it can. The extent grows with rows that can.

        Every row is to be admitted before any is laid down: those that show issuances first, else in their order.
        """
        if claim.space != self._frame.space:
            text = f"the serial is of space {claim.space}, other rows of batch {self._key} of {self._frame.space}"
            return Verdict(Fate.REFUSED, "CONTRADICTION", text)
        if claim.project != self._frame.project:
            text = f"the row is of {claim.project}, other rows of batch {self._key} are of {self._frame.project}"
            return Verdict(Fate.REFUSED, "CONTRADICTION", text)
        shift = self._frame.starts_at_zero and claim.counted
        first, last = claim.first - shift, claim.last - shift
        base = self._known.base if self._known.exists else first - first % ALIGNMENT
        if not base <= first <= last < base + ALIGNMENT:
            text = f"numbers {first} to {last} cross a multiple of {ALIGNMENT}"
            return Verdict(Fate.REFUSED, "OUTSIDE_EXTENT", text)
        fixed = (self._known.first, self._known.last) if self._known.exact else self._frame.whole
        if fixed is not None and not fixed[0] <= first <= last <= fixed[1]:
            text = f"the issuance is {fixed[0]} to {fixed[1]}, the row shows {first} to {last}"
            return Verdict(Fate.REFUSED, "OUTSIDE_EXTENT", text)
        if fixed is not None and not claim.shown and (first, last) != fixed:
            text = f"the row shows an issuance of {first} to {last}, which was shown as {fixed[0]} to {fixed[1]}"
            return Verdict(Fate.REFUSED, "CONTRADICTION", text)
        exists = self._first <= self._last
        low, high = (min(self._first, first), max(self._last, last)) if exists else (first, last)
        for other in self._known.strangers:
            if other.first <= last and first <= other.last:
                text = f"batch {other.batch} has {max(first, other.first)} to {min(last, other.last)} of the same space"
                return Verdict(Fate.REFUSED, "SERIALS_OVERLAP", text)
            if other.first <= high and low <= other.last:
                between = f"{other.first} to {other.last} of batch {other.batch} lie between"
                text = f"{between} {first} to {last} and the rest of {self._key}: one batch is a range of its own"
                return Verdict(Fate.REFUSED, "BEYOND_ANOTHER_BATCH", text)
        self._first, self._last = low, high
        if claim.shown:
            self._shown_last = max(self._shown_last, last)
        return None

    def lay(self, fresh: Iterable[tuple[int, UnitRow]], lots: Sequence[KnownLot], stop: int | None) -> Laid:
        """Lay rows down over the lots of a window of numbers that ends before `stop`, or of all that is left.

        Windows come in order and without gaps; `fresh` are the rows that begin before `stop` and have not been given.
        What a row has beyond `stop` is laid down in the next windows.
        """
        self._shelf = Shelf(lots)
        rows = sorted([*self._open, *(_Row(at, self._settle(record)) for at, record in fresh)], key=attrgetter("order"))
        laid = Laid([], [])
        self._open = []
        for row in rows:
            last = row.record.serials.last if stop is None else min(row.record.serials.last, stop - 1)
            if row.at <= last:
                self._take(row, last)
            done = row.record.serials.last <= last
            kept = 0 if done else 1
            laid.news.extend((row.shown, seen) for seen in row.news[: len(row.news) - kept])
            row.news = row.news[len(row.news) - kept :]
            if done:
                laid.verdicts.append((row.ordinal, _judge(row)))
            else:
                self._open.append(row)
        for whole in [whole for whole in self._changed if stop is None or whole[1] < stop]:
            self._split += self._changed.pop(whole) < whole[1] - whole[0] + 1
        self._has_news = self._has_news or bool(laid.news)
        return laid

    def finish(self) -> BatchPlan:
        """The plan, when every row was laid down."""
        known, units = self._known, self._units
        grown = (self._last - self._first) - (known.last - known.first)
        after = known.unseen + grown - units[Fate.NEW.value]
        becomes_exact = self._frame.whole == (self._first, self._last) and not known.exact and after == 0
        return BatchPlan(
            key=self._key,
            about=self.about.build(),
            first=self._first,
            last=self._last,
            exists=known.exists,
            has_news=self._has_news,
            becomes_exact=becomes_exact,
            assumes_numbers=becomes_exact and self._assumes_numbers(),
            was_exact=known.exact,
            unseen_before=known.unseen,
            unseen_after=after,
            lots_split=self._split,
            units=dict(units),
        )

    def _settle(self, row: UnitRow) -> UnitRow:
        """A row that states a quantity and no numbers starts at 0 where number 0 was seen, else at 1."""
        if row.batch.first_known or not self._frame.starts_at_zero:
            return row
        return row._replace(serials=row.serials._replace(first=0, last=row.serials.units - 1))

    def _assumes_numbers(self) -> bool:
        """No row and no lot shows whether the issuance counts from 0 or from 1: its last number, or number 0."""
        if self._frame.issuance_numbered or self._first == 0:
            return False
        return self._last not in (self._shown_last, self._known.last)

    def _take(self, row: _Row, last: int) -> None:
        """Lay the row down up to `last`; what is news goes to the row's."""
        record, news = row.record, list[Seen]()
        buffer_from = record.serials.last - record.buffer_units + 1
        pieces = [
            (row.at, min(last, buffer_from - 1), _STATES[record.status]),
            (max(row.at, buffer_from), last, "BUFFER"),
        ]
        for first, end, said in pieces:
            for part in self._shelf.parts(first, end) if first <= end else ():
                fate = self._take_part(record, part, said, news)
                row.fates.add(fate)
                if fate is Fate.CONTRADICTS and part.lot is not None and len(row.against) < SIDES_SHOWN_MAX:
                    row.against.append(_both_sides(part, part.lot, said))
                if fate is Fate.OLDER and part.lot is not None and len(row.against) < SIDES_SHOWN_MAX:
                    row.against.append(f"{_both_sides(part, part.lot, said)}; the ledger knows as of {part.lot.as_of}")
        row.news = _join([*row.news, *news])
        row.at = last + 1

    def _take_part(self, row: UnitRow, part: Part, said: str, news: list[Seen]) -> Fate:
        labels, lot = list_labels(row), part.lot
        fate = Fate.NEW if lot is None else self._compare(row, lot, said)
        self._units["known" if fate is Fate.LABELLED else fate.value] += part.last - part.first + 1
        if fate in (Fate.KNOWN, Fate.OLDER) or (fate is Fate.CONTRADICTS and lot is not None and lot.said == said):
            return fate
        state = lot.state if lot is not None and fate in (Fate.CONTRADICTS, Fate.LABELLED) else said
        account = lot.account if lot is not None else self._unassigned
        marks = frozenset(labels) | (lot.labels if lot is not None else frozenset())
        whole = lot.whole if lot is not None else (0, 0)
        if fate is Fate.CHANGED and whole != (0, 0):
            self._changed[whole] += part.last - part.first + 1
        contradicted = said if fate is Fate.CONTRADICTS else ""
        self._shelf.put(KnownLot(part.first, part.last, state, account, marks, contradicted, whole))
        to, because = (row.twin.destination, row.twin.because) if row.twin and said in _GONE else ("", "")
        status = _STATUS_OF[said] if lot is None or fate is not Fate.LABELLED else _status_of(lot.state)
        news.append(Seen(part.first, part.last, status, row.effective, row.batch.issued, labels, to, because))
        return fate

    def _compare(self, row: UnitRow, lot: KnownLot, said: str) -> Fate:
        """What a row's part is to the lot the ledger has there."""
        unclaimed = lot.account == self._unassigned
        agrees = lot.state == said or (lot.state in TERMINAL and said in TERMINAL)
        if not agrees and not unclaimed:
            agrees = lot.state in LIVE if said == "FREE" else lot.state == "INSTRUCTED" and said in TERMINAL
        agrees = agrees or (shows_issuance(row) and (said == "FREE" or lot.state in TERMINAL or not unclaimed))
        if agrees:
            return Fate.KNOWN if lot.labels.issuperset(list_labels(row)) else Fate.LABELLED
        if said not in TERMINAL and self._as_of and self._as_of < lot.as_of:
            return Fate.OLDER  # what ended, ended: an older file can know of that; that units live, it cannot
        return Fate.CHANGED if unclaimed and lot.state not in TERMINAL else Fate.CONTRADICTS


_VERDICTS: Final = (Fate.CONTRADICTS, Fate.NEW, Fate.CHANGED, Fate.LABELLED, Fate.OLDER)


def _judge(row: _Row) -> Verdict:
    fate = next((fate for fate in _VERDICTS if fate in row.fates), Fate.KNOWN)
    return Verdict(fate, "", "; ".join(row.against))
