"""Two processes of one organisation: the ledger says who sends, and nobody sends what the other may have sent."""

from __future__ import annotations

import asyncio

from adapters.sandbox.faults import Fault, FaultKind
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import SETTLING_MS, Stage, play
from tests.hub.dispatch.test_crashes import forgetful


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


def test_an_attempt_that_was_replaced_while_waiting_for_its_turn_is_not_sent() -> None:
    async def story(stage: Stage) -> None:
        forgetful(stage)
        hold = stage.place()
        one, two = stage.hub(), stage.hub()

        async def long_queue(_: str) -> None:
            one.lines.turn = no_queue  # type: ignore[method-assign]
            stage.later(SETTLING_MS)
            await two.step()

        async def no_queue(_: str) -> None:
            """Its turn at once."""

        one.lines.turn = long_queue  # type: ignore[method-assign]
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
