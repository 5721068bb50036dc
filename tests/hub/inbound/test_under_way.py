"""News that seems to be about an instruction is kept until the ledger shows it, or shows that it was not."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.contract import ChangeKind
from adapters.sandbox.faults import Fault, FaultKind
from hub.inbound.intake import Desk, Intake
from hub.inbound.refusals import Why
from hub.inbound.waiting import WaitingList
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import DAY_MS, EVIDENCE, Stage, play
from tests.hub.inbound.scene import change, restricted, tell
from tests.hub.inbound.test_elsewhere import Unaware

RETIRED = ChangeKind.RETIRED
HOUR_MS = 3_600_000


def open_intake(stage: Stage, dispatch: Any) -> tuple[Intake, WaitingList]:
    waiting = WaitingList(None, lambda: stage.world.now_ms)
    desk = Desk(stage.ledger, {"puro": stage.adapter}, dispatch, stage.keep, waiting=waiting)
    return Intake(desk), waiting


async def retry(stage: Stage, intake: Intake) -> list[str]:
    stage.later(HOUR_MS)
    return tell(await intake.retry("puro"))


@pytest.mark.parametrize("aware", [True, False], ids=["ours", "another hub's"])
def test_what_the_owner_retired_itself_is_a_contradiction_once_the_registry_has_refused_us(aware: bool) -> None:
    async def story(stage: Stage) -> None:
        hub = stage.hub()
        hold = stage.place(units=100, first=1)
        stage.sandbox.faults.add(Fault(FaultKind.REFUSE, "DESK"))
        await hub.step()
        intake, waiting = open_intake(stage, hub if aware else Unaware())
        ranges = [(1, 100), (101, 150)] if aware else [(1, 100)]
        own = change("e1", RETIRED, 1, ranges[-1][1], reference="own")
        assert tell(await intake.take("puro", [own], "B")) == ["dispatched" if aware else "noted"]
        assert [each.refusal.why for each in waiting.list_all("puro")] == [Why.UNDER_WAY]
        assert "once the instruction" in waiting.list_all("puro")[0].advice
        assert await retry(stage, intake) == []
        stage.later(DAY_MS)
        assert (await stage.settle(hub, hold)).phase == "RELEASED"
        assert await retry(stage, intake) == ["contradicted"]
        assert await restricted(stage) == ranges
        assert waiting.list_all("puro") == []

    play(story, approval_ms=DAY_MS)


def test_what_a_desk_did_for_an_ended_hold_is_no_step_of_the_next_one_on_its_units() -> None:
    async def story(stage: Stage) -> None:
        first = stage.place("one", 100, first=1)
        stage.world.must("hub", op.Dispatch(hold=first, attempt=1, instruction=bytes(32)))
        given_back = op.Evidence(digest=EVIDENCE.digest, grade="B", reference="letter")
        stage.world.must("hub", op.Release(hold=first, reason="never received", evidence=given_back))
        second = stage.place("two", 100, first=1)
        stage.world.must("hub", op.Dispatch(hold=second, attempt=1, instruction=bytes(32)))
        intake, waiting = open_intake(stage, stage.hub())
        done = change("e1", RETIRED, 1, 100, key=first.hex())
        assert tell(await intake.take("puro", [done], "B")) == ["noted"]
        assert len(waiting.list_all("puro")) == 1
        assert (await stage.hold(second)).phase == "INSTRUCTED"
        stage.world.must("hub", op.Release(hold=second, reason="refused", evidence=given_back))
        assert await retry(stage, intake) == ["contradicted"]
        assert await restricted(stage) == [(1, 100)]

    play(story, approval_ms=DAY_MS)


@pytest.mark.parametrize(("kind", "first", "last"), [(ChangeKind.CANCELLED, 1, 100), (RETIRED, 51, 150)])
def test_what_no_hold_asked_for_is_restricted_whole_once_the_instruction_on_a_part_is_over(
    kind: ChangeKind, first: int, last: int
) -> None:
    async def story(stage: Stage) -> None:
        hold = stage.place(units=100, first=1)
        stage.world.must("hub", op.Dispatch(hold=hold, attempt=1, instruction=bytes(32)))
        intake, waiting = open_intake(stage, Unaware())
        assert tell(await intake.take("puro", [change("e1", kind, first, last)], "B")) == ["contradicted"]
        assert await restricted(stage) == ([(101, 150)] if last > 100 else []), "the ledger takes a part for expected"
        assert len(waiting.list_all("puro")) == 1
        assert await retry(stage, intake) == []
        evidence = op.Evidence(digest=EVIDENCE.digest, grade="B", reference="refused")
        stage.world.must("hub", op.Release(hold=hold, reason="refused", evidence=evidence))
        assert await retry(stage, intake) == ["contradicted"]
        found = await restricted(stage)
        assert (found[0][0], found[-1][1], sum(high - low + 1 for low, high in found)) == (first, last, 100)
        assert waiting.list_all("puro") == []

    play(story)


def test_what_was_taken_back_before_the_instruction_was_over_is_held_against_nobody() -> None:
    async def story(stage: Stage) -> None:
        hold = stage.place(units=100, first=1)
        stage.world.must("hub", op.Dispatch(hold=hold, attempt=1, instruction=bytes(32)))
        intake, waiting = open_intake(stage, Unaware())
        await intake.take("puro", [change("e1", RETIRED, 1, 100, reference="own")], "B")
        part = change("e2", ChangeKind.REVERSED, 1, 50, at_ms=2, reference="own")
        assert tell(await intake.take("puro", [part], "B")) == ["nothing-to-reverse"]
        assert len(waiting.list_all("puro")) == 1, "of a part nobody knows what to think"
        back = change("e3", ChangeKind.REVERSED, 1, 100, at_ms=2, reference="own")
        assert tell(await intake.take("puro", [back], "B")) == ["noted"]
        evidence = op.Evidence(digest=EVIDENCE.digest, grade="B", reference="refused")
        stage.world.must("hub", op.Release(hold=hold, reason="refused", evidence=evidence))
        assert await retry(stage, intake) == []
        assert await restricted(stage) == []

    play(story)


def test_what_was_done_as_asked_waits_no_more_once_it_is_recorded() -> None:
    async def story(stage: Stage) -> None:
        hub = stage.hub()
        hold = stage.place(units=100, first=1)
        await hub.step()
        intake, waiting = open_intake(stage, hub)
        early = change("e1", RETIRED, 1, 100, key=hold.hex())
        assert tell(await intake.take("puro", [early], "B")) == ["dispatched"]
        assert len(waiting.list_all("puro")) == 1, "its look-ups do not show it yet"
        asked = hub.figures.asked
        assert await retry(stage, intake) == []
        assert hub.figures.asked == asked, "the dispatcher asks when it is time"
        stage.later(DAY_MS)
        assert (await stage.settle(hub, hold)).phase == "CAPTURED"
        assert await retry(stage, intake) == ["known"]
        assert waiting.list_all("puro") == []
        assert await restricted(stage) == []

    play(story, approval_ms=DAY_MS)


def test_other_serials_are_asked_about_again_and_never_disputed_while_the_instruction_is_open() -> None:
    async def story(stage: Stage) -> None:
        hub = stage.hub()
        hold = stage.place(units=100, first=201)
        await hub.step()
        intake, waiting = open_intake(stage, hub)
        other = change("e1", RETIRED, 1, 100, key=hold.hex())
        assert tell(await intake.take("puro", [other], "B")) == ["dispatched"]
        asked = hub.figures.asked
        assert await retry(stage, intake) == []
        assert hub.figures.asked == asked + 1
        assert (len(waiting.list_all("puro")), await restricted(stage)) == (1, [])

    play(story, approval_ms=DAY_MS)
