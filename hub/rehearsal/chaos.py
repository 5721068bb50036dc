"""Chaos: many instructions over several registries in bad weather, two hubs of one organisation that crash at random.

A real node, real gRPC, real HTTP; only time is moved by hand. A hub crashes wherever it happens to be: between any two
steps, or with a call under way whose answer nobody hears. What came of it is judged by `proof` alone.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from adapters.contract import Change, WrongShape
from adapters.sandbox.desk import Order
from adapters.web import format_json
from hub.evidence import EvidenceShelf
from hub.ledger_client import LedgerError, make_number
from hub.rehearsal.counters import DAY_MS, HOUR_MS, Counter, build_counters
from hub.rehearsal.ghost import place_hold
from hub.rehearsal.hubs import Hub
from hub.rehearsal.proof import Fate, Verdict, judge
from hub.rehearsal.weather import make_weather
from hub.rehearsal.world import World, open_clock, open_world
from keeling.v1 import operations_pb2 as op

UNITS_MOST: Final = 30
AT_ONCE_LEAST: Final = 160
"""Instructions under way at the same time; a twelfth of them all, if that is more."""
BUNCH: Final = 40
"""Holds in one transaction."""
HUBS: Final = 2
CRASH_PERMILLE: Final = 150
"""By round and hub."""
CRASH_WITHIN_S: Final = 0.4
_STEPS_MS: Final = (1_000, 5_000, 20_000, 60_000, 10 * 60_000, HOUR_MS, 4 * HOUR_MS)
PATIENCE: Final = 40
"""Rounds without an instruction ended, after which people ask a desk."""
_ENDED: Final = ("CAPTURED", "RELEASED")
CALM_AFTER: Final = 150
"""Rounds without an instruction ended, after which the weather ends."""


class Chaos(NamedTuple):
    """What happened, and what was found."""

    verdict: Verdict
    crashes: int
    rounds: int
    faults: dict[str, int]
    days: int
    """That passed at the registries."""
    seconds: float
    """That it took here."""
    event_to_ledger_ms: list[int]
    """From the registry's decision to its final event on the ledger, where it is told at once; real time."""
    backlog: dict[str, str]
    """What is not over, by hold, and why: in the hubs' words."""
    by_hand: dict[str, str]
    """What people closed after they had asked the registry, and what the hubs had said of it."""
    discrepancies: int


class Task(NamedTuple):
    """An instruction to be given."""

    number: bytes
    counter: Counter
    first: int
    units: int


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
        storm = Storm(world, counters, chance, EvidenceShelf(folder / "shelf"))
        await storm.run(plan_tasks(counters, instructions, chance, clock.now_ms()), tell)
        return await storm.conclude(time.monotonic() - began)


def plan_tasks(counters: Sequence[Counter], instructions: int, chance: random.Random, now_ms: int) -> list[Task]:
    """Instructions over all registries in turn, on units of their own with gaps between."""
    tasks = []
    places = {counter.registry: counter.stock.first for counter in counters}
    for ordinal in range(instructions):
        counter, units = counters[ordinal % len(counters)], chance.randint(1, UNITS_MOST)
        number = make_number(now_ms, chance.randbytes(10))
        tasks.append(Task(number, counter, places[counter.registry], units))
        places[counter.registry] += units + chance.randint(0, UNITS_MOST)
    return tasks


