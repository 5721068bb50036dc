"""Puro: the contract, and what is its own: keys, bundles from their start, pending approvals, conflicting bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.answers import ShapeError
from adapters.capabilities import Action
from adapters.contract import (
    Adapter,
    ChangeKind,
    Changes,
    Driver,
    Instruction,
    NothingFound,
    Question,
    Refused,
    Report,
    Settings,
    Unknown,
    UnsendableError,
    WrongShape,
)
from adapters.puro import SYSTEM
from adapters.puro.mapping import matches, read_changes, read_report, read_transaction, strip_private
from adapters.sandbox import puro
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.puro import ACCOUNTS, ISSUANCE, KEY_ID, KEY_SECRET, PuroSandbox
from adapters.web import Line
from keeling.serials import parse
from tests.adapters.exchange_stand import DAY_MS, Stand, ended_units
from tests.adapters.exchange_suite import ExchangeSuite

SECRETS = {"key-id": KEY_ID, "key-secret": KEY_SECRET}


def open_puro(settings: Settings) -> Adapter:
    assert SYSTEM.open is not None
    return SYSTEM.open(Driver.SANDBOX, settings)


@asynccontextmanager
async def puro_stand(approval_ms: int = 0) -> AsyncIterator[Stand]:
    sandbox = PuroSandbox(approval_ms=approval_ms)
    units = sandbox.fill(10_000)
    adapter = open_puro(Settings(await sandbox.start(), SECRETS.__getitem__))
    try:
        yield Stand(sandbox, adapter, ACCOUNTS[0], units, lambda: sandbox.clock.advance(DAY_MS))
    finally:
        await adapter.close()
        await sandbox.stop()


class TestPuro(ExchangeSuite):
    """Decided at once."""

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with puro_stand() as stand:
            yield stand

    def open_adapter(self, settings: Settings) -> Adapter:
        return open_puro(settings)


class TestPuroWithApproval(TestPuro):
    """Pending until a person approves."""

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with puro_stand(approval_ms=3_600_000) as stand:
            yield stand


@pytest.mark.parametrize("key", ['"quoted"', "k" * 65, "with space", "", "schlüssel"])
def test_only_a_bare_key_of_64_is_sent(key: str) -> None:
    async def trial() -> None:
        async with puro_stand() as stand:
            with pytest.raises(UnsendableError):
                stand.adapter.compose(stand.instruction(key=key))

    asyncio.run(trial())


def test_a_key_with_another_body_is_not_the_same_instruction() -> None:
    async def trial() -> None:
        async with puro_stand() as stand:
            assert isinstance(await stand.adapter.instruct(stand.instruction(10)), Report)
            answer = await stand.adapter.instruct(stand.instruction(11))
            assert isinstance(answer, Unknown), "under that key something happened: it must be looked at"
            assert isinstance(await stand.ask(stand.instruction(11)), WrongShape)
            assert ended_units(stand) == 10

    asyncio.run(trial())


def test_a_no_to_a_part_is_no_answer_to_all_of_it() -> None:
    row = {
        "transactionId": "t1",
        "type": "Retirement",
        "status": "REJECTED",
        "volume": 100,
        "bundles": [{"certificates": f"{ISSUANCE}_1-40"}],
    }
    asked = Instruction("k", Action.RETIRE, ACCOUNTS[0], (parse(f"{ISSUANCE}_1-100"),))
    for refused in ({}, {"rejectedVolume": 0}):
        assert isinstance(read_report(read_transaction(row | refused), asked, b""), Refused)
    with pytest.raises(ShapeError, match="60 of 100"):
        read_report(read_transaction(row | {"rejectedVolume": 60}), asked, b"")


def test_units_from_the_start_of_the_bundle_are_reported_as_such() -> None:
    async def trial() -> None:
        async with puro_stand() as stand:
            assert isinstance(stand.sandbox, PuroSandbox)
            stand.sandbox.from_start = True
            answer = await stand.adapter.instruct(stand.instruction(10, skip=100))
            assert isinstance(answer, Report)
            assert [(r.first, r.last) for r in answer.done] == [(1, 10)]

    asyncio.run(trial())


def test_lagging_reads_find_nothing_yet() -> None:
    async def trial() -> None:
        async with puro_stand() as stand:
            stand.sandbox.faults.add(Fault(FaultKind.STALE, "GET", times=-1, value=DAY_MS))
            instruction = stand.instruction(10)
            await stand.adapter.instruct(instruction)
            assert isinstance(await stand.ask(instruction), NothingFound)
            stand.settle()
            assert isinstance(await stand.ask(instruction), Report)

    asyncio.run(trial())


def test_more_than_a_page_is_read_to_its_end() -> None:
    async def trial() -> None:
        async with puro_stand() as stand:
            for number in range(120):
                await stand.adapter.instruct(stand.instruction(1, f"{number:032x}", skip=number))
            assert len({change.id for change in await stand.all_changes()}) == 121
            first = await stand.ask(stand.instruction(1, f"{0:032x}"))
            assert isinstance(first, Report)
            nothing = await stand.ask(stand.instruction(7, "ff" * 16))
            assert isinstance(nothing, NothingFound)

    asyncio.run(trial())


@pytest.mark.parametrize("knows_keys", [True, False])
def test_what_was_done_long_before_is_not_read_again(knows_keys: bool) -> None:
    """That keys are given back is assumed: without them an instruction is known by its units, among the newest."""

    async def trial() -> None:
        async with puro_stand() as stand:
            for number in range(350):
                await stand.adapter.instruct(stand.instruction(1, f"{number:032x}", skip=number))
            stand.settle()
            before = stand.sandbox.requests
            assert isinstance(await stand.ask(stand.instruction(7, "fe" * 16, skip=400)), NothingFound)
            assert stand.sandbox.requests == before + 3, "by key, the first page, the newest"
            late = stand.instruction(7, "ff" * 16, skip=500)
            await stand.adapter.instruct(late)
            for order in stand.sandbox.desk.orders.values() if not knows_keys else ():
                order.key = ""
            before = stand.sandbox.requests
            assert isinstance(await stand.ask(late), Report)
            assert stand.sandbox.requests == before + (1 if knows_keys else 3)

    asyncio.run(trial())


def test_an_issuance_says_what_its_short_serials_do_not() -> None:
    row = {
        "transactionId": "t1",
        "type": "Issuance",
        "volume": 9,
        "completedOn": "2026-03-01T00:00:00+00:00",
        "bundles": [{"certificates": f"{ISSUANCE}_1-9"}],
    }
    details = {"productionFacilityCode": "643002", "vintage": 2024, "countryCode": "FI", "issuanceId": ISSUANCE}
    for said, expected in (
        (details, {"project": "643002", "vintage": "2024", "host": "FIN"}),
        ({"vintage": "2024"}, {"vintage": "2024"}),
        ({"countryCode": "XZ", "vintage": None}, {}),
        ("none", {}),
        (None, {}),
    ):
        (change,) = read_changes(read_transaction(row | {"issuanceDetails": said}), b"")
        assert (change.kind, dict(change.details)) == (ChangeKind.ISSUED, expected)
    (moved,) = read_changes(read_transaction(row | {"issuanceDetails": details, "type": "Transfer"}), b"")
    assert moved.details == {}


ROW = {
    "transactionId": "t1",
    "type": "Retirement",
    "status": "COMPLETED",
    "volume": 10,
    "completedOn": "2026-03-01T00:00:00+00:00",
    "bundles": [{"certificates": f"{ISSUANCE}_1-10"}],
}
ASKED = Instruction("k", Action.RETIRE, ACCOUNTS[0], (parse(f"{ISSUANCE}_1-10"),), details={"beneficiary": "Asha"})


@pytest.mark.parametrize(
    ("status", "completed", "expected"),
    [
        ("COMPLETED", "2026-03-01T00:00:00Z", (10, 0)),
        (None, "2026-03-01T00:00:00Z", (10, 0)),
        (None, None, (0, 10)),
        ("PENDING", None, (0, 10)),
    ],
)
def test_only_what_says_that_it_is_completed_is_done(status: str | None, completed: str | None, expected: Any) -> None:
    """No status is documented: the bundles of an answer without one may be those that were asked for."""
    shown = ROW | {"status": status, "completedOn": completed}
    for row in (shown, {name: value for name, value in shown.items() if value is not None}):
        report = read_report(read_transaction(row), ASKED, b"")
        assert isinstance(report, Report)
        assert (report.done_units, report.pending_units) == expected


@pytest.mark.parametrize("never", ["0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"])
def test_a_time_before_all_times_is_no_completion(never: str) -> None:
    """So some programs print a time that is not set."""
    with pytest.raises(ShapeError):
        read_transaction(ROW | {"status": None, "completedOn": never})


@pytest.mark.parametrize(
    ("status", "kinds"),
    [("PENDING", [ChangeKind.PENDING]), ("REJECTED", []), ("PARTIALLY_COMPLETED", [ChangeKind.RETIRED])],
)
def test_what_is_not_completed_is_no_news_of_an_end(status: str, kinds: list[ChangeKind]) -> None:
    changes = read_changes(read_transaction(ROW | {"status": status, "completedOn": None}), b"")
    assert [change.kind for change in changes] == kinds
    assert [change.effective for change in changes] == [None] * len(kinds)


def test_a_transaction_that_is_open_is_read_again() -> None:
    async def trial() -> None:
        async with puro_stand() as stand:
            assert isinstance(stand.sandbox, PuroSandbox)
            for number in range(3):
                await stand.adapter.instruct(stand.instruction(10, f"{number:032x}", skip=10 * number))
            show = vars(puro)["_event"]
            second = list(stand.sandbox.desk.orders)[1]

            def show_open(entry: Any) -> dict[str, Any]:
                return {**show(entry), **({"status": "PENDING"} if entry.reference == second else {})}

            setattr(puro, "_event", show_open)  # noqa: B010
            try:
                page = await stand.adapter.changes("")
            finally:
                setattr(puro, "_event", show)  # noqa: B010
            assert isinstance(page, Changes)
            assert not page.more
            assert [c.serials and c.serials.first for c in page.items if c.kind is ChangeKind.RETIRED] == [1]
            rest = await stand.all_changes(page.cursor)
            ended = [c.serials and c.serials.first for c in (*page.items, *rest) if c.kind is ChangeKind.RETIRED]
            assert ended == [1, 11, 21]

    asyncio.run(trial())


@pytest.mark.parametrize(
    ("beneficiary", "found"), [("Asha", True), (" ASHA ", True), ("Someone else", False), (None, None), ("", None)]
)
def test_without_a_key_it_is_ours_by_its_beneficiary_or_a_person_must_look(beneficiary: Any, found: Any) -> None:
    """A colleague may have retired as many units of the same bundle through the portal."""
    row = ROW | ({"retirementDetails": {"beneficiaryName": beneficiary}} if beneficiary is not None else {})
    question = Question(ASKED, (), 0)
    if found is None:
        with pytest.raises(ShapeError, match="person must look"):
            matches(read_transaction(row), question, 0)
    else:
        assert matches(read_transaction(row), question, 0) is found
    assert matches(read_transaction(row), question._replace(references=("t1",)), 0)
    assert matches(read_transaction(row | {"idempotencyKey": "k"}), question, 0)
    assert not matches(read_transaction(row | {"volume": 11}), question, 0)


def test_evidence_keeps_nothing_that_somebody_typed() -> None:
    typed = {"retirementPurpose": "for Jane", "publicStatementUrl": "https://jane.example", "beneficiaryName": "Jane"}
    kept = strip_private(ROW | {"accountHolderName": "Jane", "retirementDetails": typed})
    assert b"ane" not in kept
    assert b"transactionId" in kept


def test_the_transaction_of_a_reference_is_that_one() -> None:
    async def trial() -> None:
        async with puro_stand() as stand:
            assert isinstance(stand.sandbox, PuroSandbox)
            said = await stand.adapter.instruct(stand.instruction(10))
            await stand.adapter.instruct(stand.instruction(10, "b2" * 16, skip=10))
            first, second = stand.sandbox.desk.orders.values()
            for order in (first, second):
                order.key = ""
            stand.sandbox.desk.orders[first.reference] = second
            assert isinstance(await stand.ask(stand.instruction(10), said), WrongShape)

    asyncio.run(trial())


def test_pages_shorter_than_asked_for_hide_nothing() -> None:
    """The list is read from its end: what a page leaves out there would be taken for not there."""

    async def trial() -> None:
        async with puro_stand() as stand:
            for number in range(150):
                await stand.adapter.instruct(stand.instruction(1, f"{number:032x}", skip=number))
            await stand.adapter.instruct(stand.instruction(7, "ff" * 16, skip=500))
            for order in stand.sandbox.desk.orders.values():
                order.key = ""
            call = Line._call

            async def clamp(line: Line, method: str, path: str, params: Any, *rest: Any) -> Any:
                return await call(line, method, path, dict(params) | {"limit": "20"}, *rest)

            Line._call = clamp  # type: ignore[method-assign, assignment]
            try:
                assert not isinstance(await stand.ask(stand.instruction(7, "ff" * 16, skip=500)), NothingFound)
            finally:
                Line._call = call  # type: ignore[method-assign]

    asyncio.run(trial())


def test_the_marks_say_what_is_assumed() -> None:
    assert SYSTEM.marks == "facts 11, assumed 10"
