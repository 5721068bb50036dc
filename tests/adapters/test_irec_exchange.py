"""I-REC: the contract, and what is its own: watt hours without a float, items and volumes, tokens that run out."""

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
    Refused,
    Report,
    Settings,
    Unauthorised,
    Unknown,
    UnsendableError,
    WrongShape,
)
from adapters.irec import SYSTEM, mapping
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.irec import ACCOUNTS, BENEFICIARY, PASSWORD, REDEMPTION_ACCOUNT, TOKEN_MS, IrecSandbox
from adapters.web import Line
from keeling.serials import Grain, parse
from tests.adapters.exchange_stand import Stand, any_json, dump, ended_units
from tests.adapters.exchange_suite import ExchangeSuite

DETAILS = {
    "beneficiary": "Asha Textiles",
    "beneficiary_id": BENEFICIARY,
    "redemption_account": REDEMPTION_ACCOUNT,
    "purpose": "RE100",
}


class IrecStand(Stand):
    def instruction(self, units: int = 100, key: str = "a1" * 16, skip: int = 0, **changed: Any) -> Instruction:
        return super().instruction(units, key, skip, **{"details": DETAILS, **changed})


def open_irec(settings: Settings) -> Adapter:
    assert SYSTEM.open is not None
    return SYSTEM.open(Driver.SANDBOX, settings)


