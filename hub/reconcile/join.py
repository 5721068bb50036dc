"""The join of two lists of numbered ranges: every number of either side once, with what both sides say of it. Pure.

Plain Python, because numbers may be longer than 64 bits, and because lists that agree, which nearly all do, are
walked in pairs: `bench.reconcile` shows it beside numpy. What a difference means is in `hub.reconcile.classes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from operator import itemgetter
from typing import Final, NamedTuple

TWICE: Final = "twice"
"""The state of units that one side shows more than once: believe none of the rows."""
_FIRST: Final = itemgetter(0)


class Row(NamedTuple):
    """Numbers `first` to `last`, inclusive, of one serial space, as one side shows them."""

    first: int
    last: int
    account: str
    state: str
    reference: str = ""
    """Registry: its own id of the row. Ledger: the hold (hex), if there is one."""


class Segment(NamedTuple):
    """Numbers of which each side says one thing; None: that side does not have them."""

    first: int
    last: int
    there: Row | None
    here: Row | None

    @property
    def units(self) -> int:
        return self.last - self.first + 1


class Joined(NamedTuple):
    """Where the sides agree, in units, and every segment where they do not, in order."""

    agreed_units: int
    segments: list[Segment]


def untangle(rows: Iterable[Row]) -> list[Row]:
    """The rows in order, no number twice: what was shown more than once becomes rows in state `TWICE`."""
    ordered = sorted(rows, key=_FIRST)
    reach = -1
    for row in ordered:
        if row[0] <= reach:
            return _cut(ordered)
        reach = row[1]
    return ordered


def _cut(ordered: Sequence[Row]) -> list[Row]:
    """Rows cut wherever one begins or ends; n log n, however they lie over each other."""
    points = sorted({point for row in ordered for point in (row.first, row.last + 1)})
    found: list[Row] = []
    active: list[tuple[int, int]] = []
    coming = 0
    for low, high in pairwise(points):
        while coming < len(ordered) and ordered[coming].first <= low:
            heappush(active, (ordered[coming].last, coming))
            coming += 1
        while active and active[0][0] < low:
            heappop(active)
        if not active:
            continue
        row = ordered[active[0][1]]
        if len(active) > 1:
            row = Row(low, high - 1, "", TWICE)
        found.append(row._replace(first=low, last=high - 1))
    return list(_merge(found))


def _merge(rows: Iterable[Row]) -> Iterator[Row]:
    """Neighbours that say the same joined again."""
    before: Row | None = None
    for row in rows:
        if before is not None and before.last + 1 == row.first and before[2:] == row[2:]:
            before = before._replace(last=row.last)
            continue
        if before is not None:
            yield before
        before = row
    if before is not None:
        yield before


def join(there: Sequence[Row], here: Sequence[Row], agreed: frozenset[tuple[str, str]]) -> Joined:
    """Lay two untangled lists of one space side by side.

    They agree where the accounts are the same and the pair of states is in `agreed`.
    """
    segments: list[Segment] = []
    put = segments.append
    units = a = b = 0
    ends_a, ends_b = len(there), len(here)
    at = -1
    while a < ends_a and b < ends_b:
        left, right = there[a], here[b]
        first_a, first_b = left[0], right[0]
        first_a = max(first_a, at)
        first_b = max(first_b, at)
        last_a, last_b = left[1], right[1]
        if last_a < first_b:
            put(Segment(first_a, last_a, left, None))
            a += 1
            continue
        if last_b < first_a:
            put(Segment(first_b, last_b, None, right))
            b += 1
            continue
        if first_a < first_b:
            put(Segment(first_a, first_b - 1, left, None))
            first_a = first_b
        elif first_b < first_a:
            put(Segment(first_b, first_a - 1, None, right))
        last = last_a if last_a < last_b else last_b
        if left[2] == right[2] and (left[3], right[3]) in agreed:
            units += last - first_a + 1
        else:
            put(Segment(first_a, last, left, right))
        at = last + 1
        if last_a == last:
            a += 1
        if last_b == last:
            b += 1
    segments += [Segment(max(row[0], at), row[1], row, None) for row in there[a:]]
    segments += [Segment(max(row[0], at), row[1], None, row) for row in here[b:]]
    return Joined(units, segments)
