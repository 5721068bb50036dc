"""Who runs a node, which policy and rules are next, and what is put to the vote, as readers are told."""

from __future__ import annotations

from google.protobuf.message import Message

from keeling.policy import hash_policy
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node import reads
from node.core import tables as t
from tests.fakes.electorate import motion, node_keys
from tests.fakes.recorded_electorate import RecordedElectorate

FOUR = ("v1", "v2", "v3", "v4")
DAY_MS = 86_400_000


def governance(world: RecordedElectorate) -> pb.Governance:
    with world.store.snapshot() as view:
        return reads.get_governance(view, pb.GetGovernanceRequest())


def motions(world: RecordedElectorate, open_only: bool) -> list[pb.MotionInfo]:
    with world.store.snapshot() as view:
        return list(reads.list_motions(view, pb.ListRequest(open_only=open_only)).motions)


def propose(world: RecordedElectorate, name: str, *operations: Message) -> None:
    opened = op.Propose(
        motion=name, transaction=motion(*operations), until_ms=world.now_ms + DAY_MS, because=f"why {name}"
    )
    world.must("v1", opened)


def test_members_stand_as_the_ledger_has_them() -> None:
    world = RecordedElectorate(FOUR, others=("alice",))
    world.admit("v5", "v2", "v3")
    world.admit("watcher", "v2", "v3", validator=False)
    world.must("v1", op.Suspend(participant="v4", reason="away"), approvals=("v2", "v3"))
    told = governance(world)
    assert [(each.participant, each.standing, each.suspended) for each in told.members] == [
        ("v1", "validator", False),
        ("v2", "validator", False),
        ("v3", "validator", False),
        ("v4", "candidate", True),
        ("v5", "candidate", False),
        ("watcher", "observer", False),
    ]
    assert (told.validators, told.quorum, told.height) == (3, 3, world.tip.height)
    assert told.members[4].address == "v5.example:7451"
    assert told.members[4].node.vote == node_keys("v5").vote
    assert not told.members[5].HasField("node")
    row = world.state.get(t.POLICY)
    assert row is not None
    assert told.policy_hash == row.hash == hash_policy(row.file)


def test_the_schedule_of_rules() -> None:
    world = RecordedElectorate(FOUR)
    assert (governance(world).rules, governance(world).next_rules) == (1, 0)
    world.must("v1", op.ActivateVersion(version=2, height=9), approvals=("v2", "v3"))
    told = governance(world)
    assert (told.rules, told.next_rules, told.next_rules_height) == (1, 2, 9)


def test_motions_from_the_first_vote_to_the_last() -> None:
    world = RecordedElectorate(FOUR)
    suspend = op.Suspend(participant="v4", reason="away")
    propose(world, "one", suspend)
    propose(world, "two", op.Suspend(participant="v3", reason="away"))
    world.must("v4", op.Approve(motion="one"))
    (one, two) = motions(world, open_only=True)
    assert (one.motion, one.by, one.because, one.have, one.need, list(one.approvals)) == (
        *("one", "v1", "why one", 2, 3),
        ["v1", "v4"],
    )
    assert (one.transaction, two.status) == (motion(suspend), "open")
    world.must("v2", op.Approve(motion="one"))
    assert [each.motion for each in motions(world, open_only=True)] == ["two"]
    decided = motions(world, open_only=False)[0]
    assert (decided.status, decided.decided_height, decided.transaction) == ("decided", world.tip.height, b"")
    assert decided.have == 3
    world.now_ms += 2 * DAY_MS
    for author in ("v1", "v2", "v3"):
        world.author = author
        world.block()
    assert [each.status for each in motions(world, open_only=False)] == ["decided", "expired"]
    assert motions(world, open_only=True) == []


def test_votes_of_those_who_left_do_not_count() -> None:
    world = RecordedElectorate(FOUR)
    propose(world, "one", op.Suspend(participant="v3", reason="away"))
    world.must("v4", op.Approve(motion="one"))
    world.must("v1", op.Suspend(participant="v4", reason="away"), approvals=("v2", "v3"))
    (one,) = motions(world, open_only=True)
    assert (one.have, one.need, list(one.approvals)) == (1, 3, ["v1", "v4"])
