"""From a serial number to where it is, what is marked on it, and every hand it went through."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeling.encoding import U64, Ref
from keeling.reasons import Reason
from keeling.units import UnitState
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.reads import custody, find, find_lots
from node.reads.errors import BadRequest, NotFound, NotKept, ReadRefused
from node.store.contract import Batch, Family
from tests.node.reads.histories import EVERYBODY, STEPS, Step, long_life, play, start, trace_positions
from tests.node.reads.trading_world import (
    OUT_SPACE,
    SERIAL,
    IndexedWorld,
    issue,
    open_world,
    opened,
    ranges,
    transfer,
)

NATIVE_SPACE = "ledger:wind"


def ask(world: IndexedWorld, space: str, first: int | str, last: int | str) -> pb.FindLotsResponse:
    with world.store.snapshot() as view:
        request = pb.FindLotsRequest(space=space, first_number=str(first), last_number=str(last))
        return find_lots(view, request)


def places(events: Iterable[pb.Event]) -> list[tuple[int, int]]:
    return [(event.place.height, event.place.ordinal) for event in events]


def test_a_range_is_told_lot_by_lot_with_what_nobody_has_shown() -> None:
    """A sub-range finds the containing lots whole; gaps inside the extent and numbers of no batch are told apart."""
    answer = ask(opened(), OUT_SPACE, 1_025, 1_120)
    assert [(f.lot.first_number, f.lot.last_number, f.lot.account, f.lot.state) for f in answer.lots] == [
        ("1001", "1030", "alice/verra", "FREE"),
        ("1031", "1040", "unassigned@verra", "FREE"),
        ("1081", "1100", "unassigned@verra", "RETIRED"),
    ]
    assert answer.lots[2].lot.serials == SERIAL.replace("1001-1100", "1081-1100")
    assert [(part.batch, part.first, part.units) for part in answer.unseen] == [("out-1", 1_041, 40)]
    assert [(part.first_number, part.last_number) for part in answer.unknown] == [("1101", "1120")]
    assert {found.batch_registry for found in answer.lots} == {"verra"}
    assert answer.height == opened().tip.height


def test_marks_are_those_on_the_part_asked_for() -> None:
    world = open_world()
    evidence = op.Evidence(digest=bytes(32), grade="B")
    world.must("reg", op.Mark(label="paid", ranges=ranges("nat-1", (100, 50)).ranges, value="yes", evidence=evidence))
    world.must("reg", op.Restrict(restriction="frozen", ranges=ranges("nat-1", (120, 5)).ranges, reason="asked"))
    cases = [
        ((100, 100), []),
        ((101, 101), [("LABEL", "paid", "yes", 100, 50)]),
        ((125, 126), [("LABEL", "paid", "yes", 100, 50), ("RESTRICTION", "frozen", "asked", 120, 5)]),
        ((150, 150), [("LABEL", "paid", "yes", 100, 50)]),
        ((151, 151), []),
    ]
    for (first, last), marks in cases:
        (found,) = ask(world, NATIVE_SPACE, first, last).lots
        assert (found.lot.range.first, found.lot.range.units) == (0, 1_000)
        assert [(m.kind, m.name, m.value, m.range.first, m.range.units) for m in found.marks] == marks


def test_the_chain_names_every_hand_and_only_the_units_asked_for() -> None:
    world = open_world()
    world.must("alice", transfer("alice", "bob", ranges("nat-1", (0, 100), (200, 100))), approvals=EVERYBODY)
    world.must("bob", transfer("bob", "carol", ranges("nat-1", (50, 10), (200, 1))), approvals=EVERYBODY)
    (found,) = ask(world, NATIVE_SPACE, 56, 58).lots
    assert (found.lot.account, found.lot.range.first, found.lot.range.units) == ("carol", 50, 10)
    told = [
        (e.kind, m.from_account, m.to_account, m.range.first, m.range.units) for e in found.custody for m in e.moves
    ]
    assert told == [
        ("TRANSFERRED", "bob", "carol", 55, 3),
        ("TRANSFERRED", "alice", "bob", 55, 3),
        ("ISSUED", "", "alice", 55, 3),
    ]
    assert not found.custody_cut


def test_units_seen_in_part_lead_back_to_the_batch_itself() -> None:
    found = ask(opened(), OUT_SPACE, 1_081, 1_081).lots[0]
    assert [event.kind for event in found.custody] == ["ATTESTED", "EXTENDED", "ISSUED"]
    assert found.custody[1].effective.ms == 19_900 * 86_400_000


def check_positions(world: IndexedWorld, traces: dict[tuple[str, int], list[Ref]]) -> None:
    """Every one of these positions, asked alone, has exactly the events that moved it, newest first."""
    for (name, position), trace in traces.items():
        batch = world.state.get(t.BATCHES, world.state.get(t.BATCH_NUMBERS, name))
        assert batch is not None
        number = batch.base + position
        (found,) = ask(world, batch.space, number, number).lots
        issued = [] if batch.issued in trace else [batch.issued]
        assert places(found.custody) == [*trace[::-1], *issued]
        assert found.custody[-1].kind == "ISSUED"
        assert found.lot.range.first <= position < found.lot.range.first + found.lot.range.units
        last = [m for m in found.custody[0].moves if m.range.first == position][-1]
        assert (last.to_account, last.to_state) == (found.lot.account, found.lot.state)


@settings(max_examples=25, deadline=None)
@given(STEPS, st.data())
def test_chains_of_random_histories_are_the_recorded_ones(steps: list[Step], data: st.DataObject) -> None:
    world = start()
    for _ in play(world, steps):
        continue
    traces = trace_positions(world)
    chosen = data.draw(st.lists(st.sampled_from(sorted(traces)), min_size=1, max_size=6))
    longest = max(traces, key=lambda key: len(traces[key]))
    check_positions(world, {key: traces[key] for key in [*chosen, longest]})


def test_a_long_life_has_long_chains_that_join_and_agree() -> None:
    """Of a range that was together again after being apart, the chain is the union of its positions' chains."""
    world = long_life()
    traces = trace_positions(world)
    assert max(len(trace) for trace in traces.values()) >= 5
    check_positions(world, {key: traces[key] for key in sorted(traces)[::37]})
    for found in ask(world, NATIVE_SPACE, 1, 1_000).lots:
        lot = found.lot.range
        together = {place for at in range(lot.first, lot.first + lot.units) for place in traces[("nat-1", at)]}
        assert places(found.custody) == sorted(together, reverse=True)
        state = {move.to_state for move in found.custody[0].moves}
        assert found.lot.state in state
        assert UnitState[found.lot.state] != UnitState.NONE


