"""A small ledger in memory for tests of the rules: people with keys, a clock that tests move, blocks on demand.

It runs the real `execute` on the real state over a dict; only the signer is the plain Ed25519 of `keeling`.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

from google.protobuf.message import Message
from sortedcontainers import SortedDict

from keeling import ed25519
from keeling.entry import Entry, format_entry, parse_entry
from keeling.genesis import Founder, Validator, format_genesis, parse_genesis
from keeling.operations import KeyGrant
from keeling.policy import format_policy
from keeling.submission import approval_message, compute_transaction_digest, format_submission, format_transaction
from keeling.units import Purpose
from keeling.v1 import operations_pb2 as op
from keeling.v1 import transaction_pb2 as pb
from node.core.block import Answer, Block, Place, execute
from node.core.opening import open_ledger
from node.core.state import State
from node.core.tables import Table
from tests.fakes.policies import one_validator_policy

V = TypeVar("V")
START_MS = 1_795_000_000_000
EVERYTHING = int(Purpose.SUBMIT | Purpose.APPROVE | Purpose.ADMIN | Purpose.GOVERN | Purpose.ATTEST)


class DictReader:
    """Final state in a sorted dict."""

    def __init__(self) -> None:
        self.data: SortedDict = SortedDict()

    def get(self, key: bytes) -> bytes | None:
        return self.data.get(key)  # type: ignore[no-any-return]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.data.get(key) for key in keys]

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        for key in list(self.data.irange(start, stop, (True, False), reverse)):
            yield key, self.data[key]

    def write(self, changes: Sequence[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            if value is None:
                self.data.pop(key, None)
            else:
                self.data[key] = value


class Person:
    """Somebody with a key: `participant` is whose it is."""

    def __init__(self, name: str, participant: str, purposes: int = EVERYTHING) -> None:
        self.name, self.participant, self.purposes = name, participant, purposes
        self.seed = hashlib.sha256(f"{participant}/{name}".encode()).digest()
        self.key = ed25519.public_key(self.seed)

    def sign(self, message: bytes) -> bytes:
        return ed25519.sign(self.seed, message)

    def grant(self) -> KeyGrant:
        return KeyGrant(self.key, self.name, self.purposes)


class World:
    """One validator, the participants given as {participant: roles}, one person "ops" each; `people` adds more."""

    def __init__(
        self,
        participants: Mapping[str, Sequence[str]],
        records: Sequence[op.SetRecord] = (),
        people: Sequence[Person] = (),
    ) -> None:
        self.people = {name: Person("ops", name) for name in participants}
        self.people |= {f"{p.participant}/{p.name}": p for p in people}
        founders = [
            Founder(
                name,
                name.title(),
                tuple(roles),
                tuple(p.grant() for p in self.people.values() if p.participant == name),
            )
            for name, roles in participants.items()
        ]
        first = next(iter(participants))
        self.node = Person("node", first)
        policy = format_policy(one_validator_policy())
        raw = format_genesis("test.example/w", START_MS, policy, founders, [Validator(first, self.node.key)], records)
        self.raw_genesis, self.genesis = raw, parse_genesis(raw)
        self.reader = DictReader()
        self.state = State(self.reader)
        self.tip, changes = open_ledger(self.state, self.genesis)
        self._settle(changes, 0)
        self.now_ms = START_MS
        self.number = 0
        self._ids = 0
        self.blocks: list[Block] = []

    def clone(self) -> Self:
        """The same ledger at the same height, going its own way from here."""
        other = copy.copy(self)
        other.people = dict(self.people)
        other.reader = DictReader()
        other.reader.data = self.reader.data.copy()
        other.state = State(other.reader)
        other.blocks = list(self.blocks)
        return other

    def _settle(self, changes: Sequence[tuple[bytes, bytes | None]], height: int) -> None:
        self.reader.write(changes)
        self.state.settle(height)

    def new_id(self) -> bytes:
        """A UUIDv7 at the world's time, the next in a fixed sequence."""
        self._ids += 1
        tail = hashlib.sha256(self._ids.to_bytes(8, "big")).digest()
        return self.now_ms.to_bytes(6, "big") + bytes([0x70 | tail[0] & 15, tail[1], 0x80 | tail[2] & 63]) + tail[3:10]

    def transaction(self, by: str, *operations: Message, number: bytes | None = None, **fields: Any) -> bytes:
        """Canonical bytes of a transaction handed in by the person `by`."""
        message = pb.Transaction(id=number or self.new_id(), participant=self.people[by].participant, **fields)
        for operation in operations:
            message.operations.append(wrap(operation))
        return format_transaction(message)

    def approve(self, raw: bytes, *names: str) -> list[tuple[bytes, bytes]]:
        message = approval_message(self.genesis.network, compute_transaction_digest(raw))
        return [(self.people[name].key, self.people[name].sign(message)) for name in names]

    def submission(self, by: str, *raws: bytes, approvals: Sequence[str] = ()) -> bytes:
        person = self.people[by]
        items = [(raw, self.approve(raw, *approvals)) for raw in raws]
        return format_submission(self.genesis.network, person.key, items, person.sign)

    def block(self, *submissions: bytes) -> Block:
        """Order, execute and settle one entry with these submissions."""
        self.number += 1
        entry = Entry(self.genesis.network, self.node.key, self.number, self.now_ms, submissions)
        signed = parse_entry(format_entry(entry, self.node.sign), ed25519.check_signature)
        block = execute(self.state, self.tip, signed, Place(0, self.number), ed25519.check_signature)
        self.tip = block.tip
        self._settle(block.changes, block.header.height)
        self.blocks.append(block)
        return block

    def run(self, by: str, *operations: Message, approvals: Sequence[str] = (), **fields: Any) -> Answer:
        """One transaction in one block; its answer."""
        raw = self.transaction(by, *operations, **fields)
        return self.block(self.submission(by, raw, approvals=approvals)).submissions[0].answers[0]

    def must(self, by: str, *operations: Message, approvals: Sequence[str] = (), **fields: Any) -> Answer:
        """`run`, for steps a test builds on: anything but acceptance is a failure of the test."""
        answer = self.run(by, *operations, approvals=approvals, **fields)
        if answer.refusal is not None:
            raise AssertionError(f"expected acceptance, got {answer.refusal}")
        return answer

    def row(self, table: Table[V], *parts: Any) -> V:
        """What the state has under this key, for tests that know it is there: nothing is a failure of the test."""
        found = self.state.get(table, *parts)
        if found is None:
            raise AssertionError(f"the state has nothing under {parts}")
        return found

    def later(self, ms: int) -> None:
        self.now_ms += ms


def wrap(operation: Message) -> op.Operation:
    """The operation in its envelope."""
    name = type(operation).__name__
    field = "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))
    fields: dict[str, Any] = {field: operation}
    return op.Operation(**fields)
