"""Verra: the contract, and what is its own: a desk that works once a day, public rows with traps, no control."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from adapters.answers import ShapeError
from adapters.capabilities import Action, LookUp
from adapters.contract import (
    Adapter,
    ChangeKind,
    Driver,
    HoldingState,
    Instruction,
    NothingFound,
    Question,
    Refused,
    Report,
    Settings,
    UnsendableError,
    WrongShape,
)
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.verra import ACCOUNTS, APPKEY, TOKEN, VerraSandbox
from adapters.verra import SYSTEM
from adapters.verra.basis import STANDARD
from adapters.verra.mapping import read_item, read_receipt
from keeling.serials import parse, print_range
from tests.adapters.exchange_stand import DAY_MS, Stand, ended_units
from tests.adapters.exchange_suite import ExchangeSuite

SECRETS = {"desk-token": TOKEN, "appkey": APPKEY}
SEARCH = "/raas-report-api/es/public/{}/publicReportPageSearch"
HEADERS = {**STANDARD, "appkey": APPKEY}


def open_verra(settings: Settings) -> Adapter:
    assert SYSTEM.open is not None
    return SYSTEM.open(Driver.SANDBOX, settings)


@asynccontextmanager
async def verra_stand() -> AsyncIterator[Stand]:
    sandbox = VerraSandbox()
    units = sandbox.fill(10_000)
    adapter = open_verra(Settings(await sandbox.start(), SECRETS.__getitem__))
    try:
        yield Stand(sandbox, adapter, ACCOUNTS[0], units, lambda: sandbox.clock.advance(DAY_MS))
    finally:
        await adapter.close()
        await sandbox.stop()


def prove(trial: Callable[[Stand, VerraSandbox], Awaitable[None]]) -> None:
    async def run() -> None:
        async with verra_stand() as stand:
            assert isinstance(stand.sandbox, VerraSandbox)
            await trial(stand, stand.sandbox)

    asyncio.run(run())


class TestVerra(ExchangeSuite):
    """Retirements."""

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with verra_stand() as stand:
            yield stand

    def open_adapter(self, settings: Settings) -> Adapter:
        return open_verra(settings)


class CancelStand(Stand):
    def instruction(self, units: int = 100, key: str = "a1" * 16, skip: int = 0, **changed: Any) -> Any:
        return super().instruction(units, key, skip, **{"action": Action.CANCEL, **changed})


class TestVerraCancelling(TestVerra):
    """Cancellations, in their own spelling."""

    action = Action.CANCEL
    ended = (ChangeKind.CANCELLED,)

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with verra_stand() as stand:
            yield CancelStand(*stand)


# -- no control, and a day's round


def test_until_the_round_of_the_day_the_units_are_the_owners_to_move() -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        instruction = stand.instruction()
        first = await stand.adapter.instruct(instruction)
        assert isinstance(first, Report)
        assert first.pending_units == 100
        assert sandbox.clock.now_ms < first.due_ms <= stand.adapter.expects(instruction, sandbox.clock.now_ms)
        sandbox.clock.advance(3_600_000)
        assert {row.state for row in await stand.all_holdings()} == {HoldingState.ACTIVE}
        sandbox.book.change(
            sandbox.clock.now_ms,
            ChangeKind.TRANSFERRED,
            stand.account,
            instruction.lots,
            state=HoldingState.ACTIVE,
            reference="by-the-owner",
            to_account=ACCOUNTS[1],
        )
        stand.settle()
        answer = await stand.ask(instruction, first)
        assert isinstance(answer, Refused)
        assert answer.final
        assert "NOT_YOURS" in answer.reason
        assert isinstance(await stand.ask(instruction), NothingFound)

    prove(trial)


def test_a_part_retired_splits_the_serial() -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        await stand.adapter.instruct(stand.instruction(100, skip=300))
        stand.settle()
        first = stand.units.first
        held = [(r.serials.first - first, r.serials.last - first, r.state) for r in await stand.all_holdings()]
        active = HoldingState.ACTIVE
        assert sorted(held) == [(0, 299, active), (300, 399, HoldingState.RETIRED), (400, 9_999, active)]
        retired = next(r.serials for r in await stand.all_holdings() if r.state is HoldingState.RETIRED)
        assert print_range(retired).startswith(f"19385-{first + 300}-{first + 399}-VCS-VCU-")

    prove(trial)


def test_what_the_desk_says_is_believed_when_the_rows_say_it_too() -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        first = await stand.adapter.instruct(stand.instruction())
        stand.settle()
        sandbox.faults.add(Fault(FaultKind.STALE, "POST", times=-1, value=DAY_MS))
        waiting = await stand.ask(stand.instruction(), first if isinstance(first, Report) else None)
        assert isinstance(waiting, Report)
        assert (waiting.done_units, waiting.pending_units) == (0, 100)
        sandbox.faults.clear()
        done = await stand.ask(stand.instruction(), first if isinstance(first, Report) else None)
        assert isinstance(done, Report)
        assert (done.done_units, done.pending_units) == (100, 0)
        assert done.effective is not None
        assert not done.effective.exact

    prove(trial)


@pytest.mark.parametrize("status", ["REFUSED", "WITHDRAWN"])
def test_a_no_to_what_is_executed_in_part_is_no_answer(status: str) -> None:
    """Else all of it were given back, also what is retired."""
    serial = "19385-{}-{}-VCS-VCU-1507-VER-ET-14-1340-01012020-31122020-1"
    asked = Instruction("k", Action.RETIRE, "8294", (parse(serial.format(1001, 1100), "verra"),))
    item = {"instruction": "OPS-1", "status": status, "quantity": 100, "refusedQuantity": 0, "dueMs": 0}
    none = read_item(item | {"executed": []})
    assert isinstance(read_receipt(none, asked, b""), Refused)
    some = read_item(item | {"executed": [{"serialNumber": serial.format(1001, 1040), "quantity": 40}]})
    with pytest.raises(ShapeError, match="executed"):
        read_receipt(some, asked, b"")
    with pytest.raises(ShapeError, match="60 of 100"):
        read_receipt(read_item(item | {"executed": [], "refusedQuantity": 60}), asked, b"")
    with pytest.raises(ShapeError, match="twice"):
        read_item(item | {"executed": [{"serialNumber": serial.format(1001, 1040), "quantity": 40}] * 2})


# -- whose retirement is it


@pytest.mark.parametrize(
    ("details", "owner", "beneficiary", "expected"),
    [
        (True, True, "Asha Textiles", Report),
        (True, False, "Asha Textiles", Report),
        (False, True, "asha  textiles", Report),
        (False, True, "Somebody Else", NothingFound),
        (False, False, "Asha Textiles", WrongShape),
    ],
)
def test_a_retirement_is_taken_for_ours_by_its_signs(
    details: bool, owner: bool, beneficiary: str, expected: type[Any]
) -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        sandbox.shows_details, sandbox.shows_owner = details, owner
        await stand.adapter.instruct(stand.instruction(details={"beneficiary": beneficiary}))
        stand.settle()
        assert isinstance(await stand.ask(stand.instruction()), expected)

    prove(trial)


def test_one_of_other_size_time_or_key_is_not_ours() -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        await stand.adapter.instruct(stand.instruction(60, "b2" * 16))
        stand.settle()
        assert isinstance(await stand.ask(stand.instruction()), NothingFound), "another key"
        sandbox.shows_details = False
        assert isinstance(await stand.ask(stand.instruction()), WrongShape), "60 of 100, whoever's"
        later = Question(stand.instruction(60), (), sandbox.clock.now_ms + 3 * DAY_MS)
        assert isinstance(await stand.adapter.ask(later), NothingFound), "before it was sent"

    prove(trial)


def test_a_lost_answer_with_other_serials_is_found_by_the_key_in_the_details() -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        sandbox.faults.add(Fault(FaultKind.OTHER_SERIALS, "DESK"), Fault(FaultKind.CUT_AFTER, "POST"))
        instruction = stand.instruction(100, skip=5_000)
        await stand.adapter.instruct(instruction)
        stand.settle()
        found = await stand.ask(instruction)
        assert isinstance(found, Report)
        assert found.done_units == 100
        assert not any(part.overlaps(lot) for part in found.done for lot in instruction.lots)

    prove(trial)


def test_evidence_and_changes_hold_nothing_about_persons() -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        first = await stand.adapter.instruct(stand.instruction())
        stand.settle()
        found = await stand.ask(stand.instruction(), first if isinstance(first, Report) else None)
        assert isinstance(found, Report)
        told = found.evidence + b"".join(change.evidence for change in await stand.all_changes())
        assert b"retiredDate" in told
        assert b"Asha" not in told
        assert b"example.org" not in told

    prove(trial)


# -- the traps of the public rows


def search(start: int = 0, limit: int = 400, filters: dict[str, Any] | None = None) -> dict[str, Any]:
    pagination = {"start": start, "limit": limit, "sortOptions": [{"sort": "entityId", "dir": "ASC"}]}
    return {"searchFilter": {"pagination": pagination, "filterModel": filters or {}}}


def only(project: str) -> dict[str, Any]:
    return {"vcsProjectId": {"columnFilters": [{"filterType": "Text", "type": "equals", "filter": project}]}}


@pytest.mark.parametrize(
    ("body", "headers", "status", "total"),
    [
        (search(), HEADERS, 200, 2),
        (search(filters=only("3352")), HEADERS, 200, 1),
        (search(filters={"noSuchField": only("3352")["vcsProjectId"]}), HEADERS, 200, 2),
        (search(), {**HEADERS, "standardid": "671000000000001"}, 200, 0),
        (search(limit=401), HEADERS, 500, None),
        (search(start=10_001), HEADERS, 500, None),
        (search(), {k: v for k, v in HEADERS.items() if k != "appkey"}, 500, None),
    ],
)
def test_the_sandbox_sets_the_traps(body: Any, headers: dict[str, str], status: int, total: int | None) -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        sandbox.fill(50, project=3352)
        url = sandbox.base_url + SEARCH.format("issuances")
        async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as answer:
            assert answer.status == status
            found = await answer.json()
        assert found.get("totalEntities") == total
        if total:
            assert isinstance(found["entities"][0]["holdingQuantity"], float)

    prove(trial)


def test_unknown_paths_answer_a_page() -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        url = f"{sandbox.base_url}/uiapi/asset/asset/search"
        async with aiohttp.ClientSession() as session, session.post(url, json={}) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")

    prove(trial)


def test_an_empty_registry_is_no_answer() -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        sandbox.faults.add(Fault(FaultKind.SHRUNK, times=-1))
        for answer in (
            await stand.ask(stand.instruction()),
            await stand.adapter.changes(""),
            await stand.adapter.snapshot(),
        ):
            assert isinstance(answer, WrongShape)
            assert "wrong standardid" in answer.detail

    prove(trial)


def test_long_lists_are_read_project_by_project(monkeypatch: pytest.MonkeyPatch) -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        sandbox.fill(1_000, project=3352)
        sandbox.fill(1_000, project=77)
        for number in range(12):
            await stand.adapter.instruct(stand.instruction(1, f"{number:032x}", skip=2 * number))
        stand.settle()
        whole = await stand.all_holdings()
        monkeypatch.setattr("adapters.verra.driver._WINDOW", 12)
        parts = await stand.all_holdings()
        assert sorted(map(repr, parts)) == sorted(map(repr, whole))
        assert len({row.serials.first for row in whole}) == len(sandbox.book.rows())
        sandbox.fill(1_000, project=500)
        assert len(await stand.all_holdings()) == len(whole) + 1, "a project of today"
        monkeypatch.setattr("adapters.verra.driver._WINDOW", 11)
        page = await stand.adapter.snapshot("retirements:1340:0")
        assert isinstance(page, WrongShape)
        assert page.detail.startswith("project 1340 has 12 retirements, more than a search shows")

    prove(trial)


def test_a_project_is_read_from_its_newest_rows_back_as_far_as_they_can_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        monkeypatch.setattr("adapters.verra.driver._WINDOW", 10)
        monkeypatch.setattr("adapters.verra.driver.PAGE_ROWS_MAX", 5)
        for number in range(12):
            await stand.adapter.instruct(stand.instruction(1, f"{number:032x}", skip=2 * number))
        stand.settle()
        found = await stand.ask(stand.instruction())
        assert isinstance(found, WrongShape), "more new rows than a search can show"
        assert "more new retirements" in found.detail
        sandbox.clock.advance(30 * DAY_MS)
        before = sandbox.requests
        assert isinstance(await stand.ask(stand.instruction()), NothingFound), "the rest is older than the instruction"
        assert sandbox.requests - before == 2, "issuances, and one page"

    prove(trial)


def test_changes_go_on_from_where_they_were() -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        first = await stand.all_changes()
        assert [change.kind for change in first] == [ChangeKind.ISSUED]
        page = await stand.adapter.changes("")
        assert not isinstance(page, WrongShape)
        cursor = getattr(page, "cursor", "")
        await stand.adapter.instruct(stand.instruction())
        stand.settle()
        fresh = await stand.all_changes(cursor)
        assert [(change.kind, change.key) for change in fresh] == [(ChangeKind.RETIRED, "a1" * 16)]
        assert await stand.all_changes("nonsense;retirements=x") == [*first, *fresh]

    prove(trial)


# -- what cannot be said


@pytest.mark.parametrize(
    "changed",
    [
        {"details": {}},
        {"details": {"beneficiary": "x" * 201}},
        {"details": {"beneficiary": "A", "purpose": "with [another-key]"}},
        {"key": "with space"},
        {"action": Action.TRANSFER},
    ],
)
def test_what_the_desk_cannot_type_is_refused(changed: dict[str, Any]) -> None:
    async def trial(stand: Stand, _: VerraSandbox) -> None:
        with pytest.raises(UnsendableError):
            stand.adapter.compose(stand.instruction(**changed))

    prove(trial)


def test_nothing_is_live_and_the_marks_say_what_is_assumed() -> None:
    assert SYSTEM.drivers == (Driver.FILE, Driver.SANDBOX)
    assert SYSTEM.marks == "facts 15, assumed 12"
    assert SYSTEM.open is not None
    capabilities = open_verra(Settings("", SECRETS.__getitem__)).capabilities
    assert capabilities.looked_up_by == {LookUp.REFERENCE, LookUp.SERIAL}
    assert capabilities.settles_within_ms > capabilities.cycle_ms


def test_the_sandboxs_book_counts_what_the_report_says() -> None:
    async def trial(stand: Stand, sandbox: VerraSandbox) -> None:
        for number in range(3):
            await stand.adapter.instruct(stand.instruction(10, f"{number:032x}", skip=10 * number))
        assert ended_units(stand) == 0
        stand.settle()
        assert sandbox.book.effects() == {f"{number:032x}": 10 for number in range(3)}

    prove(trial)
