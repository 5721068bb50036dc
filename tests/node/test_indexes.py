"""Indexes: the same rows from the writer and from a rebuild, and every account an event is about finds it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from keeling.encoding import Ref
from keeling.events import NOWHERE, CashMove, Event, EventKind, Move
from keeling.operations import When, WhenPrecision
from keeling.units import UnitState
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.limits import ID_WINDOW_MS
from node.indexes import (
    DAY_MS,
    Delta,
    Touched,
    put_events,
    read_last_moved,
    read_last_touched,
    read_old_id,
    scan_account,
)
from node.rebuild import rebuild
from node.store.contract import Batch, Family
from node.store.memory import MemoryStore
from tests.node.reads.histories import STEPS, Step, long_life, play, start
from tests.node.reads.trading_world import DIGEST, IndexedWorld, hold_id, open_world, place_hold, transfer, units

HOLD = bytes(15) + b"\x07"
NOON = When(10 * DAY_MS + DAY_MS // 2, WhenPrecision.INSTANT)


def move(giver: str, taker: str, number: int = 5, state: UnitState = UnitState.FREE) -> Move:
    before = (giver, UnitState.FREE, Ref(1, 0)) if giver else ("", UnitState.NONE, NOWHERE)
    return Move("b", 0, number, *before, taker, state)


def event(kind: EventKind, subject: str, *moves: Move, **fields: Any) -> Event:
    return Event(kind, 0, subject, NOON, moves, **fields)


TOUCHING = [
    (event(EventKind.ISSUED, "b", move("", "A")), ["A"]),
    (event(EventKind.ISSUED, "b"), []),
    (event(EventKind.TRANSFERRED, "B", move("A", "B")), ["A", "B"]),
    (event(EventKind.TRANSFERRED, "B", move("A", "B"), cash=(CashMove("C", "D", "INR@x", 9, 2),)), [*"ABCD"]),
    (event(EventKind.CASH_ISSUED, "A", cash=(CashMove("", "A", "INR@x", 9, 2),)), ["A"]),
    (event(EventKind.CASH_REDEEMED, "A", cash=(CashMove("A", "", "INR@x", 9, 2),)), ["A"]),
    (event(EventKind.RETIRED, "A", move("A", "A", state=UnitState.RETIRED)), ["A"]),
    (event(EventKind.ACCOUNT_OPENED, "A"), ["A"]),
    (event(EventKind.POLICY_SET, "A"), ["A"]),
    (event(EventKind.ACCOUNT_CLOSED, "A"), ["A"]),
    (event(EventKind.LINKED, "A"), ["A"]),
    (event(EventKind.LINKED, "A", move("unassigned@x", "A")), ["A", "unassigned@x"]),
    (event(EventKind.MANDATE_GRANTED, "A"), ["A"]),
    (event(EventKind.MANDATE_REVOKED, "A"), ["A"]),
    (event(EventKind.LINK_STATE, "account:A"), ["A"]),
    (event(EventKind.LINK_STATE, "registry:verra"), []),
    (event(EventKind.HELD, HOLD.hex(), move("A", "A"), facts=(("account", "A"),)), ["A"]),
    (event(EventKind.DISPATCHED, HOLD.hex()), ["H"]),
    (event(EventKind.DISPATCHED, HOLD.hex(), move("A", "A")), ["A"]),
    (event(EventKind.RELEASED, HOLD.hex()), ["H"]),
    (event(EventKind.MARKED, "A"), []),
    (event(EventKind.ADMITTED, "A"), []),
]


def test_an_event_is_found_by_every_account_it_is_about() -> None:
    store, batch = MemoryStore(), Batch()
    for height, (happened, _) in enumerate(TOUCHING, 1):
        put_events(batch, height, [event(EventKind.ADMITTED, "x"), happened], lambda hold: "H" if hold == HOLD else "")
    store.commit(batch)
    for height, (happened, expected) in enumerate(TOUCHING, 1):
        found = {
            name: touched.events
            for name in ("A", "B", "C", "D", "H", "unassigned@x")
            for _, touched in scan_account(store, name, height, height)
        }
        assert found == dict.fromkeys(expected, (1,)), happened


def test_what_a_block_did_to_an_account_is_one_row() -> None:
    """Moves of one batch, state and day are summed, what comes and goes again is gone, dates count from midnight."""
    day = When(10 * DAY_MS + 5, WhenPrecision.DATE)
    first = Event(EventKind.TRANSFERRED, 0, "B", NOON, (move("A", "B", 5), move("A", "B", 7)))
    dated = Event(EventKind.TRANSFERRED, 1, "B", day, (move("A", "B", 3),))
    back = Event(EventKind.TRANSFERRED, 2, "C", NOON, (move("A", "C", 2), move("C", "A", 2)))
    store, batch = MemoryStore(), Batch()
    put_events(batch, 4, [first, dated, back], lambda _: "")
    store.commit(batch)
    deltas = (Delta("b", UnitState.FREE, 10 * DAY_MS, -3), Delta("b", UnitState.FREE, NOON.ms, -12))
    assert list(scan_account(store, "A", 1, 9)) == [(4, Touched((0, 1, 2), deltas))]
    assert list(scan_account(store, "C", 1, 9)) == [(4, Touched((2,), ()))]
    assert [len(list(scan_account(store, "A", low, high))) for low, high in ((1, 3), (4, 4), (5, 9))] == [0, 1, 0]
    assert (read_last_touched(store, "A"), read_last_touched(store, "Z")) == (4, 0)
    assert (read_last_moved(store, "b"), read_last_moved(store, "z")) == (4, 0)


def rows(world: IndexedWorld) -> dict[bytes, bytes]:
    return dict(world.store.scan(Family.INDEX))


@settings(max_examples=15, deadline=None)
@given(STEPS)
def test_rebuilding_from_the_log_gives_the_same_rows(steps: list[Step]) -> None:
    world = start()
    for _ in play(world, steps):
        continue
    check_rebuild(world)


def check_rebuild(world: IndexedWorld) -> None:
    before = rows(world)
    assert rebuild(world.store, world.genesis) == world.tip.height
    assert rows(world) == before


def test_a_long_life_is_rebuilt_too() -> None:
    long_life()
    world = start()
    for _ in play(world, [Step("give", 0, 1, 5, 0)] * 3):
        continue
    assert rows(world) != rows(long_life())
    check_rebuild(world)


def test_ids_that_left_the_window_are_found_where_they_were_decided() -> None:
    """Accepted and refused ids alike, when written by the block that forgets them and when rebuilt."""
    world = open_world()
    accepted = world.transaction("alice", transfer("alice", "bob", units(3)))
    refused = world.transaction("alice", transfer("alice", "bob", units(9_999)))
    unsigned = world.transaction("bob", transfer("alice", "bob", units(3)))
    decided = world.block(
        world.submission("alice", accepted, refused, approvals=("bob",)), world.submission("bob", unsigned)
    )
    ids = [answer.transaction.id for done in decided.submissions for answer in done.answers if answer.transaction]
    assert [read_old_id(world.store, number, "alice") for number in ids] == [None, None, None]
    kept = {number: world.state.get(t.IDS, number, "alice") for number in ids[:2]}
    world.later(ID_WINDOW_MS + 1_000)
    world.block()
    for number in ids[:2]:
        assert world.state.get(t.IDS, number, "alice") is None
        assert read_old_id(world.store, number, "alice") == kept[number]
    check_rebuild(world)
    assert read_old_id(world.store, ids[0], "alice") == kept[ids[0]]


def test_a_second_dispatch_moves_nothing_and_still_touches_the_account() -> None:
    world = open_world()
    world.must("alice", place_hold("h", "alice/verra", units(5), world.now_ms + 60_000), approvals=("alice",))
    for attempt in (1, 2):
        lookup = DIGEST if attempt == 2 else b""
        world.must("hub", op.Dispatch(hold=hold_id("h"), attempt=attempt, instruction=DIGEST, lookup=lookup))
        world.later(2_000)
    assert read_last_touched(world.store, "alice/verra") == world.tip.height
    check_rebuild(world)
