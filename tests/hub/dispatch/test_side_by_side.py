"""Several registries of one hub: none waits for another that is slow, down, or has a mistake in its adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from adapters.sandbox.faults import Fault, FaultKind
from hub.dispatch.run import Dispatcher
from hub.ledger_client import LedgerUnreachable
from keeling.v1 import ledger_pb2 as pb
from tests.hub.dispatch.stage import Stage, play

SLOW, FAST = "slow", "fast"
TOO_MANY = 100
"""More holds than are worked on at once."""


class Two:
    """A dispatcher of two registries, where a test says which holds there are and what becomes of them."""

    def __init__(self, stage: Stage, advance: Callable[[str], Awaitable[None]]) -> None:
        self.told: list[Mapping[str, Any]] = []
        seat = stage.seat("hub")._replace(
            adapters={SLOW: stage.adapter, FAST: stage.adapter},
            limits={SLOW: (), FAST: ()},
            tell=lambda _, about: self.told.append(about),
        )
        self.hub = Dispatcher(seat)
        self.holds: list[pb.HoldInfo] = []
        self.begun: list[str] = []
        self._advance = advance
        self.hub.carrier.advance = self._begin  # type: ignore[method-assign]
        self.hub._find_holds = self._find  # type: ignore[method-assign]

    async def _find(self) -> list[pb.HoldInfo]:
        return list(self.holds)

    async def _begin(self, hold: pb.HoldInfo) -> None:
        self.begun.append(hold.registry)
        self.holds.remove(hold)
        await self._advance(hold.registry)

    def place(self, registry: str, holds: int = 1) -> None:
        first = len(self.begun) + len(self.holds)
        self.holds += [pb.HoldInfo(hold=n.to_bytes(16, "big"), registry=registry) for n in range(first, first + holds)]
        self.hub.wake()

    async def wait_for(self, holds: int) -> None:
        async with asyncio.timeout(60):
            while self.begun.count(FAST) < holds:
                await asyncio.sleep(0.01)


def test_a_registry_with_more_to_do_than_it_lets_through_keeps_no_other_waiting() -> None:
    async def story(stage: Stage) -> None:
        turn, stop = asyncio.Event(), asyncio.Event()

        async def advance(registry: str) -> None:
            if registry == SLOW:
                await turn.wait()

        two = Two(stage, advance)
        two.place(SLOW, TOO_MANY)
        two.place(FAST)
        running = asyncio.create_task(two.hub.run(stop))
        await two.wait_for(1)
        two.place(FAST)
        await two.wait_for(2)
        assert two.begun.count(SLOW) == 32, "as many as are worked on at once"
        stop.set()
        turn.set()
        await running
        assert two.begun.count(SLOW) == TOO_MANY

    play(story)


def test_a_registry_that_does_not_answer_when_it_is_tried_keeps_no_other_waiting() -> None:
    async def story(stage: Stage) -> None:
        turn, stop = asyncio.Event(), asyncio.Event()

        async def advance(_: str) -> None:
            return

        async def probe(registry: str) -> None:
            if registry == SLOW:
                await turn.wait()

        two = Two(stage, advance)
        two.hub.lines.probe = probe  # type: ignore[method-assign]
        two.place(FAST)
        running = asyncio.create_task(two.hub.run(stop))
        await two.wait_for(1)
        stop.set()
        turn.set()
        await running

    play(story)


@pytest.mark.parametrize("error", [ZeroDivisionError("of an adapter"), LedgerUnreachable("of a call")])
def test_what_fails_at_one_registry_is_told_and_keeps_no_other_waiting(error: Exception) -> None:
    async def story(stage: Stage) -> None:
        stop = asyncio.Event()

        async def advance(registry: str) -> None:
            if registry == SLOW:
                raise error

        two = Two(stage, advance)
        two.place(SLOW)
        running = asyncio.create_task(two.hub.run(stop))
        for number in range(1, 4):
            two.place(FAST)
            await two.wait_for(number)
        stop.set()
        await running
        assert [about["registry"] for about in two.told] == ([SLOW] if isinstance(error, ZeroDivisionError) else [])

    play(story)


def test_what_was_read_before_takes_nothing_back() -> None:
    """A reading that began before a hold was placed, and ends after it was instructed, forgets nothing of it."""

    async def story(stage: Stage) -> None:
        hub, read, go_on = stage.hub(), stage.ledger.live_holds, asyncio.Event()
        before = await read()

        async def late() -> list[pb.HoldInfo]:
            await go_on.wait()
            return before

        stage.ledger.live_holds = late  # type: ignore[method-assign]
        reading = asyncio.create_task(hub.step())
        await asyncio.sleep(0)
        stage.ledger.live_holds = read  # type: ignore[method-assign]
        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE, "^POST", value=25))
        hold = stage.place()
        (placed,) = await read()
        await hub.step()
        go_on.set()
        await reading
        assert hub.carrier.known[hold].mine == 1
        await hub.carrier.advance(placed)
        known = hub.carrier.known[hold]
        assert (known.hold.phase, known.hold.attempt, known.mine) == ("INSTRUCTED", 1, 1)

    play(story)