class Storm:
    """The run. For one event loop."""

    def __init__(self, world: World, counters: Sequence[Counter], chance: random.Random, shelf: EvidenceShelf) -> None:
        self._world, self._counters, self._chance, self._shelf = world, counters, chance, shelf
        self._began_ms = world.clock.now_ms()
        self._hubs: list[Hub | None] = [None] * HUBS
        self._given: list[Task] = []
        self._over = 0
        self._crashes = self._rounds = 0
        self._decided: dict[str, int] = {}
        self._backlog: dict[str, str] = {}
        """Why what is not over at the end is not, in the hubs' words."""
        self._by_hand: dict[str, str] = {}
        self._news: list[tuple[str, Change]] = []
        self.took_ms: list[int] = []
        for counter in counters:
            counter.sandbox.faults.add(*make_weather(chance))
            counter.sandbox.desk.decided.append(self._listen(counter))

    async def run(self, tasks: Sequence[Task], tell: Callable[[int, int], None]) -> None:
        """Until every instruction is over, or nothing moves any more."""
        waiting, quiet = list(tasks), 0
        watching = asyncio.ensure_future(self._watch())
        while quiet < 3 * CALM_AFTER:
            live = {hold.hold for hold in await self._world.ledgers["hub"].live_holds()}
            over = len(self._given) - len(live)
            quiet = 0 if over > self._over else quiet + 1
            self._over = over
            tell(over, len(tasks))
            if not waiting and not live:
                break
            if quiet == CALM_AFTER:
                for counter in self._counters:
                    counter.sandbox.faults.clear()
            if quiet % PATIENCE == PATIENCE - 1:
                await self._ask_desks([task for task in self._given if task.number in live])
            waiting = await self._give(waiting, max(AT_ONCE_LEAST, len(tasks) // 12) - len(live))
            await self._round()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        for hub in self._hubs:
            if hub is not None:
                self._backlog |= {line.hold.hex(): line.alert or line.why for line in hub.dispatcher.backlog()}
                await hub.close()
        await self._ask_desks(self._given)

    async def conclude(self, seconds: float) -> Chaos:
        """Ask ledger and books."""
        ledger = self._world.ledgers["hub"]
        fates = []
        for task in self._given:
            found = await ledger.hold(task.number)
            name = task.number.hex()
            fates.append(Fate(name, task.counter.registry, task.units, found.captured, found.released, found.phase))
        retired: dict[str, list[tuple[int, int]]] = {}
        for counter in self._counters:
            for batch in (counter.spare_batch, counter.stock_batch):
                for lot in await ledger.lots(batch=batch, state="RETIRED"):
                    span = int(lot.first_number), int(lot.last_number)
                    retired.setdefault(counter.registry, []).append(span)
        faults: dict[str, int] = {}
        for counter in self._counters:
            for kind, times in counter.sandbox.faults.met.items():
                faults[kind.value] = faults.get(kind.value, 0) + times
        return Chaos(
            verdict=judge(fates, {each.registry: each.sandbox.book for each in self._counters}, retired),
            crashes=self._crashes,
            rounds=self._rounds,
            faults=faults,
            days=(self._world.clock.now_ms() - self._began_ms) // DAY_MS,
            seconds=seconds,
            event_to_ledger_ms=self.took_ms,
            backlog={each.hold: self._backlog.get(each.hold, "") for each in fates if each.phase not in _ENDED},
            by_hand=self._by_hand,
            discrepancies=len(await ledger.discrepancies()),
        )

    async def _ask_desks(self, tasks: Sequence[Task]) -> None:
        """What a registry did in part, and declined the rest where nobody can read it, is closed by people.

        They ask the desk and put its word on the ledger. A hold of which nothing was done is none of theirs: a hub may
        be about to send it again.
        """
        for task in tasks:
            found = await self._world.ledgers["hub"].hold(task.number)
            held = sum(item.units for item in found.ranges)
            ours = [each for each in task.counter.sandbox.desk.orders.values() if each.key == task.number.hex()]
            if found.phase != "INSTRUCTED" or not ours or any(each.waiting_units for each in ours):
                continue
            order = ours[-1]
            if not found.captured or order.refused_units != held:
                continue
            said = format_json({"reference": order.reference, "declined": held})
            evidence = op.Evidence(digest=self._keep(said), grade="B", reference=order.reference)
            words = "declined; said by the registry's desk when it was asked"
            release = op.Release(hold=task.number, units=held, reason=words, evidence=evidence)
            await self._world.must("hub", release, attests=True)
            self._by_hand[task.number.hex()] = self._backlog.pop(
                task.number.hex(), "the registry has it and has not decided"
            )

    async def _give(self, waiting: list[Task], places: int) -> list[Task]:
        """Place holds as far as there is room; a link that is suspended takes none now. Returns the rest."""
        taken, rest = waiting[: max(places, 0)], waiting[max(places, 0) :]
        for counter in self._counters:
            mine = [task for task in taken if task.counter is counter]
            for at in range(0, len(mine), BUNCH):
                bunch = mine[at : at + BUNCH]
                expires_ms = self._world.clock.now_ms() + 300 * DAY_MS
                holds = [place_hold(counter, t.number, t.units, "globex", expires_ms, t.first) for t in bunch]
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
        await asyncio.gather(*(self._step(place) for place in range(HUBS)))
        for counter in self._counters:
            for reference, order in list(counter.sandbox.desk.orders.items()):
                if order.done and order.waiting_units and not self._chance.randrange(4):
                    counter.sandbox.desk.complete(reference)
        self._world.clock.advance(self._chance.choice(_STEPS_MS))

    async def _step(self, place: int) -> None:
        hub = self._hubs[place]
        if hub is None:
            fresh = random.Random(self._chance.randrange(1 << 30))
            hub = self._hubs[place] = Hub(self._world, self._counters, self._keep, fresh)
        work = asyncio.ensure_future(self._work(hub, place))
        if self._chance.randrange(1000) < CRASH_PERMILLE:
            await asyncio.wait({work}, timeout=CRASH_WITHIN_S * self._chance.random())
            self._crashes += 1
            self._hubs[place] = None
        else:
            await asyncio.wait({work})
        work.cancel()
        for problem in await asyncio.gather(work, return_exceptions=True):
            if isinstance(problem, Exception) and not isinstance(problem, LedgerError):
                raise problem
        if self._hubs[place] is None:
            await hub.close()

    async def _work(self, hub: Hub, place: int) -> None:
        news, self._news = (self._news, []) if place == 0 else ([], self._news)
        for registry, change in news:
            await hub.dispatcher.hear(registry, change)
        await hub.dispatcher.step()

    async def _watch(self) -> None:
        """Follow the ledger and note how long each retirement took to become final, where the registry tells."""
        async for page in self._world.ledgers["globex"].watch(None):
            now_ns = time.perf_counter_ns()
            for event in page.events:
                hold = next((fact.value for fact in event.facts if fact.name == "hold"), "")
                decided = self._decided.pop(hold, 0) if event.kind == "RETIRED" else 0
                if decided:
                    self.took_ms.append((now_ns - decided) // 1_000_000)

    def _keep(self, document: bytes) -> bytes:
        return self._shelf.put(document)

    def _listen(self, counter: Counter) -> Callable[[Order], None]:
        """What the registry pushes: every decision, as the notice its adapter reads; some get lost."""

        def heard(order: Order) -> None:
            if not counter.kind.tells or not order.done:
                return
            self._decided.setdefault(order.key.partition("-")[0], time.perf_counter_ns())
            hub = next((each for each in self._hubs if each is not None), None)
            if hub is None or not self._chance.randrange(5):
                return
            for entry in counter.sandbox.book.entries:
                if entry.reference == order.reference:
                    notice = format_json({"data": counter.sandbox.notice_of(entry)})
                    read = hub.adapters[counter.registry].read_notice(notice)
                    if not isinstance(read, WrongShape):
                        self._news += [(counter.registry, change) for change in read]

        return heard


def describe_speed(took_ms: Sequence[int]) -> tuple[int, int]:
    """Median and 95th percentile; zeros where nothing was measured."""
    if not took_ms:
        return 0, 0
    ordered = sorted(took_ms)
    return int(statistics.median(ordered)), ordered[len(ordered) * 95 // 100]
