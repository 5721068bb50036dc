"""The founding story, played on a real ledger: a unit that was sold, and a registry that hears of it a day later.

One sale at a registry whose desk works once a day and whose owner keeps control, a second buyer in between, an auditor,
and a desk that in the end does only a part. Beside the ledger stands what two common platforms would have shown.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from adapters.contract import HoldingState
from adapters.sandbox.faults import Fault, FaultKind
from hub.ledger_client import Receipt, digest_of, make_number
from hub.rehearsal.counters import DAY_MS, HOUR_MS, Counter, Purpose, build_counters
from hub.rehearsal.hubs import Hub
from hub.rehearsal.platforms import Optimistic, Waiting
from hub.rehearsal.world import World, open_clock, open_world
from keeling.v1 import operations_pb2 as op

STOCK = 10_000
DONE = 6_000
"""What the desk really does in the end."""
SMALL = 100
SPARE = 1_000


class Moment(NamedTuple):
    """A row of the table: what happened, and what each then shows of the same units."""

    at_ms: int
    """Since the story began."""
    happened: str
    registry: str
    optimistic: str
    waiting: str
    ledger: str


class Story(NamedTuple):
    """All rows, and the figures at the end."""

    moments: tuple[Moment, ...]
    ghosts: int
    """Of the optimistic platform."""
    sold_twice: int
    """By the waiting platform."""
    ledger_ghosts: int
    """Units retired on the ledger and not at the registry, or the other way round, at any row of the story."""
    refusal: str
    """What the ledger told the second buyer."""
    at_once_ms: int
    """From the sale to the final event of the retirement, where the registry answers at once; real time."""


async def tell_story(folder: Path) -> Story:
    """Play it in an empty folder. Takes a few seconds."""
    clock = open_clock(folder)
    clock.advance(DAY_MS - clock.now_ms() % DAY_MS + 9 * HOUR_MS)
    counters = build_counters(2, clock.sandbox, STOCK, SPARE)
    async with open_world(folder, clock, counters) as world:
        hub = Hub(world, counters, digest_of, random.Random(1))
        try:
            desk = next(each for each in counters if not each.kind.tells)
            stage = Stage(world, desk, hub)
            await stage.play()
            quick = next(each for each in counters if each.kind.tells)
            return stage.conclude(await _retire_at_once(world, quick, hub))
        finally:
            await hub.close()


class Stage:
    """The desk's registry and everybody who shows its units."""

    def __init__(self, world: World, counter: Counter, hub: Hub) -> None:
        self._world, self._counter, self._hub = world, counter, hub
        self._began_ms = world.clock.now_ms()
        self._optimistic, self._waiting = Optimistic(STOCK), Waiting(STOCK)
        self._moments: list[Moment] = []
        self._differences = 0
        self._refusal = ""
        self._ghosts = 0

    async def play(self) -> None:
        """All acts in order."""
        clock, hub = self._world.clock, self._hub.dispatcher
        await self._note("acme offers 10,000 t that lie at a registry whose desk works once a day")
        hold = make_number(clock.now_ms())
        await self._buy("globex", hold)
        self._optimistic.sell(STOCK)
        self._waiting.sell(STOCK)
        await hub.step()
        await self._note("globex buys all of it, to retire")
        clock.advance(5 * 60_000)
        refused = await self._buy("initech", make_number(clock.now_ms()))
        self._refusal = f"{refused.reason}: {refused.detail}"
        took = [name for name, sold in self._offer_again().items() if sold]
        words = f"sold again by the {' and the '.join(took)} platform" if took else "nobody sells"
        await self._note(f"initech wants the same units: {words}; the ledger refuses ({refused.reason})")
        clock.advance(HOUR_MS - 5 * 60_000)
        await hub.step()
        await self._note("an auditor compares everybody with the registry", self._explain)
        self._counter.sandbox.faults.add(Fault(FaultKind.PARTIAL, "DESK", value=DONE * 1000 // STOCK))
        clock.advance(DAY_MS - HOUR_MS)
        for _ in range(3):
            await hub.step()
            clock.advance(HOUR_MS)
        self._waiting.refresh(self._active())
        await self._note("the desk has done 6,000 and declined 4,000: the owner had promised them elsewhere")
        bought = await self._buy("initech", make_number(clock.now_ms()), DONE)
        if bought.accepted:
            await hub.step()
            await self._note("initech buys the 4,000 that are free again")

    def conclude(self, at_once_ms: int) -> Story:
        retired = self._retired()
        return Story(
            moments=tuple(self._moments),
            ghosts=self._ghosts,
            sold_twice=self._waiting.oversold(self._active(), retired),
            ledger_ghosts=self._differences,
            refusal=self._refusal,
            at_once_ms=at_once_ms,
        )

    def _offer_again(self) -> dict[str, bool]:
        return {"optimistic": self._optimistic.sell(STOCK), "waiting": self._waiting.sell(STOCK)}

    async def _buy(self, buyer: str, number: bytes, skip: int = 0) -> Receipt:
        """acme places what it sold to a buyer on hold, from a unit on; the hold is the instruction."""
        expires_ms = self._world.clock.now_ms() + 30 * DAY_MS
        hold = place_hold(self._counter, number, STOCK - skip, buyer, expires_ms, self._counter.stock.first + skip)
        return await self._world.ledgers["acme"].submit(hold)

    def _active(self) -> int:
        return self._count(HoldingState.ACTIVE)

    def _retired(self) -> int:
        return self._count(HoldingState.RETIRED)

    def _count(self, state: HoldingState) -> int:
        rows = self._counter.sandbox.book.touch(self._counter.stock)
        return sum(row.serials.units for row in rows if row.state is state)

    def _explain(self) -> str:
        line = self._hub.dispatcher.backlog()[0]
        hours = (line.expected_ms - self._world.clock.now_ms()) // HOUR_MS
        return f", in flight, expected within {hours} h; no certificate yet"

    async def _note(self, happened: str, explain: Callable[[], str] = lambda: "") -> None:
        """Look at everybody now."""
        self._counter.sandbox.clock.settle()
        active, retired = self._active(), self._retired()
        found = {"FREE": 0, "HELD": 0, "INSTRUCTED": 0, "RETIRED": 0}
        for lot in await self._world.ledgers["hub"].lots(batch=self._counter.stock_batch):
            found[lot.state] += lot.range.units
        self._differences += abs(found["RETIRED"] - retired)
        self._ghosts = max(self._ghosts, self._optimistic.ghosts(retired))
        names = {"FREE": "free", "HELD": "held", "INSTRUCTED": "instructed", "RETIRED": "retired"}
        ledger = ", ".join(f"{units:,} {names[state]}" for state, units in found.items() if units)
        registry = ", ".join(f"{units:,} {name}" for units, name in ((active, "active"), (retired, "retired")) if units)
        self._moments.append(
            Moment(
                self._world.clock.now_ms() - self._began_ms,
                happened,
                registry,
                self._optimistic.describe(retired),
                self._waiting.describe(active, retired),
                ledger + explain(),
            )
        )


def place_hold(
    counter: Counter,
    number: bytes,
    units: int,
    buyer: str,
    expires_ms: int,
    first: int,
    purpose: Purpose = op.Hold.FOR_RETIREMENT,
) -> op.Hold:
    """acme's hold on stock, from a number on, for a buyer to retire unless it is for something else."""
    selection = op.Selection(ranges=[op.Range(batch=counter.stock_batch, first=first, units=units)])
    return op.Hold(
        hold=number,
        account=counter.ledger_account,
        selection=selection,
        purpose=purpose,
        expires_ms=expires_ms,
        buyer=buyer,
        to_account=counter.buyers_account if purpose == op.Hold.FOR_TRANSFER else "",
    )


async def _retire_at_once(world: World, counter: Counter, hub: Hub) -> int:
    """The same at a registry with a key and an answer: from the sale to the final retirement, in real ms."""
    began = time.perf_counter_ns()
    number = make_number(world.clock.now_ms())
    hold = place_hold(counter, number, SMALL, "globex", world.clock.now_ms() + DAY_MS, counter.stock.first)
    await world.must("acme", hold)
    await hub.dispatcher.step()
    ended = time.perf_counter_ns()
    found = await world.ledgers["hub"].hold(number)
    if found.captured != SMALL:
        raise RuntimeError(f"{counter.registry} did not answer at once: {found.phase}, {found.captured} captured")
    return (ended - began) // 1_000_000
