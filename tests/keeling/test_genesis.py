"""The genesis file: read back exactly, and anything not described refused with where and what."""

import hashlib
import json
from typing import Any

import pytest

from keeling import ed25519
from keeling.genesis import Founder, GenesisError, Succession, Validator, format_genesis, parse_genesis
from keeling.operations import Contact, KeyGrant
from keeling.policy import format_policy
from keeling.v1 import operations_pb2 as op
from node.core.opening import open_ledger
from node.core.state import State
from tests.fakes.policies import one_validator_policy
from tests.fakes.world import DictReader

KEY = ed25519.public_key(bytes(32))
NODE = ed25519.public_key(b"\x01" * 32)
FOUNDERS = [Founder("reg", "The registry", ("registry",), (KeyGrant(KEY, "ops", 31),))]
RECORD = op.SetRecord(id="a-rule", version=1, source="s", rule=op.Rule(value="42"))
POLICY = format_policy(one_validator_policy())


def make(**fields: Any) -> bytes:
    arguments = {"founders": FOUNDERS, "validators": [Validator("reg", NODE)], "records": [RECORD], **fields}
    return format_genesis("test.example/w", 1_700_000_000_000, POLICY, **arguments)


def change(**fields: Any) -> bytes:
    return json.dumps({**json.loads(make()), **fields}).encode()


def test_a_genesis_file_reads_back() -> None:
    data = make()
    found = parse_genesis(data)
    assert found.network == hashlib.sha256(data).digest()
    assert (found.origin, found.created_ms, found.policy) == ("test.example/w", 1_700_000_000_000, POLICY)
    assert found.founders == tuple(FOUNDERS)
    assert found.validators == (Validator("reg", NODE),)
    assert [record.id for record in found.records] == ["a-rule"]


SOMEBODY = {"participant": "reg", "name": "R", "roles": ["registry"], "keys": []}


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"\xff", "not a genesis file"),
        (b"{", "not a genesis file"),
        (b"[]", "expected exactly"),
        (b'{"a": 1, "a": 2}', "twice"),
        (change(extra=1), "expected exactly"),
        (change(keeling="transfer"), "this version reads"),
        (change(format=2), "this version reads"),
        (change(origin=5), "origin: expected text"),
        (change(created_ms=True), "created_ms"),
        (change(created_ms=-1), "created_ms"),
        (change(created_ms=1.5), "created_ms"),
        (change(policy="text"), "policy: expected a list"),
        (change(participants={}), "participants: expected a list"),
        (change(participants=[{"name": "x"}]), "participants: expected exactly"),
        (change(participants=[SOMEBODY, SOMEBODY]), "no participant twice"),
        (change(participants=[{**SOMEBODY, "keys": [{"key": "AB" * 32, "person": "p", "purposes": 1}]}]), "lower-case"),
        (change(participants=[{**SOMEBODY, "keys": [{"key": "zz", "person": "p", "purposes": 1}]}]), "not hex"),
        (change(validators=[]), "validators"),
        (change(validators=[{"participant": "other", "entry_key": NODE.hex()}]), "validators"),
        (change(validators=[{"participant": "reg", "entry_key": "00"}]), "64 lower-case hex digits"),
        (change(records=[{"id": "x", "colour": "red"}]), "records"),
    ],
)
def test_what_is_not_described_is_refused(data: bytes, where: str) -> None:
    with pytest.raises(GenesisError, match=where):
        parse_genesis(data)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"founders": [FOUNDERS[0]._replace(roles=("king",))]}, "BAD_FIELD"),
        ({"founders": [FOUNDERS[0]._replace(keys=(KeyGrant(bytes(32), "ops", 31),))]}, "BAD_FIELD"),
        ({"founders": [FOUNDERS[0]._replace(keys=(*FOUNDERS[0].keys, *FOUNDERS[0].keys))]}, "KEY_EXISTS"),
        ({"records": [op.SetRecord(id="x", version=1, source="", rule=op.Rule(value="1"))]}, "MISSING_FIELD"),
        ({"records": [op.SetRecord(id="x", version=2, source="s", rule=op.Rule(value="1"))]}, "RECORD_VERSION"),
        ({"validators": [Validator("reg", NODE), Validator("reg", NODE)]}, "in one order"),
        ({"validators": [Validator("reg", FOUNDERS[0].keys[0].key)]}, "KEY_EXISTS"),
        ({"founders": [FOUNDERS[0]._replace(contact=Contact("nowhere"))]}, "BAD_FIELD"),
    ],
)
def test_a_file_that_breaks_a_rule_opens_no_ledger(fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(GenesisError, match=rule):
        open_ledger(State(DictReader()), parse_genesis(make(**fields)))


def test_the_opened_state_is_a_function_of_the_file() -> None:
    first, changes = open_ledger(State(DictReader()), parse_genesis(make()))
    second, again = open_ledger(State(DictReader()), parse_genesis(make()))
    other, _ = open_ledger(State(DictReader()), parse_genesis(make(records=[])))
    assert (first, changes) == (second, again)
    assert first.writes != other.writes
    assert first.header_hash == first.network == hashlib.sha256(make()).digest()


def test_contacts_and_the_network_before_are_kept() -> None:
    contact = Contact("reg.example:7451", (b"\x30\x03abc",))
    before = Succession(b"\x01" * 32, b"certificate", 7, b"\x02" * 32)
    found = parse_genesis(make(founders=[FOUNDERS[0]._replace(contact=contact)], succeeds=before))
    assert found.founders[0].contact == contact
    assert found.succeeds == before
    assert parse_genesis(make()).succeeds is None
