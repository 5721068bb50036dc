"""What a person running a hub sees: what cannot be said, order, several messages, news, the loop itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapters.capabilities import Capabilities
from adapters.contract import Change, ChangeKind
from adapters.sandbox.faults import Fault, FaultKind
from hub.dispatch.run import Dispatcher
from hub.dispatch.seat import describe_buyer
from hub.dispatch.wording import join_ranges
from keeling.serials import parse
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import DAY_MS, SERIAL, Stage, play
from tests.node.reads.trading_world import hold_id


class Otherwise:
    """The adapter with other capabilities."""

    def __init__(self, stage: Stage, **changed: Any) -> None:
        self._adapter, self._changed = stage.adapter, changed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    @property
    def capabilities(self) -> Capabilities:
        return self._adapter.capabilities._replace(**self._changed)


def test_what_the_registry_has_no_words_for_is_never_dispatched() -> None:
    async def story(stage: Stage) -> None:
        hold = op.Hold(
            hold=hold_id("cancel"),
            account="alice/puro",
            selection=op.Selection(units=5),
            purpose=op.Hold.FOR_CANCELLATION,
            expires_ms=stage.world.now_ms + DAY_MS,
        )
        stage.world.must("alice", hold)
        hub = stage.hub()
        await hub.step()
        assert (await stage.hold(hold.hold)).phase == "OPEN"
        assert "cannot be asked to cancel" in hub.backlog()[0].alert
        stage.later(DAY_MS)
        await hub.step()
        assert (await stage.hold(hold.hold)).phase == "EXPIRED"
        assert hub.backlog() == []

    play(story)


def test_holds_of_others_are_left_alone() -> None:
    async def story(stage: Stage) -> None:
        stage.place()
        stage.ledger.participant = "bob"
        await Dispatcher(stage.seat("bob")).step()
        assert stage.ledger.said == []

    play(story)


def test_what_goes_wrong_with_one_hold_is_raised_when_all_others_are_as_far_as_they_go() -> None:
    def describe(hold: pb.HoldInfo) -> dict[str, str]:
        if hold.hold == hold_id("bad"):
            raise OSError("the disk is full")
        return describe_buyer(hold)

    async def story(stage: Stage) -> None:
        bad, good = stage.place("bad"), [stage.place(f"good {n}") for n in range(3)]
        hub = Dispatcher(stage.seat("hub")._replace(details=describe))
        with pytest.raises(OSError, match="disk is full"):
            await hub.step()
        assert [(await stage.hold(each)).phase for each in good] == ["CAPTURED"] * 3
        assert (await stage.hold(bad)).phase == "OPEN"

    play(story)


def test_many_ranges_go_in_several_messages_each_with_a_key_of_its_own() -> None:
    async def story(stage: Stage) -> None:
        ranges = [op.Range(batch="corc-1", first=1 + 20 * n, units=10) for n in range(5)]
        hold = op.Hold(
            hold=hold_id("many"),
            account="alice/puro",
            selection=op.Selection(ranges=ranges),
            purpose=op.Hold.FOR_RETIREMENT,
            expires_ms=stage.world.now_ms + DAY_MS,
        )
        stage.world.must("alice", hold)
        stage.sandbox.faults.add(
            Fault(FaultKind.CUT_BEFORE, "^POST", skip=1), Fault(FaultKind.CUT_AFTER, "^POST", skip=1)
        )
        found = await stage.settle(stage.hub(adapter=Otherwise(stage, lots_max=2)), hold.hold)
        assert (found.phase, found.captured, found.attempt) == ("CAPTURED", 50, 2)
        name = hold.hold.hex()
        assert stage.effects == {name: 20, f"{name}-2": 20, f"{name}-3": 10}

    play(story)


def test_one_at_a_time_where_the_registry_wants_it_so() -> None:
    async def story(stage: Stage) -> None:
        holds = [stage.place("one"), stage.place("two")]
        hub = stage.hub(adapter=Otherwise(stage, in_order=True))
        await hub.step()
        phases = [(await stage.hold(hold)).phase for hold in holds]
        assert sorted(phases) == ["INSTRUCTED", "OPEN"]
        for hold in holds:
            assert (await stage.settle(hub, hold)).phase == "CAPTURED"

    play(story, approval_ms=60_000)


@pytest.mark.parametrize("said", ["key", "reference", "serials"])
def test_news_about_a_hold_is_asked_about_at_once(said: str) -> None:
    async def story(stage: Stage) -> None:
        hold = stage.place()
        hub = stage.hub()
        await hub.step()
        reference = next(iter(stage.sandbox.desk.orders))
        news = Change("e1", ChangeKind.RETIRED, stage.world.now_ms)
        known: dict[str, dict[str, Any]] = {
            "key": {"key": hold.hex()},
            "reference": {"reference": reference},
            "serials": {"serials": parse(SERIAL).part(50, 60)},
        }
        about = known[said]
        stage.sandbox.clock.advance(60_000)
        assert not await hub.hear("puro", news._replace(key="somebody else's"))
        assert not await hub.hear("verra", news._replace(**about))
        if said == "serials":
            for kind in (ChangeKind.TRANSFERRED, ChangeKind.BLOCKED, ChangeKind.REVERSED):
                assert not await hub.hear("puro", news._replace(kind=kind, **about))
        assert (await stage.hold(hold)).phase == "INSTRUCTED"
        assert await hub.hear("puro", news._replace(**about))
        assert (await stage.hold(hold)).phase == "CAPTURED"

    play(story, approval_ms=60_000)


def test_news_is_taken_by_a_hub_that_has_just_started() -> None:
    """Else a retirement that we asked for would be attested as if nobody had, and freeze the units."""

    async def story(stage: Stage) -> None:
        hold = stage.place()
        await stage.hub().step()
        stage.sandbox.clock.advance(60_000)
        news = Change("e1", ChangeKind.RETIRED, stage.world.now_ms, serials=parse(SERIAL).part(1, 100))
        assert not await stage.hub().hear("puro", news._replace(key="ff" * 16))
        assert not await stage.hub().hear("puro", news._replace(serials=parse(SERIAL).part(900, 901)))
        assert not await stage.hub().hear("puro", news._replace(kind=ChangeKind.TRANSFERRED))
        assert await stage.hub().hear("puro", news._replace(key=hold.hex()))
        assert (await stage.hold(hold)).phase == "CAPTURED"

    play(story, approval_ms=60_000)


def test_the_loop_does_what_is_placed_while_it_runs() -> None:
    async def story(stage: Stage) -> None:
        hub, stop = stage.hub(), asyncio.Event()
        running = asyncio.create_task(hub.run(stop))
        hold = stage.place()
        hub.wake()
        async with asyncio.timeout(60):
            while (await stage.hold(hold)).phase != "CAPTURED":
                hub.wake()
                await asyncio.sleep(0.01)
            stop.set()
            await running
        assert (await stage.hold(hold)).phase == "CAPTURED"

    play(story)


def test_a_late_outcome_near_the_years_end_is_a_risk() -> None:
    async def story(stage: Stage) -> None:
        stage.place()
        hub = stage.hub()
        await hub.step()
        assert not hub.backlog()[0].at_risk

        class Slow(Otherwise):
            def expects(self, instruction: object, at_ms: int) -> int:
                return at_ms + 400 * DAY_MS

        slow = stage.hub(adapter=Slow(stage))
        await slow.step()
        assert slow.backlog()[0].at_risk

    play(story, approval_ms=DAY_MS)


def test_ranges_read_the_same_however_they_were_cut() -> None:
    def cut(*parts: tuple[str, int, int]) -> list[op.Range]:
        return join_ranges(op.Range(batch=b, first=f, units=u) for b, f, u in parts)

    assert cut(("a", 5, 5), ("b", 1, 1), ("a", 0, 5)) == cut(("a", 0, 10), ("b", 1, 1))
    assert len(cut(("a", 0, 5), ("a", 6, 1))) == 2


def test_what_becomes_of_a_hold_is_told_step_by_step() -> None:
    async def story(stage: Stage) -> None:
        said: list[tuple[str, dict[str, Any]]] = []
        hub = Dispatcher(stage.seat("hub")._replace(tell=lambda told, about: said.append((told, dict(about)))))
        hold = stage.place()
        stage.sandbox.faults.add(Fault(FaultKind.CUT_AFTER, "^POST"))
        await hub.step()
        assert (await stage.hold(hold)).phase == "CAPTURED"
        assert {(about["hold"], about["registry"]) for _, about in said} == {(hold.hex(), "puro")}
        assert [told for told, _ in said] == ["dispatched", "sent", "captured"]
        dispatched, sent, captured = (about for _, about in said)
        assert (dispatched["attempt"], dispatched["account"]) == (1, "alice/puro")
        assert (sent["answer"], sent["reference"], bool(sent["why"])) == ("Unknown", "", True)
        assert (captured["units"], bool(captured["reference"])) == (100, True)

    play(story)


def test_a_no_is_told_with_its_reason_and_what_came_of_it() -> None:
    async def story(stage: Stage) -> None:
        said: list[tuple[str, dict[str, Any]]] = []
        hub = Dispatcher(stage.seat("hub")._replace(tell=lambda told, about: said.append((told, dict(about)))))
        hold = stage.place()
        stage.sandbox.faults.add(Fault(FaultKind.REFUSE, "^DESK"))
        await hub.step()
        assert (await stage.hold(hold)).phase == "RELEASED"
        assert [told for told, _ in said] == ["dispatched", "sent", "released"]
        assert said[-1][1]["units"] == 100

    play(story)
