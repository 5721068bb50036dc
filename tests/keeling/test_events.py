"""Events: a part of one is decoded without the rest, and says the same as the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.encoding import EncodingError, Ref
from keeling.events import EVENT, CashMove, Event, EventKind, Move, decode_event_of
from keeling.operations import Range, When

NAMES = st.sampled_from(["verra:7", "verra:70", "é:1", ""])
NUMBERS = st.integers(0, 30)
MOVES = st.builds(
    Move, NAMES, NUMBERS, st.integers(1, 9), NAMES, st.integers(0, 10), st.builds(Ref, NUMBERS, NUMBERS), NAMES, NUMBERS
)
EVENTS = st.builds(
    Event,
    st.sampled_from(EventKind),
    NUMBERS,
    NAMES,
    st.builds(When, st.integers(-5, 5), st.integers(0, 2)),
    st.lists(MOVES, max_size=6).map(tuple),
    st.lists(st.builds(CashMove, NAMES, NAMES, NAMES, NUMBERS, NUMBERS), max_size=2).map(tuple),
    st.lists(st.tuples(NAMES, NAMES), max_size=2).map(tuple),
    st.lists(st.builds(Range, NAMES, NUMBERS, NUMBERS), max_size=2).map(tuple),
)


@given(EVENTS, NAMES, NUMBERS, st.integers(1, 9))
def test_a_part_of_an_event_is_the_event_with_fewer_moves(event: Event, batch: str, first: int, units: int) -> None:
    asked = range(first, first + units)
    moves = [
        move
        for move in event.moves
        if move.batch == batch and any(at in asked for at in range(move.first, move.first + move.units))
    ]
    assert decode_event_of(EVENT.encode(event), batch, first, first + units) == event._replace(moves=tuple(moves))


@given(EVENTS, st.data())
def test_a_cut_event_is_no_event(event: Event, data: st.DataObject) -> None:
    encoded = EVENT.encode(event)
    for broken in (encoded[: data.draw(st.integers(0, len(encoded) - 1))], encoded + b"\0"):
        with pytest.raises(EncodingError):
            decode_event_of(broken, "verra:7", 0, 99)
