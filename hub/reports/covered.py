"""Units counted once, however many ranges of a list cover them. What the ranges stand for is known to those who count.

Kept are the merged ranges only: a list that repeats or continues itself takes the room of one range.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Covered:
    """The positions of batches that ranges have covered so far."""

    def __init__(self) -> None:
        self._starts: dict[str, list[int]] = {}
        self._ends: dict[str, list[int]] = {}

    def add(self, batch: str, first: int, units: int) -> int:
        """Cover `units` positions of a batch from `first` on; returns how many of them were not covered before."""
        starts, ends = self._starts.setdefault(batch, []), self._ends.setdefault(batch, [])
        end = first + units
        low, high = bisect_left(ends, first), bisect_right(starts, end)  # those that share a position, or touch
        known = sum(max(min(end, ends[at]) - max(first, starts[at]), 0) for at in range(low, high))
        if low < high:
            first, end = min(first, starts[low]), max(end, ends[high - 1])
        starts[low:high], ends[low:high] = [first], [end]
        return units - known
