"""One seeded run of a whole network: real nodes, a bad network, bad disks, bad clocks, a lying engine, one liar.

Each node is the real replica and chain on an event loop of virtual time. A run has two halves: everything goes wrong,
then everything but the liar heals, and progress is required. What must hold is checked while it runs (nobody honest
breaks its word) and at its end (`tests.simulator.network_checks`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from random import Random
from typing import Any, TypeVar

from keeling.encoding import EncodingError
from keeling.epochs import SIGNED_REPORT
from keeling.policy import quorum
from keeling.votes import SIGNED_VOTE, SignedVote, Vote, vote_slot
from node.chain import Chain
from node.core.state import State
from node.door import TurnedAway, admit
from node.intake import Answered
from node.ledger import StateReader, create_ledger, is_created
from node.ordering.contract import LogUnreachable
from node.peers.contract import Message, ReportMessage, VoteMessage
from node.replica import Replica
from node.signing import Author, ValidatorKeys
from node.store.memory import MemoryStore
from node.verify import Claim
from tests.simulator.finality_liar import Liar
from tests.simulator.network_checks import Violation, check_run
from tests.simulator.network_disk import Died, SimulatedDisk, copy_backup
from tests.simulator.network_engine import SimulatedEngine
from tests.simulator.network_gossip import Gossip
from tests.simulator.network_links import SimulatedNetwork
from tests.simulator.network_weather import Weather
from tests.simulator.network_world import START_MS, Customers, Wish, fake_check, make_genesis, make_member
from tests.simulator.virtual_loop import VirtualLoop

T = TypeVar("T")
PATIENCE_S = 20.0
"""After this long without an answer a customer asks another node."""
HEAL_S = 300.0


class SimulatedSignatures:
    """`node.verify.Signatures` without processes."""

    async def check_many(self, claims: Sequence[Claim]) -> list[bool]:
        return [fake_check(*claim) for claim in claims]

    def check(self, public_key: bytes, signature: bytes, message: bytes) -> bool:
        return fake_check(public_key, signature, message)

    def forget(self, claims: Iterable[Claim]) -> None:
        """Nothing was remembered."""


class Node:
    """One organisation's machine: its disk stays, its process comes and goes."""

    def __init__(self, run: Run, name: str) -> None:
        self.run = run
        self.name = name
        self.keys = make_member(name)
        self.disk = MemoryStore()
        self.life = 0
        self.clock_off_ms = 0
        self.is_restored = False
        self.seen = 0
        self.replica: Replica | None = None
        self._store: SimulatedDisk | None = None
        self._starting: asyncio.TimerHandle | None = None

    @property
    def owner(self) -> str:
        return f"{self.name}/{self.life}"

    def clock_ms(self) -> int:
        return START_MS + int(self.run.loop.time() * 1000) + self.clock_off_ms

    async def live(self) -> None:
        """A process from its start; it ends with `die`, or when the node stops itself."""
        run = self.run
        store = SimulatedDisk(self.disk, run.random, lambda: run.weather.crashes, lambda: self._later_die(self.life))
        self._store = store
        keys = self.keys
        signing = ValidatorKeys(keys.vote.public, keys.vote.sign, keys.log.sign, keys.cosigner.sign)
        try:
            if not is_created(self.disk):
                create_ledger(self.disk, run.genesis, keys.vote.public)
            chain = Chain(store, run.genesis, signing, self.clock_ms(), check=fake_check)
            replica = Replica(
                chain,
                run.engine.seen_by(self.name),
                run.network.peers_of(self.name),
                SimulatedSignatures(),
                Author(keys.entry.public, keys.entry.sign),
                clock_ms=self.clock_ms,
                run_in_thread=self._run_in_thread,
                random=Random(run.random.random()),
                on_past=run.engine.forget,
            )
            await replica.start()
            self.replica = replica
            run.network.up(self.name, replica)
            while replica.failure is None:
                self._look(replica.height)
                await asyncio.sleep(0.2)
        except Exception as error:  # noqa: BLE001 - whatever stops a node, it is started again
            run.stops.append((run.loop.time(), self.name, error))
        self._later_die(self.life)

    def _look(self, height: int) -> None:
        """A reader never sees the ledger go back, over restarts either."""
        if height < self.seen:
            self.run.broken.append(f"{self.name} showed height {self.seen}, and {height} after it")
        self.seen = height

    async def _run_in_thread(self, work: Callable[[], T]) -> T:
        await asyncio.sleep(self.run.random.uniform(0.0001, 0.001))
        result = work()
        await asyncio.sleep(self.run.random.uniform(0.0001, 0.001))
        return result

    def restore(self, backup: MemoryStore) -> None:
        """The machine is lost; another one starts from a backup of it."""
        self.is_restored = True
        self.seen = 0
        self.disk = backup
        self.die()

    def start(self) -> None:
        self.life += 1
        self.run.loop.spawn(self.owner, self.live())

    def _later_die(self, life: int) -> None:
        self.run.loop.call_soon(self.die, life)

    def die(self, life: int | None = None) -> None:
        """The process ends as by kill -9; another one starts after a while."""
        if life is not None and life != self.life:
            return
        if self._store is not None:
            self._store.unplug()
        self.replica = None
        self.run.network.down(self.name)
        self.run.loop.kill(self.owner)
        self.life += 1
        if self._starting is not None:  # a machine that is lost while it is down starts once, not twice
            self._starting.cancel()
        self._starting = self.run.loop.call_later(self.run.random.uniform(0.1, 4.0), self.start)


