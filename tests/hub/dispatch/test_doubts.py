"""Answers that must not be believed at once: late effects, clocks that run ahead, a no to what was sent before."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.contract import Answer, Found, Instruction, NothingFound, Question, Report
from adapters.puro.basis import CAPABILITIES
from adapters.sandbox.faults import Fault, FaultKind
from hub.dispatch.run import Dispatcher
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import DAY_MS, SETTLING_MS, Stage, play
from tests.hub.dispatch.test_crashes import Breakable, forgetful
from tests.hub.dispatch.test_stories import Otherwise
from tests.hub.memory_ledger import Killed
from tests.node.reads.trading_world import hold_id

HOUR_MS = 3_600_000
SKEW_MS = 300_000


class ByTime(Otherwise):
    """A registry whose lists are read back to when an instruction was sent, and no further."""

    def __init__(self, stage: Stage, **changed: Any) -> None:
        super().__init__(stage, **changed)
        self.sent: list[str] = []

    async def instruct(self, instruction: Instruction) -> Answer:
        self.sent.append(instruction.key)
        return await self._adapter.instruct(instruction)

    async def ask(self, question: Question) -> Found:
        found = await self._adapter.ask(question)
        done = isinstance(found, Report) and found.effective is not None and found.effective.ms
        if done and done < question.sent_ms - SKEW_MS:
            return NothingFound(CAPABILITIES.looked_up_by, b"[]")
        return found


@pytest.mark.parametrize("restarted", [False, True])
def test_what_the_first_attempt_did_is_found_however_late_the_last_one_is(restarted: bool) -> None:
    """Two messages: the first was done, the second got lost and is sent again an hour later."""

    async def story(stage: Stage) -> None:
        forgetful(stage)
        ranges = [op.Range(batch="corc-1", first=1 + 20 * n, units=10) for n in range(2)]
        hold = op.Hold(
            hold=hold_id("two"),
            account="alice/puro",
            selection=op.Selection(ranges=ranges),
            purpose=op.Hold.FOR_RETIREMENT,
            expires_ms=stage.world.now_ms + DAY_MS,
        )
        stage.world.must("alice", hold)
        stage.sandbox.faults.add(Fault(FaultKind.CUT_BEFORE, "^POST", skip=1))
        adapter = ByTime(stage, lots_max=1)
        hub = stage.hub(adapter=adapter)
        await hub.step()
        assert list(stage.effects) == [hold.hold.hex()]
        stage.later(HOUR_MS)
        stage.sandbox.faults.add(Fault(FaultKind.CUT_BEFORE, "^POST"))
        await hub.step()
        assert (await stage.hold(hold.hold)).attempt == 2
        found = await stage.settle(stage.hub(adapter=adapter) if restarted else hub, hold.hold)
        assert (found.phase, found.captured, found.attempt) == ("CAPTURED", 20, 3)
        name = hold.hold.hex()
        assert adapter.sent == [name, f"{name}-2", f"{name}-2", f"{name}-2"], "what was done was said once"

    play(story)


@pytest.mark.parametrize("ahead_ms", [-40_000, 0, 40_000, HOUR_MS])
def test_a_look_up_before_the_registry_settled_by_ledger_time_is_made_again(ahead_ms: int) -> None:
    """A hub whose clock runs ahead looks too soon; the ledger refuses its attempt, and what it saw is worth nothing."""

    async def story(stage: Stage) -> None:
        forgetful(stage)
        hold = stage.place()
        with pytest.raises(Killed):
            await stage.hub(adapter=Breakable(stage, "instruct", took_effect=True)).step()
        stage.sandbox.faults.add(Fault(FaultKind.STALE, "GET", times=-1, value=SETTLING_MS - 5_000))
        hub = Dispatcher(stage.seat("hub")._replace(now_ms=lambda: stage.world.now_ms + ahead_ms))
        for _ in range(400):
            await hub.step()
            found = await stage.hold(hold)
            if found.phase != "INSTRUCTED":
                break
            stage.later(2_500)
        assert (found.phase, found.captured, found.attempt) == ("CAPTURED", 100, 1)
        assert stage.effects == {hold.hex(): 100}

    play(story)


@pytest.mark.parametrize("done", [False, True])
def test_a_no_to_what_was_sent_before_may_be_the_trace_of_what_was_done(done: bool) -> None:
    """The registry settles later than its record says: the first attempt shows when the second was refused for it."""

    async def story(stage: Stage) -> None:
        forgetful(stage)
        hold = stage.place()
        with pytest.raises(Killed):
            await stage.hub(adapter=Breakable(stage, "instruct", took_effect=done)).step()
        stage.sandbox.faults.add(Fault(FaultKind.STALE, "GET", times=-1, value=3 * SETTLING_MS // 2))
        hub = stage.hub()
        await hub.step()
        stage.later(SETTLING_MS)
        if not done:
            stage.sandbox.faults.add(Fault(FaultKind.REFUSE, "DESK"))
        await hub.step()
        found = await stage.hold(hold)
        assert (found.phase, found.attempt) == ("INSTRUCTED", 2)
        found = await stage.settle(hub, hold)
        assert (found.phase, found.attempt) == ("CAPTURED" if done else "RELEASED", 2)
        assert stage.retired_units() == sum(stage.effects.values()) == (100 if done else 0)

    play(story)


def test_what_the_registry_has_told_of_is_not_sent_again_because_a_list_lacks_it() -> None:
    async def story(stage: Stage) -> None:
        forgetful(stage)
        hold = stage.place()
        hub = stage.hub()
        await hub.step()
        assert len(stage.sandbox.desk.orders) == 1
        stage.later(HOUR_MS)
        stage.sandbox.faults.add(Fault(FaultKind.STALE, "GET", times=-1, value=2 * HOUR_MS))
        for _ in range(5):
            await hub.step()
            stage.later(SETTLING_MS)
        assert (await stage.hold(hold)).attempt == 1
        assert "showed it before" in hub.backlog()[0].alert
        stage.sandbox.faults.clear()
        stage.later(DAY_MS)
        found = await stage.settle(hub, hold)
        assert (found.phase, found.attempt) == ("CAPTURED", 1)
        assert stage.effects == {hold.hex(): 100}

    play(story, approval_ms=DAY_MS)
