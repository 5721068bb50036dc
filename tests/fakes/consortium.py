"""Several real nodes in one process: chains and replicas on virtual time, joined by engines and peers in memory.

Signatures are genuine here; disks, links and engines obey until a test tells them not to. Storms by seed are the
simulator's part.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any

from keeling import ed25519
from keeling.genesis import Founder, Validator, format_genesis, parse_genesis
from keeling.note import KeyType, NoteKey
from keeling.policy import Policy, format_policy
from keeling.policy import Validator as PolicyValidator
from keeling.v1 import operations_pb2 as op
from node.archive import height_key
from node.chain import Chain
from node.door import admit
from node.intake import Answered
from node.ledger import create_ledger
from node.replica import Replica
from node.signing import Author, ValidatorKeys
from node.store.contract import Family, Store
from node.store.memory import MemoryStore
from tests.fakes.memory_ordering import MemoryEngine
from tests.fakes.memory_peers import MemoryNetwork, run_inline
from tests.fakes.world import START_MS, Person, World
from tests.simulator.virtual_loop import VirtualLoop

ORIGIN = "test.example/w"
PROGRAMME = op.SetRecord(
    id="nat",
    version=1,
    source="test",
    programme=op.Programme(
        registry="v0", native=True, grain="T_CO2E", scheme="opaque", transfer_rule=op.Programme.FREE, retirable=True
    ),
)


class PlainSignatures:
    """In place of `node.verify.Verifier`: everything is checked where it is."""

    async def check_many(self, claims: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
        return [ed25519.check_signature(*claim) for claim in claims]

    def check(self, public_key: bytes, signature: bytes, message: bytes) -> bool:
        return ed25519.check_signature(public_key, signature, message)

    def forget(self, claims: object) -> None:
        """Nothing is remembered."""


def seed_of(name: str, role: str) -> bytes:
    return hashlib.sha256(f"{name}/{role}".encode()).digest()


def public_of(name: str, role: str) -> bytes:
    return ed25519.public_key(seed_of(name, role))


def sign_as(name: str, role: str) -> Callable[[bytes], bytes]:
    return lambda message: ed25519.sign(seed_of(name, role), message)


def keys_of(name: str) -> ValidatorKeys:
    return ValidatorKeys(
        public_of(name, "vote"), sign_as(name, "vote"), sign_as(name, "log"), sign_as(name, "cosigner")
    )  # fmt: skip


def policy_validator(name: str) -> PolicyValidator:
    log = NoteKey(ORIGIN, KeyType.PLAIN, public_of(name, "log"))
    cosigner = NoteKey(f"{ORIGIN}-{name}", KeyType.COSIGNATURE, public_of(name, "cosigner"))
    return PolicyValidator(name, log, cosigner, public_of(name, "vote"))


class Consortium:
    """`validators` with their nodes, `observers` with theirs; a test runs `scenario(consortium)` on virtual time."""

    def __init__(self, validators: int = 4, observers: int = 0) -> None:
        self.validators = [f"v{number}" for number in range(validators)]
        self.observers = [f"o{number}" for number in range(observers)]
        names = [*self.validators, *self.observers]
        self.people = {name: Person("ops", name) for name in names}
        founders = [Founder(name, name, ("registry", "group"), (self.people[name].grant(),)) for name in names]
        policy = format_policy(Policy(ORIGIN, tuple(policy_validator(name) for name in self.validators)))
        entries = [Validator(name, public_of(name, "entry")) for name in self.validators]
        self.genesis_file = format_genesis(ORIGIN, START_MS, policy, founders, entries, [PROGRAMME])
        self.genesis = parse_genesis(self.genesis_file)
        self.world = World({name: ["group"] for name in names})
        self.world.genesis = self.genesis
        self.loop = VirtualLoop()
        self.engine = MemoryEngine()
        self.network = MemoryNetwork()
        self.engines = {name: self.engine.seen_by(name) for name in (*names, "new")}
        self.stores: dict[str, Store] = {}
        self.nodes: dict[str, Replica] = {}
        self.clock_off_ms: dict[str, int] = {}
        self.vote_names: dict[str, str] = {}
        """Nodes that vote with keys made from another name."""
        self._opened = 0

    def run(self, scenario: Coroutine[Any, Any, None], limit_s: float = 600) -> None:
        """Play a test to its end, or fail after so much virtual time."""

        async def limited() -> None:
            await asyncio.wait_for(scenario, limit_s)

        self.loop.run(limited())

    def clock_of(self, name: str) -> Callable[[], int]:
        return lambda: START_MS + 1 + int(self.loop.time() * 1000) + self.clock_off_ms.get(name, 0)

    # -- nodes ------------------------------------------------------------------------------------------------------

    def open_chain(self, name: str, **settings: Any) -> Chain:
        """The node's chain on its store, which is made if there is none."""
        store = self.stores.get(name)
        if store is None:
            store = self.stores[name] = MemoryStore()
            create_ledger(store, self.genesis, public_of(name, "vote"))
        voting = self.vote_names.get(name, name)
        keys = keys_of(name)._replace(vote_key=public_of(voting, "vote"), vote=sign_as(voting, "vote"))
        return Chain(store, self.genesis, keys, self.clock_of(name)(), **settings)

    async def start(self, *names: str) -> None:
        """Start these nodes; all, if none is named."""
        for name in names or (*self.validators, *self.observers):
            replica = Replica(
                self.open_chain(name),
                self.engines[name],
                self.network.peers_of(name),
                PlainSignatures(),
                Author(public_of(name, "entry"), sign_as(name, "entry")),
                clock_ms=self.clock_of(name),
                run_in_thread=run_inline,
                random=Random(name),
            )
            self.nodes[name] = replica
            await replica.start()
            self.network.up(name, replica)

    async def stop(self, *names: str) -> None:
        """As a kill: what is in the store is all that is left."""
        for name in names or list(self.nodes):
            self.network.down(name)
            await self.nodes.pop(name).stop()

    async def restart(self, *names: str) -> None:
        await self.stop(*names)
        await self.start(*names)

    # -- work -------------------------------------------------------------------------------------------------------

    def submission(self, by: str, operation: Any = None) -> bytes:
        """One transaction, signed; an account of its own name, if nothing else is said."""
        self._opened += 1
        self.world.now_ms = START_MS + 1 + int(self.loop.time() * 1000)
        operation = operation or op.OpenAccount(account=f"a-{self._opened}", owner=by)
        return self.world.submission(by, self.world.transaction(by, operation))

    async def hand_in(self, at: str, raw: bytes) -> Answered:
        """Hand a submission in at a node, and wait for its answer."""
        replica = self.nodes[at]
        (answered,) = await replica.submit(admit([raw], self.genesis.network, replica.chain.overlay.state, 500))
        return answered

    async def do(self, at: str, times: int = 1) -> list[Answered]:
        """Some transactions, one after the other."""
        return [await self.hand_in(at, self.submission(at)) for _ in range(times)]

    async def until(self, condition: Callable[[], bool], limit_s: float = 120) -> None:
        """Let time pass until something is so."""
        async with asyncio.timeout(limit_s):
            while not condition():
                await asyncio.sleep(0.05)

    async def settled(self, *names: str) -> int:
        """Wait until these nodes (all that run, if none is named) are at the highest final height; returns it."""
        chosen = [self.nodes[name] for name in names or self.nodes]
        await self.until(lambda: len({node.height for node in chosen}) == 1)
        return chosen[0].height

    def blocks(self, name: str) -> list[bytes]:
        """The header leaves of a node's final blocks."""
        store, found = self.stores[name], list[bytes]()
        while (leaf := store.get(Family.BLOCKS, height_key(b"h", len(found) + 1))) is not None:
            found.append(leaf)
        return found

    def state(self, name: str) -> list[tuple[bytes, bytes]]:
        """A node's final state."""
        return list(self.stores[name].scan(Family.STATE))
