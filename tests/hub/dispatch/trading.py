"""A plant's account at India's registry, a buyer's, and hubs that remember nothing, on one clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from adapters.contract import Adapter, Changes, Driver, HoldingState, Settings
from adapters.icm import SYSTEM
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.icm import BUYER, PLANT, TOKEN, IcmSandbox
from hub.dispatch.blocking import Blocking, Line
from hub.dispatch.ordering import Wanted
from hub.dispatch.run import Dispatcher
from hub.dispatch.seat import Seat, describe_buyer
from hub.dispatch.sessions import Kind, OrderName
from hub.inbound.intake import Desk, Intake
from hub.ledger_client import make_number
from keeling.serials import SerialRange, parse
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.test_slow_registries import Scene, open_world
from tests.node.reads.trading_world import DIGEST, IndexedWorld

MINUTE_MS, DAY_MS = 60_000, 86_400_000
START_MS = int(datetime(2027, 1, 20, tzinfo=UTC).timestamp() * 1000)
SESSIONS = ("2027-01-27", "2027-02-24", "2027-03-31")
BLOCK = "IN-CCC-OE-CEM0042-2025-26-1-1000"
SETTLING_MS = 600_000


def confirmed_ms(session: str) -> int:
    """16:00 Indian time on the day of a session."""
    return int(datetime.fromisoformat(f"{session}T10:30:00+00:00").timestamp() * 1000)


class Market(Scene):
    """The scene, with the ways in which tests look at it."""

    def __init__(self, world: IndexedWorld, sandbox: IcmSandbox, adapter: Adapter) -> None:
        super().__init__(world, sandbox, adapter)
        self.registry = sandbox
        self.broken = 0
        """Records that failed, or whose answer was lost, because a test said so."""

    def free_there(self) -> int:
        return self.registry.book.units(PLANT, (HoldingState.ACTIVE,))

    def blocked_there(self) -> int:
        return self.registry.book.units(PLANT, (HoldingState.BLOCKED,))

    async def listed(self) -> list[pb.RestrictionInfo]:
        return await self.ledger.restrictions("alice/icm")

    async def restricted_here(self) -> int:
        return sum(each.range.units for each in await self.listed())

    def move_to(self, at_ms: int) -> None:
        self.later(at_ms - self.world.now_ms)

    def offer(self, exchange: str, session: str, serials: str) -> Any:
        """At another door of the plant."""
        values = {"account": PLANT, "serials": serials, "exchange": exchange, "session": session}
        return self.registry.acts()["offer"](values)


class Trader:
    """A hub that remembers nothing when it is made."""

    def __init__(self, market: Scene, account: str = "alice/icm") -> None:
        self.market, self.account, self.told = market, account, list[tuple[str, Mapping[str, Any]]]()
        self.cursor = ""
        seat = Seat(
            participant="hub",
            ledger=market.ledger,
            adapters={market.adapter.name: market.adapter},
            keep=lambda _: DIGEST,
            now_ms=lambda: market.world.now_ms,
            jitter=lambda: 500,
            details=describe_buyer,
            limits={market.adapter.name: ()},
            tell=lambda *said: self.told.append(said),
        )
        self.dispatcher = Dispatcher(seat)
        self.blocking = Blocking(seat, self.dispatcher.lines, self.dispatcher)
        self._intake = Intake(Desk(market.ledger, seat.adapters, self.blocking, seat.keep))

    async def order(
        self,
        kind: Kind,
        units: int = 0,
        serials: str = "",
        *,
        exchange: str = "IEX",
        session: str = SESSIONS[0],
        number: bytes | None = None,
    ) -> Line:
        name = OrderName(kind, exchange, session, number or make_number(self.market.world.now_ms))
        lots: tuple[SerialRange, ...] = (parse(serials),) if serials else ()
        return await self.blocking.order(Wanted(name, self.account, units, lots, "asha", "offered"))

    async def block(self, units: int = 0, serials: str = "", **more: Any) -> Line:
        return await self.order(Kind.BLOCK, units, serials, **more)

    async def unblock(self, units: int = 0, serials: str = "", **more: Any) -> Line:
        return await self.order(Kind.UNBLOCK, units, serials, **more)

    async def poll(self) -> list[str]:
        """Read the registry's news; what became of each."""
        page = await self.market.adapter.changes(self.cursor)
        assert isinstance(page, Changes)
        self.cursor = page.cursor
        return [each.outcome.value for each in await self._intake.take("icm", page.items, "B")]

    async def step(self) -> None:
        await self.dispatcher.step()
        await self.blocking.step()

    async def settle(self, rounds: int = 30, ms: int = MINUTE_MS) -> None:
        """Rounds a minute apart, with the registry's news."""
        for _ in range(rounds):
            await self.step()
            await self.poll()
            self.market.later(ms)


def play(story: Callable[[Market, Trader], Awaitable[None]]) -> None:
    """The plant has 1,000 certificates; it is a week before January's session of 2027."""

    async def run() -> None:
        accounts = {"alice/icm": PLANT, "bob/icm": BUYER}
        world = open_world("icm", parse(BLOCK), accounts, SETTLING_MS, op.Link.CUSTODY)
        world.later(START_MS - world.now_ms)
        world.block()
        sandbox = IcmSandbox(SandboxClock(world.now_ms))
        sandbox.fill(1_000)
        assert SYSTEM.open is not None
        adapter = SYSTEM.open(Driver.SANDBOX, Settings(await sandbox.start(), {"token": TOKEN}.__getitem__))
        market = Market(world, sandbox, adapter)
        try:
            await story(market, Trader(market))
        finally:
            await adapter.close()
            await sandbox.stop()

    asyncio.run(run())