def test_units_handed_on_within_one_event_are_shown_once() -> None:
    world = open_world()
    chosen = ranges("nat-1", (10, 5))
    pairs = (("alice", "bob"), ("bob", "carol"))
    legs = [op.UnitLeg(from_account=giver, to_account=taker, selection=chosen) for giver, taker in pairs]
    world.must("alice", op.Transfer(units=legs), approvals=EVERYBODY)
    (found,) = ask(world, NATIVE_SPACE, 11, 15).lots
    assert [event.kind for event in found.custody] == ["TRANSFERRED", "ISSUED"]
    assert [(m.from_account, m.to_account) for m in found.custody[0].moves] == list(pairs)


@pytest.mark.parametrize(("limit", "shown"), [("CUSTODY_MAX", 3), ("BLOCKS_READ_MAX", 3)])
def test_a_chain_that_is_too_long_says_so(limit: str, shown: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = open_world()
    for giver, taker in (("alice", "bob"), ("bob", "carol"), ("carol", "bob"), ("bob", "alice")):
        world.must(giver, transfer(giver, taker, ranges("nat-1", (7, 1))), approvals=EVERYBODY)
    (whole,) = ask(world, NATIVE_SPACE, 8, 8).lots
    assert (len(whole.custody), whole.custody_cut) == (5, False)
    monkeypatch.setattr(custody, limit, shown)
    (cut,) = ask(world, NATIVE_SPACE, 8, 8).lots
    assert cut.custody_cut
    assert list(cut.custody) == list(whole.custody)[:shown]


def test_neighbouring_batches_of_a_space_are_found_in_order() -> None:
    world = open_world()
    world.must("reg", issue("later", 2_001, 100, "bob"))
    world.must("reg", issue("sooner", 1_501, 100, "carol"))
    answer = ask(world, NATIVE_SPACE, 990, 2_010)
    assert [(f.lot.range.batch, f.lot.first_number, f.lot.last_number) for f in answer.lots] == [
        ("nat-1", "1", "1000"),
        ("sooner", "1501", "1600"),
        ("later", "2001", "2100"),
    ]
    unknown = [(part.first_number, part.last_number) for part in answer.unknown]
    assert unknown == [("1001", "1500"), ("1601", "2000")]
    assert [f.lot.range.batch for f in ask(world, NATIVE_SPACE, 1_600, 1_700).lots] == ["sooner"]


def test_ranges_that_have_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[tuple[str, int | str, int | str, type[ReadRefused], object]] = [
        (OUT_SPACE, "x", 2, BadRequest, Reason.BAD_FIELD),
        (OUT_SPACE, 1, "-2", BadRequest, Reason.BAD_FIELD),
        (OUT_SPACE, "01", 2, BadRequest, Reason.BAD_FIELD),
        (OUT_SPACE, 1, "1" * 61, BadRequest, Reason.BAD_FIELD),
        (OUT_SPACE, 9, 8, BadRequest, Reason.BAD_FIELD),
        ("moon", 1, 2, NotFound, Reason.SERIALS_NOT_FOUND),
        (OUT_SPACE, 1, 1_000, NotFound, Reason.SERIALS_NOT_FOUND),
        (OUT_SPACE, 1_101, 10**59, NotFound, Reason.SERIALS_NOT_FOUND),
        (OUT_SPACE, 1_001, 1_100, BadRequest, Reason.TOO_MANY_LOTS),
    ]
    monkeypatch.setattr(find, "FOUND_MAX", 2)
    for space, first, last, error, reason in cases:
        with pytest.raises(error) as caught:
            ask(opened(), space, first, last)
        assert caught.value.reason == reason
    assert len(ask(opened(), OUT_SPACE, 1_001, 1_080).lots) == 2


def test_a_chain_into_dropped_blocks_is_refused_with_the_block() -> None:
    world = start()
    issued = world.state.get(t.BATCHES, 1)
    assert issued is not None
    batch = Batch()
    batch.delete(Family.EVENTS, U64.encode(issued.issued.height))
    world.store.commit(batch)
    with pytest.raises(NotKept, match=f"block {issued.issued.height} are not kept"):
        ask(world, NATIVE_SPACE, 1, 1)