@asynccontextmanager
async def irec_stand(approval_ms: int = 0, password: str = PASSWORD) -> AsyncIterator[IrecStand]:
    """The token is got beforehand and the connection let go, so that faults meet what they are meant for."""
    sandbox = IrecSandbox(approval_ms=approval_ms)
    units = sandbox.fill(10_000)
    adapter = open_irec(Settings(await sandbox.start(), lambda _: password))
    try:
        await adapter.snapshot()
        await adapter.close()
        sandbox.requests = 0
        yield IrecStand(sandbox, adapter, ACCOUNTS[0], units, lambda: sandbox.clock.advance(TOKEN_MS // 2))
    finally:
        await adapter.close()
        await sandbox.stop()


def prove(trial: Callable[[IrecStand, IrecSandbox], Awaitable[None]], **said: Any) -> None:
    async def run() -> None:
        async with irec_stand(**said) as stand:
            assert isinstance(stand.sandbox, IrecSandbox)
            await trial(stand, stand.sandbox)

    asyncio.run(run())


class TestIrec(ExchangeSuite):
    """Decided at once."""

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with irec_stand() as stand:
            yield stand

    def open_adapter(self, settings: Settings) -> Adapter:
        return open_irec(settings)


class TestIrecWithApproval(TestIrec):
    """Pending until an approver decides."""

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with irec_stand(approval_ms=600_000) as stand:
            yield stand


def test_a_message_does_not_leave_later_than_a_call_may_take() -> None:
    """Who sends again counts on it: a token that ran out and a slow sign-in come before the message itself."""

    async def run() -> None:
        sandbox = IrecSandbox()
        units = sandbox.fill(10_000)
        adapter = open_irec(Settings(await sandbox.start(), lambda _: PASSWORD, timeout_ms=400))
        slow = asyncio.Event()
        try:
            await adapter.snapshot()
            call = Line._call

            async def answer_slowly(line: Line, method: str, *rest: Any) -> Any:
                if slow.is_set():
                    await asyncio.sleep(0.25)  # each call in time, all of them not
                return await call(line, method, *rest)

            Line._call = answer_slowly  # type: ignore[method-assign, assignment]
            sandbox.tokens.clear()
            slow.set()
            try:
                stand = IrecStand(sandbox, adapter, ACCOUNTS[0], units, lambda: None)
                assert isinstance(await adapter.instruct(stand.instruction()), Unknown)
            finally:
                Line._call = call  # type: ignore[method-assign]
            assert not sandbox.desk.orders
        finally:
            await adapter.close()
            await sandbox.stop()

    asyncio.run(run())


# -- one watt hour


@pytest.mark.parametrize(
    ("watt_hours", "printed"),
    [
        (0, "0.000000"),
        (1, "0.000001"),
        (2_414, "0.002414"),
        (1_000_000, "1.000000"),
        (10**17 + 1, "100000000000.000001"),
    ],
)
def test_volumes_are_exact(watt_hours: int, printed: str) -> None:
    assert mapping.format_mwh(watt_hours) == printed
    assert mapping.parse_mwh(printed, "volume") == watt_hours


@given(st.integers(0, 10**18 - 1))
def test_any_volume_comes_back(watt_hours: int) -> None:
    assert mapping.parse_mwh(mapping.format_mwh(watt_hours), "volume") == watt_hours


@pytest.mark.parametrize(
    ("printed", "watt_hours"),
    [
        ("1000", 10**9),
        ("1.5", 1_500_000),
        ("0.0000010", 1),
        *((wrong, None) for wrong in ("0.0000001", "1e3", "-1", "1,000", "", ".5", "٣", 1, None)),
    ],
)
def test_a_volume_is_read_or_refused(printed: Any, watt_hours: int | None) -> None:
    if watt_hours is not None:
        assert mapping.parse_mwh(printed, "volume") == watt_hours
        return
    with pytest.raises(ShapeError, match="no volume in MWh"):
        mapping.parse_mwh(printed, "volume")


def test_the_documented_serials_hold_what_their_volume_says() -> None:
    code = "IREC-KHANES20001-VN-2020-0101-0530"
    held = mapping.read_range(code, {"start_cert_num": "1.066602", "end_cert_num": "1.069015", "volume": "0.002414"})
    assert (held.units, held.grain, mapping.print_code(held)) == (2_414, Grain.WH, code)
    with pytest.raises(ShapeError, match="holds 2414 units"):
        mapping.read_range(code, {"start_cert_num": "1.066602", "end_cert_num": "1.069015", "volume": "0.002413"})


def test_ranges_of_one_item_become_one_amount() -> None:
    async def trial(stand: IrecStand, sandbox: IrecSandbox) -> None:
        other = sandbox.fill(5_000, device="GFNIES10001")
        lots = (
            stand.units.part(1_000_000, 1_000_004),
            stand.units.part(1_000_010, 1_000_010),
            other.part(1_000_000, 1_000_099),
        )
        body = json.loads(stand.adapter.compose(stand.instruction(lots=lots)))
        assert [(i["item_code"][5:16], i["amount"]) for i in body["reservation_items"]] == [
            ("GFNIES10001", "0.000100"),
            ("KHANES20001", "0.000006"),
        ]
        assert (body["rqd_volume"], body["period_start"], body["period_end"]) == (
            "0.000106",
            "2020-01-01",
            "2020-12-31",
        )
        answer = await stand.adapter.instruct(stand.instruction(lots=lots))
        assert isinstance(answer, Report)
        assert sorted(part.units for part in answer.done) == [6, 100]
        assert ended_units(stand) == 106

    prove(trial)


@pytest.mark.parametrize(
    "changed",
    [
        {"details": {**DETAILS, "beneficiary_id": "Asha Textiles"}},
        {"details": {name: value for name, value in DETAILS.items() if name != "redemption_account"}},
        {"details": {**DETAILS, "period_start": "2020-02-30", "period_end": "2020-12-31"}},
        {"details": {**DETAILS, "period_start": "2020-12-31", "period_end": "2020-01-01"}},
        {"details": {**DETAILS, "period_start": "2020-12-31"}},
        {"details": {**DETAILS, "purpose": "x" * 255}},
        {"lots": (parse("GS1-1-KE-GS11603-16-2025-30256-110-5463"),)},
        {"lots": tuple(parse(f"IREC-KHANES20001-VN-{year}-0101-0530-1.000000 to 1.000009") for year in (2020, 2021))},
    ],
)
def test_what_cannot_be_said_is_refused(changed: dict[str, Any]) -> None:
    async def trial(stand: IrecStand, _: IrecSandbox) -> None:
        with pytest.raises(UnsendableError):
            stand.adapter.compose(stand.instruction(**changed))

    prove(trial)


# -- tokens


def test_a_token_that_ran_out_is_replaced_once() -> None:
    async def trial(stand: IrecStand, sandbox: IrecSandbox) -> None:
        sandbox.clock.advance(TOKEN_MS)
        assert isinstance(await stand.adapter.instruct(stand.instruction()), Report)
        assert (ended_units(stand), len(sandbox.tokens), sandbox.requests) == (100, 2, 3)
        sandbox.faults.add(Fault(FaultKind.THROTTLE_AS_401, "redemption", times=-1))
        assert isinstance(await stand.adapter.instruct(stand.instruction(10, "b2" * 16)), Unauthorised)
        assert (ended_units(stand), sandbox.requests) == (100, 6)

    prove(trial)


def test_wrong_credentials_do_nothing() -> None:
    async def trial(stand: IrecStand, sandbox: IrecSandbox) -> None:
        assert isinstance(await stand.adapter.instruct(stand.instruction()), Unauthorised)
        assert isinstance(await stand.ask(stand.instruction()), Unauthorised)
        assert ended_units(stand) == 0

    prove(trial, password="wrong")


def test_a_token_that_cannot_be_got_leaves_nothing() -> None:
    async def trial(stand: IrecStand, sandbox: IrecSandbox) -> None:
        sandbox.clock.advance(TOKEN_MS)
        sandbox.faults.add(Fault(FaultKind.CUT_AFTER, "token"))
        answer = await stand.adapter.instruct(stand.instruction())
        assert "no token" in getattr(answer, "detail", "")
        assert ended_units(stand) == 0

    prove(trial)


# -- what else


def test_more_than_the_item_has_is_refused() -> None:
    async def trial(stand: IrecStand, sandbox: IrecSandbox) -> None:
        await stand.adapter.instruct(stand.instruction(9_950, "b2" * 16))
        answer = await stand.adapter.instruct(stand.instruction(100, skip=9_900))
        assert isinstance(answer, Refused)
        assert answer.final
        assert "INSUFFICIENT_QUANTITY" in answer.reason

    prove(trial)


def test_evidence_holds_no_keys_and_a_list_that_shrank_is_no_answer() -> None:
    async def trial(stand: IrecStand, sandbox: IrecSandbox) -> None:
        answer = await stand.adapter.instruct(stand.instruction())
        assert isinstance(answer, Report)
        assert b"S4ELosCw" not in answer.evidence
        page = await stand.adapter.changes("")
        sandbox.faults.add(Fault(FaultKind.SHRUNK, "transactions", times=-1))
        assert isinstance(await stand.adapter.changes(getattr(page, "cursor", "")), WrongShape)

    prove(trial)


REDEMPTION = {
    "code": "TESTACC-2020-0903-1232-34",
    "type": "Redemption",
    "status": "Approved",
    "volume": "0.002414",
    "notes": "[a]",
    "source_account": "TESTACC001",
    "time": {"date": "2020-01-01 12:32:34.000000", "timezone_type": 3, "timezone": "UTC"},
    "items": {
        "IREC-KHANES20001-VN-2020-0101-0530": {
            "start_cert_num": "1.066602",
            "end_cert_num": "1.069015",
            "volume": "0.002414",
        }
    },
}


def test_no_items_are_an_empty_table_or_an_empty_list() -> None:
    """PHP, whose times these are, prints a table without entries as a list."""
    empty: tuple[object, ...] = ({}, [])
    for nothing in empty:
        record = mapping.read_redemption(REDEMPTION | {"status": "Pending", "items": nothing})
        assert record.done == ()
    with pytest.raises(ShapeError):
        mapping.read_redemption(REDEMPTION | {"items": [1]})


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(REDEMPTION)), any_json() | st.sampled_from(["\ud800", "1.5"]), max_size=3),
    st.dictionaries(st.sampled_from(["start_cert_num", "end_cert_num", "volume", "status", "code"]), any_json()),
)
def test_any_row_is_read_or_refused(changed: dict[str, Any], item: dict[str, Any]) -> None:
    row = json.loads(dump({**REDEMPTION, **changed}))
    with suppress(ShapeError):
        record = mapping.read_redemption(row)
        assert record.reference == "TESTACC-2020-0903-1232-34" or "code" in changed
    with suppress(ShapeError):
        assert all(isinstance(change, Change) for change in mapping.read_changes(row, "A"))
    with suppress(ShapeError):
        mapping.read_item({**REDEMPTION["items"]["IREC-KHANES20001-VN-2020-0101-0530"], **item}, "A")  # type: ignore[index]


def test_nothing_is_live_and_the_marks_say_what_is_assumed() -> None:
    assert SYSTEM.drivers == (Driver.SANDBOX,)
    assert SYSTEM.marks == "facts 10, assumed 11"
