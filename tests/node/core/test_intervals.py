"""Marks as interval maps against a dict from position to value; ranges against sets of positions."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from keeling.encoding import Ref
from node.core import tables as t
from node.core.intervals import (
    MarkKind,
    covers,
    erase,
    find_restriction,
    leave_out,
    overlaps,
    paint,
    read_marks,
    restricted_ranges,
)
from node.core.lots import subtract
from node.core.records import Piece
from node.core.state import State
from tests.fakes.world import DictReader
from tests.node.core.sample import sample_world

SPAN = 24
RANGES = st.tuples(st.integers(0, SPAN - 1), st.integers(1, SPAN))
STEPS = st.lists(st.tuples(RANGES, st.sampled_from(["red", "blue", ""])), max_size=12)
HERE = Ref(1, 1)


@given(STEPS, RANGES)
def test_paint_and_erase_are_what_they_are_on_single_positions(
    steps: list[tuple[tuple[int, int], str]], asked: tuple[int, int]
) -> None:
    state, plain = State(DictReader()), dict[int, str]()
    for (first, units), value in steps:
        places = range(first, first + units)
        if value:
            paint(state, 7, MarkKind.LABEL, "x", first, units, value, HERE)
            plain |= dict.fromkeys(places, value)
        else:
            marked = sum(1 for at in places if at in plain)
            assert erase(state, 7, MarkKind.LABEL, "x", first, units) == marked
            plain = {at: value for at, value in plain.items() if at not in places}
    marks = [(t.MARKS.parts(key)[3], mark.units, mark.value) for key, mark in state.scan(t.MARKS, 7)]
    assert {at: value for first, units, value in marks for at in range(first, first + units)} == plain
    assert sum(units for _, units, _ in marks) == len(plain), "no position is marked twice"
    for (first, units, value), (following, _, other) in itertools.pairwise(marks):
        assert first + units < following or value != other, "equal neighbours are one interval"
    first, units = asked
    places = range(first, first + units)
    assert covers(state, 7, MarkKind.LABEL, "x", first, units, "red") == all(plain.get(at) == "red" for at in places)
    shown = {
        position
        for _, _, at, mark in read_marks(state, 7, first, units)
        for position in range(at, at + mark.units)
        if position in places
    }
    assert shown == {at for at in places if at in plain}


def test_layers_do_not_touch_each_other() -> None:
    state = State(DictReader())
    paint(state, 7, MarkKind.LABEL, "x", 0, 10, "v", HERE)
    paint(state, 7, MarkKind.LABEL, "y", 5, 10, "v", HERE)
    paint(state, 7, MarkKind.GRADE, "x", 0, 10, "B", HERE)
    erase(state, 7, MarkKind.LABEL, "x", 0, 10)
    kept = [(kind, name, at) for kind, name, at, _ in read_marks(state, 7, 0, 20)]
    assert kept == [(MarkKind.LABEL, "y", 5), (MarkKind.GRADE, "x", 0)]


@given(st.lists(RANGES, max_size=8), RANGES)
def test_restricted_ranges_are_the_union_of_all_restrictions(
    laid: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    world = sample_world()
    number = world.state.get(t.BATCH_NUMBERS, "vcs")
    assert number is not None
    batch = world.state.get(t.BATCHES, number)
    assert batch is not None
    assert restricted_ranges(world.state, number, batch) == []
    for ordinal, (first, units) in enumerate(laid):
        paint(world.state, number, MarkKind.RESTRICTION, f"r{ordinal}", first, units, "why", HERE)
    merged = restricted_ranges(world.state, number, batch._replace(restrictions=len(laid)))
    stopped = {at for first, units in laid for at in range(first, first + units)}
    assert {at for first, stop in merged for at in range(first, stop)} == stopped
    first, units = asked
    hit = bool(stopped & set(range(first, first + units)))
    assert overlaps(merged, first, units) == hit
    assert (find_restriction(world.state, number, first, units) is not None) == hit
    free = list(leave_out(merged, first, units))
    assert all(size > 0 for _, size in free)
    assert [at for low, size in free for at in range(low, low + size)] == [
        at for at in range(first, first + units) if at not in stopped
    ]


@given(RANGES, st.lists(st.tuples(st.integers(0, 1), st.integers(0, SPAN - 1)), unique=True))
def test_subtract_is_set_difference(asked: tuple[int, int], others: list[tuple[int, int]]) -> None:
    first, units = asked
    taken = [Piece(batch, at, 1) for batch, at in sorted(others)]
    left = subtract(Piece(1, first, units), taken)
    assert all(part.batch == 1 and part.units > 0 for part in left)
    assert [at for part in left for at in range(part.first, part.first + part.units)] == [
        at for at in range(first, first + units) if (1, at) not in others
    ]
