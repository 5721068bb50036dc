"""Two holds at a registry that chooses the serials itself: what it used for one was reserved for the other."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.contract import Found, Question
from adapters.sandbox.faults import Fault, FaultKind
from hub.dispatch.run import Dispatcher
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import SETTLING_MS, Stage, play
from tests.hub.dispatch.test_stories import Otherwise
from tests.hub.dispatch.test_two_hubs import SlowReads

DESK_MS = 3_600_000


def asked_of(stage: Stage, hold: bytes) -> list[tuple[int, int]]:
    """The serials that the one message of a hold named."""
    (order,) = (each for each in stage.sandbox.desk.orders.values() if each.key == hold.hex())
    return sorted((lot.first, lot.last) for lot in order.asked)


async def reserved(stage: Stage, hold: bytes) -> list[tuple[int, int]]:
    return sorted((item.first, item.first + item.units - 1) for item in (await stage.hold(hold)).ranges)


class Overheard:
    """Puro's adapter, and the serials of every question that is asked through it."""

    def __init__(self, stage: Stage) -> None:
        self._adapter = stage.adapter
        self.questions: list[list[tuple[int, int]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    async def ask(self, question: Question) -> Found:
        self.questions.append([(lot.first, lot.last) for lot in question.instruction.lots])
        return await self._adapter.ask(question)


def alerts(*hubs: Dispatcher) -> list[str]:
    return [line.alert for hub in hubs for line in hub.backlog() if line.alert]


@pytest.mark.parametrize("restarted", [False, True])
def test_both_are_captured_though_each_was_reserved_what_the_other_got(restarted: bool) -> None:
    """The later one is done first, on 1..50 of the earlier one and on free units; then the earlier one on others."""

    async def story(stage: Stage) -> None:
        stage.sandbox.desk._blocks = False
        first, hub = stage.place("first", first=1), stage.hub()
        await hub.step()
        (waiting,) = stage.sandbox.desk.orders
        stage.sandbox.desk.postpone(waiting, stage.world.now_ms + 2 * DESK_MS)
        second = stage.place("second", first=5_000)
        await hub.step()
        stage.sandbox.faults.add(*[Fault(FaultKind.OTHER_SERIALS, "DESK")] * 2)
        assert (await stage.settle(hub, second)).phase == "CAPTURED"
        assert await reserved(stage, first) == [(51, 100), (5_000, 5_049)]
        assert (await stage.hold(first)).phase == "INSTRUCTED"
        overheard = Overheard(stage)
        hub = stage.hub(adapter=overheard) if restarted else hub
        await hub.step()
        assert overheard.questions == ([[(1, 100)]] if restarted else []), "it is asked about as it was sent"
        assert alerts(hub) == []
        found = await stage.settle(hub, first)
        assert (found.phase, found.attempt) == ("CAPTURED", 1)
        assert stage.effects == {first.hex(): 100, second.hex(): 100}
        assert stage.retired_units() == 200
        dispatched = [each.hold for each in stage.ledger.said if isinstance(each, op.Dispatch)]
        assert dispatched == [first, second], "each once"

    play(story, approval_ms=DESK_MS)


def test_what_is_not_instructed_yet_is_instructed_on_the_units_it_got() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.OTHER_SERIALS, "DESK"))
        early = stage.place("early", first=5_000)
        stage.later(1)
        late = stage.place("late", first=1)
        hub = stage.hub(adapter=Otherwise(stage, in_order=True))
        await hub.step()
        assert [(await stage.hold(each)).phase for each in (early, late)] == ["INSTRUCTED", "OPEN"]
        assert (await stage.settle(hub, early)).phase == "CAPTURED"
        found = await stage.settle(hub, late)
        assert (found.phase, found.attempt, asked_of(stage, late)) == ("CAPTURED", 1, [(51, 100), (5_000, 5_049)])
        assert stage.effects == {early.hex(): 100, late.hex(): 100}

    play(story, approval_ms=SETTLING_MS // 4)


@pytest.mark.parametrize("restarted", [False, True])
def test_what_never_arrived_is_said_again_about_the_units_it_has_now(restarted: bool) -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.CUT_BEFORE, "^POST"), Fault(FaultKind.SERVER_ERROR, "^GET"))
        first, hub = stage.place("first", first=1), stage.hub()
        await hub.step()
        stage.sandbox.faults.clear()
        stage.sandbox.faults.add(Fault(FaultKind.OTHER_SERIALS, "DESK"))
        second = stage.place("second", first=5_000)
        assert (await stage.settle(hub, second)).phase == "CAPTURED"
        found = await stage.settle(stage.hub() if restarted else hub, first)
        assert (found.phase, found.attempt, asked_of(stage, first)) == ("CAPTURED", 2, [(51, 100), (5_000, 5_049)])
        assert stage.effects == {first.hex(): 100, second.hex(): 100}

    play(story)


def test_units_that_were_swapped_right_before_a_message_leaves_are_not_named_any_more() -> None:
    async def story(stage: Stage) -> None:
        other, second = stage.hub(), []

        async def overtake() -> None:
            stage.sandbox.faults.add(Fault(FaultKind.OTHER_SERIALS, "DESK"))
            second.append(stage.place("second", first=5_000))
            await other.carrier.advance(await stage.hold(second[0]))

        first = stage.place("first", first=1)
        hub = stage.hub(SlowReads(stage, overtake))
        await hub.step()
        assert (hub.figures.sent, other.figures.sent) == (0, 1)
        assert await reserved(stage, first) == [(51, 100), (5_000, 5_049)]
        found = await stage.settle(hub, first)
        assert (found.phase, found.attempt, asked_of(stage, first)) == ("CAPTURED", 2, [(51, 100), (5_000, 5_049)])
        assert alerts(hub, other) == []
        assert stage.effects == {first.hex(): 100, second[0].hex(): 100}

    play(story)
