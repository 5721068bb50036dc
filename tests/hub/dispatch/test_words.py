"""What is said to a registry about a hold: from configuration, the same for the same hold, and missed by name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, time
from typing import Any, NamedTuple

import pytest

from adapters.contract import System
from adapters.icm.sessions import CONFIRMED, find_session, find_session_before, instant
from adapters.irec import SYSTEM as IREC
from adapters.isometric import SYSTEM as ISOMETRIC
from adapters.sandbox import irec, isometric
from adapters.sandbox.clock import SandboxClock
from hub.dispatch.words import BY_EXPIRY, Words, describe_with
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.test_slow_registries import Scene, open_scene, open_world

HOUR_MS = 3_600_000


class Needy(NamedTuple):
    """A registry that wants more words than the buyer's name."""

    system: System
    build: Callable[[SandboxClock], Any]
    account: str
    secrets: Mapping[str, str]
    words: Words
    missing: str


NEEDY = {
    "isometric": Needy(
        ISOMETRIC,
        isometric.IsometricSandbox,
        isometric.ACCOUNT,
        {"client-secret": isometric.CLIENT_SECRET, "access-token": isometric.TOKEN},
        Words({"purpose": "corporate_targets"}, {"bob": {"beneficiary_id": isometric.BENEFICIARY}}),
        "beneficiary_id",
    ),
    "irec": Needy(
        IREC,
        irec.IrecSandbox,
        irec.ACCOUNTS[0],
        dict.fromkeys(("username", "password", "client-id", "client-secret"), irec.PASSWORD),
        Words({"redemption_account": irec.REDEMPTION_ACCOUNT}, {"bob": {"beneficiary_id": irec.BENEFICIARY}}),
        "redemption_account",
    ),
}


def play(needy: Needy, words: Words, story: Callable[[Scene, bytes], Awaitable[None]]) -> None:
    async def run() -> None:
        filled = needy.build(SandboxClock()).fill(10_000)
        world = open_world(needy.system.name, filled, {"alice/it": needy.account}, HOUR_MS, op.Link.CUSTODY)
        sandbox = needy.build(SandboxClock(world.now_ms))
        sandbox.fill(10_000)
        details = describe_with({needy.system.name: words})
        async with open_scene(needy.system, sandbox, world, needy.secrets, details) as scene:
            await story(scene, scene.place("alice/it", 100, purpose=op.Hold.FOR_RETIREMENT, buyer="bob"))

    asyncio.run(run())


@pytest.mark.parametrize("name", NEEDY)
def test_configured_words_carry_a_retirement_through(name: str) -> None:
    async def story(scene: Scene, hold: bytes) -> None:
        assert await scene.settle(scene.hub(), hold, scene.world.now_ms + 12 * HOUR_MS) == "CAPTURED"
        assert scene.sandbox.book.effects() == {hold.hex(): 100}

    play(NEEDY[name], NEEDY[name].words, story)


@pytest.mark.parametrize("name", NEEDY)
def test_a_missing_word_is_named_and_nothing_is_dispatched(name: str) -> None:
    async def story(scene: Scene, hold: bytes) -> None:
        hub = scene.hub()
        await hub.step()
        assert (await scene.ledger.hold(hold)).phase == "OPEN"
        alert = hub.backlog()[0].alert
        assert alert.startswith(f"cannot be said to {name}: ")
        assert NEEDY[name].missing in alert
        assert "`buyers` for bob" in alert
        assert scene.sandbox.received == type(scene.sandbox.received)(maxlen=100)

    play(NEEDY[name], Words(), story)


def test_the_buyers_words_come_last_and_the_holder_is_his_own_buyer() -> None:
    words = {"irec": Words({"purpose": "RE100", "beneficiary": "A"}, {"bob": {"beneficiary": "Bob GmbH"}})}
    describe = describe_with(words)
    assert describe(pb.HoldInfo(registry="irec", buyer="bob")) == {"purpose": "RE100", "beneficiary": "Bob GmbH"}
    assert describe(pb.HoldInfo(registry="irec", holder="bob")) == {"purpose": "RE100", "beneficiary": "Bob GmbH"}
    assert describe(pb.HoldInfo(registry="irec", buyer="carol")) == {"purpose": "RE100", "beneficiary": "A"}
    assert describe(pb.HoldInfo(registry="puro", buyer="carol")) == {"beneficiary": "carol"}


@pytest.mark.parametrize(
    ("expires", "session"),
    [
        ((date(2026, 1, 28), time(16, 0)), "2026-01-28"),
        ((date(2026, 1, 28), time(15, 59)), "2025-12-31"),
        ((date(2026, 2, 24), time(0, 0)), "2026-01-28"),
        ((date(2026, 3, 1), time(0, 0)), "2026-02-25"),
    ],
)
def test_a_session_is_the_last_one_confirmed_before_the_hold_expires(expires: tuple[date, time], session: str) -> None:
    describe = describe_with({"icm": Words({"session": BY_EXPIRY, "exchange": "IEX"})})
    said = describe(pb.HoldInfo(registry="icm", buyer="bob", expires_ms=instant(*expires)))
    assert (said["session"], said["exchange"]) == (session, "IEX")
    day = date.fromisoformat(session)
    assert find_session(day) == day
    assert find_session_before(instant(day, CONFIRMED)) == day
