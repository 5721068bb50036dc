"""A registry uses serials that another hold reserves: the holds exchange, and both are captured in the end."""

from __future__ import annotations

import pytest

from keeling.events import EventKind
from keeling.units import UnitState
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.holds import HoldPhase
from tests.fakes.world import World
from tests.node.core.conservation import check_conservation, check_told
from tests.node.core.sample import DAY_MS, HOLD, evidence, hold, ranges, sample_world, some

OTHER, THIRD = b"2" * 16, b"3" * 16


@pytest.fixture
def world() -> World:
    """HOLD reserves vcs 1..100 and is instructed; OTHER reserves 101..200."""
    made = sample_world()
    made.must("alice", hold("L1", some(0, ("vcs", 1, 100)), buyer="bob"))
    made.must("hub", op.Dispatch(hold=HOLD, attempt=1, instruction=bytes(32)))
    made.must("alice", hold("L1", some(0, ("vcs", 101, 100)), hold=OTHER))
    return made


def held(world: World, name: bytes) -> list[tuple[int, int]]:
    found = world.state.get(t.HOLDS, name)
    assert found is not None
    return [(piece.first, piece.units) for piece in found.pieces]


def phase(world: World, name: bytes) -> HoldPhase:
    found = world.state.get(t.HOLDS, name)
    assert found is not None
    return HoldPhase(found.phase)


def capture(world: World, name: bytes, *used: tuple[str, int, int]) -> list[tuple[EventKind, str]]:
    """Capture; returns what happened, in order, and about what."""
    world.must("verra", op.Capture(hold=name, ranges=ranges(*used), evidence=evidence()))
    check_conservation(world.state)
    return [(EventKind(event.kind), event.subject) for event in world.blocks[-1].events]


@pytest.mark.parametrize("instructed", [False, True])
def test_two_that_stand_in_each_others_way_are_both_captured(world: World, instructed: bool) -> None:
    """Each was done on the other's serials. Without an exchange neither could ever be captured."""
    if instructed:
        world.must("hub", op.Dispatch(hold=OTHER, attempt=1, instruction=bytes(32)))
    told = capture(world, HOLD, ("vcs", 101, 100))
    assert told[0] == (EventKind.HELD, OTHER.hex())
    assert [kind for kind, _ in told[1:]] == [EventKind.RETIRED]
    assert (held(world, HOLD), held(world, OTHER)) == ([], [(1, 100)])
    swapped = world.blocks[-1].events[0]
    state = UnitState.INSTRUCTED if instructed else UnitState.HELD
    assert [(move.first, move.units, move.to_state) for move in swapped.moves] == [(1, 100, state)]
    assert swapped.fact("reason") == f"swapped for the serials used by hold {HOLD.hex()}"
    assert phase(world, OTHER) == (HoldPhase.INSTRUCTED if instructed else HoldPhase.OPEN)
    if not instructed:
        world.must("hub", op.Dispatch(hold=OTHER, attempt=1, instruction=bytes(32)))
    assert [kind for kind, _ in capture(world, OTHER, ("vcs", 1, 100))] == [EventKind.RETIRED]
    assert (phase(world, HOLD), phase(world, OTHER)) == (HoldPhase.CAPTURED, HoldPhase.CAPTURED)
    check_told(world)


def test_own_free_and_reserved_units_in_one_capture(world: World) -> None:
    """91..100 are its own, 101..120 and 151..160 OTHER's, 201..210 THIRD's, 5,001..5,010 nobody's."""
    world.must("alice", hold("L1", some(0, ("vcs", 201, 50)), hold=THIRD))
    used = (("vcs", 91, 30), ("vcs", 151, 10), ("vcs", 201, 10), ("vcs", 5_001, 10))
    told = capture(world, HOLD, *used)
    assert told == [
        (EventKind.HELD, OTHER.hex()),
        (EventKind.HELD, THIRD.hex()),
        (EventKind.RELEASED, HOLD.hex()),
        (EventKind.RETIRED, told[-1][1]),
    ]
    assert held(world, OTHER) == [(1, 20), (21, 10), (121, 30), (161, 40)]
    assert held(world, THIRD) == [(31, 10), (211, 40)]
    assert held(world, HOLD) == [(51, 40)], "ten are free again for the ten that nobody had reserved"
    check_told(world)


def test_an_exchanged_hold_expires_and_is_released_as_before(world: World) -> None:
    capture(world, HOLD, ("vcs", 101, 60))
    assert held(world, OTHER) == [(1, 60), (161, 40)]
    world.later(2 * DAY_MS)
    world.block()
    assert (held(world, OTHER), phase(world, OTHER)) == ([], HoldPhase.EXPIRED)
    check_conservation(world.state)
    check_told(world)
