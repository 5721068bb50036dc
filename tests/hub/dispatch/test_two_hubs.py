"""Two processes of one organisation: the ledger says who sends, and nobody sends what the other may have sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from google.protobuf.message import Message

from adapters.sandbox.faults import Fault, FaultKind
from hub.dispatch.run import Dispatcher
from hub.ledger_client import Receipt
from hub.reconcile.report import format_instant
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import SETTLING_MS, Stage, play
from tests.hub.dispatch.test_crashes import forgetful
from tests.hub.dispatch.test_stories import Otherwise
from tests.hub.memory_ledger import MemoryLedger, lose_answer


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
        line = two.backlog()[0]
        assert "nothing found yet" in line.why
        since = format_instant(line.since_ms)
        assert line.why.startswith(
            f"attempt 1 was dispatched at {since} by another process of hub, or by this one before"
        )
        stage.later(25_000)
        await one.step()
        assert (await stage.hold(hold)).phase == "CAPTURED"
        assert two.figures.sent == 0

    play(story)


@pytest.mark.parametrize("at_once", [False, True])
def test_the_other_says_who_has_the_attempt_and_that_it_only_asks(at_once: bool) -> None:
    """Both were at work before the hold was placed: whoever did not dispatch it knows that another process did."""

    async def story(stage: Stage) -> None:
        told: dict[str, list[tuple[str, Mapping[str, Any]]]] = {"one": [], "two": []}

        def hub(name: str) -> Dispatcher:
            return Dispatcher(stage.seat("hub")._replace(tell=lambda *said: told[name].append(said)))

        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE, "^POST", value=25))
        hubs = {"one": hub("one"), "two": hub("two")}
        for each in hubs.values():
            await each.step()
        hold = stage.place()
        if at_once:
            await asyncio.gather(*(each.step() for each in hubs.values()))
        else:
            await hubs["one"].step()
        for _ in range(2):
            for each in hubs.values():
                await each.step()
        (loser,) = (name for name, each in hubs.items() if not each.figures.dispatched)
        (winner,) = (name for name in hubs if name != loser)
        line = hubs[loser].backlog()[0]
        said = (
            f"attempt 1 was dispatched at {format_instant(line.since_ms)} by another process of hub: "
            "this process asks about it and does not send it"
        )
        assert line.why.split("; ")[0] == said
        assert "another process" not in hubs[winner].backlog()[0].why
        about = {"hold": hold.hex(), "registry": "puro", "attempt": 1, "hub": "hub", "why": said}
        assert told[loser] == [("another process has the attempt", about)], "once, however often it looks"
        assert [each for each, _ in told[winner]] == ["dispatched", "sent"]

    play(story)


def test_a_process_without_words_for_it_says_so_once_too() -> None:
    async def story(stage: Stage) -> None:
        told: list[str] = []
        mute = stage.seat("hub", adapter=Otherwise(stage, actions=frozenset()))
        two = Dispatcher(mute._replace(tell=lambda said, _: told.append(said)))
        await two.step()
        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE, "^POST", value=25))
        stage.place()
        await stage.hub().step()
        for _ in range(3):
            await two.step()
        assert "cannot be asked to retire" in two.backlog()[0].alert
        assert told == ["another process has the attempt", "a hold needs a person"]

    play(story)


def test_an_attempt_of_its_own_whose_record_got_no_answer_is_not_called_anothers() -> None:
    async def story(stage: Stage) -> None:
        told: list[str] = []
        hub = Dispatcher(stage.seat("hub")._replace(tell=lambda said, _: told.append(said)))
        await hub.step()
        stage.place()
        lose_answer(op.Dispatch, stage.ledger, took_effect=True)
        await hub.step()
        await hub.step()
        (line,) = hub.backlog()
        assert "by another process of hub, or by this one before it lost track" in line.why
        assert told == []

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


class OneAtATime:
    """Puro's adapter, as if the registry took one instruction of an account at a time."""

    def __init__(self, stage: Stage) -> None:
        self._adapter = stage.adapter
        self.capabilities = stage.adapter.capabilities._replace(in_order=True)

    def __getattr__(self, name: str) -> object:
        return getattr(self._adapter, name)


class Overtaken(MemoryLedger):
    """Lets `meanwhile` happen right before an attempt is recorded."""

    def __init__(self, stage: Stage, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(stage.world, "hub")
        self.meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    async def submit(self, *operations: Message, number: bytes | None = None, attests: bool = False) -> Receipt:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None and isinstance(operations[0], op.Dispatch):
            await meanwhile()
        return await super().submit(*operations, number=number, attests=attests)


@pytest.mark.parametrize("gap_ms", [0, 5])
def test_two_hubs_keep_the_order_of_an_account_that_takes_one_at_a_time(gap_ms: int) -> None:
    """The second hub dispatches and sends another hold of the account while the first records its own attempt."""

    async def story(stage: Stage) -> None:
        forgetful(stage)
        late, adapter = stage.place("late"), OneAtATime(stage)
        two = stage.hub(adapter=adapter)
        overtaking: list[bytes] = []

        async def overtake() -> None:
            overtaking.append(stage.place("early", first=5_000))
            await two.carrier.advance(await stage.hold(overtaking[0]))
            stage.later(gap_ms)

        one = stage.hub(Overtaken(stage, overtake), adapter)
        await one.step()
        (early,) = overtaking
        phases = [(await stage.hold(hold)).phase for hold in (early, late)]
        assert phases == ["INSTRUCTED", "INSTRUCTED"], "both are dispatched"
        assert (one.figures.sent, two.figures.sent) == (0, 1), "the one that was dispatched first is sent alone"
        assert "dispatched before is under way" in one.backlog()[0].why
        most = 0
        for _ in range(200):
            for hub in (one, two):
                await hub.step()
            orders = stage.sandbox.desk.orders.values()
            most = max(most, sum(1 for order in orders if order.waiting_units))
            stage.later(20_000)
        assert most == 1, "never two at a time"
        for hold in (early, late):
            assert (await stage.hold(hold)).phase == "CAPTURED"
        assert stage.effects == {early.hex(): 100, late.hex(): 100}

    play(story, approval_ms=600_000)
