"""Chaos: many instructions over several registries in bad weather, two hubs of one organisation that crash by chance.

A real node, real gRPC, real HTTP; only time is moved by hand, and a crash is the end of a hub's object in place of its
process: it dies at one of its doors (`mortality`), before a call took effect or after, with its answer unheard. What
came of it is judged by `proof` alone, from the registries' own books.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from adapters.contract import WrongShape
from adapters.sandbox.desk import Order
from hub.evidence import EvidenceShelf
from hub.ledger_client import LedgerError, make_number
from hub.rehearsal.counters import DAY_MS, HOUR_MS, Counter, Purpose, build_counters
from hub.rehearsal.ghost import place_hold
from hub.rehearsal.hubs import Hub
from hub.rehearsal.mortality import Killed, Life, choose_last
from hub.rehearsal.proof import MOVED, Fate, Left, Span, Verdict, judge
from hub.rehearsal.weather import make_weather
from hub.rehearsal.world import World, open_clock, open_world

UNITS_MOST: Final = 30
AT_ONCE: Final = 160, 960
"""Instructions under way at the same time: a twelfth of them all, not fewer and not more than this."""
BUNCH: Final = 40
"""Holds in one transaction."""
HUBS: Final = 2
LIFE_CALLS: Final = 12
"""A hub dies within so many calls through one of its doors; within a sixteenth of all instructions, if that is more."""
_STEPS_MS: Final = (1_000, 20_000, 60_000, 10 * 60_000, HOUR_MS, 4 * HOUR_MS)
_ENDED: Final = ("CAPTURED", "RELEASED")
CALM_AFTER: Final = 150
"""Rounds without an instruction ended, after which the weather ends."""
_STATES: Final = {"RETIRED": "retired", "CANCELLED": "cancelled", "USED": "used"}


class Chaos(NamedTuple):
    """What happened, and what was found."""

    verdict: Verdict
    registries: dict[str, str]
    """What each is like."""
    crashes: dict[str, int]
    """How often a hub died at which call, and whether that had taken effect."""
    rounds: int
    faults: dict[str, int]
    days: int
    """That passed at the registries."""
    seconds: float
    """That it took here."""
    event_to_ledger_ms: list[int]
    """From the registry's decision to its final event on the ledger, where it is told at once; real time."""
    backlog: dict[str, str]
    """What is not over, by hold: why, in the hubs' words, and what a person does about it."""
    unseen: int
    """Units given back because their registry showed nothing of them until its settling time was over."""
    discrepancies: int

    @property
    def deaths(self) -> int:
        """Of hubs, in all."""
        return sum(self.crashes.values())


class Task(NamedTuple):
    """An instruction to be given."""

    number: bytes
    counter: Counter
    first: int
    units: int
    purpose: Purpose


