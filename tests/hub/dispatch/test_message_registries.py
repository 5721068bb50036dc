"""Holds carried to registries that accept a message first and decide its transaction later, and to India's.

UNFCCC Article 6.4, a Party under Article 6.2, Grid Controller of India: what a hold becomes when the decision is told
as an event, when it is a no, when the answer is lost, and when the hub is restarted in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import pytest

from adapters.capabilities import Action
from adapters.contract import Changes, Instruction, Report, System
from adapters.icm import SYSTEM as ICM
from adapters.icm.sessions import CONFIRMED, day_of, find_session_before, instant
from adapters.national_62 import SYSTEM as NATIONAL
from adapters.sandbox import icm as icm_sandbox
from adapters.sandbox import national_62, unfccc
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.exchange import ExchangeSandbox
from adapters.sandbox.exchange_values import Acquirer
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.server import Sandbox
from adapters.unfccc import SYSTEM as UNFCCC
from hub.dispatch.run import Dispatcher
from hub.dispatch.seat import describe_buyer
from hub.dispatch.words import BY_EXPIRY, Words, describe_with
from keeling.v1 import operations_pb2 as op
from tests.adapters.article6_stand import secrets_for
from tests.hub.dispatch.test_slow_registries import Details, Scene, open_scene, open_world
from tests.node.reads.trading_world import hold_id

UNITS = 1_000
CHECK_MS = 600_000
HOUR_MS = 3_600_000


class Place(NamedTuple):
    """One registry, and what a hold there is for."""

    system: System
    build: Callable[[SandboxClock], Sandbox]
    accounts: dict[str, str]
    hold: dict[str, Any]
    details: Details = describe_buyer


def _use(**fields: Any) -> dict[str, Any]:
    return {"purpose": op.Hold.FOR_USE, "buyer": "", "use": op.Purposeful(**fields)}


PLACES = {
    "unfccc": Place(
        UNFCCC,
        lambda clock: unfccc.UnfcccSandbox(clock, check_ms=CHECK_MS),
        {"alice/it": unfccc.HOLDING},
        {"purpose": op.Hold.FOR_RETIREMENT, "buyer": "bob"},
    ),
    "national": Place(
        NATIONAL,
        lambda clock: national_62.NationalSandbox(clock, check_ms=CHECK_MS, acquirer_ms=HOUR_MS),
        {"alice/it": national_62.ACCOUNT, "bob/it": "CHE01:CH-1"},
        {"purpose": op.Hold.FOR_TRANSFER, "buyer": "bob", "to_account": "bob/it"},
    ),
    "icm": Place(
        ICM,
        icm_sandbox.IcmSandbox,
        {"alice/it": icm_sandbox.PLANT, "bob/it": icm_sandbox.BUYER},
        {"purpose": op.Hold.FOR_TRANSFER, "buyer": "bob", "to_account": "bob/it"},
        describe_with({"icm": Words({"exchange": "IEX", "session": BY_EXPIRY})}),
    ),
}
MESSAGES = ["unfccc", "national"]


def play(name: str, story: Callable[[Scene], Awaitable[None]]) -> None:
    """Run a story at this registry; in India, what is sold was blocked for the session before."""

    async def run() -> None:
        place = PLACES[name]
        filled = _fill(place.build(SandboxClock()))
        world = open_world(place.system.name, filled, place.accounts, 2 * CHECK_MS, op.Link.CUSTODY)
        if name == "icm":
            closes_ms = instant(find_session_before(world.now_ms + 40 * 24 * HOUR_MS), CONFIRMED)
            world.later(closes_ms - HOUR_MS - world.now_ms)
            world.block()
        sandbox = place.build(SandboxClock(world.now_ms))
        _fill(sandbox)
        secrets: Mapping[str, str] = {"token": icm_sandbox.TOKEN}
        if isinstance(sandbox, ExchangeSandbox):
            secrets = secrets_for(sandbox)
        async with open_scene(place.system, sandbox, world, secrets, place.details) as scene:
            if name == "icm":
                await _offer(scene)
            await story(scene)

    asyncio.run(run())


def _fill(sandbox: Any) -> Any:
    return sandbox.fill(UNITS)


async def _offer(scene: Scene) -> None:
    """The plant offers 100 at IEX, the registry confirms at 16:00, and the session is over."""
    lots = (scene.sandbox.book.rows()[0].serials.part(scene.first, scene.first + 99),)
    session = day_of(scene.world.now_ms).isoformat()
    block = Instruction("offer", Action.BLOCK, icm_sandbox.PLANT, lots, "IEX", details={"session": session})
    assert isinstance(await scene.adapter.instruct(block), Report)
    scene.later(2 * HOUR_MS)


def place_hold(scene: Scene, name: str) -> bytes:
    return scene.place("alice/it", 100, **PLACES[name].hold)


async def hear_events(scene: Scene, hub: Dispatcher) -> list[bool]:
    """Everything the registry tells, to the hub, as its poller does."""
    page = await scene.adapter.changes("")
    assert isinstance(page, Changes)
    return [await hub.hear(scene.adapter.name, change) for change in page.items]


@pytest.mark.parametrize("name", MESSAGES)
def test_accepted_is_not_decided_and_the_event_of_the_decision_captures(name: str) -> None:
    async def story(scene: Scene) -> None:
        hub, hold = scene.hub(), place_hold(scene, name)
        await hub.step()
        line = hub.backlog()[0]
        assert (line.phase, line.why) == ("INSTRUCTED", "the registry has it and has not decided")
        assert line.expected_ms > scene.world.now_ms
        assert not any(await hear_events(scene, hub)), "the message was accepted; nothing has happened to the units"
        assert scene.sandbox.book.effects() == {}
        scene.later(2 * HOUR_MS)
        assert any(await hear_events(scene, hub))
        found = await scene.ledger.hold(hold)
        assert (found.phase, found.captured) == ("CAPTURED", 100)
        assert scene.sandbox.book.effects() == {hold.hex(): 100}

    play(name, story)


def test_certificates_sold_in_a_session_leave_the_block_and_what_is_left_open_comes_by_event() -> None:
    async def story(scene: Scene) -> None:
        scene.sandbox.faults.add(Fault(FaultKind.PARTIAL_OPEN, "DESK", value=600))
        hub, hold = scene.hub(), place_hold(scene, "icm")
        await hub.step()
        found = await scene.ledger.hold(hold)
        assert (found.phase, found.captured) == ("INSTRUCTED", 60)
        scene.later(HOUR_MS)
        scene.sandbox.desk.complete(
            next(o.reference for o in scene.sandbox.desk.orders.values() if o.key == hold.hex())
        )
        assert any(await hear_events(scene, hub))
        found = await scene.ledger.hold(hold)
        assert (found.phase, found.captured) == ("CAPTURED", 100)
        assert scene.sandbox.book.units(icm_sandbox.BUYER) == 100

    play("icm", story)


@pytest.mark.parametrize("restarted", [False, True])
def test_the_rest_of_a_transfer_is_captured_when_the_buyer_has_used_the_first_part(restarted: bool) -> None:
    async def story(scene: Scene) -> None:
        scene.sandbox.faults.add(Fault(FaultKind.PARTIAL_OPEN, "DESK", value=600))
        hub, hold = scene.hub(), place_hold(scene, "icm")
        await hub.step()
        assert (await scene.ledger.hold(hold)).captured == 60
        used = op.Hold(
            hold=hold_id("the buyer's own"),
            account="bob/it",
            selection=op.Selection(units=30),
            purpose=op.Hold.FOR_RETIREMENT,
            expires_ms=scene.world.now_ms + 48 * HOUR_MS,
        )
        scene.world.must("bob", used)
        order = next(o for o in scene.sandbox.desk.orders.values() if o.key == hold.hex())
        scene.sandbox.desk.complete(order.reference)
        hub = scene.hub() if restarted else hub
        for _ in range(3):
            scene.later(HOUR_MS)
            await hub.step()
        found = await scene.ledger.hold(hold)
        assert (found.phase, found.captured) == ("CAPTURED", 100)

    play("icm", story)


@pytest.mark.parametrize("name", PLACES)
def test_a_no_gives_everything_back(name: str) -> None:
    async def story(scene: Scene) -> None:
        scene.sandbox.faults.add(Fault(FaultKind.REFUSE, "DESK"))
        hub, hold = scene.hub(), place_hold(scene, name)
        assert await scene.settle(hub, hold, scene.world.now_ms + 48 * HOUR_MS) == "RELEASED"
        assert hold.hex() not in scene.sandbox.book.effects()

    play(name, story)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("restarted", [False, True])
def test_a_lost_answer_is_found_by_key_and_nothing_is_sent_twice(name: str, restarted: bool) -> None:
    async def story(scene: Scene) -> None:
        scene.sandbox.faults.add(Fault(FaultKind.CUT_AFTER, "^POST"), Fault(FaultKind.MAINTENANCE, "^GET", value=60))
        hub, hold = scene.hub(), place_hold(scene, name)
        await hub.step()
        assert (await scene.ledger.hold(hold)).phase == "INSTRUCTED"
        hub = scene.hub() if restarted else hub
        assert await scene.settle(hub, hold, scene.world.now_ms + 48 * HOUR_MS) == "CAPTURED"
        assert scene.sandbox.book.effects()[hold.hex()] == 100
        assert len([o for o in scene.sandbox.desk.orders.values() if o.key == hold.hex()]) == 1
        assert (await scene.ledger.hold(hold)).attempt == 1

    play(name, story)


@pytest.mark.parametrize("name", PLACES)
def test_a_message_that_never_arrived_is_sent_again_when_the_registry_has_settled(name: str) -> None:
    async def story(scene: Scene) -> None:
        scene.sandbox.faults.add(Fault(FaultKind.CUT_BEFORE, "^POST"))
        hub, hold = scene.hub(), place_hold(scene, name)
        await hub.step()
        hub = scene.hub()
        assert await scene.settle(hub, hold, scene.world.now_ms + 48 * HOUR_MS) == "CAPTURED"
        assert (await scene.ledger.hold(hold)).attempt == 2
        assert scene.sandbox.book.effects()[hold.hex()] == 100

    play(name, story)


@pytest.mark.parametrize("acquirer", [Acquirer.REJECTS, Acquirer.SILENT])
def test_the_other_party_may_reject_or_stay_silent_for_a_day(acquirer: Acquirer) -> None:
    async def story(scene: Scene) -> None:
        assert isinstance(scene.sandbox, ExchangeSandbox)
        scene.sandbox.acquirer = acquirer
        hub, hold, begun = scene.hub(), place_hold(scene, "national"), scene.world.now_ms
        assert await scene.settle(hub, hold, begun + HOUR_MS // 2) == "INSTRUCTED"
        assert await scene.settle(hub, hold, begun + 30 * HOUR_MS) == "RELEASED"
        assert scene.sandbox.book.effects() == {}

    play("national", story)


def test_a_registry_that_says_no_after_weeks_gets_everything_given_back() -> None:
    async def story(scene: Scene) -> None:
        assert isinstance(scene.sandbox, ExchangeSandbox)
        scene.sandbox.faults.add(Fault(FaultKind.REFUSE, "DESK"))
        scene.sandbox.check_ms = 50 * 24 * HOUR_MS
        scene.sandbox.clock.at = lambda due_ms, happen: None  # type: ignore[method-assign]
        hub, hold, begun = scene.hub(), place_hold(scene, "unfccc"), scene.world.now_ms
        assert await scene.settle(hub, hold, begun + 45 * 24 * HOUR_MS) == "INSTRUCTED"
        order = next(iter(scene.sandbox.desk.orders.values()))
        scene.sandbox.desk.refuse(order.reference, "declined after all")
        assert await scene.settle(hub, hold, begun + 46 * 24 * HOUR_MS) == "RELEASED"

    play("unfccc", story)


def test_a_surrender_names_its_compliance_year_from_the_hold() -> None:
    async def story(scene: Scene) -> None:
        hub = scene.hub()
        use = op.Purposeful(kind=op.Purposeful.COMPLIANCE, year=2025, scheme="CCTS", entity="CEM0042")
        hold = op.Hold(purpose=op.Hold.FOR_USE, use=use)
        first = scene.first + 200
        placed = scene.place("alice/it", 50, first=first, purpose=hold.purpose, use=use)
        assert await scene.settle(hub, placed, scene.world.now_ms + HOUR_MS) == "CAPTURED"
        order = next(o for o in scene.sandbox.desk.orders.values() if o.key == placed.hex())
        assert order.said["complianceYear"] == "2025"

    play("icm", story)
