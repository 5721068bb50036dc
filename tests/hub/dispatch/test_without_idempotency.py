"""Holds carried to registries that know no idempotency: the answer is lost, the units end once."""

from __future__ import annotations

import asyncio
import random

import pytest

from adapters.contract import Driver, HoldingState, Settings, System
from adapters.gold_standard import SYSTEM as GOLD_STANDARD
from adapters.isometric import SYSTEM as ISOMETRIC
from adapters.sandbox import gold_standard, isometric
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.server import Sandbox
from hub.dispatch.run import Dispatcher
from hub.dispatch.seat import Seat
from keeling.serials import SerialRange
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.test_slow_registries import DAY_MS, UNITS, Scene, open_world
from tests.node.reads.trading_world import DIGEST

SECRETS = {
    "api-key": gold_standard.API_KEY,
    "account-token": gold_standard.TOKEN,
    "client-secret": isometric.CLIENT_SECRET,
    "access-token": isometric.TOKEN,
}
DETAILS = {"beneficiary": "bob", "beneficiary_id": isometric.BENEFICIARY}


def open_isometric(clock: SandboxClock) -> tuple[Sandbox, SerialRange, str]:
    sandbox = isometric.IsometricSandbox(clock)
    return sandbox, sandbox.fill(UNITS), isometric.ACCOUNT


def open_gold_standard(clock: SandboxClock) -> tuple[Sandbox, SerialRange, str]:
    sandbox = gold_standard.GoldStandardSandbox(clock)
    return sandbox, sandbox.fill(UNITS), gold_standard.ACCOUNTS[0]


def sit(scene: Scene) -> Dispatcher:
    randomness = random.Random(7)
    seat = Seat(
        participant="hub",
        ledger=scene.ledger,
        adapters={scene.adapter.name: scene.adapter},
        keep=lambda _: DIGEST,
        now_ms=lambda: scene.world.now_ms,
        jitter=lambda: randomness.randrange(1001),
        details=lambda _: DETAILS,
        limits={scene.adapter.name: ()},
    )
    return Dispatcher(seat)


@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.HTML_AFTER, FaultKind.CUT_BEFORE])
@pytest.mark.parametrize(
    ("system", "make"), [(ISOMETRIC, open_isometric), (GOLD_STANDARD, open_gold_standard)], ids=["isometric", "gold"]
)
def test_an_answer_that_was_lost_is_found_and_the_units_ended_once(
    system: System, make: object, kind: FaultKind
) -> None:
    async def story() -> None:
        assert callable(make)
        _, serials, account = make(SandboxClock(0))
        world = open_world(system.name, serials, {"alice/there": account}, 3_600_000, op.Link.CUSTODY)
        sandbox, _, _ = make(SandboxClock(world.now_ms))
        assert system.open is not None
        adapter = system.open(Driver.SANDBOX, Settings(await sandbox.start(), SECRETS.__getitem__))
        try:
            scene = Scene(world, sandbox, adapter)
            sandbox.faults.add(Fault(kind, "POST"))
            hold = scene.place("alice/there", 1_000, purpose=op.Hold.FOR_RETIREMENT, buyer="bob")
            assert await scene.settle(sit(scene), hold, world.now_ms + 5 * DAY_MS) == "CAPTURED"
            assert sandbox.book.effects() == {hold.hex(): 1_000}
            assert len(sandbox.desk.orders) == 1
            assert sandbox.book.units(states=(HoldingState.RETIRED,)) == 1_000
        finally:
            await adapter.close()
            await sandbox.stop()

    asyncio.run(story())
