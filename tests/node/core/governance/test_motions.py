"""Motions: approved by one validator after the other and counted by the set in force; refusals in their order."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from keeling.events import EVENT, EventKind
from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.governance import motions
from tests.fakes.electorate import Electorate, motion
from tests.fakes.world import START_MS, Person

FOUR = ("v1", "v2", "v3", "v4")
RECORD = op.SetRecord(id="a-rule", version=1, source="test", rule=op.Rule(value="1"))
SUSPEND = op.Suspend(participant="alice", reason="test")


def propose(*operations: Message, name: str = "m", until_ms: int = START_MS + 10_000, because: str = "b") -> op.Propose:
    return op.Propose(motion=name, transaction=motion(*operations), until_ms=until_ms, because=because)


def reason(world: Electorate, by: str, operation: Message, *approvals: str) -> R | None:
    answer = world.run(by, operation, approvals=approvals)
    return answer.refusal.reason if answer.refusal else None


def kinds(world: Electorate) -> list[int]:
    return [event.kind for event in world.blocks[-1].events]


def test_motion_is_executed_by_the_vote_that_completes_the_quorum() -> None:
    world = Electorate(FOUR, ["alice"])
    world.must("v1", propose(RECORD, SUSPEND))
    assert kinds(world) == [EventKind.MOTION_OPENED, EventKind.MOTION_APPROVED]
    world.must("v2", op.Approve(motion="m"))
    assert kinds(world) == [EventKind.MOTION_APPROVED]
    assert world.state.get(t.RECORDS, "a-rule") is None
    world.must("v4", op.Approve(motion="m"))
    assert kinds(world) == [EventKind.MOTION_APPROVED, EventKind.RECORD_SET, EventKind.SUSPENDED]
    member, row = world.state.get(t.PARTICIPANTS, "alice"), world.state.get(t.MOTIONS, "m")
    assert member is not None
    assert member.suspended
    assert row is not None
    assert (row.decided, row.transaction, row.approvals) == (world.tip.height, b"", ("v1", "v2", "v4"))
    assert reason(world, "v3", op.Approve(motion="m")) == R.MOTION_DECIDED


def test_alone_a_validator_decides_at_once() -> None:
    world = Electorate(["v1"], ["alice"])
    world.must("v1", propose(SUSPEND))
    assert world.row(t.PARTICIPANTS, "alice").suspended


def test_several_validators_may_approve_in_one_transaction() -> None:
    world = Electorate(FOUR, ["alice"])
    world.must("alice", propose(SUSPEND))
    assert world.row(t.MOTIONS, "m").approvals == ()
    world.must("v1", op.Approve(motion="m"), approvals=("v2", "v3"))
    assert world.row(t.PARTICIPANTS, "alice").suspended


def test_votes_of_those_who_left_do_not_count() -> None:
    world = Electorate(FOUR, ["alice"])
    world.must("v4", propose(SUSPEND))
    world.must("v3", op.Approve(motion="m"))
    world.must("v1", op.Suspend(participant="v4", reason="x"), approvals=("v2", "v3"))
    world.must("v2", op.Approve(motion="m"))
    assert not world.row(t.PARTICIPANTS, "alice").suspended
    world.must("v1", op.Approve(motion="m"))
    assert world.row(t.PARTICIPANTS, "alice").suspended


def test_refused_operations_refuse_the_vote_and_leave_the_motion_open() -> None:
    world = Electorate(FOUR)
    world.must("v1", propose(op.SetRecord(id="a-rule", version=2, source="s", rule=op.Rule(value="1"))))
    world.must("v2", op.Approve(motion="m"))
    assert reason(world, "v3", op.Approve(motion="m")) == R.RECORD_VERSION_NOT_NEXT
    assert world.row(t.MOTIONS, "m").approvals == ("v1", "v2")
    world.must("v1", RECORD, approvals=("v2", "v3"))
    world.must("v3", op.Approve(motion="m"))
    versions = world.state.get(t.RECORDS, "a-rule")
    assert versions is not None
    assert len(versions) == 2


def test_a_motion_ends_with_its_time() -> None:
    world = Electorate(FOUR)
    world.must("v1", propose(RECORD, until_ms=START_MS + 100))
    world.later(100)
    for author in FOUR:  # ledger time follows the clocks of a quorum
        world.author = author
        world.block()
    assert reason(world, "v2", op.Approve(motion="m")) == R.MOTION_EXPIRED


def test_proposals_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motions, "MOTIONS_OPEN_MAX", 2)
    world = Electorate(FOUR)
    for name in ("a", "b"):
        world.must("v1", propose(RECORD, name=name))
    assert reason(world, "v1", propose(RECORD, name="c")) == R.TOO_MANY_MOTIONS


WITH_ID = b"\x0a\x01x" + motion(RECORD)
PROPOSE = [
    ("no name", "v1", propose(RECORD, name=""), R.BAD_FIELD),
    ("no reason", "v1", propose(RECORD, because=""), R.MISSING_FIELD),
    ("before 1970", "v1", propose(RECORD, until_ms=-1), R.BAD_FIELD),
    ("no transaction", "v1", op.Propose(motion="m", until_ms=1, because="b", transaction=b"\xff"), R.BAD_FIELD),
    ("with an id", "v1", op.Propose(motion="m", until_ms=1, because="b", transaction=WITH_ID), R.BAD_FIELD),
    ("nothing", "v1", propose(), R.BAD_FIELD),
    ("a transfer", "v1", propose(op.Transfer()), R.BAD_FIELD),
    ("another motion", "v1", propose(propose(RECORD)), R.BAD_FIELD),
    ("an empty operation", "v1", propose(op.SetRecord()), R.BAD_FIELD),
    ("too long", "v1", op.Propose(motion="m", until_ms=1, because="b", transaction=bytes(65_537)), R.BAD_FIELD),
    ("known", "v1", propose(RECORD, name="first"), R.MOTION_EXISTS),
    ("by a clerk", "clerk", propose(RECORD), R.NOT_PERMITTED),
    ("ended", "v1", propose(RECORD, until_ms=START_MS), R.MOTION_EXPIRED),
    ("for years", "v1", propose(RECORD, until_ms=START_MS + 40 * 86_400_000), R.MOTION_EXPIRED),
    ("by an administrator", "alice", propose(RECORD), None),
]


@pytest.mark.parametrize(("by", "asked", "expected"), [row[1:] for row in PROPOSE], ids=[row[0] for row in PROPOSE])
def test_propose(by: str, asked: op.Propose, expected: R | None) -> None:
    world = Electorate(FOUR, ["alice"])
    clerk = Person("clerk", "alice", 1)
    world.people["clerk"] = clerk
    world.must("alice", op.RotateKey(add=op.KeyGrant(key=clerk.key, person="clerk", purposes=1)))
    world.must("v1", propose(RECORD, name="first"))
    assert reason(world, by, asked) == expected


APPROVE = [
    ("no name", "v2", op.Approve(), R.BAD_FIELD),
    ("unknown", "v2", op.Approve(motion="x"), R.MOTION_NOT_FOUND),
    ("by a participant without a vote", "alice", op.Approve(motion="m"), R.NOT_PERMITTED),
    ("twice", "v1", op.Approve(motion="m"), R.APPROVED_ALREADY),
    ("once", "v2", op.Approve(motion="m"), None),
]


@pytest.mark.parametrize(("by", "vote", "expected"), [row[1:] for row in APPROVE], ids=[row[0] for row in APPROVE])
def test_approve(by: str, vote: op.Approve, expected: R | None) -> None:
    world = Electorate(FOUR, ["alice"])
    world.must("v1", propose(RECORD))
    assert reason(world, by, vote) == expected


def test_events_tell_who_voted_and_how_many_are_needed() -> None:
    world = Electorate(FOUR)
    world.must("v1", propose(RECORD))
    event = EVENT.decode(world.blocks[-1].submissions[0].answers[0].events[1])
    assert (event.subject, event.fact("by"), event.fact("have"), event.fact("need")) == ("m", "v1", "1", "3")
    assert event.fact("decided") == ""
