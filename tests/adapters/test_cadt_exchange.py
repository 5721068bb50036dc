"""CAD Trust's live driver before a sandbox: it reads alone; what cannot be believed is told and not used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.cadt import SYSTEM, mapping
from adapters.cadt.mapping import AuditRow, ShapeError, UnitError
from adapters.capabilities import Action
from adapters.contract import (
    Adapter,
    Change,
    ChangeKind,
    Changes,
    Driver,
    Holdings,
    HoldingState,
    Refused,
    Settings,
    Throttled,
    Unauthorised,
    Unavailable,
    UnsendableError,
    WrongShape,
)
from adapters.sandbox.cadt import ORGANISATIONS, CadtSandbox
from adapters.sandbox.faults import Fault, FaultKind
from adapters.systems import CannotOpenError, open_system
from tests.adapters.exchange_stand import Stand, any_json, dump
from tests.adapters.test_cadt import UNIT

FIRST, SECOND = ORGANISATIONS
ODD = {**UNIT, "cadTrustUnitId": "odd-1", "orgUid": FIRST, "unitCount": 1499, "unitRetirementBeneficiary": "Asha"}


def open_cadt(url: str, accounts: tuple[str, ...] = (), secrets: Mapping[str, str] | None = None) -> Adapter:
    assert SYSTEM.open is not None
    return SYSTEM.open(Driver.SANDBOX, Settings(url, lambda name: (secrets or {}).get(name, ""), accounts))


@asynccontextmanager
async def cadt_stand(*accounts: str, secrets: Mapping[str, str] | None = None) -> AsyncIterator[Stand]:
    sandbox = CadtSandbox()
    units = sandbox.fill(2_000)
    sandbox.fill(500, SECOND, 50002)
    adapter = open_cadt(await sandbox.start(), accounts, secrets)
    try:
        yield Stand(sandbox, adapter, FIRST, units, lambda: sandbox.clock.advance(60_000))
    finally:
        await adapter.close()
        await sandbox.stop()


def prove(trial: Callable[[Stand, CadtSandbox], Awaitable[None]], *accounts: str, **secrets: str) -> None:
    async def run() -> None:
        async with cadt_stand(*accounts, secrets={"api-key": secrets.get("api_key", "")}) as stand:
            assert isinstance(stand.sandbox, CadtSandbox)
            await trial(stand, stand.sandbox)

    asyncio.run(run())


# -- nothing is executed there


@pytest.mark.parametrize("action", Action)
def test_nothing_can_be_instructed(action: Action) -> None:
    async def trial(stand: Stand, sandbox: CadtSandbox) -> None:
        instruction = stand.instruction(action=action)
        with pytest.raises(UnsendableError, match="executes nothing"):
            stand.adapter.compose(instruction)
        for answer in (await stand.adapter.instruct(instruction), await stand.ask(instruction)):
            assert isinstance(answer, Refused)
            assert not answer.final
        assert sandbox.requests == 0
        assert not stand.adapter.capabilities.actions

    prove(trial)


# -- trouble


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(FaultKind.THROTTLE, value=60), Throttled),
        (Fault(FaultKind.MAINTENANCE), Unavailable),
        (Fault(FaultKind.SERVER_ERROR), Unavailable),
        (Fault(FaultKind.CUT_AFTER), Unavailable),
        (Fault(FaultKind.HTML), WrongShape),
        (Fault(FaultKind.ERROR_IN_OK), WrongShape),
    ],
    ids=lambda value: str(value.kind) if isinstance(value, Fault) else "",
)
def test_trouble_is_a_value(fault: Fault, expected: type[Any]) -> None:
    async def trial(stand: Stand, sandbox: CadtSandbox) -> None:
        sandbox.faults.add(fault._replace(times=-1))
        assert isinstance(await stand.adapter.changes(""), expected)
        assert isinstance(await stand.adapter.snapshot(), expected)

    prove(trial)


def test_nobody_listening_is_unavailable() -> None:
    async def trial(stand: Stand, sandbox: CadtSandbox) -> None:
        await sandbox.stop()
        assert isinstance(await stand.adapter.changes(""), Unavailable)
        assert isinstance(await stand.adapter.snapshot(), Unavailable)

    prove(trial)


def test_a_node_that_is_still_reading_is_not_believed() -> None:
    async def trial(stand: Stand, sandbox: CadtSandbox) -> None:
        sandbox.synced = False
        for answer in (await stand.adapter.changes(""), await stand.adapter.snapshot()):
            assert isinstance(answer, Unavailable)
            assert "7 generations left" in answer.detail

    prove(trial)


def test_a_key_is_sent_where_one_is_set() -> None:
    async def without(stand: Stand, sandbox: CadtSandbox) -> None:
        sandbox.api_key = "own-key"
        assert await stand.adapter.snapshot() == Unauthorised("CADT API key not found")

    async def with_it(stand: Stand, sandbox: CadtSandbox) -> None:
        sandbox.api_key = "own-key"
        assert isinstance(await stand.adapter.snapshot(), Holdings)

    prove(without)
    prove(with_it, api_key="own-key")


# -- books and changes


def retire_some(stand: Stand, sandbox: CadtSandbox) -> None:
    sandbox.clock.advance(60_000)
    sandbox.change(stand.units.part(1, 40), ChangeKind.RETIRED, HoldingState.RETIRED)
    sandbox.clock.advance(60_000)
    sandbox.change(stand.units.part(41, 50), ChangeKind.BUFFERED, HoldingState.BUFFER)


@pytest.mark.parametrize("accounts", [(), (FIRST,), (SECOND, FIRST)])
def test_the_snapshot_is_the_book_of_the_organisations(accounts: tuple[str, ...]) -> None:
    async def trial(stand: Stand, sandbox: CadtSandbox) -> None:
        retire_some(stand, sandbox)
        ours = sorted((r.serials, r.account, r.state) for r in await stand.all_holdings())
        book = [r for r in sandbox.book.rows() if not accounts or r.account in accounts]
        assert ours == sorted((r.serials, r.account, r.state) for r in book)

    prove(trial, *accounts)


def test_changes_give_every_event_once_and_the_same_again() -> None:
    async def trial(stand: Stand, sandbox: CadtSandbox) -> None:
        first = await stand.adapter.changes("")
        assert isinstance(first, Changes)
        retire_some(stand, sandbox)
        whole = await stand.all_changes()
        assert whole == await stand.all_changes()
        assert [*first.items, *await stand.all_changes(first.cursor)] == whole
        assert len({change.id for change in whole}) == len(whole) == 4
        assert [change.kind for change in whole[2:]] == [ChangeKind.RETIRED, ChangeKind.BUFFERED]
        retired = whole[2]
        assert retired.serials is not None
        assert (retired.serials.units, retired.account) == (40, FIRST)
        assert retired.effective is not None
        assert not retired.effective.exact
        assert all(change.evidence and change.at_ms and change.reference for change in whole)
        assert b"Asha" not in b"".join(change.evidence for change in whole)

    prove(trial)


def test_more_than_a_page_is_read_to_its_end_and_no_row_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("basis", "driver", "mapping"):
        monkeypatch.setattr(f"adapters.cadt.{module}.PAGE_ROWS", 3)

    async def trial(stand: Stand, sandbox: CadtSandbox) -> None:
        cursor, seen = "", []
        for number in range(1, 9):
            seen += (found := await stand.all_changes(cursor))
            assert len(found) <= 2
            page = await stand.adapter.changes(cursor)
            while isinstance(page, Changes) and page.cursor != cursor:
                cursor = page.cursor
                page = await stand.adapter.changes(cursor)
            sandbox.change(stand.units.part(number, number), ChangeKind.RETIRED, HoldingState.RETIRED)
        seen += await stand.all_changes(cursor)
        assert [change.id for change in seen] == [change.id for change in await stand.all_changes()]
        assert len(seen) == 9
        assert len(await stand.all_holdings()) == len([r for r in sandbox.book.rows() if r.account == FIRST])

    prove(trial, FIRST)


def test_a_node_that_was_reset_is_read_again_under_the_same_names() -> None:
    async def trial(stand: Stand, sandbox: CadtSandbox) -> None:
        page = await stand.adapter.changes("")
        assert isinstance(page, Changes)
        sandbox.reset(100)
        again = await stand.adapter.changes(page.cursor)
        assert isinstance(again, Changes)
        assert again.items == page.items
        assert again.cursor != page.cursor
        sandbox.faults.add(Fault(FaultKind.SHRUNK, "audit", times=-1))
        assert isinstance(await stand.adapter.changes(again.cursor), WrongShape)

    prove(trial)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, "holds 1500 units"),
        ({"unitCount": 1500, "unitEndBlock": "1501"}, "last unit is '1501'"),
        ({"unitCount": 1500, "unitStatus": "Inactive"}, "status 'Inactive'"),
        ({"unitCount": 1500, "unitMetric": "kt (Kiloton)"}, "is not tCO2e"),
        ({"unitCount": 1500, "unitSerialId": "VCS9819-2014-1233022-1234022"}, "no known scheme"),
    ],
)
def test_a_unit_that_contradicts_itself_is_told_and_not_counted(changed: dict[str, Any], why: str) -> None:
    async def trial(stand: Stand, sandbox: CadtSandbox) -> None:
        before = len(await stand.all_holdings())
        sandbox.odd.append({**ODD, **changed})
        page = await stand.adapter.snapshot()
        assert isinstance(page, Holdings)
        assert len(page.rows) == before
        assert len(page.unread) == 1
        assert "odd-1" in page.unread[0]
        assert why in page.unread[0]
        (notice,) = [change for change in await stand.all_changes() if change.kind is ChangeKind.NOTICE]
        assert notice.serials is None
        assert why in notice.details["why"]
        assert b"Asha" not in notice.evidence

    prove(trial)


def test_a_filter_that_is_ignored_is_found_out() -> None:
    async def trial(stand: Stand, sandbox: CadtSandbox) -> None:
        async def everything(_: web.Request) -> web.Response:
            return web.json_response({"page": 1, "pageCount": 1, "data": [{"orgUid": SECOND}]})

        sandbox.routes = lambda: [web.get("/v2/unit", everything)]  # type: ignore[method-assign]
        await sandbox.stop()
        adapter = open_cadt(await sandbox.start(), (FIRST,))
        assert isinstance(await adapter.snapshot(), WrongShape)
        await adapter.close()

    prove(trial)


def test_a_deleted_record_is_a_notice() -> None:
    row = AuditRow(7, FIRST, "DELETE", "unit", 4, 1_732_131_042_000, "")
    change = mapping.read_change(row)
    assert change is not None
    assert (change.kind, change.serials, change.id) == (ChangeKind.NOTICE, None, f"{FIRST}/4/7")
    assert mapping.read_change(row._replace(type="INSERT", table="project", change="{}")) is None


@pytest.mark.parametrize(
    ("page", "value"),
    [
        (1, {"page": 2, "pageCount": 2, "data": []}),
        (1, {"page": 1, "pageCount": 1, "data": []}),
        (1, {"page": 1, "pageCount": 2, "data": [{}]}),
        (2, {"page": 2, "pageCount": 1, "data": [{}]}),
        (1, {"page": 1, "pageCount": 1, "data": [None]}),
        (1, {"page": 1, "pageCount": True, "data": [{}]}),
        (1, []),
    ],
)
def test_a_page_whose_numbers_cannot_be_true_is_not_read(page: int, value: Any) -> None:
    with pytest.raises(ShapeError):
        mapping.read_page(value, page)


@pytest.mark.parametrize("page", ["x", "0:", "9:1", "0:1:2", "٣:1", "0:" + "9" * 5_000])
def test_a_page_that_is_not_ours_is_refused(page: str) -> None:
    async def trial(stand: Stand, sandbox: CadtSandbox) -> None:
        assert isinstance(await stand.adapter.snapshot(page), WrongShape)
        assert len(await stand.all_changes(page)) == 2, "a cursor that cannot be read begins again"

    prove(trial)


# -- whatever comes


def near(row: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(sorted(row))
    changed = st.dictionaries(names, any_json() | st.sampled_from(["Retired", "\ud800", "1e9", "Held"]), max_size=3)
    return changed.map(lambda some: {**row, **some})


AUDIT = {
    "id": 1,
    "orgUid": FIRST,
    "type": "INSERT",
    "table": "unit",
    "generation": 4,
    "onchainConfirmationTimeStamp": "1732131042",
    "change": dump({"unit_serial_id": UNIT["unitSerialId"]}).decode(),
}


@settings(max_examples=300, deadline=None)
@given(near(UNIT), near(AUDIT), any_json())
def test_any_row_is_read_or_refused(unit: dict[str, Any], audit: dict[str, Any], anything: Any) -> None:
    for row in (unit, audit):
        with suppress(UnitError):
            assert mapping.read_holding(row).serials.units == int(row["unitCount"])
        with suppress(ShapeError):
            found = mapping.read_audit({**row, "change": dump(unit).decode()})
            assert isinstance(mapping.read_change(found), Change | None)
    with suppress(ShapeError):
        mapping.read_organisations(anything)
    with suppress(ShapeError):
        mapping.read_page(anything, 1)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(any_json(), min_size=5, max_size=10))
def test_any_json_as_an_answer_is_a_value(answers: list[Any]) -> None:
    async def trial(stand: Stand, sandbox: CadtSandbox) -> None:
        async def nonsense(_: web.Request) -> web.Response:
            return web.Response(body=dump(answers[0]), content_type="application/json")

        await sandbox.stop()
        sandbox.routes = lambda: [web.get("/v2/{path:.*}", nonsense)]  # type: ignore[method-assign]
        adapter = open_cadt(await sandbox.start())
        while answers:
            await adapter.changes("")
            await adapter.snapshot()
            answers.pop()
        await adapter.close()

    prove(trial)


@given(st.binary(max_size=100))
@settings(max_examples=20, deadline=None)
def test_any_bytes_as_a_notice_are_a_value(body: bytes) -> None:
    assert isinstance(open_cadt("http://127.0.0.1:9").read_notice(body), WrongShape)


# -- anyone can run it


def test_live_needs_no_credentials_and_plain_http_only_on_this_machine() -> None:
    for url in ("https://cadt.example", "http://localhost:31310", "http://127.0.0.1:31310/", "http://[::1]:31310"):
        assert open_system("cadt", Driver.LIVE, Settings(url, lambda _: "")).driver is Driver.LIVE
    for url in ("http://cadt.example", "http://localhost.example:31310", "http://127.0.0.1@example.org"):
        with pytest.raises(CannotOpenError, match="is not https"):
            open_system("cadt", Driver.LIVE, Settings(url, lambda _: ""))


def test_the_marks_say_what_is_assumed() -> None:
    assert SYSTEM.marks == "facts 15, assumed 4"
