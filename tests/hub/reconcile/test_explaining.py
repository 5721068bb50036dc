"""What ended at a registry that chooses serials is an open instruction's doing only while nothing proves otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.contract import ChangeKind, HoldingState
from adapters.sandbox.puro import ACCOUNTS
from hub.reconcile.classes import Difference, Kind
from hub.reconcile.join import Row
from hub.reconcile.report import Ages, Line, Run
from hub.reconcile.rules import Action
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import DAY_MS, EVIDENCE, SETTLING_MS, UNITS, Stage, play
from tests.hub.inbound.scene import change, open_hub
from tests.hub.reconcile.test_pools_and_blocks import link
from tests.hub.reconcile.test_reconcile import Listing, open_reconciler, shown, tell
from tests.node.reads.trading_world import hold_id

RETIRED, CANCELLED = HoldingState.RETIRED, HoldingState.CANCELLED
GIVEN_BACK = op.Evidence(digest=EVIDENCE.digest, grade="B", reference="letter")


def books(first: int, last: int, state: HoldingState = RETIRED) -> Listing:
    rows = [shown(1, first - 1), shown(first, last, state), shown(last + 1, UNITS)]
    return Listing(*(row for row in rows if row.serials.units))


def named(run: Run) -> list[tuple[str, int, int, str]]:
    """Units told as ended there and live here, by class."""
    told = [line for line in run.lines if line.difference.here and line.difference.here.state == "FREE"]
    return [(d.kind.value, d.first, d.last, action.value) for d, action, *_ in told]


def test_what_an_ended_hold_still_had_at_the_desk_is_named_while_another_hold_waits() -> None:
    async def story(stage: Stage) -> None:
        hub = stage.hub()
        first = stage.place("one", 100, first=1)
        await hub.step()
        stage.later(DAY_MS // 2)
        stage.world.must("hub", op.Release(hold=first, reason="its letter: never received", evidence=GIVEN_BACK))
        await hub.step()
        second = stage.place("two", 100, first=201)
        await hub.step()
        stage.later(DAY_MS // 2)
        assert stage.effects == {first.hex(): 100}, "the desk did what nobody waits for any more"
        reconciler = open_reconciler(stage, hub=hub)
        run = await reconciler.reconcile("puro")
        assert named(run) == [("late", 1, 100, "heal")], "the registry may have used these for the other"
        stage.later(SETTLING_MS)
        run = await reconciler.reconcile("puro", run)
        assert named(run) == [("state", 1, 100, "restrict")]
        assert [each.claimed for each in await stage.ledger.discrepancies()] == ["RETIRED"]
        stage.later(DAY_MS // 2)
        assert (await stage.settle(hub, second)).phase == "CAPTURED"
        run = await reconciler.reconcile("puro", run)
        assert tell(run) == [("agreed", UNITS - 100, ""), ("state", 100, "restrict")]
        assert [line.outcome for line in run.lines] == ["restricted already"]

    play(story, approval_ms=DAY_MS)


def test_serials_that_the_hold_itself_used_are_never_put_down_to_nobody() -> None:
    async def story(stage: Stage) -> None:
        hub = stage.hub()
        hold = stage.place("one", 100, first=201)
        await hub.step()
        reconciler = open_reconciler(stage, books(1, 100), hub)
        run = await reconciler.reconcile("puro")
        stage.later(SETTLING_MS - 1)
        run = await reconciler.reconcile("puro", run)
        assert named(run) == [("in flight", 1, 100, "heal")], "a look-up may show books as old as that"
        fresh = await reconciler.reconcile("puro")
        stage.later(2)
        assert named(await reconciler.reconcile("puro", fresh)) == [("in flight", 1, 100, "heal")], "seen just now"
        assert (await stage.hold(hold)).phase == "INSTRUCTED"

    play(story, approval_ms=DAY_MS)


@pytest.mark.parametrize("state", [RETIRED, CANCELLED])
def test_a_hold_explains_only_what_it_asks_for(state: HoldingState) -> None:
    async def story(stage: Stage) -> None:
        hub = stage.hub()
        stage.place("one", 100, first=201)
        await hub.step()
        run = await open_reconciler(stage, books(1, 100, state), hub).reconcile("puro")
        assert named(run) == [("in flight", 1, 100, "heal") if state is RETIRED else ("state", 1, 100, "restrict")]

    play(story, approval_ms=DAY_MS)


def test_a_registry_may_have_used_what_another_hold_reserves() -> None:
    async def story(stage: Stage) -> None:
        hub = stage.hub()
        stage.place("one", 100, first=201)
        await hub.step()
        stage.place("two", 100, first=1)
        run = await open_reconciler(stage, books(1, 100), hub).reconcile("puro")
        found = [line for line in run.lines if line.difference.here and line.difference.here.state == "HELD"]
        assert [(line.difference.kind, line.action) for line in found] == [(Kind.IN_FLIGHT, Action.HEAL)]
        assert found[0].difference.here
        assert found[0].difference.here.reference == hold_id("one").hex()
        assert await stage.ledger.discrepancies() == []

    play(story, approval_ms=DAY_MS)


def test_a_transfer_explains_no_end() -> None:
    async def story(stage: Stage) -> None:
        link(stage, "alice/other", ACCOUNTS[1])
        part = op.Selection(ranges=[op.Range(batch="corc-1", first=201, units=100)])
        purpose: Any = {"purpose": op.Hold.FOR_TRANSFER, "to_account": "alice/other"}
        until = stage.world.now_ms + DAY_MS
        hold = op.Hold(hold=hold_id("move"), account="alice/puro", selection=part, expires_ms=until, **purpose)
        stage.world.must("alice", hold)
        stage.world.must("hub", op.Dispatch(hold=hold.hold, attempt=1, instruction=bytes(32)))
        run = await open_reconciler(stage, books(1, 100)).reconcile("puro")
        assert named(run) == [("state", 1, 100, "restrict")]

    play(story)


def test_what_was_named_before_a_hold_was_instructed_stays_named() -> None:
    async def story(stage: Stage) -> None:
        hub, listing = stage.hub(), books(1, 100)
        reconciler = open_reconciler(stage, listing, hub)
        run = await reconciler.reconcile("puro")
        assert named(run) == [("state", 1, 100, "restrict")]
        stage.later(1_000)
        stage.place("one", 200, first=201)
        await hub.step()
        again = await reconciler.reconcile("puro", run)
        assert named(again) == [("state", 1, 100, "restrict")]
        assert [line.outcome for line in again.lines if line.action is Action.RESTRICT] == ["restricted already"]
        forgotten = await reconciler.reconcile("puro")
        assert named(forgotten) == [("state", 1, 100, "restrict")], "the ledger knows it as well"

    play(story, approval_ms=DAY_MS)


def test_units_of_which_a_public_list_told_before_stay_a_question() -> None:
    async def story(stage: Stage) -> None:
        hub, listing = stage.hub(), books(1, 100)
        listing.grade = "C"
        reconciler = open_reconciler(stage, listing, hub)
        run = await reconciler.reconcile("puro")
        stage.later(1_000)
        stage.place("one", 200, first=201)
        await hub.step()
        again = await reconciler.reconcile("puro", run)
        assert named(again) == [("state", 1, 100, "ask")]
        listing.rows = [shown(1, 150, RETIRED), shown(151, UNITS)]
        grown = await reconciler.reconcile("puro", again)
        assert named(grown) == [("in flight", 1, 150, "heal")], "of a part it was not known before"

    play(story, approval_ms=DAY_MS)


def test_news_that_was_about_no_instruction_is_no_step_of_one() -> None:
    async def story(stage: Stage) -> None:
        opened = open_hub(stage)
        stage.place("one", 100, first=201)
        await opened.dispatch.step()
        await opened.intake.take("puro", [change("e1", ChangeKind.RETIRED, 1, 40)], "B")
        run = await open_reconciler(stage, books(1, 100), opened.dispatch).reconcile("puro")
        assert named(run) == [("state", 1, 40, "restrict"), ("in flight", 41, 100, "heal")]

    play(story, approval_ms=DAY_MS)


def test_a_hold_on_units_of_another_project_explains_nothing() -> None:
    async def story(stage: Stage) -> None:
        world = stage.world
        world.must("hub", op.RegisterProject(project="other", programme="corc", name="Other char", host="FI"))
        seen = [op.Observation(first_number="20001", units=100, status=op.Observation.ACTIVE)]
        facts: Any = {"first_number": "20001", "units": 100, "extent": op.Issue.AT_LEAST, "observations": seen}
        issue = op.Issue(batch="corc-2", project="other", programme="corc", space="puro:other", **facts)
        issue.evidence.CopyFrom(EVIDENCE)
        world.must("hub", issue, approvals=("hub",))
        found = (await stage.ledger.lots(batch="corc-2"))[0].range
        claimed = op.Link(account="alice/puro", registry="puro", registry_account=ACCOUNTS[0], hub="hub")
        claimed.MergeFrom(op.Link(control=op.Link.CUSTODY, claims=[found], evidence=EVIDENCE))
        world.must("alice", claimed, approvals=("alice", "hub"))
        hub = stage.hub()
        stage.place("one", 200, first=201)
        await hub.step()
        rows = [shown(1, UNITS), shown(20_001, 20_100, RETIRED)]
        rows[1] = rows[1]._replace(serials=rows[1].serials._replace(space="puro:other"))
        run = await open_reconciler(stage, Listing(*rows), hub).reconcile("puro")
        assert named(run) == [("state", 20_001, 20_100, "restrict")]

    play(story, approval_ms=DAY_MS)


def line(first: int, last: int, since: int, kind: Kind, state: str = "FREE") -> Line:
    there, here = Row(first, last, "a", "retired"), Row(first, last, "a", state)
    return Line(Difference("s", first, last, kind, there, here, since_ms=since), Action.ASK, None)


def test_since_when_all_of_some_units_are_known_to_have_ended_there() -> None:
    state, flight, waits = Kind.STATE, Kind.IN_FLIGHT, "INSTRUCTED"
    known = Ages(
        [line(1, 10, 5, state), line(11, 20, 8, flight), line(21, 30, 1, flight, waits), line(35, 40, 2, state)]
    )
    asked = [(1, 10), (3, 4), (5, 15), (11, 12), (15, 21), (21, 30), (31, 32), (34, 36), (36, 41)]
    assert [known.find_whole(line(*each, 0, state).difference) for each in asked] == [5, 5, 8, 8, 0, 0, 0, 0, 0]
