"""Rows that claim a unit twice are found, in any order and with numbers of any length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.overlaps import Clash, SeenRanges
from keeling.serials import Grain, SerialRange

RANGES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(0, 12)), max_size=40)


def serials(space: str, first: int, last: int) -> SerialRange:
    return SerialRange("opaque", 1, space, first, last, Grain.T_CO2E, "")


@given(RANGES)
def test_a_clash_is_found_exactly_when_an_earlier_range_holds_one_of_the_units(
    ranges: list[tuple[str, int, int]],
) -> None:
    seen, taken = SeenRanges(), dict[int, SerialRange]()
    for row, (space, first, size) in enumerate(ranges, 1):
        one = serials(space, first, first + size)
        clash = seen.add(one, row, row % 16)
        others = {
            Clash(each, other.first, other.last, each % 16) for each, other in taken.items() if other.overlaps(one)
        }
        assert clash in others if others else clash is None
        if clash is None:
            taken[row] = one


def test_many_ranges_in_any_order_and_numbers_of_thirty_digits() -> None:
    seen, base = SeenRanges(), 643002406555908610000000000000
    for step in (1, -1):
        for row, number in enumerate(range(0, 9000, 3)[::step], 1):
            clash = seen.add(serials("a", base + number, base + number + 1), row, 0)
            assert (clash is None) == (step == 1)
    assert seen.add(serials("a", base + 2, base + 2), 5, 0) is None
    assert seen.add(serials("a", 0, 2**62), 5, 0) is None
