"""Two processes of one organisation: the ledger says who sends, and nobody sends what the other may have sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from adapters.sandbox.faults import Fault, FaultKind
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import SETTLING_MS, Stage, play
from tests.hub.dispatch.test_crashes import forgetful
from tests.hub.memory_ledger import MemoryLedger


def test_one_dispatch_an_attempt_and_the_other_says_who_has_it() -> None:
    async def story(stage: Stage) -> None:
        forgetful(stage)
        hold = stage.place()
        one, two = stage.hub(), stage.hub()
        await asyncio.gather(one.step(), two.step())
        found = await stage.settle(two, hold)
        await one.step()
        assert (found.phase, found.attempt) == ("CAPTURED", 1)
        assert one.figures.sent + two.figures.sent == 1
        assert stage.effects == {hold.hex(): 100}

    play(story)


def test_the_one_that_lost_waits_and_says_why() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE, "^POST", value=25))
        hold = stage.place()
        one, two = stage.hub(), stage.hub()
        await one.step()
        stage.ledger.said.clear()
        await two.step()
        assert not [each for each in stage.ledger.said if isinstance(each, op.Dispatch)]
        assert "nothing found yet" in two.backlog()[0].why
        stage.later(25_000)
        await one.step()
        assert (await stage.hold(hold)).phase == "CAPTURED"
        assert two.figures.sent == 0

    play(story)


def test_whoever_waited_too_long_does_not_send_any_more() -> None:
    """The first is throttled past its window; the second takes the next attempt; the first wakes and must not send."""

    async def story(stage: Stage) -> None:
        forgetful(stage)
        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE, "^POST", value=2 * SETTLING_MS // 1000))
        hold = stage.place()
        one, two = stage.hub(), stage.hub()
        await one.step()
        stage.later(SETTLING_MS)
        await two.step()
        found = await stage.hold(hold)
        assert (found.phase, found.attempt) == ("CAPTURED", 2)
        stage.later(SETTLING_MS)
        await one.step()
        assert (one.figures.sent, two.figures.sent) == (1, 1)
        assert stage.effects == {hold.hex(): 100}

    play(story)


class SlowReads(MemoryLedger):
    """Lets `meanwhile` happen before the second time that an instructed hold is read: right before it is sent."""

    def __init__(self, stage: Stage, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(stage.world, "hub")
        self.meanwhile, self.reads = meanwhile, 0

    async def hold(self, hold: bytes) -> pb.HoldInfo:
        found = await super().hold(hold)
        self.reads += found.phase == "INSTRUCTED"
        if self.reads != 2:
            return found
        self.reads += 1
        await self.meanwhile()
        return await super().hold(hold)


def test_an_attempt_that_was_replaced_before_it_left_is_not_sent() -> None:
    async def story(stage: Stage) -> None:
        forgetful(stage)
        hold = stage.place()
        two = stage.hub()

        async def replace() -> None:
            stage.later(SETTLING_MS)
            await two.step()

        one = stage.hub(SlowReads(stage, replace))
        await one.step()
        found = await stage.hold(hold)
        assert (found.phase, found.attempt) == ("CAPTURED", 2)
        assert (one.figures.sent, two.figures.sent) == (0, 1)
        assert stage.effects == {hold.hex(): 100}

    play(story)


def test_two_hubs_release_once() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.PARTIAL, "DESK", value=500))
        hold = stage.place(units=1_000)
        one, two = stage.hub(), stage.hub()
        for _ in range(6):
            await asyncio.gather(one.step(), two.step())
            stage.later(20_000)
        found = await stage.hold(hold)
        assert (found.captured, found.released) == (500, 500)
        assert stage.effects == {hold.hex(): 500}

    play(story)
