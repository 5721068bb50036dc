"""Decides what an export's rows are to the ledger: news, known, or refused. Pure: no clock, no network, no disk.

Rows of one batch are laid over the lots the ledger has. What is not there is new; what is there in another state
changes, while nobody has claimed it; what the ledger knows better stands against the row and both are recorded
(`node.core.observe` decides the same way). A row that shows a whole issuance says that units came into being, not
that they are still active.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from adapters.exports import Answer, Extent, UnitRow, UnitStatus
from cli.importing.model import LIVE, TERMINAL, BatchPlan, Fate, KnownBatch, KnownLot, Seen, UnitSource, Verdict
from cli.importing.shelf import Part, Shelf

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


def plan_batch(key: str, rows: Sequence[UnitSource], known: KnownBatch, unassigned: str) -> BatchPlan:
    """The plan for the rows of one batch, given what the ledger has of it. `unassigned` is its registry's account."""
    rows = _settle_first_numbers(rows, known)
    known = _settle_known(rows, known)
    return _Planner(key, rows, known, unassigned).plan()


def _settle_first_numbers(rows: Sequence[UnitSource], known: KnownBatch) -> Sequence[UnitSource]:
    """Rows that state a quantity and no numbers start at 0 where number 0 was seen elsewhere, else at 1."""
    counted = [not row.record.batch.first_known for row in rows]
    from_zero = (known.exists and known.first == 0) or any(
        row.record.serials.first == 0 for row, unsure in zip(rows, counted, strict=True) if not unsure
    )
    if not from_zero or not any(counted):
        return rows
    return [_start_at_zero(row) if unsure else row for row, unsure in zip(rows, counted, strict=True)]


def _settle_known(rows: Sequence[UnitSource], known: KnownBatch) -> KnownBatch:
    """What the ledger will have once a row shows the number below an assumed first one (`node.core.numbering`)."""
    shown = [row.record.serials for row in rows if not shows_issuance(row.record)]
    below = known.first - 1
    if not known.assumed or min((each.first for each in shown), default=known.first) != below:
        return known
    last = next((lot for lot in known.lots if lot.first <= known.last <= lot.last), None)
    if last is None or last.state not in ("FREE", "BUFFER") or max(each.last for each in shown) >= known.last:
        return known
    kept = [lot for lot in known.lots if lot is not last]
    if last.first < known.last:
        kept.append(last._replace(last=known.last - 1))
    single = last._replace(first=below, last=below, whole=(below, below))
    return known._replace(first=below, last=known.last - 1, lots=tuple(sorted([single, *kept])), assumed=False)


def _start_at_zero(row: UnitSource) -> UnitSource:
    serials = row.record.serials
    moved = serials._replace(first=0, last=serials.units - 1)
    return row._replace(record=row.record._replace(serials=moved))


def shows_issuance(row: UnitRow) -> bool:
    """Whether the row shows a whole issuance, not the present state of some units."""
    return row.batch.extent is Extent.EXACT


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


