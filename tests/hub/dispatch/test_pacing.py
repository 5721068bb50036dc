"""The token bucket stays under every limit in every span, and close to it; before a server that counts strictly."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.capabilities import Limit
from hub.dispatch.pacing import Pace, size_bucket
from tests.hub.dispatch.stage import Stage, play
from tests.simulator.virtual_loop import VirtualLoop

LIMIT = Limit(60, 600, stated=True)


@given(st.integers(1, 100_000), st.integers(1, 86_400_000))
def test_a_full_bucket_and_its_refill_stay_within_the_limit(requests: int, per_ms: int) -> None:
    burst, fills_s = size_bucket(Limit(requests, per_ms, stated=True))
    assert burst + per_ms / 1000 * burst / fills_s <= max(requests, 2) + 1e-6


@pytest.mark.parametrize("requests", [60, 100, 1_000, 10_000])
def test_the_steady_rate_is_close_to_the_limit(requests: int) -> None:
    burst, fills_s = size_bucket(Limit(requests, 60_000, stated=True))
    assert burst / fills_s * 60 >= 0.95 * requests


class CreepingLoop(VirtualLoop):
    """Virtual time that never stands still, as no clock does: the limiter may wait for the rest of a token that is less
    than a clock can tell."""

    def time(self) -> float:
        self._now += 1e-6
        return self._now


class StrictServer:
    """Counts calls in a sliding window; those beyond the limit are `throttled`."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._calls: deque[float] = deque()
        self.throttled = 0

    def call(self, now_s: float) -> None:
        while self._calls and self._calls[0] <= now_s - self._limit.per_ms / 1000:
            self._calls.popleft()
        self._calls.append(now_s)
        self.throttled += len(self._calls) > self._limit.requests


@pytest.mark.parametrize(
    ("limits", "part"),
    [
        ((LIMIT,), 0.9),
        ((Limit(2, 1_000, stated=True),), 0.5),
        ((LIMIT, Limit(100, 60_000, stated=True)), 0.9),
    ],
)
def test_a_strict_server_never_says_429_and_is_driven_close_to_its_limit(
    limits: tuple[Limit, ...], part: float
) -> None:
    servers, calls, loop = [StrictServer(limit) for limit in limits], 300, CreepingLoop()
    ended_s: list[float] = []

    async def run() -> None:
        pace = Pace(limits)

        async def one() -> None:
            await pace.take()
            for server in servers:
                server.call(loop.time())

        await asyncio.gather(*(one() for _ in range(calls)))
        ended_s.append(loop.time())

    loop.run(run())
    assert [server.throttled for server in servers] == [0] * len(limits)
    at_best_s = max(calls * limit.per_ms / 1000 / limit.requests for limit in limits)
    assert ended_s[0] <= at_best_s / part


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
