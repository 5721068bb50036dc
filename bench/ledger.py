"""The ledger that is loaded: a registry, eight groups with accounts, a batch each; and the transfers between them.

Everything is signed before anything is sent, as a client of an exchange would queue it. Every group sells units of its
own batch to accounts of all groups, in amounts of 1 to 100, chosen by the ledger: lots are cut and joined as they are
in life. How a node is started and fed is in `bench.node_process` and `bench.client`.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from keeling import ed25519
from keeling.genesis import Founder, Validator, format_genesis
from keeling.note import KeyType, NoteKey
from keeling.operations import KeyGrant
from keeling.policy import Policy, format_policy
from keeling.policy import Validator as PolicyValidator
from keeling.submission import format_submission, format_transaction
from keeling.units import Purpose
from keeling.v1 import ledger_pb2, transaction_pb2
from keeling.v1 import operations_pb2 as op
from network.folders import NodeFolder, NodeIdentity, create_node_folder
from network.keys import Role
from network.profiles import profile_of, save_profile

ORIGIN: Final = "bench.example/ledger"
REGISTRY: Final = "natreg"
GROUPS: Final = tuple(f"group{i}" for i in range(8))
PROGRAMME: Final = "NATIONAL"
"""Of the records a network begins with (`network.standard_records`)."""
PER_CALL: Final = 500
UNITS_EACH: Final = 10_000_000
PURPOSES: Final = int(Purpose.SUBMIT | Purpose.APPROVE)


class Person(NamedTuple):
    """Somebody who signs for a participant."""

    participant: str
    key: bytes
    sign: Callable[[bytes], bytes]


class Load(NamedTuple):
    """Calls as they go over the wire, and the bytes of the transactions in them."""

    calls: list[bytes]
    transactions: int
    transaction_bytes: int


class Market:
    """Everybody's keys and what they sign. `accounts` is how many each group has, `home` where the profiles are."""

    def __init__(self, home: Path, network: bytes, people: Mapping[str, Person], accounts: int, seed: int = 1) -> None:
        self.home = home
        self.network = network
        self.people = people
        self.accounts = accounts
        self._random = random.Random(seed)

    def make_opening(self) -> list[bytes]:
        """Calls that open the accounts, issue a batch to each group, and spread it. In this order, one at a time."""
        project = op.RegisterProject(project="p", programme=PROGRAMME, name="P")
        calls = [self._call(REGISTRY, [op.Operation(register_project=project)])]
        for group in GROUPS:
            names = [account_name(group, i) for i in range(self.accounts)]
            opened = [op.Operation(open_account=op.OpenAccount(account=name, owner=group)) for name in names]
            calls += [self._call(group, part) for part in _in_parts(opened, PER_CALL)]
            issue = op.Issue(batch=group, project="p", programme=PROGRAMME, space=group, first_number="1")
            issue.units, issue.extent, issue.account = UNITS_EACH * self.accounts, op.Issue.EXACT, names[0]
            calls.append(self._call(REGISTRY, [op.Operation(issue=issue)]))
            spread = [_transfer(group, names[0], name, UNITS_EACH) for name in names[1:]]
            calls += [self._call(group, part) for part in _in_parts(spread, PER_CALL)]
        return calls

    def make_together(self, calls: int) -> Load:
        """Calls of 500 transfers under one signature."""
        made, size = [], 0
        for _ in range(calls):
            group = self._random.choice(GROUPS)
            raws = [self._transaction(group, self._random_transfer(group)) for _ in range(PER_CALL)]
            size += sum(map(len, raws))
            made.append(_request([self._submission(group, raws)]))
        return Load(made, calls * PER_CALL, size)

    def make_single(self, calls: int, each: int = PER_CALL) -> Load:
        """Calls of `each` submissions with one transfer and one signature each."""
        made, size = [], 0
        for _ in range(calls):
            submissions = []
            for group in self._random.choices(GROUPS, k=each):
                raw = self._transaction(group, self._random_transfer(group))
                size += len(raw)
                submissions.append(self._submission(group, [raw]))
            made.append(_request(submissions))
        return Load(made, calls * each, size)

    def _random_transfer(self, group: str) -> op.Operation:
        giver = self._random.randrange(self.accounts)
        other, taker = self._random.choice(GROUPS), self._random.randrange(self.accounts)
        if (other, taker) == (group, giver):
            taker = (taker + 1) % self.accounts
        units = self._random.randint(1, 100)
        return _transfer(group, account_name(group, giver), account_name(other, taker), units)

    def _transaction(self, by: str, operation: op.Operation) -> bytes:
        tail = self._random.randbytes(10)
        number = _now_ms().to_bytes(6, "big") + bytes([0x70 | tail[0] & 15, tail[1], 0x80 | tail[2] & 63]) + tail[3:]
        message = transaction_pb2.Transaction(id=number, participant=by, operations=[operation])
        return format_transaction(message)

    def _submission(self, by: str, raws: Sequence[bytes]) -> bytes:
        person = self.people[by]
        return format_submission(self.network, person.key, [(raw, ()) for raw in raws], person.sign)

    def _call(self, by: str, operations: Sequence[op.Operation]) -> bytes:
        return _request([self._submission(by, [self._transaction(by, item) for item in operations])])


