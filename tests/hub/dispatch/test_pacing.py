"""The token bucket stays under every limit in every span, and close to it; before a server that counts strictly."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.capabilities import Limit
from adapters.contract import Driver, Report, Settings
from adapters.puro import SYSTEM
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.puro import KEY_ID, KEY_SECRET, PuroSandbox
from hub.dispatch.pacing import Pace, size_bucket
from tests.adapters.exchange_stand import Stand
from tests.hub.dispatch.stage import Stage, play

LIMIT = Limit(60, 600, stated=True)


@given(st.integers(1, 100_000), st.integers(1, 86_400_000))
def test_a_full_bucket_and_its_refill_stay_within_the_limit(requests: int, per_ms: int) -> None:
    burst, fills_s = size_bucket(Limit(requests, per_ms, stated=True))
    assert burst + per_ms / 1000 * burst / fills_s <= max(requests, 2) + 1e-6


@pytest.mark.parametrize("requests", [60, 100, 1_000, 10_000])
def test_the_steady_rate_is_close_to_the_limit(requests: int) -> None:
    burst, fills_s = size_bucket(Limit(requests, 60_000, stated=True))
    assert burst / fills_s * 60 >= 0.95 * requests


def test_a_strict_server_never_says_429() -> None:
    class Strict(PuroSandbox):
        limits = (LIMIT,)

    async def run() -> tuple[int, float]:
        sandbox = Strict(SandboxClock(follows=True))
        units = sandbox.fill(10_000)
        assert SYSTEM.open is not None
        secrets = {"key-id": KEY_ID, "key-secret": KEY_SECRET}
        adapter = SYSTEM.open(Driver.SANDBOX, Settings(await sandbox.start(), secrets.__getitem__))
        stand = Stand(sandbox, adapter, next(row.account for row in sandbox.book.rows()), units, lambda: None)
        pace, begun = Pace((LIMIT,)), time.monotonic()

        async def one(number: int) -> None:
            await pace.take()
            answer = await adapter.instruct(stand.instruction(1, f"{number:032x}", skip=number))
            assert isinstance(answer, Report)

        try:
            await asyncio.gather(*(one(number) for number in range(150)))
        finally:
            await adapter.close()
            await sandbox.stop()
        return sandbox.throttled, 150 / (time.monotonic() - begun)

    throttled, rate = asyncio.run(run())
    assert throttled == 0
    assert rate <= 1000 * LIMIT.requests / LIMIT.per_ms


def test_a_queue_longer_than_the_window_of_an_attempt_is_worked_off_in_order() -> None:
    """The turn comes before the record: twelve calls of five seconds each, where an attempt may be sent for thirty."""

    async def story(stage: Stage) -> None:
        hub = stage.hub()
        holds = [stage.place(f"hold {place}", 10, 1 + 10 * place) for place in range(12)]

        async def wait_in_line(registry: str) -> None:
            await asyncio.sleep(0)  # the others get as far as they can without a call
            stage.later(5_000)

        hub.lines.turn = wait_in_line  # type: ignore[method-assign]
        await hub.step()
        found = [await stage.hold(hold) for hold in holds]
        assert {(each.phase, each.attempt) for each in found} == {("CAPTURED", 1)}
        assert stage.sandbox.book.effects() == {hold.hex(): 10 for hold in holds}

    play(story)
