"""Units are counted once, in whatever order and however often ranges cover them."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from hub.reports.covered import Covered

RANGES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(1, 15)), max_size=30)


@given(RANGES)
@example([("a", 0, 5), ("a", 5, 5), ("a", 0, 10)])
@example([("a", 0, 2), ("a", 4, 2), ("a", 8, 2), ("a", 1, 8)])
def test_each_unit_counts_once(ranges: list[tuple[str, int, int]]) -> None:
    covered, seen = Covered(), set[tuple[str, int]]()
    for batch, first, units in ranges:
        fresh = {(batch, at) for at in range(first, first + units)} - seen
        assert covered.add(batch, first, units) == len(fresh)
        seen |= fresh
