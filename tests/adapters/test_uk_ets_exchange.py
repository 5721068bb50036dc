"""The UK ETS registry: the contract, and what is its own: two representatives, delays, reservation, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from adapters.capabilities import Action
from adapters.contract import (
    Adapter,
    ChangeKind,
    Driver,
    HoldingState,
    Instruction,
    NothingFound,
    Refused,
    Report,
    Settings,
    Unauthorised,
    Unavailable,
    WrongShape,
)
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.desk import OrderStatus
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.uk_ets import APPROVER, DELETION, INITIATOR, OURS, OUTSIDE, SURRENDER, TRUSTED, UkEtsSandbox
from adapters.uk_ets import SYSTEM
from adapters.uk_ets.hours import print_time
from tests.adapters.exchange_stand import Stand, ended_units
from tests.adapters.exchange_suite import ExchangeSuite

SECRETS = {"initiator": INITIATOR, "approver": APPROVER}
HOUR_MS = 3_600_000
LONDON = ZoneInfo("Europe/London")


def open_uk_ets(settings: Settings) -> Adapter:
    assert SYSTEM.open is not None
    return SYSTEM.open(Driver.SANDBOX, settings)


class UkStand(Stand):
    """Transfers to an account outside the trusted list, unless told otherwise."""

    def instruction(self, units: int = 100, key: str = "a1" * 16, skip: int = 0, **changed: Any) -> Instruction:
        asked = {"action": Action.TRANSFER, "to_account": OUTSIDE, **changed}
        return super().instruction(units, key, skip, **asked)

    def answer(self, action: Action, proposed: Instruction, report: Report) -> Instruction:
        """Approve, reject or withdraw what was proposed."""
        request = {"request": str(5_000_000 + int(report.reference.removeprefix("UK")))}
        return proposed._replace(action=action, key="c3" * 16, answers=report.reference, details=request)


class SurrenderStand(UkStand):
    def instruction(self, units: int = 100, key: str = "a1" * 16, skip: int = 0, **changed: Any) -> Instruction:
        return super().instruction(units, key, skip, **{"action": Action.USE, "to_account": "", **changed})


@asynccontextmanager
async def uk_stand(
    kind: type[UkStand] = UkStand, at: str = "2026-03-20T09:46:40", approval_ms: int | None = 1_800_000
) -> AsyncIterator[UkStand]:
    start = int(datetime.fromisoformat(at).replace(tzinfo=LONDON).timestamp() * 1000)
    sandbox = UkEtsSandbox(SandboxClock(start), approval_ms=approval_ms)
    units = sandbox.fill(10_000)

    def settle() -> None:
        sandbox.clock.advance(approval_ms or 0)
        waiting = [o.due_ms for o in sandbox.desk.orders.values() if o.status is OrderStatus.WAITING]
        sandbox.clock.move_to(max(waiting, default=sandbox.clock.now_ms))

    adapter = open_uk_ets(Settings(await sandbox.start(), SECRETS.__getitem__))
    try:
        yield kind(sandbox, adapter, OURS, units, settle)
    finally:
        await adapter.close()
        await sandbox.stop()


def prove(trial: Callable[[UkStand, UkEtsSandbox], Awaitable[None]], **how: Any) -> None:
    async def run() -> None:
        async with uk_stand(**how) as stand:
            assert isinstance(stand.sandbox, UkEtsSandbox)
            await trial(stand, stand.sandbox)

    asyncio.run(run())


async def propose(stand: UkStand, **changed: Any) -> tuple[Instruction, Report]:
    instruction = stand.instruction(**changed)
    report = await stand.adapter.instruct(instruction)
    assert isinstance(report, Report), report
    return instruction, report


async def units_in(stand: UkStand, state: HoldingState) -> int:
    return sum(row.serials.units for row in await stand.all_holdings() if row.state is state)


class TestUkEts(ExchangeSuite):
    """Transfers outside the trusted list, approved by a person, executed after the delay."""

    refuses = frozenset({400, 403, 404, 406})

    action = Action.TRANSFER
    ended = (ChangeKind.TRANSFERRED,)
    kind = UkStand

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with uk_stand(self.kind) as stand:
            yield stand

    def open_adapter(self, settings: Settings) -> Adapter:
        return open_uk_ets(settings)

    @pytest.mark.parametrize("kind", [FaultKind.PARTIAL, FaultKind.PARTIAL_OPEN])
    def test_part_done_is_not_believed(self, kind: FaultKind) -> None:
        """The registry does a transaction whole or not at all."""

        async def trial(stand: Stand) -> None:
            stand.sandbox.faults.add(Fault(kind, "DESK", value=900))
            answer = await stand.adapter.instruct(stand.instruction())
            assert isinstance(answer, Report)
            stand.settle()
            found = await stand.ask(stand.instruction(), answer)
            assert isinstance(found, WrongShape)
            assert "its blocks hold 90" in found.detail

        self.prove(trial)

    def test_part_done_is_part_refused(self) -> None:
        self.test_part_done_is_not_believed(FaultKind.PARTIAL)

    def test_part_done_may_leave_a_part_open(self) -> None:
        self.test_part_done_is_not_believed(FaultKind.PARTIAL_OPEN)


class TestUkEtsSurrender(TestUkEts):
    """Surrenders: no delay, at any hour."""

    action = Action.USE
    ended = (ChangeKind.USED,)
    kind = SurrenderStand


# -- Friday 12:30 before a bank holiday


def test_a_transfer_outside_the_list_on_a_friday_before_a_bank_holiday() -> None:
    """The time is told beforehand and kept; an hour before it a withdrawal is refused; units are held all along."""

    async def trial(stand: UkStand, sandbox: UkEtsSandbox) -> None:
        calendar = stand.adapter.capabilities.calendar
        assert calendar is not None
        assert (calendar.zone, calendar.opens_minute, calendar.closes_minute) == ("Europe/London", 600, 960)
        assert datetime(2026, 5, 4).date() in calendar.holidays
        now = sandbox.clock.now_ms
        instruction, report = await propose(stand)
        expected = stand.adapter.expects(instruction, now)
        assert print_time(expected) == "Tuesday 5 May 2026 12:31 (Europe/London)"
        assert report.reason == "waits for the second representative"
        assert await units_in(stand, HoldingState.BLOCKED) == 100

        approved = await stand.adapter.instruct(stand.answer(Action.ACCEPT, instruction, report))
        assert isinstance(approved, Report)
        delayed = await stand.ask(instruction, report)
        assert isinstance(delayed, Report)
        assert delayed.due_ms == expected
        assert delayed.reason == "executes Tuesday 5 May 2026 12:31 (Europe/London)"

        sandbox.clock.move_to(expected - HOUR_MS)
        assert await units_in(stand, HoldingState.BLOCKED) == 100
        withdrawal = stand.answer(Action.WITHDRAW, instruction, report)
        refused = await stand.adapter.instruct(withdrawal)
        assert isinstance(refused, Refused)
        assert refused.final
        assert "too near to its execution" in refused.reason
        assert isinstance(await stand.ask(withdrawal), NothingFound)
        assert await units_in(stand, HoldingState.BLOCKED) == 100
        short = await stand.adapter.instruct(stand.instruction(9_901, "d4" * 16))
        assert isinstance(short, Refused)
        assert short.final
        assert "3005" in short.reason

        sandbox.clock.move_to(expected - 1)
        waiting = await stand.ask(instruction, report)
        assert isinstance(waiting, Report)
        assert waiting.pending_units == 100
        assert ended_units(stand) == 0
        sandbox.clock.move_to(expected)
        done = await stand.ask(instruction, report)
        assert isinstance(done, Report)
        assert done.done_units == 100
        assert done.effective is not None
        assert done.effective.ms == expected
        assert await units_in(stand, HoldingState.BLOCKED) == 0
        late = await stand.adapter.instruct(withdrawal)
        assert isinstance(late, Refused)
        assert late.final

    prove(trial, at="2026-05-01T12:30:00", approval_ms=None)


@pytest.mark.parametrize(("closes_ms", "before_ms"), [(7_200_000, 7_200_000), (0, 60_000)])
def test_a_withdrawal_in_time_gives_the_units_back(closes_ms: int, before_ms: int) -> None:
    """Two hours are assumed; the public code names no time but the execution itself."""

    async def trial(stand: UkStand, sandbox: UkEtsSandbox) -> None:
        sandbox.cancel_closes_ms = closes_ms
        instruction, report = await propose(stand)
        sandbox.clock.advance(1_800_000)
        delayed = await stand.ask(instruction, report)
        assert isinstance(delayed, Report)
        sandbox.clock.move_to(delayed.due_ms - before_ms)
        withdrawn = await stand.adapter.instruct(stand.answer(Action.WITHDRAW, instruction, report))
        assert isinstance(withdrawn, Report)
        assert withdrawn.done_units == 100
        ended = await stand.ask(instruction, report)
        assert isinstance(ended, Refused)
        assert ended.final
        assert "MANUALLY_CANCELLED" in ended.reason
        assert await units_in(stand, HoldingState.ACTIVE) == 10_000

    prove(trial)


# -- two representatives


def test_nothing_happens_until_the_second_representative_approves() -> None:
    async def trial(stand: UkStand, sandbox: UkEtsSandbox) -> None:
        instruction, report = await propose(stand, to_account=TRUSTED)
        sandbox.clock.advance(30 * 24 * HOUR_MS)
        assert ended_units(stand) == 0
        assert await units_in(stand, HoldingState.BLOCKED) == 100
        changes = await stand.all_changes()
        assert [(c.kind, c.details.get("request")) for c in changes] == [(ChangeKind.PROPOSED, "6000000")]
        withdrawal = stand.answer(Action.WITHDRAW, instruction, report)
        assert isinstance(await stand.adapter.instruct(withdrawal), Refused), "only what is delayed can be withdrawn"
        acceptance = stand.answer(Action.ACCEPT, instruction, report)
        assert isinstance(await stand.ask(acceptance), NothingFound)
        approved = await stand.adapter.instruct(acceptance)
        assert isinstance(approved, Report)
        assert isinstance(await stand.ask(acceptance), Report)
        delayed = await stand.ask(instruction, report)
        assert isinstance(delayed, Report)
        assert delayed.due_ms == stand.adapter.expects(
            instruction._replace(details={"trusted": "yes"}), sandbox.clock.now_ms
        )
        again = await stand.adapter.instruct(acceptance)
        assert isinstance(again, Refused)
        assert not again.final

    prove(trial, approval_ms=None)


def test_a_rejection_ends_it_and_gives_the_units_back() -> None:
    async def trial(stand: UkStand, sandbox: UkEtsSandbox) -> None:
        instruction, report = await propose(stand)
        declined = await stand.adapter.instruct(stand.answer(Action.DECLINE, instruction, report))
        assert isinstance(declined, Report)
        ended = await stand.ask(instruction, report)
        assert isinstance(ended, Refused)
        assert ended.final
        assert "REJECTED" in ended.reason
        assert await units_in(stand, HoldingState.ACTIVE) == 10_000
        too_late = await stand.ask(stand.answer(Action.ACCEPT, instruction, report))
        assert isinstance(too_late, Refused)

    prove(trial, approval_ms=None)


def test_who_proposed_cannot_approve() -> None:
    async def trial(stand: UkStand, sandbox: UkEtsSandbox) -> None:
        alone = open_uk_ets(Settings(sandbox.base_url, lambda _: INITIATOR))
        try:
            instruction, report = await propose(stand)
            answer = await alone.instruct(stand.answer(Action.ACCEPT, instruction, report))
            assert isinstance(answer, Refused)
            assert not answer.final
            assert "initiator" in answer.reason
        finally:
            await alone.close()
        stranger = open_uk_ets(Settings(sandbox.base_url, lambda _: "nobody"))
        try:
            assert isinstance(await stranger.instruct(instruction), Unauthorised)
        finally:
            await stranger.close()

    prove(trial, approval_ms=None)


@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.HTML_AFTER])
def test_a_lost_answer_to_an_approval_is_found_by_asking(kind: FaultKind) -> None:
    async def trial(stand: UkStand, sandbox: UkEtsSandbox) -> None:
        instruction, report = await propose(stand)
        acceptance = stand.answer(Action.ACCEPT, instruction, report)
        sandbox.faults.add(Fault(kind, "^POST"))
        assert not isinstance(await stand.adapter.instruct(acceptance), Report | Refused)
        assert isinstance(await stand.ask(acceptance), Report)

    prove(trial, approval_ms=None)


# -- accounts, checks, deletion


def test_surrender_and_deletion_need_no_working_hours() -> None:
    async def trial(stand: UkStand, sandbox: UkEtsSandbox) -> None:
        for number, action in enumerate((Action.USE, Action.CANCEL)):
            instruction, report = await propose(stand, action=action, to_account="", key=f"{number}{number}" * 16)
            done = await stand.ask(instruction, report)
            assert isinstance(done, Report)
            assert done.pending_units == 100
            assert stand.adapter.expects(instruction, sandbox.clock.now_ms) <= sandbox.clock.now_ms + 60_000
        stand.settle()
        held = {(row.account, row.state): row.serials.units for row in await stand.all_holdings()}
        assert held[SURRENDER, HoldingState.USED] == 100
        assert held[DELETION, HoldingState.CANCELLED] == 100

    prove(trial, at="2026-05-03T03:00:00")


def test_checks_that_fail_are_decisions_and_a_reconciliation_passes() -> None:
    async def trial(stand: UkStand, sandbox: UkEtsSandbox) -> None:
        sandbox.reconciling = True
        assert isinstance(await stand.adapter.instruct(stand.instruction()), Unavailable)
        sandbox.reconciling = False
        unknown = "UK-100-1010-0-47"
        answer = await stand.adapter.instruct(stand.instruction(to_account=unknown))
        assert isinstance(answer, Refused)
        assert answer.final
        assert answer.reason == "2002 You cannot transfer to this account"
        assert ended_units(stand) == 0

    prove(trial)


def test_the_registry_takes_the_left_part_and_says_so() -> None:
    async def trial(stand: UkStand, _: UkEtsSandbox) -> None:
        instruction, report = await propose(stand, skip=500)
        stand.settle()
        done = await stand.ask(instruction, report)
        assert isinstance(done, Report)
        assert [(r.first, r.last) for r in done.done] == [(stand.units.first, stand.units.first + 99)]

    prove(trial)


def test_evidence_names_no_holder() -> None:
    async def trial(stand: UkStand, _: UkEtsSandbox) -> None:
        await propose(stand)
        told = b"".join(change.evidence for change in await stand.all_changes())
        assert b"startBlock" in told
        assert b"Asha" not in told

    prove(trial)


def test_more_than_a_page_is_read_to_its_end() -> None:
    async def trial(stand: UkStand, sandbox: UkEtsSandbox) -> None:
        for number in range(105):
            await stand.adapter.instruct(stand.instruction(1, f"{number:032x}", action=Action.USE, to_account=""))
        last = await stand.ask(stand.instruction(1, f"{104:032x}", action=Action.USE, to_account=""))
        assert isinstance(last, Report)
        assert len(await stand.all_changes()) == 105
        assert sum(row.serials.units for row in await stand.all_holdings()) == 10_000

    prove(trial)


def test_nothing_is_live_and_the_marks_say_what_is_assumed() -> None:
    assert SYSTEM.drivers == (Driver.SANDBOX,)
    assert SYSTEM.marks == "facts 18, assumed 8"
