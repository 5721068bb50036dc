"""Taking back what was instructed at the UK registry: in time, too late, broken at every step, by two hubs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from adapters.contract import HoldingState
from adapters.sandbox import uk_ets as uk_sandbox
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.desk import OrderStatus
from adapters.sandbox.faults import Fault, FaultKind
from adapters.uk_ets import SYSTEM as UK_ETS
from adapters.uk_ets.hours import print_time
from hub.dispatch.run import Dispatcher
from hub.dispatch.seat import Seat, describe_buyer
from hub.dispatch.withdrawing import WITHDRAWN, CannotWithdraw, Withdrawing
from hub.ledger_client import OutcomeUnknown
from keeling.serials import parse
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.test_slow_registries import UK_START, UNITS, Scene, open_scene, open_world, play_verra
from tests.node.reads.trading_world import DIGEST

HOUR_MS = 3_600_000
CANCEL = "^POST /api-registry/transactions.cancel"


class Office:
    """A hub that remembers nothing when it is made."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.shelf = scene, list[bytes]()

        def keep(document: bytes) -> bytes:
            self.shelf.append(document)
            return DIGEST

        seat = Seat(
            participant="hub",
            ledger=scene.ledger,
            adapters={scene.adapter.name: scene.adapter},
            keep=keep,
            now_ms=lambda: scene.world.now_ms,
            jitter=lambda: 500,
            details=describe_buyer,
            limits={scene.adapter.name: ()},
        )
        self.dispatcher = Dispatcher(seat)
        self.withdrawing = Withdrawing(seat, self.dispatcher.lines, self.dispatcher)

    async def withdraw(self, hold: bytes) -> str:
        return await self.withdrawing.withdraw(hold, "asha", "the buyer cancelled")

    async def step(self, ms: int = 60_000) -> None:
        await self.dispatcher.step()
        await self.withdrawing.step()
        self.scene.later(ms)


