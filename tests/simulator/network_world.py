"""The founders of a simulated network, their keys, and what their customers hand in. No node and no fault is here.

Keys are real Ed25519 public keys, because policy and genesis check them; signatures are a keyed hash anybody could
make, which is a hundred times faster and, nobody here being that clever, just as good.
"""

from __future__ import annotations

import hashlib
from hashlib import blake2b
from random import Random
from typing import NamedTuple

from google.protobuf.message import Message

from keeling import ed25519
from keeling.genesis import Founder, Genesis, Validator, format_genesis, parse_genesis
from keeling.note import KeyType, NoteKey
from keeling.operations import KeyGrant
from keeling.policy import Policy, format_policy
from keeling.policy import Validator as PolicyValidator
from keeling.submission import format_submission, format_transaction
from keeling.v1 import operations_pb2 as op
from keeling.v1 import transaction_pb2 as pb
from tests.fakes.world import EVERYTHING, wrap

ORIGIN = "simulated.example/network"
START_MS = 1_795_000_000_000
BATCH_UNITS = 1_000_000
PROGRAMME = op.SetRecord(
    id="nat",
    version=1,
    source="simulation",
    programme=op.Programme(
        registry="m0", native=True, grain="T_CO2E", scheme="opaque", transfer_rule=op.Programme.FREE, retirable=True
    ),
)


def fake_check(key: bytes, signature: bytes, message: bytes) -> bool:
    """In place of `keeling.ed25519.check_signature`."""
    return blake2b(message, key=key, digest_size=64).digest() == signature


class Key(NamedTuple):
    """A key pair whose signatures are keyed hashes."""

    public: bytes

    def sign(self, message: bytes) -> bytes:
        return blake2b(message, key=self.public, digest_size=64).digest()


def make_key(*parts: object) -> Key:
    return Key(ed25519.public_key(hashlib.sha256(repr(parts).encode()).digest()))


class MemberKeys(NamedTuple):
    """The keys of one organisation: its node's four, and that of its people."""

    entry: Key
    vote: Key
    log: Key
    cosigner: Key
    people: Key


def make_member(name: str) -> MemberKeys:
    return MemberKeys(*(make_key(name, role) for role in ("entry", "vote", "log", "cosigner", "people")))


def make_genesis(validators: list[str], observers: list[str]) -> Genesis:
    """`validators` found the network; `observers` are participants whose nodes only follow. The first issues."""
    keys = {name: make_member(name) for name in (*validators, *observers)}
    policy = Policy(
        ORIGIN,
        tuple(
            PolicyValidator(
                name,
                NoteKey(ORIGIN, KeyType.PLAIN, keys[name].log.public),
                NoteKey(f"{ORIGIN}-{name}", KeyType.COSIGNATURE, keys[name].cosigner.public),
                keys[name].vote.public,
            )
            for name in validators
        ),
    )
    founders = [
        Founder(
            name,
            name.title(),
            ("registry",) if name == validators[0] else ("group",),
            (KeyGrant(keys[name].people.public, "ops", EVERYTHING),),
        )
        for name in keys
    ]
    nodes = [Validator(name, keys[name].entry.public) for name in validators]
    return parse_genesis(format_genesis(ORIGIN, START_MS, format_policy(policy), founders, nodes, [PROGRAMME]))


class Wish(NamedTuple):
    """Something a customer wants done once, whatever happens to the messages."""

    id: bytes
    participant: str
    raw: bytes
    """The submission, signed; every attempt hands in these bytes."""


class Customers:
    """Makes wishes: accounts and a batch first, then transfers, retirements and things that will be refused."""

    def __init__(self, genesis: Genesis, names: list[str], random: Random) -> None:
        self._genesis = genesis
        self._names = names
        self._random = random
        self._made = 0

    def begin(self) -> list[Wish]:
        """What everything later rests on, to be done in this order."""
        first = self._names[0]
        issue = op.Issue(
            batch="b",
            project="p",
            programme="nat",
            space="s",
            first_number="1",
            units=BATCH_UNITS,
            extent=op.Issue.EXACT,
            account=f"A-{first}",
        )
        wishes = [self.wish(name, START_MS, op.OpenAccount(account=f"A-{name}", owner=name)) for name in self._names]
        wishes.append(self.wish(first, START_MS, op.RegisterProject(project="p", programme="nat", name="P")))
        return [*wishes, self.wish(first, START_MS, issue)]

    def draw(self, now_ms: int) -> Wish:
        """One of the things people do; some of them cannot be done when their turn comes."""
        name, other = self._random.choice(self._names), self._random.choice(self._names)
        selection = op.Selection(units=self._random.randrange(1, 2000))
        if self._random.random() < 0.2:
            return self.wish(name, now_ms, op.Retire(account=f"A-{name}", selection=selection))
        leg = op.UnitLeg(from_account=f"A-{name}", to_account=f"A-{other}", selection=selection)
        if name != self._names[0] and self._random.random() < 0.5:
            leg = op.UnitLeg(from_account=f"A-{self._names[0]}", to_account=f"A-{name}", selection=selection)
            name = self._names[0]
        return self.wish(name, now_ms, op.Transfer(units=[leg]))

    def wish(self, name: str, now_ms: int, operation: Message) -> Wish:
        self._made += 1
        tail = hashlib.sha256(self._made.to_bytes(8, "big")).digest()
        number = now_ms.to_bytes(6, "big") + bytes([0x70 | tail[0] & 15, tail[1], 0x80 | tail[2] & 63]) + tail[3:10]
        raw = format_transaction(pb.Transaction(id=number, participant=name, operations=[wrap(operation)]))
        key = make_member(name).people
        return Wish(number, name, format_submission(self._genesis.network, key.public, [(raw, ())], key.sign))
