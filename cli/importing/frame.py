"""What all rows of a batch come to before the first is laid down: its span, whole issuances, and where counting starts.

Pure; what each row is to the ledger is decided in `plan`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from adapters.exports import Extent, UnitRow
from cli.importing.model import KnownBatch, KnownLot


class Claim(NamedTuple):
    """What one row claims, as far as it takes to say whether it can be in its batch."""

    ordinal: int
    """Place among all rows of the run."""
    shown: bool
    """It shows the present state of units; False: a whole issuance."""
    first: int
    last: int
    counted: bool
    """It states a quantity and no numbers: it is taken to start at 1, or at 0 where number 0 was seen."""
    space: str
    project: str
    """Programme and project, as the file says them."""


class Frame(NamedTuple):
    """What all rows of a batch come to, before the first is laid down."""

    space: str
    """Of the first row."""
    project: str
    """Programme and project of the first row."""
    starts_at_zero: bool
    """Rows that state no numbers start at 0."""
    whole: tuple[int, int] | None
    """Lowest and highest number of rows that show issuances."""
    shown: tuple[int, int] | None
    """Lowest and highest number of the other rows."""
    issuance_numbered: bool
    """A row that shows an issuance states numbers."""
    span: tuple[int, int]
    """Lowest and highest number of any row."""


def build_frame(claims: Iterable[Claim], known: KnownBatch) -> Frame:
    """Look at the claims of all rows of a batch, once. There is at least one."""
    first: Claim | None = None
    numbers: dict[tuple[bool, bool], tuple[int, int]] = {}
    zero = known.exists and known.first == 0
    for claim in claims:
        if first is None or claim.ordinal < first.ordinal:
            first = claim
        zero = zero or (claim.first == 0 and not claim.counted)
        low, high = numbers.get((claim.shown, claim.counted), (claim.first, claim.last))
        numbers[claim.shown, claim.counted] = (min(low, claim.first), max(high, claim.last))
    if first is None:
        raise ValueError("a batch without rows is no batch")
    moved = {key: (low - (zero and key[1]), high - (zero and key[1])) for key, (low, high) in numbers.items()}
    whole = _hull(span for (shown, _), span in moved.items() if not shown)
    shown = _hull(span for (shown, _), span in moved.items() if shown)
    span = _hull(moved.values())
    return Frame(first.space, first.project, zero, whole, shown, (False, False) in numbers, span or (0, 0))


def _hull(spans: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    chosen = list(spans)
    return (min(low for low, _ in chosen), max(high for _, high in chosen)) if chosen else None


def find_shift(frame: Frame, known: KnownBatch, last: KnownLot | None) -> KnownBatch:
    """What the ledger will have once a row shows the number below an assumed first one (`node.core.numbering`).

    `last` is the lot with its last unit, which turns out to be the first. Returns what is known, shifted or not.
    """
    below = known.first - 1
    if not known.assumed or frame.shown is None or frame.shown[0] >= known.first or frame.shown[0] != below:
        return known
    if last is None or last.state not in ("FREE", "BUFFER") or frame.shown[1] >= known.last:
        return known
    return known._replace(first=below, last=known.last - 1, assumed=False)


def shift_lots(
    lots: Sequence[KnownLot], before: KnownBatch, after: KnownBatch, last: KnownLot | None
) -> list[KnownLot]:
    """The lots with the last unit as the first, if that is how `find_shift` decided."""
    if before.first == after.first or last is None:
        return list(lots)
    kept = [lot._replace(last=min(lot.last, after.last)) for lot in lots if lot.first <= after.last]
    return [last._replace(first=after.first, last=after.first, whole=(after.first, after.first)), *kept]


def claim_of(ordinal: int, row: UnitRow) -> Claim:
    """What a row claims."""
    serials = row.serials
    counted, project = not row.batch.first_known, f"{row.batch.programme} {row.batch.project}"
    return Claim(ordinal, not shows_issuance(row), serials.first, serials.last, counted, serials.space, project)


def shows_issuance(row: UnitRow) -> bool:
    """Whether the row shows a whole issuance, not the present state of some units."""
    return row.batch.extent is Extent.EXACT
