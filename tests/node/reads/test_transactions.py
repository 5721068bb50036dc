"""Receipts by id: accepted, refused, old, not bound, and dropped."""

from __future__ import annotations

import pytest

from keeling.encoding import U64
from keeling.meanings import MEANINGS
from keeling.reasons import Reason
from keeling.v1 import ledger_pb2 as pb
from node.core.limits import ID_WINDOW_MS
from node.reads import get_first_receipt, get_transaction
from node.reads.errors import BadRequest, NotFound, NotKept
from node.store.contract import Batch, Family
from tests.node.reads.trading_world import IndexedWorld, open_world, place_hold, transfer, units


def ask(world: IndexedWorld, number: bytes, participant: str) -> pb.TransactionResult:
    with world.store.snapshot() as view:
        return get_transaction(view, pb.GetTransactionRequest(id=number, participant=participant))


def test_every_answer_of_a_block_is_found_by_its_id() -> None:
    """Also behind sweeps and a submission that was none; and again after the state forgot the ids."""
    world = open_world()
    raws = [world.transaction("alice", transfer("alice", "bob", units(size))) for size in (3, 9_999, 4)]
    first = world.submission("alice", *raws[:2], approvals=("bob",))
    block = world.block(b"no submission", first, world.submission("alice", raws[2], approvals=("bob",)))
    answers = [answer for done in block.submissions for answer in done.answers]
    numbers = [answer.transaction.id for answer in answers if answer.transaction is not None]
    assert len(numbers) == len(answers)
    for later in (False, True):
        if later:
            world.later(ID_WINDOW_MS + 1_000)
            world.block()
        for ordinal, (answer, reason) in enumerate(zip(answers, (0, Reason.INSUFFICIENT_UNITS, 0), strict=True)):
            found = ask(world, numbers[ordinal], "alice")
            assert (found.id, found.participant, found.digest) == (numbers[ordinal], "alice", answer.digest)
            assert (found.place.height, found.place.ordinal) == (block.header.height, ordinal)
            assert (found.reason, found.reason_name) == (reason, Reason(reason).name)
            assert found.time_ms == block.header.time_ms
            assert not found.duplicate
        refused = ask(world, numbers[1], "alice")
        assert refused.advice == MEANINGS[Reason.INSUFFICIENT_UNITS].advice
        assert {value.name: value.value for value in refused.values}["asked"] == "9999"
        assert not refused.events
        last = ask(world, numbers[2], "alice")
        assert [(event.place.ordinal, event.kind) for event in last.events] == [(1, "TRANSFERRED")]
        assert last.events[0].moves[0].range.units == 4


def test_events_are_numbered_after_those_of_the_sweeps() -> None:
    world = open_world()
    hold = place_hold("h", "alice", units(5), world.now_ms + 1_000)
    world.must("alice", hold, approvals=("alice",))
    world.later(2_000)
    number = world.new_id()
    world.must("alice", transfer("alice", "bob", units(7)), approvals=("bob",), number=number)
    assert len(world.blocks[-1].sweeps) == 1
    (event,) = ask(world, number, "alice").events
    assert (event.place.height, event.place.ordinal) == (world.tip.height, 1)


def test_what_did_not_bind_an_id_is_not_found() -> None:
    world = open_world()
    raw = world.transaction("alice", transfer("alice", "bob", units(1)))
    block = world.block(world.submission("bob", raw))
    answer = block.submissions[0].answers[0]
    assert answer.refusal is not None
    assert answer.transaction is not None
    for number, participant in ((answer.transaction.id, "alice"), (answer.transaction.id, "bob"), (bytes(16), "alice")):
        with pytest.raises(NotFound, match=f"up to height {world.tip.height}") as caught:
            ask(world, number, participant)
        assert caught.value.reason == Reason.TRANSACTION_NOT_FOUND


def test_ids_are_scoped_by_participant() -> None:
    world = open_world()
    number = world.new_id()
    for by, taker, size in (("alice", "bob", 7), ("bob", "carol", 2)):
        world.must(by, transfer(by, taker, units(size)), approvals=("alice", "bob", "carol"), number=number)
    assert ask(world, number, "alice").events[0].moves[0].range.units == 7
    assert ask(world, number, "bob").events[0].moves[0].range.units == 2
    with pytest.raises(NotFound):
        ask(world, number, "carol")


def test_a_question_without_id_or_participant() -> None:
    for number, participant, field in ((b"short", "alice", "id"), (bytes(16), "", "participant")):
        with pytest.raises(BadRequest) as caught:
            ask(open_world(), number, participant)
        assert (caught.value.reason, caught.value.values) == (Reason.MISSING_FIELD, {"field": field})


def test_a_receipt_in_a_dropped_block_is_refused_with_its_place() -> None:
    world = open_world()
    number = world.new_id()
    world.must("alice", transfer("alice", "bob", units(7)), approvals=("bob",), number=number)
    batch = Batch()
    batch.delete(Family.EVENTS, U64.encode(world.tip.height))
    world.store.commit(batch)
    with pytest.raises(NotKept, match=rf"decided at {world.tip.height}\.0"):
        ask(world, number, "alice")
    request = pb.GetTransactionRequest(id=number, participant="alice")
    again = get_first_receipt(world.store, request)
    assert (again.reason, again.reason_name, again.place.height) == (0, "ACCEPTED", world.tip.height)
    assert "at a node that keeps them" in again.detail
    with pytest.raises(NotFound):
        get_first_receipt(world.store, pb.GetTransactionRequest(id=world.new_id(), participant="alice"))
