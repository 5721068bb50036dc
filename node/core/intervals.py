"""Marks as interval maps: per batch, kind and name, values over positions that never overlap.

A mark is painted over a range and erased from one; what it covered before is trimmed. Marks lie over lots and never
split one (units and rules §1). Restrictions are marks that stop movements; nothing else here has an effect.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum

from keeling.encoding import Ref
from keeling.operations import Range
from node.core import tables as t
from node.core.limits import UNITS_MAX
from node.core.records import Batch, Mark, Piece
from node.core.state import State


class MarkKind(IntEnum):
    """Kinds of marks; numbers are in keys and never reused."""

    LABEL = 1
    RESTRICTION = 2
    REGISTRY_STATE = 3
    GRADE = 4
    AUTHORIZATION = 5
    FIRST_TRANSFER = 6
    TWIN = 7
    PRINTED_FORM = 8
    BANK_YEAR = 9
    CLAIM = 10


def read_layer(state: State, batch: int, kind: int, name: str, first: int, units: int) -> list[tuple[int, Mark]]:
    """The marks of one layer that share a position with the range, in order, whole."""
    found: list[tuple[int, Mark]] = []
    start = t.MARKS.key(batch, kind, name, first)
    for key, mark in state.scan(t.MARKS, batch, kind, name, start=start, reverse=True):
        at = t.MARKS.parts(key)[3]
        if at + mark.units > first:
            found.append((at, mark))
        break
    for key, mark in state.scan(t.MARKS, batch, kind, name, start=start):
        at = t.MARKS.parts(key)[3]
        if at >= first + units:
            break
        found.append((at, mark))
    return found


def erase(state: State, batch: int, kind: int, name: str, first: int, units: int) -> int:
    """Remove one layer's marks from the range; what lies outside stays. Returns how many units were marked."""
    end, erased = first + units, 0
    for at, mark in read_layer(state, batch, kind, name, first, units):
        stop = at + mark.units
        erased += min(stop, end) - max(at, first)
        if at < first:
            state.put(t.MARKS, mark._replace(units=first - at), batch, kind, name, at)
        else:
            state.delete(t.MARKS, batch, kind, name, at)
        if stop > end:
            state.put(t.MARKS, mark._replace(units=stop - end), batch, kind, name, end)
    return erased


def paint(state: State, batch: int, kind: int, name: str, first: int, units: int, value: str, cause: Ref) -> None:
    """Give the range one value in this layer. Neighbours of the same value become one interval with it."""
    end, low = first + units, max(first - 1, 0)
    start, stop = first, end
    for at, mark in read_layer(state, batch, kind, name, low, end - low + 1):
        after = at + mark.units
        if mark.value == value:
            start, stop = min(start, at), max(stop, after)
        elif at >= end or after <= first:
            continue
        elif at < first:
            state.put(t.MARKS, mark._replace(units=first - at), batch, kind, name, at)
        if mark.value == value or at >= first:
            state.delete(t.MARKS, batch, kind, name, at)
        if mark.value != value and after > end:
            state.put(t.MARKS, mark._replace(units=after - end), batch, kind, name, end)
    state.put(t.MARKS, Mark(stop - start, value, cause), batch, kind, name, start)


def join_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """(first, units) ranges that do not overlap, in order, those side by side made one."""
    joined: list[tuple[int, int]] = []
    for first, units in sorted(ranges):
        if joined and sum(joined[-1]) == first:
            joined[-1] = (joined[-1][0], joined[-1][1] + units)
        else:
            joined.append((first, units))
    return joined


def name_ranges(pieces: Iterable[tuple[Batch, Piece]]) -> list[Range]:
    """The pieces as an event states them: by name of their batch, joined where they touch."""
    by_batch: dict[str, list[tuple[int, int]]] = {}
    for batch, piece in pieces:
        by_batch.setdefault(batch.name, []).append((piece.first, piece.units))
    return [Range(name, *part) for name, parts in sorted(by_batch.items()) for part in join_ranges(parts)]


def covers(state: State, batch: int, kind: int, name: str, first: int, units: int, value: str) -> bool:
    """Whether the whole range has this value in this layer."""
    at = first
    for start, mark in read_layer(state, batch, kind, name, first, units):
        if start > at or mark.value != value:
            return False
        at = start + mark.units
    return at >= first + units


def read_marks(state: State, batch: int, first: int, units: int) -> Iterator[tuple[int, str, int, Mark]]:
    """Every mark on the range: (kind, name, first position, mark)."""
    for key, mark in state.scan(t.MARKS, batch):
        _, kind, name, at = t.MARKS.parts(key)
        if at < first + units and at + mark.units > first:
            yield kind, name, at, mark


def shift_marks(state: State, batch: int, old: int, new: int, cause: Ref) -> None:
    """Move every mark of one position to another."""
    for kind, name, _, mark in list(read_marks(state, batch, old, 1)):
        erase(state, batch, kind, name, old, 1)
        paint(state, batch, kind, name, new, 1, mark.value, cause)


def find_restriction(state: State, number: int, first: int, units: int) -> tuple[str, int, Mark] | None:
    """The first restriction on the range: its name, its first position, the mark. None when there is none."""
    for key, mark in state.scan(t.MARKS, number, MarkKind.RESTRICTION):
        _, _, name, at = t.MARKS.parts(key)
        if at < first + units and at + mark.units > first:
            return name, at, mark
    return None


def restricted_ranges(state: State, number: int, batch: Batch) -> list[tuple[int, int]]:
    """Where a batch is restricted, by whatever: (first, stop) in order, none touching the next.

    Read once per operation that looks at many lots, so that its cost is lots plus restrictions, not their product.
    """
    if not batch.restrictions:
        return []
    marks = state.scan(t.MARKS, number, MarkKind.RESTRICTION)
    merged: list[tuple[int, int]] = []
    for first, stop in sorted((t.MARKS.parts(key)[3], t.MARKS.parts(key)[3] + mark.units) for key, mark in marks):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((first, stop))
    return merged


def overlaps(ranges: Sequence[tuple[int, int]], first: int, units: int) -> bool:
    """Whether one of these ordered, disjoint (first, stop) ranges shares a position with first .. first + units - 1."""
    at = bisect_right(ranges, (first + units - 1, UNITS_MAX + 1))
    return at > 0 and ranges[at - 1][1] > first


def leave_out(ranges: Sequence[tuple[int, int]], first: int, units: int) -> Iterator[tuple[int, int]]:
    """What of first .. first + units - 1 is in none of these ordered, disjoint (first, stop) ranges: (first, units)."""
    stop = first + units
    for low, high in ranges[max(bisect_right(ranges, (first, UNITS_MAX + 1)) - 1, 0) :]:
        if low >= stop:
            break
        if low > first:
            yield first, low - first
        first = max(first, high)
    if first < stop:
        yield first, stop - first


def count_restrictions(state: State, number: int) -> int:
    """How many restricted intervals a batch has now."""
    return sum(1 for _ in state.scan(t.MARKS, number, MarkKind.RESTRICTION))