def play(story: Callable[[Scene, Office, bytes], Awaitable[None]], *, approved: bool = True) -> None:
    """At 12:30 on the Friday before a bank holiday a transfer of 100 outside the trusted list was instructed."""

    async def run() -> None:
        serials = parse(f"UKA-10000002000-{10_000_002_000 + UNITS - 1}")
        accounts = {"alice/uk": uk_sandbox.OURS, "bob/uk": uk_sandbox.OUTSIDE}
        world = open_world("uk_ets", serials, accounts, 600_000, op.Link.CUSTODY)
        world.later(UK_START + HOUR_MS // 2 - world.now_ms)
        world.block()
        approval = {"approval_ms": 0} if approved else {"approval_ms": 4 * HOUR_MS}
        sandbox = uk_sandbox.UkEtsSandbox(SandboxClock(world.now_ms), **approval)
        sandbox.fill(UNITS)
        async with open_scene(UK_ETS, sandbox, world) as scene:
            office = Office(scene)
            hold = scene.place("alice/uk", 100, purpose=op.Hold.FOR_TRANSFER, buyer="bob", to_account="bob/uk")
            await office.step()
            await office.step()
            assert (await scene.ledger.hold(hold)).phase == "INSTRUCTED"
            await story(scene, office, hold)

    asyncio.run(run())


async def insist(scene: Scene, office: Office, hold: bytes) -> None:
    """Say it again until there is an outcome: what another process recorded is asked about first."""
    for _ in range(3):
        await office.withdraw(hold)
        scene.later(1_000)


def lose_record(scene: Scene, *, took_effect: bool) -> None:
    """The next withdrawal that is handed in gets no answer."""

    def lose(operation: Any) -> None:
        if isinstance(operation, op.Anchor) and operation.name.startswith(WITHDRAWN):
            scene.ledger.before = scene.ledger.after = lambda _: None
            raise OutcomeUnknown("the line broke", b"")

    if took_effect:
        scene.ledger.after = lose
    else:
        scene.ledger.before = lose


def withdrawals(scene: Scene) -> set[str]:
    said: list[Any] = [each for each in scene.ledger.said if isinstance(each, op.Anchor)]
    return {each.name for each in said if each.name.startswith(WITHDRAWN)}


def reserved(scene: Scene) -> int:
    return scene.sandbox.book.units(uk_sandbox.OURS, (HoldingState.BLOCKED,))


def status(scene: Scene) -> OrderStatus:
    (order,) = scene.sandbox.desk.orders.values()
    return order.status


async def end_of(scene: Scene, office: Office, hold: bytes, rounds: int = 200, ms: int = 60_000) -> str:
    """Its phase when it is over, or after so many rounds."""
    for _ in range(rounds):
        phase = (await scene.ledger.hold(hold)).phase
        if phase != "INSTRUCTED":
            return phase
        await office.step(ms)
    return (await scene.ledger.hold(hold)).phase


def test_what_is_taken_back_in_time_is_released_on_the_registrys_word() -> None:
    async def story(scene: Scene, office: Office, hold: bytes) -> None:
        (due,) = (order.due_ms for order in scene.sandbox.desk.orders.values())
        assert office.dispatcher.backlog()[0].expected_ms == due
        assert print_time(due) == "Tuesday 4 May 2027 12:31 (Europe/London)"
        assert reserved(scene) == 100
        before = len(scene.ledger.said)
        assert await office.withdraw(hold) == "withdrawn"
        evidence, record, released = scene.ledger.said[before:]
        assert isinstance(evidence, op.Anchor)
        assert isinstance(record, op.Anchor)
        assert record.name == f"{WITHDRAWN}{hold.hex()}/1"
        assert isinstance(released, op.Release)
        assert released.evidence.grade == "B"
        assert (status(scene), reserved(scene)) == (OrderStatus.WITHDRAWN, 0)
        assert (await scene.ledger.hold(hold)).phase == "RELEASED"
        (why,) = [json.loads(each) for each in office.shelf if b'"withdrawn"' in each]
        assert (why["by"], why["why"], why["withdrawn"]) == ("asha", "the buyer cancelled", ["UK1000000"])
        assert await office.withdraw(hold) == "withdrawn", "the same again is the same"
        assert await Office(scene).withdraw(hold) == "withdrawn"
        assert len(withdrawals(scene)) == 1
        assert scene.sandbox.book.effects() == {}

    play(story)


def test_an_hour_before_its_execution_it_is_too_late_and_nothing_is_lost() -> None:
    async def story(scene: Scene, office: Office, hold: bytes) -> None:
        (order,) = scene.sandbox.desk.orders.values()
        scene.later(order.due_ms - HOUR_MS - scene.world.now_ms)
        for each in (office, office, Office(scene)):
            with pytest.raises(CannotWithdraw, match="too near to its execution") as refused:
                await insist(scene, each, hold)
            assert refused.value.too_late
            assert (await scene.ledger.hold(hold)).phase == "INSTRUCTED"
            assert (status(scene), reserved(scene)) == (OrderStatus.WAITING, 100)
        assert "too near" in office.withdrawing.describe(hold)
        assert await end_of(scene, office, hold, ms=600_000) == "CAPTURED"
        assert scene.sandbox.book.effects() == {hold.hex(): 100}
        with pytest.raises(CannotWithdraw, match="has ended: CAPTURED") as refused:
            await office.withdraw(hold)
        assert refused.value.too_late
        assert len(withdrawals(scene)) == 1

    play(story)


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("step", ["record", "registry"])
@pytest.mark.parametrize("restarted", [False, True])
def test_every_step_broken_twice_takes_back_once(step: str, took_effect: bool, restarted: bool) -> None:
    async def story(scene: Scene, office: Office, hold: bytes) -> None:
        for _ in range(2):
            if step == "record":
                lose_record(scene, took_effect=took_effect)
            else:
                fault = FaultKind.CUT_AFTER if took_effect else FaultKind.CUT_BEFORE
                scene.sandbox.faults.add(Fault(fault, CANCEL))
            try:
                await office.withdraw(hold)
            except OutcomeUnknown:
                assert step == "record"
            office = Office(scene) if restarted else office
        if step == "record" and not took_effect:
            assert (await scene.ledger.hold(hold)).phase == "INSTRUCTED"
            assert not withdrawals(scene), "nothing is taken back before it is on record"
            await office.withdraw(hold)
        assert await end_of(scene, office, hold) == "RELEASED"
        assert status(scene) is OrderStatus.WITHDRAWN
        assert withdrawals(scene) == {f"{WITHDRAWN}{hold.hex()}/1"}
        assert scene.sandbox.book.effects() == {}

    play(story)


def test_another_hub_finds_it_on_the_ledger_and_carries_it_on() -> None:
    async def story(scene: Scene, office: Office, hold: bytes) -> None:
        other = Office(scene)
        await other.step()
        scene.sandbox.faults.add(Fault(FaultKind.CUT_BEFORE, CANCEL, times=-1))
        assert (await office.withdraw(hold)).startswith("being taken back")
        assert "being taken back" in office.withdrawing.describe(hold)
        scene.sandbox.faults.clear()
        assert not other.withdrawing.describe(hold)
        assert await end_of(scene, other, hold) == "RELEASED"
        assert len(withdrawals(scene)) == 1

    play(story)


def test_what_still_waits_for_the_second_representative_is_taken_back_once_that_is_possible() -> None:
    async def story(scene: Scene, office: Office, hold: bytes) -> None:
        assert "being taken back" in await office.withdraw(hold)
        assert "waits for the second representative" in office.withdrawing.describe(hold)
        assert await end_of(scene, office, hold, ms=600_000) == "RELEASED"
        assert status(scene) is OrderStatus.WITHDRAWN

    play(story, approved=False)


def test_nothing_is_recorded_where_the_registry_does_not_say_how_it_stands() -> None:
    async def story(scene: Scene, office: Office, hold: bytes) -> None:
        scene.sandbox.faults.add(Fault(FaultKind.HTML, "^GET /api-registry", times=-1))
        with pytest.raises(CannotWithdraw, match="does not say how it stands now"):
            await office.withdraw(hold)
        assert not withdrawals(scene)

    play(story)


def test_an_open_hold_is_not_withdrawn_but_released() -> None:
    async def story(scene: Scene) -> None:
        hold = scene.place("alice/verra", 100, purpose=op.Hold.FOR_RETIREMENT, buyer="bob")
        office = Office(scene)
        with pytest.raises(CannotWithdraw, match="keeling release") as refused:
            await office.withdraw(hold)
        assert not refused.value.too_late
        await office.step()
        with pytest.raises(CannotWithdraw, match="verra takes nothing back"):
            await office.withdraw(hold)
        assert not withdrawals(scene)

    play_verra(story)