class Run:
    """A network of `validators` and `observers` nodes, whose troubles are drawn from `seed`."""

    def __init__(
        self, seed: int, weather: Weather | None = None, validators: int | None = None, liars: Sequence[int] = (2,)
    ) -> None:
        """`liars` are the places of the validators that lie, where the weather has liars and there are four or more."""
        self.random = Random(seed)
        self.weather = weather or Weather.draw(self.random)
        size = validators or self.random.choice([1, 2, 4, 4, 4, 4, 7])
        self.validators = [f"m{member}" for member in range(size)]
        observers = ["o0"] if self.random.random() < 0.5 else []
        names = [*self.validators, *observers]
        self.genesis = make_genesis(self.validators, observers)
        self.loop = VirtualLoop()
        self.engine = SimulatedEngine(self.weather, self.random)
        self.network = SimulatedNetwork(self.weather, self.random, self._hear)
        chosen = liars if self.weather.liar and size >= 4 else ()
        votes = [make_member(name).vote.public for name in self.validators]
        self.liars = {self.validators[at]: Liar(self.genesis.network, votes, at, self.random) for at in chosen}
        self.gossips = {name: Gossip(self.random) for name in self.liars}
        self.nodes = {name: Node(self, name) for name in names if name not in self.liars}
        self.customers = Customers(self.genesis, names, self.random)
        self.answered: dict[Wish, Answered] = {}
        self.asked: list[Wish] = []
        self.given: dict[object, Vote] = {}
        self.stops: list[tuple[float, str, Exception]] = []
        self.broken: list[str] = []
        self.lies = 0
        """How often somebody was lied to."""

    def play(self, bad_s: float = 12.0, wishes: int = 5) -> None:
        """Both halves; raises `Violation`."""
        self.loop.run(self._play(bad_s, wishes))

    async def _play(self, bad_s: float, wishes: int) -> None:
        for node in self.nodes.values():
            node.clock_off_ms = self.random.randint(-self.weather.clock_skew_ms, self.weather.clock_skew_ms)
            node.start()
        self._bring("sky", self._trouble())
        honest = len(self.validators) - len(self.liars)
        if self.weather.restores and honest > quorum(len(self.validators)):
            self._bring("sky", self._restore(self.nodes["m1"]))
        for liar in self.liars:
            self._bring("liar", self._lie(liar))
        begun = asyncio.ensure_future(self._begin())
        customers = self.loop.spawn("customers", self._trade())
        await asyncio.sleep(bad_s)
        self.heal()
        self._bring("operator", self._operate())
        try:
            await asyncio.wait_for(begun, HEAL_S)
            await asyncio.wait_for(customers, HEAL_S)
            last = [self.customers.draw(self._now_ms()) for _ in range(wishes)]
            await asyncio.wait_for(self._all(last), HEAL_S)
            await asyncio.wait_for(self._level(), HEAL_S)
        except TimeoutError:
            raise Violation(f"no progress after healing: {self.describe()}") from None
        check_run(self)

    def _bring(self, owner: str, work: Coroutine[Any, Any, None]) -> None:
        """Run a trouble, or its cure. One that fails would leave the run easier than it looks: that breaks it."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                self.broken.append(f"the simulator's own {owner} failed: {task.exception()!r}")

        self.loop.spawn(owner, work).add_done_callback(ended)

    def heal(self) -> None:
        self.weather = self.network.weather = self.weather.calm()
        self.engine.weather = self.engine.weather.calm()
        self.engine.down = False
        self.network.join()
        for node in self.nodes.values():
            node.clock_off_ms = max(-1_000, min(1_000, node.clock_off_ms))

    async def _operate(self) -> None:
        """A network of one has nobody to agree with on a new epoch: its operator asks for one when it stands still."""
        while len(self.validators) == 1:
            height = max((node.replica.height for node in self.nodes.values() if node.replica), default=0)
            await asyncio.sleep(30.0)
            for node in self.nodes.values():
                if node.replica is not None and node.replica.height == height:
                    await node.replica.reseed(None)

    async def _level(self) -> None:
        """Wait until every node is where the furthest is."""
        while True:
            heights = [node.replica.height if node.replica is not None else -1 for node in self.nodes.values()]
            if len(set(heights)) == 1:
                return
            await asyncio.sleep(0.1)

    def describe(self) -> str:
        state = [
            (name, node.replica.height, node.replica.chain.finality.epoch) if node.replica else (name, "down")
            for name, node in self.nodes.items()
        ]
        waiting = [wish.id.hex()[-6:] for wish in self.asked if wish not in self.answered]
        return f"nodes (height, epoch) {state}, unanswered {waiting}, stops {self.stops[-3:]}"

    # -- customers

    def _now_ms(self) -> int:
        return START_MS + int(self.loop.time() * 1000)

    async def _begin(self) -> None:
        for wish in self.customers.begin():
            await self._want(wish)

    async def _trade(self) -> None:
        """A few wishes at a time until the sky is calm."""
        pending: list[asyncio.Task[None]] = []
        while self.weather != self.weather.calm() or self.loop.time() < 5:
            await asyncio.sleep(self.random.uniform(0.05, 0.5))
            pending = [task for task in pending if not task.done()]
            if len(pending) < 20:
                pending.append(asyncio.create_task(self._want(self.customers.draw(self._now_ms()))))
            if self.loop.time() > 12:
                break
        for task in pending:
            await task

    async def _all(self, wishes: list[Wish]) -> None:
        for wish in wishes:
            await self._want(wish)

    async def _want(self, wish: Wish) -> None:
        """Hand the wish in, wherever somebody listens, until it is answered. Sometimes at two nodes."""
        self.asked.append(wish)
        while wish not in self.answered:
            nodes = [node for node in self.nodes.values() if node.replica is not None]
            if nodes:
                node = self.random.choice(nodes)
                if self.random.random() < 0.1:
                    other = self.random.choice(nodes)
                    task = asyncio.create_task(self._hand_in(other, wish))
                    task.add_done_callback(lambda done: done.cancelled() or done.exception())
                await self._hand_in(node, wish)
            await asyncio.sleep(self.random.uniform(0.05, 0.3))

    async def _hand_in(self, node: Node, wish: Wish) -> None:
        replica = node.replica
        if replica is None:
            return
        answer = self.loop.spawn(node.owner, self._submit(replica, wish))
        done, _ = await asyncio.wait([answer], timeout=PATIENCE_S)
        if not done:
            answer.cancel()
        elif not answer.cancelled() and answer.exception() is None and answer.result() is not None:
            self.answered.setdefault(wish, answer.result())

    async def _submit(self, replica: Replica, wish: Wish) -> Answered | None:
        with contextlib.suppress(TurnedAway, Died, Exception):
            admitted = admit([wish.raw], self.genesis.network, State(StateReader(replica.chain.store)), 500)
            return (await replica.submit(admitted))[0]
        return None

    # -- troubles

    async def _trouble(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            weather, random = self.weather, self.random
            if random.random() < weather.partitions:
                self.network.join() if self.network.sides else self.network.split()
            if random.random() < weather.engine_losses:
                self.engine.lose_tail(random.choice([1, 2, 5, 1_000]))
            if random.random() < weather.engine_outages:
                self.engine.down = not self.engine.down
            for name, node in self.nodes.items():
                if random.random() < weather.pauses:
                    self.network.paused[name] = self.loop.time() + random.uniform(0.5, 5.0)
                if random.random() < weather.clock_jumps:
                    node.clock_off_ms += random.choice([-3_600_000, -5_000, 5_000, 90_000])

    async def _restore(self, node: Node) -> None:
        await asyncio.sleep(self.random.uniform(1.0, 6.0))
        backup = copy_backup(node.disk)
        await asyncio.sleep(self.random.uniform(0.5, 5.0))
        node.restore(backup)

    async def _lie(self, name: str) -> None:
        while True:
            await asyncio.sleep(0.12)
            self._speak(name)
            if self.random.random() < 0.05 and not self.engine.down:
                with contextlib.suppress(LogUnreachable):  # it may go down meanwhile
                    await self.engine.append(next(iter(self.engine.logs), "none"), self.random.randbytes(40))

    def _speak(self, name: str) -> None:
        """A few lies, each to most of the others."""
        messages: list[Message] = self.gossips[name].messages()
        for said in self.liars[name].messages():
            if isinstance(said, SignedVote):
                messages.append(VoteMessage(SIGNED_VOTE.encode(said)))
            else:
                messages.append(ReportMessage(SIGNED_REPORT.encode(said)))
        for message in messages:
            for to in self.nodes:
                if self.random.random() < 0.7:
                    self.network.whisper(name, to, message)
                    self.lies += 1

    def _hear(self, sender: str, to: str, message: Message) -> None:
        """Everything honest nodes say: their votes are held to their word, and the liars listen."""
        if to in self.gossips:
            self.gossips[to].hear(message)
        with contextlib.suppress(EncodingError):
            if isinstance(message, VoteMessage):
                signed = SIGNED_VOTE.decode(message.signed)
                if sender in self.nodes and signed.key == self.nodes[sender].keys.vote.public:
                    first = self.given.setdefault((signed.key, vote_slot(signed.vote)), signed.vote)
                    if first != signed.vote:
                        self.broken.append(f"{sender} voted twice: {first} and {signed.vote}")
                if to in self.liars:
                    self.liars[to].hear(signed)
                    if self.random.random() < 0.2:  # at once, while the block is still open
                        self.loop.call_soon(self._speak, to)
            elif isinstance(message, ReportMessage) and to in self.liars:
                self.liars[to].hear(SIGNED_REPORT.decode(message.signed))
