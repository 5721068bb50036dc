"""Holds carried to registries that take their time: a desk's daily round without control, and working-time delays."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from adapters.contract import Adapter, ChangeKind, Changes, Driver, HoldingState, Settings, System
from adapters.sandbox import uk_ets as uk_sandbox
from adapters.sandbox import verra as verra_sandbox
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.server import Sandbox
from adapters.uk_ets import SYSTEM as UK_ETS
from adapters.uk_ets.hours import print_time
from adapters.verra import SYSTEM as VERRA
from hub.dispatch.run import Dispatcher
from hub.dispatch.seat import Seat, describe_buyer
from keeling.serials import SerialRange, parse, print_range
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import EVIDENCE, ROLES
from tests.hub.memory_ledger import MemoryLedger
from tests.node.reads.trading_world import DIGEST, IndexedWorld, hold_id

Details = Callable[[pb.HoldInfo], Mapping[str, str]]
DAY_MS = 86_400_000
UNITS = 10_000
STRIDE_MS = 21_600_000
SECRETS = {
    "appkey": verra_sandbox.APPKEY,
    "desk-token": verra_sandbox.TOKEN,
    "initiator": uk_sandbox.INITIATOR,
    "approver": uk_sandbox.APPROVER,
}
UK_START = int(datetime(2027, 4, 30, 12, 0, tzinfo=ZoneInfo("Europe/London")).timestamp() * 1000)


def open_world(
    registry: str, serials: SerialRange, accounts: dict[str, str], settling_ms: int, control: Any
) -> IndexedWorld:
    """A batch of the registry's units in alice's first account, linked like all of these accounts."""
    policy = op.RegistryPolicy(
        scheme=serials.scheme,
        attestors=["hub"],
        importers=["hub"],
        capture_grade="B",
        attestors_needed=1,
        settling_ms=settling_ms,
    )
    programme = op.Programme(
        registry=registry,
        grain=serials.grain.name,
        scheme=serials.scheme,
        transfer_rule=op.Programme.FREE,
        retirable=True,
    )
    records = [
        op.SetRecord(id=f"registry:{registry}", version=1, source="test policy", registry=policy),
        op.SetRecord(id="units", version=1, source="test rules", programme=programme),
    ]
    world = IndexedWorld(dict(ROLES), records)
    world.must("hub", op.RegisterProject(project="one", programme="units", name="One", host="GB"))
    seen = [op.Observation(first_number=str(serials.first), units=serials.units, status=op.Observation.ACTIVE)]
    for name in accounts:
        world.must(name.partition("/")[0], op.OpenAccount(account=name, owner=name.partition("/")[0]))
    issue = op.Issue(
        batch="batch-1",
        project="one",
        programme="units",
        space=serials.space,
        first_number=str(serials.first),
        units=serials.units,
        extent=op.Issue.AT_LEAST,
        serial_form=print_range(serials),
        evidence=EVIDENCE,
        observations=seen,
    )
    world.must("hub", issue)
    for place, (name, there) in enumerate(accounts.items()):
        link = op.Link(account=name, registry=registry, registry_account=there, hub="hub", control=control)
        if place == 0:
            link.claims.append(op.Range(batch="batch-1", first=serials.first, units=serials.units))
        link.evidence.CopyFrom(EVIDENCE)
        world.must(name.partition("/")[0], link, approvals=(name.partition("/")[0], "hub"))
    return world


class Scene:
    """A ledger, a sandbox and a hub on one clock."""

    def __init__(
        self, world: IndexedWorld, sandbox: Sandbox, adapter: Adapter, details: Details = describe_buyer
    ) -> None:
        self.world, self.sandbox, self.adapter, self.details = world, sandbox, adapter, details
        self.ledger = MemoryLedger(world, "hub")
        self.first = sandbox.book.rows()[0].serials.first

    def hub(self) -> Dispatcher:
        randomness = random.Random(7)
        return Dispatcher(
            Seat(
                participant="hub",
                ledger=self.ledger,
                adapters={self.adapter.name: self.adapter},
                keep=lambda _: DIGEST,
                now_ms=lambda: self.world.now_ms,
                jitter=lambda: randomness.randrange(1001),
                details=self.details,
                limits={self.adapter.name: ()},
            )
        )

    def place(self, account: str, units: int, first: int | None = None, **fields: Any) -> bytes:
        at = self.first if first is None else first
        hold = op.Hold(
            hold=hold_id("one"),
            account=account,
            selection=op.Selection(ranges=[op.Range(batch="batch-1", first=at, units=units)]),
            expires_ms=self.world.now_ms + DAY_MS,
            **fields,
        )
        self.world.must("alice", hold)
        return hold_id("one")

    def later(self, ms: int) -> None:
        self.world.later(ms)
        self.world.block()
        self.sandbox.clock.advance(ms)

    async def settle(self, hub: Dispatcher, hold: bytes, until_ms: int) -> str:
        """Rounds, six hours apart where the hub would ask more often, until it is over or time is up; its phase."""
        while self.world.now_ms < until_ms:
            due = await hub.step()
            phase = (await self.ledger.hold(hold)).phase
            if phase not in ("OPEN", "INSTRUCTED"):
                return phase
            self.later(max(1, min(max(due, self.world.now_ms + STRIDE_MS), until_ms) - self.world.now_ms))
        await hub.step()
        return (await self.ledger.hold(hold)).phase


@asynccontextmanager
async def open_scene(
    system: System,
    sandbox: Sandbox,
    world: IndexedWorld,
    secrets: Mapping[str, str] = SECRETS,
    details: Details = describe_buyer,
) -> AsyncIterator[Scene]:
    assert system.open is not None
    adapter = system.open(Driver.SANDBOX, Settings(await sandbox.start(), secrets.__getitem__))
    try:
        yield Scene(world, sandbox, adapter, details)
    finally:
        await adapter.close()
        await sandbox.stop()


def play_verra(story: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        serials = verra_sandbox.VerraSandbox().fill(UNITS)
        accounts = {"alice/verra": verra_sandbox.ACCOUNTS[0]}
        world = open_world("verra", serials, accounts, 2 * DAY_MS, op.Link.OWNER)
        sandbox = verra_sandbox.VerraSandbox(SandboxClock(world.now_ms))
        sandbox.fill(UNITS)
        async with open_scene(VERRA, sandbox, world) as scene:
            await story(scene)

    asyncio.run(run())


def test_a_sale_at_verra_is_in_flight_for_a_day_and_then_confirmed() -> None:
    async def story(scene: Scene) -> None:
        hub, begun = scene.hub(), scene.world.now_ms
        hold = scene.place("alice/verra", UNITS, purpose=op.Hold.FOR_RETIREMENT, buyer="bob")
        assert await scene.settle(hub, hold, begun + DAY_MS // 48) == "INSTRUCTED"
        assert scene.sandbox.book.units(states=(HoldingState.ACTIVE,)) == UNITS
        assert hub.backlog()[0].expected_ms <= begun + 2 * DAY_MS
        assert await scene.settle(hub, hold, begun + 3 * DAY_MS) == "CAPTURED"
        assert scene.sandbox.book.effects() == {hold.hex(): UNITS}

    play_verra(story)


def test_a_lost_answer_at_verra_is_found_in_public_rows_and_never_sent_again() -> None:
    async def story(scene: Scene) -> None:
        scene.sandbox.faults.add(Fault(FaultKind.CUT_AFTER, "^POST /desk"))
        hub, begun = scene.hub(), scene.world.now_ms
        hold = scene.place("alice/verra", 100, purpose=op.Hold.FOR_RETIREMENT, buyer="bob")
        assert await scene.settle(hub, hold, begun + 5 * DAY_MS) == "CAPTURED"
        assert scene.sandbox.book.effects() == {hold.hex(): 100}
        assert len(scene.sandbox.desk.orders) == 1

    play_verra(story)


def test_news_of_what_a_restarted_hub_could_not_find_is_asked_about_at_once() -> None:
    """Its reference is lost with the process, and Verra's rows show nothing before the desk's round."""

    async def story(scene: Scene) -> None:
        begun = scene.world.now_ms
        hold = scene.place("alice/verra", 100, purpose=op.Hold.FOR_RETIREMENT, buyer="bob")
        assert await scene.settle(scene.hub(), hold, begun + 60_000) == "INSTRUCTED"
        hub = scene.hub()
        await hub.step()
        assert "nothing found yet" in hub.backlog()[0].why
        scene.later(DAY_MS)
        news = await scene.adapter.changes("")
        assert isinstance(news, Changes)
        assert [await hub.hear("verra", change) for change in news.items] == [False, True]
        assert (await scene.ledger.hold(hold)).phase == "CAPTURED"
        assert scene.world.now_ms < begun + 2 * DAY_MS, "long before the registry has settled"

    play_verra(story)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_part_that_the_desk_left_open_is_not_given_back_however_long_it_takes(restarted: bool) -> None:
    async def story(scene: Scene) -> None:
        scene.sandbox.faults.add(Fault(FaultKind.PARTIAL_OPEN, "DESK", value=600))
        hub = scene.hub()
        hold = scene.place("alice/verra", 100, purpose=op.Hold.FOR_RETIREMENT, buyer="bob")
        await hub.step()
        for day in range(10):
            scene.later(DAY_MS)
            hub = scene.hub() if restarted and day else hub
            await hub.step()
            found = await scene.ledger.hold(hold)
            assert (found.phase, found.captured, found.released) == ("INSTRUCTED", 60, 0)
        assert "the registry has it and has not decided" in hub.backlog()[0].why
        scene.sandbox.desk.complete(next(iter(scene.sandbox.desk.orders)))
        assert await scene.settle(hub, hold, scene.world.now_ms + 3 * DAY_MS) == "CAPTURED"
        assert scene.sandbox.book.effects() == {hold.hex(): 100}

    play_verra(story)


def test_units_the_owner_moved_away_at_verra_are_given_back_not_retired() -> None:
    async def story(scene: Scene) -> None:
        hub, begun = scene.hub(), scene.world.now_ms
        hold = scene.place("alice/verra", 100, purpose=op.Hold.FOR_RETIREMENT, buyer="bob")
        assert await scene.settle(hub, hold, begun + 60_000) == "INSTRUCTED"
        moved = next(iter(scene.sandbox.desk.orders.values())).asked
        scene.sandbox.book.change(
            scene.world.now_ms,
            ChangeKind.TRANSFERRED,
            verra_sandbox.ACCOUNTS[0],
            moved,
            state=HoldingState.ACTIVE,
            reference="by-the-owner",
            to_account=verra_sandbox.ACCOUNTS[1],
        )
        assert await scene.settle(hub, hold, begun + 3 * DAY_MS) == "RELEASED"
        assert scene.sandbox.book.effects() == {"by-the-owner": 100}

    play_verra(story)


def test_a_transfer_at_the_uk_registry_over_a_bank_holiday() -> None:
    async def run() -> None:
        serials = parse(f"UKA-10000002000-{10_000_002_000 + UNITS - 1}")
        accounts = {"alice/uk": uk_sandbox.OURS, "bob/uk": uk_sandbox.OUTSIDE}
        world = open_world("uk_ets", serials, accounts, 600_000, op.Link.CUSTODY)
        world.later(UK_START - world.now_ms)
        world.block()
        sandbox = uk_sandbox.UkEtsSandbox(SandboxClock(world.now_ms))
        sandbox.fill(UNITS)
        async with open_scene(UK_ETS, sandbox, world) as scene:
            hub = scene.hub()
            hold = scene.place("alice/uk", 100, purpose=op.Hold.FOR_TRANSFER, buyer="bob", to_account="bob/uk")
            assert await scene.settle(hub, hold, UK_START + 40 * 60_000) == "INSTRUCTED"
            due = next(iter(sandbox.desk.orders.values())).due_ms
            assert print_time(due).startswith("Tuesday 4 May 2027 12:3")
            assert await scene.settle(hub, hold, due - 60_000) == "INSTRUCTED"
            assert sandbox.book.units(states=(HoldingState.BLOCKED,)) == 100
            assert await scene.settle(hub, hold, due + DAY_MS) == "CAPTURED"
            assert sandbox.book.effects() == {hold.hex(): 100}

    asyncio.run(run())