class Ledger(Market):
    """A market on one validator: a node folder with its genesis."""

    def __init__(self, root: Path, port: int, accounts: int) -> None:
        people = {name: make_person(name) for name in (REGISTRY, *GROUPS)}
        self.folder = NodeFolder(root / "node")
        identity = create_node_folder(
            self.folder.root,
            origin=ORIGIN,
            participant=REGISTRY,
            genesis=lambda identity: _format_genesis(identity, people),
            now=datetime.now(UTC),
            listen=f"127.0.0.1:{port}",
            metrics="",
        )
        home = root / "home"
        save_profile(home, "bench", profile_of(self.folder, identity))
        super().__init__(home, hashlib.sha256(self.folder.genesis.read_bytes()).digest(), people, accounts)


def make_person(participant: str) -> Person:
    """Somebody whose key is not secret."""
    seed = hashlib.sha256(f"bench/{participant}".encode()).digest()
    return Person(participant, ed25519.public_key(seed), partial(ed25519.sign, seed))


def make_founder(person: Person, roles: Sequence[str]) -> Founder:
    """Their participant."""
    grant = KeyGrant(person.key, "operator", PURPOSES)
    return Founder(person.participant, person.participant, tuple(roles), (grant,))


def _format_genesis(identity: NodeIdentity, people: Mapping[str, Person]) -> bytes:
    log = NoteKey(ORIGIN, KeyType.PLAIN, identity.keys[Role.LOG])
    cosigner = NoteKey(f"{ORIGIN}/{REGISTRY}", KeyType.COSIGNATURE, identity.keys[Role.COSIGNER])
    policy = Policy(ORIGIN, (PolicyValidator(REGISTRY, log, cosigner, identity.keys[Role.VOTE]),))
    founders = [
        make_founder(people[REGISTRY], ["registry"]),
        *(make_founder(people[name], ["group"]) for name in GROUPS),
    ]
    programme = op.Programme(
        registry=REGISTRY, native=True, grain="T_CO2E", scheme="opaque", transfer_rule=op.Programme.FREE
    )
    record = op.SetRecord(id=PROGRAMME, version=1, source="bench", programme=programme)
    validators = [Validator(REGISTRY, identity.keys[Role.ENTRY])]
    return format_genesis(ORIGIN, _now_ms(), format_policy(policy), founders, validators, [record])


def account_name(group: str, number: int) -> str:
    """The name of a group's account."""
    return f"{group}-{number:04}"


def _transfer(batch: str, giver: str, taker: str, units: int) -> op.Operation:
    selection = op.Selection(units=units, batch=batch)
    leg = op.UnitLeg(from_account=giver, to_account=taker, selection=selection)
    return op.Operation(transfer=op.Transfer(units=[leg]))


def _request(submissions: list[bytes]) -> bytes:
    return ledger_pb2.SubmitRequest(submissions=submissions, brief=True).SerializeToString()


def _in_parts(items: Sequence[op.Operation], size: int) -> Iterator[Sequence[op.Operation]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
