"""A ledger of several validators in memory: each participant in `names` runs one, with keys made from its name.

`World` orders entries of one author; here any validator's entry key may author the next, and policies change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from google.protobuf.message import Message

from keeling import ed25519
from keeling.entry import Entry, format_entry, parse_entry
from keeling.genesis import Founder, Genesis, Validator, format_genesis, parse_genesis
from keeling.note import KeyType, NoteKey
from keeling.operations import Contact, NodeKeys
from keeling.policy import Policy, format_policy, parse_policy
from keeling.policy import Validator as PolicyValidator
from keeling.readiness import readiness_message
from keeling.v1 import operations_pb2 as op
from keeling.v1 import transaction_pb2 as pb
from node.core import tables as t
from node.core.block import Block, Place, execute
from node.core.opening import open_ledger
from node.core.state import State
from tests.fakes.world import START_MS, DictReader, Person, World, wrap

ORIGIN = "test.example/electorate"
ROLES = ("entry", "vote", "log", "cosigner")


def seed(name: str, role: str) -> bytes:
    return hashlib.sha256(f"{name}/{role}".encode()).digest()


def node_keys(name: str) -> NodeKeys:
    return NodeKeys(*(ed25519.public_key(seed(name, role)) for role in ROLES))


def node_message(name: str) -> op.NodeKeys:
    entry, vote, log, cosigner = node_keys(name)
    return op.NodeKeys(entry=entry, vote=vote, log=log, cosigner=cosigner)


def make_genesis(names: Sequence[str], others: Sequence[str] = (), records: Sequence[op.SetRecord] = ()) -> bytes:
    founders, keys = [], []
    for name in (*names, *others):
        contact = Contact(f"{name}.example:7451", (b"\x30\x03abc",)) if name in names else None
        founders.append(Founder(name, name.title(), ("group",), (Person("ops", name).grant(),), contact))
    for name in names:
        _, vote, log, cosigner = node_keys(name)
        cosigner_key = NoteKey(f"{ORIGIN}/{name}", KeyType.COSIGNATURE, cosigner)
        keys.append(PolicyValidator(name, NoteKey(ORIGIN, KeyType.PLAIN, log), cosigner_key, vote))
    validators = [Validator(name, node_keys(name).entry) for name in names]
    policy = format_policy(Policy(ORIGIN, tuple(keys)))
    return format_genesis(ORIGIN, START_MS, policy, founders, validators, records)


class Electorate(World):
    """`names` are the founding validators, `others` founding participants without one; all have a person "ops"."""

    def __init__(self, names: Sequence[str], others: Sequence[str] = (), records: Sequence[op.SetRecord] = ()) -> None:
        self.raw_genesis = make_genesis(names, others, records)
        self.genesis: Genesis = parse_genesis(self.raw_genesis)
        self.people = {name: Person("ops", name) for name in (*names, *others)}
        self.author = names[0]
        self.reader = DictReader()
        self.state = State(self.reader)
        self.tip, changes = open_ledger(self.state, self.genesis)
        self.now_ms = START_MS
        self.number = 0
        self._ids = 0
        self.blocks: list[Block] = []
        self._settle(changes, 0)

    def entry(self, *submissions: bytes) -> bytes:
        """The next entry of `author`, signed."""
        key = node_keys(self.author).entry
        entry = Entry(self.genesis.network, key, self.number + 1, self.now_ms, submissions)
        return format_entry(entry, lambda message: ed25519.sign(seed(self.author, "entry"), message))

    def block(self, *submissions: bytes) -> Block:
        raw = self.entry(*submissions)
        self.number += 1
        signed = parse_entry(raw, ed25519.check_signature)
        block = execute(self.state, self.tip, signed, Place(0, self.number), ed25519.check_signature)
        self.tip = block.tip
        self.blocks.append(block)
        self._keep(raw, block)
        self._settle(block.changes, block.header.height)
        return block

    def _keep(self, raw: bytes, block: Block) -> None:
        """What tests with a store do with a block before it is settled."""

    @property
    def policy(self) -> Policy:
        """The policy for the next block, as the state has it."""
        row = self.state.get(t.POLICY)
        assert row is not None
        return parse_policy(row.file)

    @property
    def validators(self) -> list[str]:
        return [validator.name for validator in self.policy.validators]

    def admit(self, name: str, *approvals: str, validator: bool = True) -> None:
        """Admit a participant with a node; `approvals` besides the first founding validator's."""
        self.people[name] = person = Person("ops", name)
        grant = op.KeyGrant(key=person.key, person="ops", purposes=person.purposes)
        contact = op.Contact(address=f"{name}.example:7451", tls_keys=[b"\x30\x03new"])
        node = node_message(name) if validator else None
        made = op.Admit(
            participant=name,
            name=name.title(),
            roles=["group"],
            keys=[grant],
            contact=contact,
            validator=validator,
            node=node,
        )
        self.must(self.author, made, approvals=approvals)

    def ready(self, name: str, height: int | None = None, keys: str = "") -> op.Ready:
        """What the node of `name` puts on the ledger, signed with its keys, or with those made from `keys`."""
        at = self.tip.height if height is None else height
        message = readiness_message(ORIGIN, name, node_keys(keys or name), at)
        signed = {role: ed25519.sign(seed(keys or name, role), message) for role in ROLES}
        return op.Ready(participant=name, height=at, **signed)


def motion(*operations: Message) -> bytes:
    """The canonical bytes that a motion carries."""
    message = pb.Transaction(operations=[wrap(operation) for operation in operations])
    return message.SerializeToString(deterministic=True)
