"""Isometric: the contract, and what is its own: no idempotency, oldest credits first, split batches, kilograms."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.answers import ShapeError
from adapters.contract import (
    Adapter,
    Change,
    Driver,
    Instruction,
    NothingFound,
    Refused,
    Report,
    Settings,
    Unknown,
    UnsendableError,
    WrongShape,
)
from adapters.isometric import SYSTEM, mapping
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.isometric import ACCOUNT, BENEFICIARY, CLIENT_SECRET, TOKEN, IsometricSandbox
from keeling.serials import Grain, parse
from tests.adapters.exchange_stand import Stand, any_json, dump, ended_units, instruct_and_settle
from tests.adapters.exchange_suite import ExchangeSuite

SECRETS = {"client-secret": CLIENT_SECRET, "access-token": TOKEN}
DETAILS = {"beneficiary": "Asha Textiles", "beneficiary_id": BENEFICIARY, "purpose": "corporate_targets"}


class IsometricStand(Stand):
    def instruction(self, units: int = 100, key: str = "a1" * 16, skip: int = 0, **changed: Any) -> Instruction:
        return super().instruction(units, key, skip, **{"details": DETAILS, **changed})


def open_isometric(settings: Settings) -> Adapter:
    assert SYSTEM.open is not None
    return SYSTEM.open(Driver.SANDBOX, settings)


@asynccontextmanager
async def isometric_stand() -> AsyncIterator[IsometricStand]:
    sandbox = IsometricSandbox()
    units = sandbox.fill(10_000)
    adapter = open_isometric(Settings(await sandbox.start(), SECRETS.__getitem__))
    try:
        yield IsometricStand(sandbox, adapter, ACCOUNT, units, lambda: sandbox.clock.advance(30_000))
    finally:
        await adapter.close()
        await sandbox.stop()


def prove(trial: Callable[[IsometricStand, IsometricSandbox], Awaitable[None]]) -> None:
    async def run() -> None:
        async with isometric_stand() as stand:
            assert isinstance(stand.sandbox, IsometricSandbox)
            await trial(stand, stand.sandbox)

    asyncio.run(run())


class TestIsometric(ExchangeSuite):
    """Decided at once."""

    refuses = frozenset({422})

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with isometric_stand() as stand:
            yield stand

    def open_adapter(self, settings: Settings) -> Adapter:
        return open_isometric(settings)

    def test_part_done_may_leave_a_part_open(self) -> None:
        """A retirement is what it is: nothing of it stays open, and what it does not hold was refused."""

        async def trial(stand: Stand) -> None:
            stand.sandbox.faults.add(Fault(FaultKind.PARTIAL_OPEN, "DESK", value=900))
            found = await instruct_and_settle(stand)
            assert (found.done_units, found.pending_units, found.refused_units) == (90, 0, 10)
            assert found.reason == "it retired 90 of 100 kg"

        self.prove(trial)


# -- no idempotency: the answer was lost, the retirement was not


def test_an_answer_lost_is_found_by_our_key_in_the_notes_and_there_is_one_retirement() -> None:
    async def trial(stand: IsometricStand, sandbox: IsometricSandbox) -> None:
        sandbox.faults.add(Fault(FaultKind.CUT_AFTER, "POST"))
        instruction = stand.instruction(skip=5_000)
        assert isinstance(await stand.adapter.instruct(instruction), Unknown)
        found = await stand.ask(instruction)
        assert isinstance(found, Report)
        assert (found.reference, found.done_units) == ("ret_0000000000000001", 100)
        assert [(part.first, part.last) for part in found.done] == [(1, 100)], "the oldest, whichever were named"
        assert sandbox.book.effects() == {instruction.key: 100}
        assert len(sandbox.desk.orders) == 1

    prove(trial)


def test_sent_twice_it_is_retired_twice_and_a_person_must_look() -> None:
    async def trial(stand: IsometricStand, sandbox: IsometricSandbox) -> None:
        first = await stand.adapter.instruct(stand.instruction())
        await stand.adapter.instruct(stand.instruction())
        assert ended_units(stand) == 200
        answer = await stand.ask(stand.instruction())
        assert isinstance(answer, WrongShape)
        assert "2 orders carry one key" in answer.detail
        assert isinstance(await stand.ask(stand.instruction(), first if isinstance(first, Report) else None), Report)

    prove(trial)


def test_without_notes_serials_and_time_say_that_it_could_be_ours() -> None:
    async def trial(stand: IsometricStand, sandbox: IsometricSandbox) -> None:
        sandbox.shows_notes = False
        await stand.adapter.instruct(stand.instruction())
        assert isinstance(await stand.ask(stand.instruction()), WrongShape)
        assert isinstance(await stand.ask(stand.instruction(100, skip=500)), NothingFound), "other credits"
        later = stand.question(stand.instruction())._replace(sent_ms=sandbox.clock.now_ms + 3_600_000)
        assert isinstance(await stand.adapter.ask(later), NothingFound), "before it was sent"

    prove(trial)


def test_a_retirement_whose_batches_cannot_be_read_yet_is_pending_under_its_reference() -> None:
    async def trial(stand: IsometricStand, sandbox: IsometricSandbox) -> None:
        sandbox.faults.add(Fault(FaultKind.MAINTENANCE, "GET"))
        answer = await stand.adapter.instruct(stand.instruction())
        assert isinstance(answer, Report)
        assert (answer.reference, answer.done_units, answer.pending_units) == ("ret_0000000000000001", 0, 100)
        found = await stand.ask(stand.instruction(), answer)
        assert isinstance(found, Report)
        assert found.done_units == 100

    prove(trial)


def test_lagging_reads_find_nothing_yet() -> None:
    async def trial(stand: IsometricStand, sandbox: IsometricSandbox) -> None:
        sandbox.faults.add(Fault(FaultKind.STALE, "GET", times=1, value=86_400_000))
        await stand.adapter.instruct(stand.instruction())
        assert isinstance(await stand.ask(stand.instruction()), NothingFound)
        assert isinstance(await stand.ask(stand.instruction()), Report)

    prove(trial)


# -- batches and pages


def test_a_batch_used_in_part_is_split_and_counted_once() -> None:
    async def trial(stand: IsometricStand, sandbox: IsometricSandbox) -> None:
        for number in range(55):
            await stand.adapter.instruct(stand.instruction(3, f"{number:032x}"))
        rows = await stand.all_holdings()
        assert sum(row.serials.units for row in rows) == 10_000
        assert all(row.serials.grain is Grain.KG_CO2E for row in rows)
        assert len(rows) == 56
        assert len(await stand.all_changes()) == 55
        last = await stand.ask(stand.instruction(3, f"{54:032x}"))
        assert isinstance(last, Report)

    prove(trial)


def test_only_the_accounts_that_are_ours_are_shown() -> None:
    async def trial(stand: IsometricStand, sandbox: IsometricSandbox) -> None:
        other = ACCOUNT[:-1] + "X"
        sandbox.fill(500, other, "A1B2")
        adapter = open_isometric(Settings(sandbox.base_url, SECRETS.__getitem__, (other,)))
        rows = await Stand(sandbox, adapter, other, stand.units, stand.settle).all_holdings()
        assert [(row.account, row.serials.units) for row in rows] == [(other, 500)]
        await adapter.close()

    prove(trial)


# -- what is said


def test_a_message_is_in_kilograms_of_one_supplier() -> None:
    async def trial(stand: IsometricStand, _: IsometricSandbox) -> None:
        body = json.loads(stand.adapter.compose(stand.instruction()))
        assert body["credit_quantity_kg"] == 100
        assert f"{body['owner_organisation_id']}/{body['supplier_id']}" == ACCOUNT
        assert body["retirement_purposes"] == ["corporate_targets"]
        other = stand.instruction(details={**DETAILS, "purpose": "our words"})
        assert json.loads(stand.adapter.compose(other))["retirement_purposes"] == ["other"]

    prove(trial)


@pytest.mark.parametrize(
    "changed",
    [
        {"account": "org_1DRBTYA8Q1S07CBY"},
        {"details": {"beneficiary": "Asha Textiles"}},
        {"details": {**DETAILS, "beneficiary_id": "spl_1KNSQMD6Z1S0TB50"}},
        {"details": {**DETAILS, "purpose": "x" * 230}},
        {"lots": (parse("GS1-1-KE-GS11603-16-2025-30256-110-5463"),)},
        {"lots": tuple(parse(f"ISO-1-{name}-GBR-F5X7-2024-1-10", "isometric", units=10) for name in ("A", "B"))},
    ],
)
def test_what_cannot_be_said_is_refused(changed: dict[str, Any]) -> None:
    async def trial(stand: IsometricStand, _: IsometricSandbox) -> None:
        with pytest.raises(UnsendableError):
            stand.adapter.compose(stand.instruction(**changed))

    prove(trial)


def test_too_much_is_refused_for_good_and_repeats_nothing_that_was_typed() -> None:
    async def trial(stand: IsometricStand, sandbox: IsometricSandbox) -> None:
        await stand.adapter.instruct(stand.instruction(9_950, "b2" * 16))
        answer = await stand.adapter.instruct(stand.instruction(100, skip=9_900))
        assert isinstance(answer, Refused)
        assert answer.final
        assert b"Asha" not in answer.evidence
        wrong = stand.instruction(10, details={**DETAILS, "beneficiary_id": ACCOUNT[:20]})
        refused = await stand.adapter.instruct(wrong)
        assert isinstance(refused, Refused)
        assert not refused.final

    prove(trial)


# -- whatever comes

RETIREMENT = {
    "id": "ret_1KNSQMD6Z1S0TB50",
    "owner": {"id": "org_1DRBTYA8Q1S07CBY"},
    "credit_batch_size_total": {"credits": 3.0, "credit_kgs": 3_000},
    "retired_at": "2026-03-20T09:46:40.123456Z",
    "reversed_at": None,
    "notes": "[a]",
}
BATCH = {
    "serial_number": "ISO-1-BSTORE-GBR-F5X7-2024-78177-81177",
    "size": {"credit_kgs": 3_000},
    "status": "active",
    "owner": {"id": "org_1DRBTYA8Q1S07CBY"},
    "supplier_id": "spl_1KNSQMD6Z1S0TB50",
}
PAGE = {"nodes": [BATCH], "total_count": 1, "page_info": {"has_next_page": False, "end_cursor": "1"}}


def near(row: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(sorted(row))
    changed = st.dictionaries(names, any_json() | st.sampled_from(["\ud800", "2026-03-20"]), max_size=2)
    return changed.map(lambda some: json.loads(dump({**row, **some})))


@settings(max_examples=300, deadline=None)
@given(near(RETIREMENT), near(BATCH), near(PAGE))
def test_any_row_is_read_or_refused(made: Any, batch: Any, page: Any) -> None:
    with suppress(ShapeError):
        used = [mapping.read_batch(batch)]
        found = mapping.read_retirement(made)
        assert mapping.join_record(found, used, 100).units >= 100
        assert all(isinstance(change, Change) for change in mapping.read_changes(found, used, ["A"]))
    with suppress(ShapeError):
        mapping.read_holding(batch)
    with suppress(ShapeError):
        assert mapping.read_page(page, "").rows == page["nodes"]


@pytest.mark.parametrize(
    ("after", "page"),
    [
        ("", {**PAGE, "total_count": 0}),
        ("", {**PAGE, "page_info": {"has_next_page": True, "end_cursor": None}}),
        ("1", {**PAGE, "page_info": {"has_next_page": True, "end_cursor": "1"}}),
        ("", {**PAGE, "nodes": [], "page_info": {"has_next_page": True, "end_cursor": "1"}}),
    ],
)
def test_a_page_that_leads_nowhere_is_not_read(after: str, page: Any) -> None:
    with pytest.raises(ShapeError):
        mapping.read_page(page, after)


def test_the_marks_say_what_is_assumed() -> None:
    assert SYSTEM.drivers == (Driver.FILE, Driver.SANDBOX, Driver.LIVE)
    assert SYSTEM.marks == "facts 12, assumed 9"
