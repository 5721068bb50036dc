"""The book of ranges on disk says what the one in memory says, whenever it is moved there."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from adapters.overlaps import SeenRanges
from cli.importing.numbers import pack_number, unpack_number
from cli.importing.ranges import SpilledRanges
from keeling.serials import Grain, SerialRange

NUMBERS = st.integers(0, 40) | st.integers(2**63 - 5, 2**63 + 5) | st.integers(10**29, 10**29 + 20)


@given(
    rows=st.lists(st.tuples(st.sampled_from("ab"), NUMBERS, st.integers(0, 12), st.integers(0, 3)), max_size=60),
    in_memory=st.integers(1, 20),
)
def test_it_is_the_same_book(rows: list[tuple[str, int, int, int]], in_memory: int) -> None:
    plain, spilled = SeenRanges(), SpilledRanges(sqlite3.connect(":memory:"), in_memory)
    for number, (space, first, more, state) in enumerate(rows, 1):
        serials = SerialRange("verra", 1, space, first, first + more, Grain.T_CO2E, "")
        assert spilled.add(serials, number, state) == plain.add(serials, number, state)


@given(st.lists(st.integers(0, 2**70) | st.integers(0, 10**60)))
def test_packed_numbers_sort_as_numbers_do(numbers: list[int]) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE n (at)")
    database.executemany("INSERT INTO n VALUES (?)", [(pack_number(each),) for each in numbers])
    assert [unpack_number(at) for (at,) in database.execute("SELECT at FROM n ORDER BY at")] == sorted(numbers)
