"""When attestations are due, who may attest, and what completes a quorum; attestations alone make none due (E4, S1)."""

from __future__ import annotations

import pytest

from keeling.events import EVENT, EventKind
from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.governance.snapshots import INTERVAL_RECORD, parse_interval
from tests.fakes.attested import every
from tests.fakes.electorate import Electorate
from tests.fakes.world import Person

FOUR = ("v1", "v2", "v3", "v4")
DIGEST = b"\x05" * 32


def due(world: Electorate) -> list[int]:
    return [t.ATTESTED.parts(key)[0] for key, _ in world.state.scan(t.ATTESTED)]


def work(world: Electorate, blocks: int = 1) -> None:
    for _ in range(blocks):
        world.must("alice", op.OpenAccount(account=f"a{world.tip.height}", owner="alice"))


def attest(world: Electorate, name: str, height: int = 2, digest: bytes = DIGEST) -> R | None:
    answer = world.run(name, op.AttestState(height=height, digest=digest))
    return answer.refusal.reason if answer.refusal else None


def test_every_so_many_blocks_with_work_are_due_and_nothing_else_counts() -> None:
    world = Electorate(FOUR, ["alice"], [every(2)])
    work(world)
    world.block()
    world.block(b"no submission")
    assert due(world) == []
    work(world)
    assert due(world) == [4]
    for name in FOUR:
        assert attest(world, name, 4) is None
    world.block()
    assert due(world) == [4]
    work(world, 2)
    assert due(world) == [4, world.tip.height]
    work(world, 2)
    assert due(world) == [world.tip.height - 2, world.tip.height]


def test_the_attestation_that_completes_a_quorum_says_snapshot() -> None:
    world = Electorate(FOUR, ["alice"], [every(2)])
    work(world, 2)
    said = []
    for name in FOUR:
        assert attest(world, name) is None
        events = [EVENT.decode(raw) for raw in world.blocks[-1].submissions[0].answers[0].events]
        said.append([event.kind for event in events])
    assert said == [[EventKind.STATE_ATTESTED]] * 2 + [
        [EventKind.STATE_ATTESTED, EventKind.SNAPSHOT],
        [EventKind.STATE_ATTESTED],
    ]
    snapshot = EVENT.decode(world.blocks[-2].submissions[0].answers[0].events[1])
    assert (snapshot.subject, snapshot.fact("digest"), snapshot.fact("by")) == ("2", DIGEST.hex(), "v1 v2 v3")


def test_digests_that_differ_make_no_quorum_and_are_on_record() -> None:
    world = Electorate(FOUR, ["alice"], [every(2)])
    work(world, 2)
    for name, digest in zip(FOUR, (b"\x01", b"\x02", b"\x01", b"\x02"), strict=True):
        assert attest(world, name, digest=digest * 32) is None
    row = world.state.get(t.ATTESTED, 2)
    assert row is not None
    assert row.agreed == b""
    assert [said.participant for said in row.attestations] == list(FOUR)


def test_words_of_those_who_left_do_not_count() -> None:
    world = Electorate(FOUR, ["alice"], [every(2)])
    work(world, 2)
    for name in ("v4", "v3"):
        assert attest(world, name) is None
    world.must("v1", op.Suspend(participant="v4", reason="x"), approvals=("v2", "v3"))
    assert attest(world, "v2") is None
    row = world.state.get(t.ATTESTED, 2)
    assert row is not None
    assert row.agreed == b""
    assert attest(world, "v1") is None
    assert world.row(t.ATTESTED, 2).agreed == DIGEST


CASES = [
    ("half a digest", "v1", {"digest": b"half"}, R.BAD_FIELD),
    ("a height that is not due", "v1", {"height": 1}, R.ATTESTATION_NOT_DUE),
    ("by a participant", "alice", {}, R.NOT_PERMITTED),
    ("by a clerk of a validator", "clerk", {}, R.NOT_PERMITTED),
    ("by a node's own key", "node", {}, None),
    ("again", "v2", {}, R.ATTESTED_ALREADY),
    ("attested", "v1", {}, None),
]


@pytest.mark.parametrize(("by", "fields", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_attest_state(by: str, fields: dict[str, object], expected: R | None) -> None:
    world = Electorate(FOUR, ["alice"], [every(2)])
    for name, purposes in (("clerk", 1), ("node", 1 | 32)):
        person = Person(name, "v1", purposes)
        world.people[name] = person
        grant = op.KeyGrant(key=person.key, person=name, purposes=purposes)
        world.must("v1", op.RotateKey(add=grant))
    assert attest(world, "v2") is None
    said = op.AttestState(height=2, digest=DIGEST)
    for name, value in fields.items():
        setattr(said, name, value)
    answer = world.run(by, said)
    assert (answer.refusal.reason if answer.refusal else None) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", 1), ("10000", 10_000), ("", None), ("0", None), ("-1", None), ("1e3", None), ("²", None), ("9" * 11, None)],
)
def test_interval_record(value: str, expected: int | None) -> None:
    assert parse_interval(value) == expected
    world = Electorate(FOUR)
    record = op.SetRecord(id=INTERVAL_RECORD, version=1, source="s", rule=op.Rule(value=value))
    answer = world.run("v1", record, approvals=("v2", "v3"))
    assert (answer.refusal is None) == (expected is not None)
