"""Proposals of registries: shown to people, decided once, on the ledger before the first byte, carried to an end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from adapters.capabilities import Action
from adapters.contract import Changes, Instruction, Report
from adapters.national_62 import SYSTEM as NATIONAL
from adapters.sandbox import national_62
from adapters.sandbox import uk_ets as uk_sandbox
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.desk import OrderStatus
from adapters.sandbox.exchange import ExchangeSandbox
from adapters.sandbox.faults import Fault, FaultKind
from adapters.uk_ets import SYSTEM as UK_ETS
from hub.dispatch.answering import DECIDED, Answering, CannotDecide
from hub.dispatch.lines import Lines
from hub.dispatch.seat import Seat, describe_buyer
from hub.inbound.intake import Desk, Intake
from hub.inbound.proposals import Proposals, Rule
from hub.ledger_client import LedgerRefusal, OutcomeUnknown
from keeling.serials import SerialRange, parse
from keeling.v1 import operations_pb2 as op
from tests.adapters.article6_stand import secrets_for
from tests.hub.dispatch.test_slow_registries import SECRETS, Scene, open_scene, open_world
from tests.hub.memory_ledger import lose_answer
from tests.node.reads.trading_world import DIGEST

HOUR_MS = 3_600_000
LOT = parse("CA0004-KEN01-KEN-1-2023 - CA0004-KEN01-KEN-500-2023")


class Office:
    """A hub's intake and answers, which remember nothing when they are made."""

    def __init__(self, scene: Scene, rules: tuple[Rule, ...] = ()) -> None:
        self.scene, self.proposals = scene, Proposals()
        self.ledger = scene.ledger
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        seat = Seat(
            participant="hub",
            ledger=self.ledger,
            adapters={scene.adapter.name: scene.adapter},
            keep=lambda _: DIGEST,
            now_ms=lambda: scene.world.now_ms,
            jitter=lambda: 500,
            details=describe_buyer,
            limits={scene.adapter.name: ()},
            tell=lambda *said: self.told.append(said),
        )
        self.answering = Answering(seat, Lines(seat), self.proposals, rules)
        desk = Desk(self.ledger, seat.adapters, scene.hub(), seat.keep, self.proposals)
        self._intake = Intake(desk)

    async def poll(self) -> list[str]:
        page = await self.scene.adapter.changes("")
        assert isinstance(page, Changes)
        return [each.outcome.value for each in await self._intake.take(self.scene.adapter.name, page.items, "A")]

    async def decide(self, action: Action, reference: str = "", by: str = "asha") -> None:
        line = self.answering.list_open()[0]
        await self.answering.decide(self.scene.adapter.name, reference or line.proposal.reference, action, by, "agreed")

    async def settle(self, rounds: int = 30) -> list[tuple[str, str]]:
        for _ in range(rounds):
            await self.answering.step()
            if self.answering.answered:
                break
            self.scene.later(HOUR_MS // 10)
        return [(each.decided, each.outcome) for each in self.answering.answered]


def play(story: Callable[[Scene, ExchangeSandbox], Awaitable[None]]) -> None:
    """At Ghana's registry, to whose account in the ledger's care Kenya proposes 500 ITMOs."""

    async def run() -> None:
        filled = national_62.NationalSandbox(SandboxClock()).fill(1_000)
        world = open_world("national_62", filled, {"alice/it": national_62.ACCOUNT}, HOUR_MS, op.Link.CUSTODY)
        sandbox = national_62.NationalSandbox(SandboxClock(world.now_ms))
        sandbox.fill(1_000)
        sandbox.book.issue(world.now_ms, LOT, "KEN01:ETS-1")
        async with open_scene(NATIONAL, sandbox, world, secrets_for(sandbox)) as scene:
            sandbox.propose("KEN-77", "KEN01:ETS-1", national_62.ACCOUNT, (LOT,))
            await story(scene, sandbox)

    asyncio.run(run())


def anchors(scene: Scene) -> list[Any]:
    return [said for said in scene.ledger.said if isinstance(said, op.Anchor)]


def ours(sandbox: ExchangeSandbox, lot: SerialRange = LOT) -> int:
    rows = sandbox.book.touch(lot)
    return sum(row.serials.units for row in rows if row.account == national_62.ACCOUNT)


def test_a_proposal_waits_for_a_person_and_shows_when_it_will_end() -> None:
    async def story(scene: Scene, sandbox: ExchangeSandbox) -> None:
        office = Office(scene)
        assert "proposed" in await office.poll()
        assert "proposed" not in await office.poll(), "told again, it is the same"
        await office.answering.step()
        (line,) = office.answering.list_open()
        assert (line.proposal.units, line.proposal.account, line.decided) == (500, "KEN01:ETS-1", "")
        assert line.why == "waits for a person to accept or decline"
        assert line.proposal.due_ms == sandbox.clock.now_ms + 24 * HOUR_MS
        assert not line.at_risk
        scene.later(21 * HOUR_MS)
        assert office.answering.list_open()[0].at_risk
        assert not anchors(scene), "nothing was decided"
        scene.later(4 * HOUR_MS)
        assert not office.answering.list_open(), "it ran out"

    play(story)


@pytest.mark.parametrize("action", [Action.ACCEPT, Action.DECLINE])
def test_a_decision_is_on_the_ledger_before_it_is_sent_and_reaches_the_registry(action: Action) -> None:
    async def story(scene: Scene, sandbox: ExchangeSandbox) -> None:
        office = Office(scene)
        await office.poll()
        await office.decide(action)
        document, decision = anchors(scene)
        assert not document.name.startswith(DECIDED)
        assert decision.name.startswith(DECIDED)
        assert decision.name.endswith(f"/{action.value}")
        assert not [label for label, _ in sandbox.received if "acceptNotification" in label]
        assert await office.settle() == [(action.value, "accepted" if action is Action.ACCEPT else "declined")]
        assert ours(sandbox) == (500 if action is Action.ACCEPT else 0)
        assert not office.answering.list_open()

    play(story)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("kind", [FaultKind.CUT_BEFORE, FaultKind.CUT_AFTER])
def test_a_lost_answer_is_asked_about_and_a_restart_carries_on(kind: FaultKind, restarted: bool) -> None:
    async def story(scene: Scene, sandbox: ExchangeSandbox) -> None:
        office = Office(scene)
        await office.poll()
        await office.decide(Action.ACCEPT)
        sandbox.faults.add(Fault(kind, "^POST"), Fault(FaultKind.MAINTENANCE, "^GET", value=60))
        await office.answering.step()
        if restarted:
            office = Office(scene)
            while await office.proposals.read_all("national_62", scene.adapter) is not None:
                scene.later(HOUR_MS // 10)
        settled = await office.settle()
        if restarted and kind is FaultKind.CUT_AFTER:
            assert settled == [], "the registry's events tell that it is over"
            assert not office.answering.list_open()
        else:
            assert settled == [("accept", "accepted")]
        assert ours(sandbox) == 500
        assert len({each.name for each in anchors(scene) if each.name.startswith(DECIDED)}) == 1

    play(story)


def test_two_hubs_cannot_decide_differently() -> None:
    async def story(scene: Scene, sandbox: ExchangeSandbox) -> None:
        one, other = Office(scene), Office(scene)
        await one.poll()
        await other.poll()
        await other.answering.step()
        await one.decide(Action.DECLINE)
        with pytest.raises(CannotDecide, match="decided otherwise before"):
            await other.decide(Action.ACCEPT, by="ravi")
        assert other.answering.list_open()[0].decided == "decline"
        assert await other.settle() == [("decline", "declined")], "any hub carries it"
        assert await one.settle() == [("decline", "declined")]
        assert ours(sandbox) == 0

    play(story)


def test_a_decision_whose_record_got_no_answer_may_be_made_again() -> None:
    async def story(scene: Scene, sandbox: ExchangeSandbox) -> None:
        office = Office(scene)
        await office.poll()
        for took_effect in (False, True):
            lose_answer(op.Anchor, office.ledger, took_effect=took_effect)
            with pytest.raises(OutcomeUnknown):
                await office.decide(Action.ACCEPT)
        await office.decide(Action.ACCEPT)
        assert await office.settle() == [("accept", "accepted")]
        assert ours(sandbox) == 500

    play(story)


RULE = Rule("kenya", "national_62", Action.ACCEPT, frozenset({"KEN01:ETS-1"}), 500)


@pytest.mark.parametrize(
    ("rule", "decided"),
    [(RULE, True), (RULE._replace(units_most=499), False), (RULE._replace(accounts=frozenset({"UGA01:X"})), False)],
)
def test_a_rule_decides_what_it_was_made_for_and_nothing_else(rule: Rule, decided: bool) -> None:
    async def story(scene: Scene, sandbox: ExchangeSandbox) -> None:
        office = Office(scene, (rule,))
        await office.poll()
        assert await office.settle(3) == ([("accept", "accepted")] if decided else [])
        assert ours(sandbox) == (500 if decided else 0)

    play(story)


def test_a_rule_that_cannot_decide_is_told_once_and_stops_nothing() -> None:
    """Five weeks old: the ledger takes no decision about it any more. Another one, of today, is answered."""

    async def run() -> None:
        serials = parse("UKA-10000002000-10000002999")
        world = open_world("uk_ets", serials, {"alice/uk": uk_sandbox.OURS}, 600_000, op.Link.CUSTODY)
        sandbox = uk_sandbox.UkEtsSandbox(SandboxClock(world.now_ms), approval_ms=None)
        sandbox.fill(1_000)
        async with open_scene(UK_ETS, sandbox, world, SECRETS) as scene:
            said = []
            for first in (10000002000, 10000002500):
                lots = (parse(f"UKA-{first}-{first + 99}"),)
                portal = Instruction(f"colleague-{first}", Action.CANCEL, uk_sandbox.OURS, lots)
                said.append(await scene.adapter.instruct(portal))
                scene.later(35 * 24 * HOUR_MS if len(said) == 1 else 0)
            old, fresh = (each.reference for each in said if isinstance(each, Report))
            office = Office(scene, (Rule("uk", "uk_ets", Action.DECLINE, frozenset({uk_sandbox.OURS}), 100),))
            await office.poll()
            assert await office.settle() == [("decline", "declined")]
            (line,) = office.answering.list_open()
            assert (line.proposal.reference, line.decided) == (old, "")
            assert line.why == "waits for a person to accept or decline"
            why = f"rule uk says decline and cannot: {old} is too old to be decided here: answer it at uk_ets"
            assert line.alert == why
            decided = len(anchors(scene))
            for _ in range(3):
                await office.answering.step()
            assert len(anchors(scene)) == decided, "not tried at every step"
            scene.later(HOUR_MS)
            await office.answering.step()
            assert len(anchors(scene)) > decided, "but again after a while"
            about = {"registry": "uk_ets", "reference": old, "why": why}
            assert office.told == [("a rule cannot decide a proposal", about)], "once"
            assert [order.status for order in sandbox.desk.orders.values()][1] == OrderStatus.WITHDRAWN, fresh

    asyncio.run(run())


def test_a_ledger_that_refuses_a_rules_record_is_a_state_and_a_person_may_still_decide() -> None:
    async def story(scene: Scene, sandbox: ExchangeSandbox) -> None:
        office = Office(scene, (RULE,))
        await office.poll()
        submit = office.ledger.submit

        async def refuse(*said: Any, **more: Any) -> Any:
            raise LedgerRefusal("the hub's key may not hand this in")

        office.ledger.submit = refuse  # type: ignore[method-assign]
        await office.answering.step()
        assert "says accept and cannot: the hub's key may not" in office.answering.list_open()[0].alert
        office.ledger.submit = submit  # type: ignore[method-assign]
        await office.decide(Action.DECLINE)
        assert office.answering.list_open()[0].alert == ""
        assert await office.settle() == [("decline", "declined")]
        assert ours(sandbox) == 0

    play(story)


def test_what_cannot_be_decided() -> None:
    async def story(scene: Scene, _: ExchangeSandbox) -> None:
        office = Office(scene)
        await office.poll()
        for action, reference, by, words in (
            (Action.ACCEPT, "GHA0009999", "asha", "no open proposal"),
            (Action.ACCEPT, "", "", "names who decides"),
            (Action.RETIRE, "", "asha", "accepted or declined, not retire"),
        ):
            with pytest.raises(CannotDecide, match=words):
                await office.decide(action, reference, by)
        assert not anchors(scene)

    play(story)


@pytest.mark.parametrize("action", [Action.ACCEPT, Action.DECLINE])
def test_the_second_representative_of_the_uk_registry_is_a_person_at_the_hub(action: Action) -> None:
    async def run() -> None:
        serials = parse("UKA-10000002000-10000002999")
        world = open_world("uk_ets", serials, {"alice/uk": uk_sandbox.OURS}, 600_000, op.Link.CUSTODY)
        sandbox = uk_sandbox.UkEtsSandbox(SandboxClock(world.now_ms), approval_ms=None)
        sandbox.fill(1_000)
        async with open_scene(UK_ETS, sandbox, world, SECRETS) as scene:
            asked = (parse("UKA-10000002000-10000002099"),)
            portal = Instruction("by-a-colleague", Action.CANCEL, uk_sandbox.OURS, asked)
            assert isinstance(await scene.adapter.instruct(portal), Report)
            office = Office(scene)
            assert await office.poll() == ["proposed"]
            (line,) = office.answering.list_open()
            assert (line.proposal.units, line.proposal.due_ms, line.proposal.request) == (100, 0, "6000000")
            await office.decide(action)
            assert await office.settle() == [(action.value, "accepted" if action is Action.ACCEPT else "declined")]
            scene.later(HOUR_MS)
            status = OrderStatus.DONE if action is Action.ACCEPT else OrderStatus.WITHDRAWN
            assert [order.status for order in sandbox.desk.orders.values()] == [status]

    asyncio.run(run())


def test_an_answer_that_comes_too_late_says_so() -> None:
    async def run() -> None:
        serials = parse("UKA-10000002000-10000002999")
        world = open_world("uk_ets", serials, {"alice/uk": uk_sandbox.OURS}, 600_000, op.Link.CUSTODY)
        sandbox = uk_sandbox.UkEtsSandbox(SandboxClock(world.now_ms), approval_ms=None)
        sandbox.fill(1_000)
        async with open_scene(UK_ETS, sandbox, world, SECRETS) as scene:
            asked = (parse("UKA-10000002000-10000002099"),)
            portal = Instruction("by-a-colleague", Action.CANCEL, uk_sandbox.OURS, asked)
            said = await scene.adapter.instruct(portal)
            assert isinstance(said, Report)
            office = Office(scene)
            await office.poll()
            task = {"request": office.answering.list_open()[0].proposal.request}
            no = Instruction("elsewhere", Action.DECLINE, uk_sandbox.OURS, asked, "", said.reference, task)
            assert isinstance(await scene.adapter.instruct(no), Report)
            await office.decide(Action.ACCEPT)
            ((decided, outcome),) = await office.settle()
            assert decided == "accept"
            assert outcome.startswith("not taken: too late")

    asyncio.run(run())