async def run_chaos(
    folder: Path, instructions: int, registries: int, seed: int, tell: Callable[[int, int], None] = lambda _a, _b: None
) -> Chaos:
    """Carry out so many instructions in an empty folder; `tell` hears how many are over, and of how many."""
    chance = random.Random(seed)
    clock = open_clock(folder)
    each = -(-instructions // registries)
    counters = build_counters(registries, clock.sandbox, each * UNITS_MOST * 2, each * UNITS_MOST + 1_000, seed)
    began = time.monotonic()
    async with open_world(folder, clock, counters) as world:
        storm = Storm(world, counters, chance, EvidenceShelf(folder / "shelf"), max(LIFE_CALLS, instructions // 16))
        await storm.run(plan_tasks(counters, instructions, chance, clock.now_ms()), tell)
        return await storm.conclude(time.monotonic() - began)


def plan_tasks(counters: Sequence[Counter], instructions: int, chance: random.Random, now_ms: int) -> list[Task]:
    """Instructions over all registries in turn, on units of their own with gaps between."""
    tasks = []
    places = {counter.registry: counter.stock.first for counter in counters}
    for ordinal in range(instructions):
        counter, units = counters[ordinal % len(counters)], chance.randint(1, UNITS_MOST)
        number = make_number(now_ms, chance.randbytes(10))
        tasks.append(Task(number, counter, places[counter.registry], units, chance.choice(counter.kind.purposes)))
        places[counter.registry] += units + chance.randint(0, UNITS_MOST)
    return tasks


class Storm:
    """The run. For one event loop."""

    def __init__(
        self, world: World, counters: Sequence[Counter], chance: random.Random, shelf: EvidenceShelf, calls_most: int
    ) -> None:
        self._world, self._counters, self._chance, self._shelf = world, counters, chance, shelf
        self._calls_most = calls_most
        self._began_ms = world.clock.now_ms()
        self._hubs: list[Hub | None] = [None] * HUBS
        self._given: list[Task] = []
        self._over = self._rounds = self._unseen = 0
        self._crashes: dict[str, int] = {}
        self._decided: dict[str, int] = {}
        self._backlog: dict[str, str] = {}
        self._news: list[tuple[str, bytes]] = []
        self.took_ms: list[int] = []
        for counter in counters:
            counter.sandbox.faults.add(*make_weather(chance, whole=counter.kind.whole))
            counter.sandbox.desk.decided.append(self._listen(counter))

    async def run(self, tasks: Sequence[Task], tell: Callable[[int, int], None]) -> None:
        """Until every instruction is over, or nothing moves any more."""
        waiting, quiet = list(tasks), 0
        at_once = min(max(AT_ONCE[0], len(tasks) // 12), AT_ONCE[1])
        watching = asyncio.ensure_future(self._watch())
        while quiet < 3 * CALM_AFTER:
            live = await self._count_live()
            over = len(self._given) - live
            quiet = 0 if over > self._over else quiet + 1
            self._over = over
            tell(over, len(tasks))
            if not waiting and not live:
                break
            if quiet == CALM_AFTER:
                for counter in self._counters:
                    counter.sandbox.faults.clear()
            waiting = await self._give(waiting, at_once - live)
            await self._round()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        for hub in self._hubs:
            if hub is not None:
                self._backlog |= {line.hold.hex(): line.alert or line.why for line in hub.dispatcher.backlog()}
                await self._close(hub)

    async def _count_live(self) -> int:
        """As a hub saw it in its last round, which is cheaper; the ledger itself where none did, and in the end."""
        seen = [hub.dispatcher.live for hub in self._hubs if hub is not None]
        return min(seen, default=0) or len(await self._world.ledgers["hub"].live_holds())

    async def conclude(self, seconds: float) -> Chaos:
        """Ask ledger and books."""
        ledger = self._world.ledgers["hub"]
        fates = []
        for task in self._given:
            found = await ledger.hold(task.number)
            name = task.number.hex()
            fates.append(Fate(name, task.counter.registry, task.units, found.captured, found.released, found.phase))
        left: dict[str, Left] = {counter.registry: await self._find_left(counter) for counter in self._counters}
        faults: dict[str, int] = {}
        for counter in self._counters:
            for kind, times in counter.sandbox.faults.met.items():
                faults[kind.value] = faults.get(kind.value, 0) + times
        books = {each.registry: each.sandbox.book for each in self._counters}
        homes = {each.registry: each.kind.account for each in self._counters}
        return Chaos(
            verdict=judge(fates, books, left, homes),
            registries={each.registry: each.kind.like for each in self._counters},
            crashes=dict(sorted(self._crashes.items())),
            rounds=self._rounds,
            faults=faults,
            days=(self._world.clock.now_ms() - self._began_ms) // DAY_MS,
            seconds=seconds,
            event_to_ledger_ms=self.took_ms,
            backlog={each.hold: self._advise(each) for each in fates if each.phase not in _ENDED},
            unseen=self._unseen,
            discrepancies=len(await ledger.discrepancies()),
        )

    async def _find_left(self, counter: Counter) -> Left:
        """What the ledger shows as ended, or in another account than the seller's."""
        found: dict[str, list[Span]] = {}
        for batch in (counter.spare_batch, counter.stock_batch):
            for lot in await self._world.ledgers["hub"].lots(batch=batch):
                what = _STATES.get(lot.state) or (MOVED if lot.account != counter.ledger_account else "")
                if what:
                    found.setdefault(what, []).append((int(lot.first_number), int(lot.last_number)))
        return found

    def _advise(self, fate: Fate) -> str:
        """Why it is not over, and what an operator has to do."""
        why = self._backlog.get(fate.hold) or "no hub has looked at it"
        return (
            f"{why}. An operator asks {fate.registry} about {fate.hold}; two operators close the hold on the ledger "
            "with what it says as evidence"
        )

    async def _give(self, waiting: list[Task], places: int) -> list[Task]:
        """Place holds as far as there is room; a link that is suspended takes none now. Returns the rest."""
        taken, rest = waiting[: max(places, 0)], waiting[max(places, 0) :]
        expires_ms = self._world.clock.now_ms() + 300 * DAY_MS
        for counter in self._counters:
            mine = [task for task in taken if task.counter is counter]
            for at in range(0, len(mine), BUNCH):
                bunch = mine[at : at + BUNCH]
                holds = [
                    place_hold(counter, t.number, t.units, "globex", expires_ms, t.first, t.purpose) for t in bunch
                ]
                receipt = await self._world.ledgers["acme"].submit(*holds)
                if receipt.accepted:
                    self._given += bunch
                elif receipt.reason == "LINK_SUSPENDED":
                    rest = bunch + rest
                else:
                    raise RuntimeError(f"a hold was refused: {receipt.reason}: {receipt.detail}")
        return rest

    async def _round(self) -> None:
        """Every hub one round at the same time, some of them their last; then time passes."""
        self._rounds += 1
        self._collect_news()
        await asyncio.gather(*(self._step(place) for place in range(HUBS)))
        now_ms = self._world.clock.now_ms()
        for counter in self._counters:
            for reference, order in counter.sandbox.desk.orders.items():
                if not order.done or not order.waiting_units:
                    continue
                # What a registry left open it does in its own time, which ends with its settling time.
                if not self._chance.randrange(4) or now_ms - order.decided_ms > counter.kind.settling_ms // 4:
                    counter.sandbox.desk.complete(reference)
        self._world.clock.advance(self._chance.choice(_STEPS_MS))

    async def _step(self, place: int) -> None:
        hub = self._hubs[place]
        if hub is None:
            fresh = random.Random(self._chance.randrange(1 << 30))
            life = Life(choose_last(self._chance, self._calls_most))
            hub = self._hubs[place] = Hub(self._world, self._counters, self._keep, fresh, life)
        work = asyncio.ensure_future(self._work(hub, place))
        await asyncio.wait({work})
        problem = work.exception()
        if problem is not None and not isinstance(problem, LedgerError | Killed):
            raise problem
        if hub.life.died and hub.life.last is not None:
            words = hub.life.last.words
            self._crashes[words] = self._crashes.get(words, 0) + 1
            self._hubs[place] = None
            await self._close(hub)

    async def _close(self, hub: Hub) -> None:
        self._unseen += hub.dispatcher.figures.unseen_units
        await hub.close()

    async def _work(self, hub: Hub, place: int) -> None:
        news, self._news = (self._news, []) if place == 0 else ([], self._news)
        for registry, body in news:
            read = hub.adapters[registry].read_notice(body)
            for change in () if isinstance(read, WrongShape) else read:
                await hub.dispatcher.hear(registry, change)
        await hub.dispatcher.step()

    async def _watch(self) -> None:
        """Follow the ledger and note how long each outcome took to become final, where the registry tells."""
        async for page in self._world.ledgers["globex"].watch(None):
            now_ns = time.perf_counter_ns()
            for event in page.events:
                hold = next((fact.value for fact in event.facts if fact.name == "hold"), "")
                decided = self._decided.pop(hold, 0) if event.kind in ("RETIRED", "CANCELLED") else 0
                if decided:
                    self.took_ms.append((now_ns - decided) // 1_000_000)

    def _keep(self, document: bytes) -> bytes:
        return self._shelf.put(document)

    def _listen(self, counter: Counter) -> Callable[[Order], None]:
        """When the registry decided, where it tells."""

        def heard(order: Order) -> None:
            if counter.kind.tells and order.done:
                self._decided.setdefault(order.key.partition("-")[0], time.perf_counter_ns())

        return heard

    def _collect_news(self) -> None:
        """What registries pushed since the last round, as they wrote it; some of it gets lost."""
        for counter in self._counters:
            notices = counter.sandbox.notices
            waiting, notices.waiting = notices.waiting, []
            if counter.kind.tells:
                self._news += [(counter.registry, each.body) for each in waiting if self._chance.randrange(5)]


def describe_speed(took_ms: Sequence[int]) -> tuple[int, int]:
    """Median and 95th percentile; zeros where nothing was measured."""
    if not took_ms:
        return 0, 0
    ordered = sorted(took_ms)
    return int(statistics.median(ordered)), ordered[len(ordered) * 95 // 100]