class _Planner:
    """Lays the rows of one batch over its lots, issuances first."""

    def __init__(self, key: str, rows: Sequence[UnitSource], known: KnownBatch, unassigned: str) -> None:
        self._key = key
        self._rows = rows
        self._known = known
        self._unassigned = unassigned
        self._shelf = Shelf(known.lots)
        self._units: Counter[str] = Counter()
        self._changed: Counter[tuple[int, int]] = Counter()  # units that change, by whole lot on the ledger
        self._first, self._last = known.first, known.last
        self._space = rows[0].record.serials.space
        whole = [row.record.serials for row in rows if shows_issuance(row.record)]
        self._whole = (min(s.first for s in whole), max(s.last for s in whole)) if whole else None

    def plan(self) -> BatchPlan:
        verdicts: dict[int, Verdict] = {}
        layers: tuple[list[Seen], list[Seen]] = ([], [])
        for layer, is_issuance in enumerate((True, False)):
            for at, row in enumerate(self._rows):
                if shows_issuance(row.record) is is_issuance:
                    verdicts[at] = self._refuse(row.record) or self._take(row.record, layers[layer])
        grown = (self._last - self._first) - (self._known.last - self._known.first)
        after = self._known.unseen + grown - self._units[Fate.NEW.value]
        becomes_exact = self._whole == (self._first, self._last) and not self._known.exact and after == 0
        return BatchPlan(
            key=self._key,
            rows=tuple(self._rows),
            verdicts=tuple(verdicts[at] for at in range(len(self._rows))),
            issued=tuple(sorted(layers[0], key=lambda seen: seen.first)),
            shown=tuple(sorted(layers[1], key=lambda seen: seen.first)),
            first=self._first,
            last=self._last,
            exists=self._known.exists,
            becomes_exact=becomes_exact,
            assumes_numbers=becomes_exact and self._assumes_numbers(),
            was_exact=self._known.exact,
            unseen_before=self._known.unseen,
            unseen_after=after,
            lots_split=sum(units < last - first + 1 for (first, last), units in self._changed.items()),
            units=dict(self._units),
        )

    def _assumes_numbers(self) -> bool:
        """No row and no lot shows whether the issuance counts from 0 or from 1: its last number, or number 0."""
        if any(row.record.batch.first_known for row in self._rows if shows_issuance(row.record)):
            return False
        ends = [row.record.serials.last for row in self._rows if not shows_issuance(row.record)]
        return self._first != 0 and self._last not in ends and self._known.last != self._last

    def _refuse(self, row: UnitRow) -> Verdict | None:
        """Why the row cannot be taken into this batch; None if it can. The extent grows with rows that can."""
        serials = row.serials
        if serials.space != self._space:
            text = f"the serial is of space {serials.space}, other rows of batch {self._key} of {self._space}"
            return Verdict(Fate.REFUSED, "CONTRADICTION", text)
        base = self._known.base if self._known.exists else serials.first - serials.first % ALIGNMENT
        if not base <= serials.first <= serials.last < base + ALIGNMENT:
            text = f"numbers {serials.first} to {serials.last} cross a multiple of {ALIGNMENT}"
            return Verdict(Fate.REFUSED, "OUTSIDE_EXTENT", text)
        fixed = (self._known.first, self._known.last) if self._known.exact else self._whole
        if fixed is not None and not fixed[0] <= serials.first <= serials.last <= fixed[1]:
            text = f"the issuance is {fixed[0]} to {fixed[1]}, the row shows {serials.first} to {serials.last}"
            return Verdict(Fate.REFUSED, "OUTSIDE_EXTENT", text)
        exists = self._first <= self._last
        low = min(self._first, serials.first) if exists else serials.first
        high = max(self._last, serials.last) if exists else serials.last
        for other in self._known.strangers:
            if other.first <= high and low <= other.last:
                text = f"batch {other.batch} has {max(low, other.first)} to {min(high, other.last)} of the same space"
                return Verdict(Fate.REFUSED, "SERIALS_OVERLAP", text)
        self._first, self._last = low, high
        return None

    def _take(self, row: UnitRow, news: list[Seen]) -> Verdict:
        """Lay the row down; what is news goes to `news`."""
        fates: set[Fate] = set()
        own: list[Seen] = []
        against: list[str] = []
        buffer_from = row.serials.last - row.buffer_units + 1
        pieces = [(row.serials.first, buffer_from - 1, _STATES[row.status]), (buffer_from, row.serials.last, "BUFFER")]
        for first, last, said in pieces:
            if first <= last:
                for part in self._shelf.parts(first, last):
                    fate = self._take_part(row, part, said, own)
                    fates.add(fate)
                    if fate is Fate.CONTRADICTS and part.lot is not None:
                        against.append(_both_sides(part, part.lot, said))
        news.extend(_join(own))
        for fate in (Fate.CONTRADICTS, Fate.NEW, Fate.CHANGED, Fate.LABELLED):
            if fate in fates:
                return Verdict(fate, "", "; ".join(against[:SIDES_SHOWN_MAX]))
        return Verdict(Fate.KNOWN)

    def _take_part(self, row: UnitRow, part: Part, said: str, news: list[Seen]) -> Fate:
        labels, lot = list_labels(row), part.lot
        fate = Fate.NEW if lot is None else self._compare(row, lot, said)
        self._units["known" if fate is Fate.LABELLED else fate.value] += part.last - part.first + 1
        if fate is Fate.KNOWN or (fate is Fate.CONTRADICTS and lot is not None and lot.said == said):
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
        return Fate.CHANGED if unclaimed and lot.state not in TERMINAL else Fate.CONTRADICTS
