"""Who validates: admitting in two steps, suspending, replacing keys of every kind, and setting the policy (O1, O2)."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from keeling import ed25519
from keeling.block import parse_header
from keeling.entry import parse_entry
from keeling.operations import Contact
from keeling.policy import Policy, format_policy, hash_policy, parse_policy
from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.block import is_admissible
from node.core.governance.records import Standing
from node.core.governance.validators import build_policy, read_validators
from tests.fakes.electorate import ORIGIN, Electorate, motion, node_keys, node_message
from tests.fakes.world import Person

FOUR = ("v1", "v2", "v3", "v4")
QUORUM = ("v2", "v3")


def reason(world: Electorate, by: str, operation: Message, *approvals: str) -> R | None:
    answer = world.run(by, operation, approvals=approvals)
    return answer.refusal.reason if answer.refusal else None


def bare(policy: Policy) -> bytes:
    """The file of a policy as an operator writes it: the ledger adds since when it is in force."""
    stripped = tuple(validator._replace(entry_key=b"") for validator in policy.validators)
    return format_policy(policy._replace(since=0, validators=stripped))


def test_validator_is_admitted_observes_and_comes_into_force_by_its_own_keys() -> None:
    world = Electorate(FOUR)
    before = world.tip.policy
    world.admit("v5", *QUORUM)
    assert world.validators == list(FOUR)
    row = world.state.get(t.VALIDATORS, "v5")
    assert row is not None
    assert row.standing == Standing.CANDIDATE
    assert world.state.get(t.CONTACTS, "v5") == Contact("v5.example:7451", (b"\x30\x03new",))
    world.must("v5", world.ready("v5"))
    block = world.blocks[-1]
    header = parse_header(block.header_leaf)
    assert block.decision is not None
    assert (header.policy, header.next_policy) == (before, hash_policy(block.decision.policy))
    assert world.validators == [*FOUR, "v5"]
    assert world.policy.since == block.header.height
    assert world.policy.quorum == 4
    world.author = "v5"
    assert parse_header(world.block().header_leaf).policy == header.next_policy


def test_only_blocks_that_change_the_policy_say_so() -> None:
    world = Electorate(FOUR)
    world.admit("v5", *QUORUM)
    assert [block.decision for block in world.blocks] == [None]
    assert world.tip.policy == hash_policy(world.genesis.policy)


def test_entries_of_a_candidate_and_of_one_that_left_make_no_block() -> None:
    world = Electorate(FOUR)
    world.admit("v5", *QUORUM)
    world.author = "v5"
    early = parse_entry(world.entry(), ed25519.check_signature)
    assert not is_admissible(world.state, world.tip, early)
    world.author = "v1"
    world.must("v5", world.ready("v5"))
    assert is_admissible(world.state, world.tip, early)
    world.must("v1", op.Suspend(participant="v5", reason="test"), approvals=("v2", "v3", "v4"))
    assert not is_admissible(world.state, world.tip, early)
    assert world.validators == list(FOUR)


def admitted() -> Electorate:
    world = Electorate(FOUR, others=["alice"])
    world.admit("v5", *QUORUM)
    return world


READY = [
    ("of nobody", "v5", {"participant": "nobody"}, R.PARTICIPANT_NOT_FOUND),
    ("half a signature", "v5", {"vote": b"half"}, R.BAD_FIELD),
    ("of a validator", "v1", {"participant": "v1"}, R.VALIDATOR_NOT_FOUND),
    ("of one without a node", "alice", {"participant": "alice"}, R.VALIDATOR_NOT_FOUND),
    ("said by another", "v1", {}, R.NOT_PERMITTED),
    ("before its admission", "v5", {"height": 0}, R.READY_HEIGHT_WRONG),
    ("of a height to come", "v5", {"height": 2}, R.READY_HEIGHT_WRONG),
    ("signed for another height", "v5", {"entry": b"\x01" * 64}, R.KEY_NOT_PROVED),
    ("without the cosigner", "v5", {"cosigner": bytes(64)}, R.KEY_NOT_PROVED),
    ("ready", "v5", {}, None),
]


@pytest.mark.parametrize(("by", "fields", "expected"), [row[1:] for row in READY], ids=[row[0] for row in READY])
def test_ready(by: str, fields: dict[str, object], expected: R | None) -> None:
    world = admitted()
    said = world.ready("v5")
    for name, value in fields.items():
        setattr(said, name, value)
    assert reason(world, by, said) == expected
    assert ("v5" in world.validators) == (expected is None)


ADMIT = [
    ("a key twice", {"vote": node_keys("v5").entry}, R.BAD_FIELD),
    ("three keys", {"log": b""}, R.MISSING_FIELD),
    ("a key of small order", {"entry": b"\x01" + bytes(31)}, R.BAD_FIELD),
    ("another's vote key", {"vote": node_keys("v2").vote}, R.POLICY_NOT_POSSIBLE),
    ("a person's key", {"entry": Person("ops", "v2").key}, R.KEY_EXISTS),
    ("admitted", {}, None),
]


@pytest.mark.parametrize(("fields", "expected"), [row[1:] for row in ADMIT], ids=[row[0] for row in ADMIT])
def test_admit_validator(fields: dict[str, bytes], expected: R | None) -> None:
    world = Electorate(FOUR)
    person = Person("ops", "v5")
    grant = op.KeyGrant(key=person.key, person="ops", purposes=person.purposes)
    made = op.Admit(participant="v5", name="V5", roles=["group"], keys=[grant], validator=True, node=node_message("v5"))
    for name, value in fields.items():
        setattr(made.node, name, value)
    assert reason(world, "v1", made, *QUORUM) == expected


CONTACTS = [
    op.Contact(address="no port"),
    op.Contact(address="host:port"),
    op.Contact(tls_keys=[b"not DER"]),
    op.Contact(tls_keys=[b"\x30\x03abcd"]),
    op.Contact(tls_keys=[b"\x30\x03abc", b"\x30\x03abc"]),
    op.Contact(tls_keys=[b"\x30\x01" + bytes([n]) for n in range(5)]),
    op.Contact(tls_keys=[b"\x30\x82\x04\x00" + bytes(1024)]),
]


@pytest.mark.parametrize("contact", CONTACTS)
def test_contact_is_bounded(contact: op.Contact) -> None:
    world = Electorate(FOUR)
    assert reason(world, "v1", op.RotateKey(contact=contact)) == R.BAD_FIELD


def test_a_thirty_third_validator_is_refused() -> None:
    names = [f"v{n}" for n in range(1, 33)]
    world = Electorate(names)
    person = Person("ops", "more")
    grant = op.KeyGrant(key=person.key, person="ops", purposes=person.purposes)
    made = op.Admit(participant="more", name="M", roles=["group"], keys=[grant], validator=True)
    made.node.CopyFrom(node_message("more"))
    asked = op.Propose(motion="m", transaction=motion(made), until_ms=world.now_ms + 1000, because="b")
    world.must("v1", asked)
    for name in names[1:21]:
        world.must(name, op.Approve(motion="m"))
    assert reason(world, names[21], op.Approve(motion="m")) == R.TOO_MANY_VALIDATORS


# -- suspending


def test_suspended_participant_neither_acts_nor_validates_until_lifted_and_ready_again() -> None:
    world = Electorate(FOUR)
    suspend = op.Suspend(participant="v4", reason="stopped answering")
    assert reason(world, "v1", suspend, "v2") == R.NEEDS_APPROVAL
    world.must("v1", suspend, approvals=QUORUM)
    assert world.validators == ["v1", "v2", "v3"]
    assert reason(world, "v1", suspend, "v2", "v3") == R.SUSPENDED_ALREADY
    submission = world.submission("v4", world.transaction("v4", op.RotateKey(contact=op.Contact())))
    assert world.block(submission).submissions[0].answers == ()
    lift = op.Suspend(participant="v4", reason="answers again", lift=True)
    world.must("v1", lift, approvals=QUORUM)
    assert reason(world, "v1", lift, *QUORUM) == R.NOT_SUSPENDED
    assert world.validators == ["v1", "v2", "v3"]
    world.must("v4", world.ready("v4"))
    assert world.validators == list(FOUR)
    assert world.policy.since == world.tip.height


def test_the_last_validator_cannot_be_suspended() -> None:
    world = Electorate(["v1"])
    assert reason(world, "v1", op.Suspend(participant="v1", reason="x")) == R.ELECTORATE_LOCKED_OUT
    assert reason(world, "v1", op.Suspend(participant="nobody", reason="x")) == R.PARTICIPANT_NOT_FOUND
    assert reason(world, "v1", op.Suspend(participant="v1")) == R.MISSING_FIELD


# -- keys


@pytest.mark.parametrize("role", ["entry", "vote", "log", "cosigner"])
def test_a_validator_replaces_each_key_of_its_node(role: str) -> None:
    world = Electorate(FOUR)
    new = getattr(node_keys("fresh"), role)
    world.must("v2", op.RotateKey(node=op.NodeKeys(**{role: new})))
    validator = world.policy.validators[1]
    found = (validator.entry_key, validator.vote_key, validator.log_key.public_key, validator.cosigner_key.public_key)
    expected = node_keys("v2")._replace(**{role: new})
    assert found == expected
    old = world.state.get(t.KEYS, getattr(node_keys("v2"), role))
    assert old is not None
    assert old.retired == world.tip.height
    again = op.RotateKey(node=op.NodeKeys(**{role: getattr(node_keys("v2"), role)}))
    assert reason(world, "v2", again) == R.KEY_EXISTS
    world.author = "v1"
    world.block()


def test_a_retired_entry_key_makes_no_block_and_the_new_one_does() -> None:
    world = Electorate(FOUR)
    world.must("v1", op.RotateKey(node=op.NodeKeys(entry=node_keys("fresh").entry)))
    assert not is_admissible(world.state, world.tip, parse_entry(world.entry(), ed25519.check_signature))
    world.author = "fresh"
    world.block()


def test_the_electorate_replaces_a_member_that_lost_all_its_keys() -> None:
    world = Electorate(FOUR, others=["alice"])
    person = Person("new", "v4")
    grant = op.KeyGrant(key=person.key, person="new", purposes=person.purposes)
    replaced = op.Replace(participant="v4", keys=[grant], node=node_message("fresh"), contact=op.Contact(address="h:1"))
    world.must("v1", replaced, approvals=QUORUM)
    assert world.policy.validators[3].vote_key == node_keys("fresh").vote
    assert world.block(world.submission("v4", world.transaction("v4", op.RotateKey()))).submissions[0].answers == ()
    world.people["v4"] = person
    world.must("v4", op.RotateKey(contact=op.Contact(address="h:2")))
    candidate = op.Replace(participant="alice", node=node_message("alice"))
    world.must("v1", candidate, approvals=QUORUM)
    assert world.validators == list(FOUR)
    world.must("alice", world.ready("alice"))
    assert world.validators == [*FOUR, "alice"]


def test_keys_of_a_node_need_a_validator_and_an_administrator() -> None:
    world = Electorate(FOUR, others=["alice"])
    fresh = op.RotateKey(node=op.NodeKeys(vote=node_keys("fresh").vote))
    assert reason(world, "alice", fresh) == R.VALIDATOR_NOT_FOUND
    clerk = Person("clerk", "v1", 1)
    world.people["clerk"] = clerk
    world.must("v1", op.RotateKey(add=op.KeyGrant(key=clerk.key, person="clerk", purposes=1)))
    assert reason(world, "clerk", fresh) == R.NOT_PERMITTED
    part = op.Replace(participant="alice", node=op.NodeKeys(vote=node_keys("fresh").vote))
    assert reason(world, "v1", part, *QUORUM) == R.MISSING_FIELD


def test_governing_keys_cannot_fall_below_a_quorum() -> None:
    world = Electorate(FOUR)
    weak = Person("weak", "x", 7)

    def give_up(name: str) -> op.RotateKey:
        key = Person("weak", name, 7)
        add = op.KeyGrant(key=key.key, person="weak", purposes=weak.purposes)
        return op.RotateKey(retire=world.people[name].key, add=add)

    world.must("v4", give_up("v4"))
    assert reason(world, "v3", give_up("v3")) == R.ELECTORATE_LOCKED_OUT


# -- the policy as a whole


def test_policy_is_set_reordered_and_returns_under_another_hash() -> None:
    world = Electorate(FOUR)
    first = world.policy
    seen = {world.tip.policy}
    three = first._replace(validators=first.validators[:3])
    for wanted in (three, first, first._replace(validators=first.validators[::-1]), first):
        world.must("v1", op.SetPolicy(policy=bare(wanted)), approvals=("v2", "v3"))
        assert world.validators == [validator.name for validator in wanted.validators]
        assert world.tip.policy not in seen
        seen.add(world.tip.policy)
    member = world.state.get(t.PARTICIPANTS, "v4")
    assert member is not None
    assert member.validator


def _policies() -> list[tuple[str, bytes, tuple[str, ...], R | None]]:
    world = Electorate(FOUR)
    first = world.policy
    fresh = node_keys("fresh").vote
    other = first.validators[0]._replace(vote_key=fresh)
    named = first.validators[0]._replace(name="nobody")
    elsewhere = first._replace(
        origin="else.example/x",
        validators=tuple(v._replace(log_key=v.log_key._replace(name="else.example/x")) for v in first.validators[:3]),
    )
    stamped = parse_policy(bare(first))
    stamped = stamped._replace(
        since=9, validators=tuple(v._replace(entry_key=node_keys(v.name).entry) for v in first.validators)
    )
    three = first._replace(validators=first.validators[:3])
    return [
        ("no policy", b"nothing", QUORUM, R.BAD_FIELD),
        ("stamped by hand", format_policy(stamped), QUORUM, R.BAD_FIELD),
        ("of a stranger", bare(first._replace(validators=(named,))), QUORUM, R.VALIDATOR_NOT_FOUND),
        ("not the electorate", bare(three), (), R.NEEDS_APPROVAL),
        ("as it is", bare(first), QUORUM, R.POLICY_UNCHANGED),
        ("with a candidate", b"", QUORUM, R.VALIDATOR_NOT_READY),
        ("with another key", bare(first._replace(validators=(other,))), QUORUM, R.POLICY_NOT_POSSIBLE),
        (
            "of another network",
            bare(elsewhere._replace(validators=elsewhere.validators[:3])),
            QUORUM,
            R.POLICY_NOT_POSSIBLE,
        ),
        ("three of four", bare(three), QUORUM, None),
    ]


@pytest.mark.parametrize(
    ("file", "approvals", "expected"), [row[1:] for row in _policies()], ids=[row[0] for row in _policies()]
)
def test_set_policy(file: bytes, approvals: tuple[str, ...], expected: R | None) -> None:
    world = Electorate(FOUR)
    world.admit("v5", *QUORUM)
    if not file:
        row = world.state.get(t.VALIDATORS, "v5")
        assert row is not None
        rows = [row for _, row in read_validators(world.state)] + [row]
        file = bare(build_policy(rows, ORIGIN, 0))
    assert reason(world, "v1", op.SetPolicy(policy=file), *approvals) == expected
