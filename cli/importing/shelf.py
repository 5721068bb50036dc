"""Ranges of one batch laid side by side, each with what is known of it: cut, looked at and replaced. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from cli.importing.model import KnownLot


class Part(NamedTuple):
    """A piece of a range: the lot it lies in, or None where nothing was seen."""

    first: int
    last: int
    lot: KnownLot | None


class Shelf:
    """Disjoint lots in order. Sorted lists, so that a batch of a hundred thousand lots is no trouble."""

    def __init__(self, lots: Iterable[KnownLot]) -> None:
        self._lots = sorted(lots)
        self._firsts = [lot.first for lot in self._lots]

    def parts(self, first: int, last: int) -> list[Part]:
        """The range cut at the borders of lots, gaps included, in order."""
        found, at = [], first
        for lot in self._lots[self._low(first) : bisect_right(self._firsts, last)]:
            if lot.first > at:
                found.append(Part(at, lot.first - 1, None))
            at = max(at, lot.first)
            found.append(Part(at, min(lot.last, last), lot))
            at = lot.last + 1
        if at <= last:
            found.append(Part(at, last, None))
        return found

    def put(self, lot: KnownLot) -> None:
        """Lay a lot down; of those it covers, what sticks out stays."""
        low, high = self._low(lot.first), bisect_right(self._firsts, lot.last)
        kept = []
        for old in self._lots[low:high]:
            if old.first < lot.first:
                kept.append(old._replace(last=lot.first - 1))
            if old.last > lot.last:
                kept.append(old._replace(first=lot.last + 1))
        fresh = sorted([*kept, lot])
        self._lots[low:high] = fresh
        self._firsts[low:high] = [each.first for each in fresh]

    def _low(self, first: int) -> int:
        """Index of the first lot that ends at or after `first`."""
        at = bisect_left(self._firsts, first)
        return at - 1 if at and self._lots[at - 1].last >= first else at
