"""India's registry: the contract, and its own: sums over exchanges, breaches and bans, sale out of a block, banking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.answers import ShapeError
from adapters.balances import Balance
from adapters.capabilities import Action
from adapters.contract import (
    Adapter,
    ChangeKind,
    Driver,
    HoldingState,
    Instruction,
    Refused,
    Report,
    Settings,
    Unauthorised,
    Unknown,
    UnsendableError,
)
from adapters.icm import SYSTEM, mapping
from adapters.icm.driver import IcmAdapter
from adapters.icm.sessions import INDIA, add_months, day_of, find_session, instant, quarter_of
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.icm import BUYER, PLANT, TOKEN, IcmSandbox
from adapters.sandbox.icm_conduct import Debarment
from tests.adapters.exchange_stand import DAY_MS, Stand, any_json
from tests.adapters.exchange_suite import ExchangeSuite

JANUARY = instant(date(2026, 1, 2), time(9, 0))
SESSIONS = ("2026-01-28", "2026-02-25", "2026-03-25")


def open_icm(settings: Settings) -> Adapter:
    assert SYSTEM.open is not None
    return SYSTEM.open(Driver.SANDBOX, settings)


@asynccontextmanager
async def icm_stand(
    start_ms: int = JANUARY, units: int = 10_000, debarment: Debarment | None = None
) -> AsyncIterator[Stand]:
    sandbox = IcmSandbox(SandboxClock(start_ms), debarment=debarment)
    filled = sandbox.fill(units)
    adapter = open_icm(Settings(await sandbox.start(), {"token": TOKEN}.__getitem__))
    try:
        yield Stand(sandbox, adapter, PLANT, filled, lambda: sandbox.clock.advance(DAY_MS))
    finally:
        await adapter.close()
        await sandbox.stop()


class TestIcm(ExchangeSuite):
    """Ends of certificates, decided at once."""

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with icm_stand() as stand:
            yield stand

    def open_adapter(self, settings: Settings) -> Adapter:
        return open_icm(settings)


def run(trial: Callable[[Stand, IcmSandbox, IcmAdapter], Awaitable[None]], **how: Any) -> None:
    async def prove() -> None:
        async with icm_stand(**how) as stand:
            assert isinstance(stand.sandbox, IcmSandbox)
            assert isinstance(stand.adapter, IcmAdapter)
            await trial(stand, stand.sandbox, stand.adapter)

    asyncio.run(prove())


def block(stand: Stand, exchange: str, units: int, session: str, skip: int = 0) -> Instruction:
    key = f"{exchange}-{session}-{units}-{skip}"
    details = {"session": session}
    return stand.instruction(units, key, skip, action=Action.BLOCK, to_account=exchange, details=details)


async def over_bid(stand: Stand, session: str) -> list[Any]:
    """600 at one exchange and 500 at the other, of 1,000 that are free."""
    orders = [block(stand, "IEX", 600, session), block(stand, "PXIL", 500, session, 500)]
    for order in orders:
        assert isinstance(await stand.adapter.instruct(order), Report)
    stand.sandbox.clock.move_to(stand.adapter.expects(orders[0], 0))
    return [await stand.ask(order) for order in orders]


def test_the_sum_over_exchanges_is_refused_and_is_one_breach() -> None:
    async def trial(stand: Stand, sandbox: IcmSandbox, adapter: IcmAdapter) -> None:
        answers = await over_bid(stand, SESSIONS[0])
        words = "OVER_BID: 1100 offered at IEX and PXIL, 1000 free; breach 1 of the quarter"
        assert [(type(each), each.reason, each.final) for each in answers] == [(Refused, words, True)] * 2
        assert await adapter.balance(PLANT) == Balance(1000, 0, 0, 0, 0, 1, "")
        event = (await stand.all_changes())[-1]
        assert (event.kind, event.details) == (
            ChangeKind.NOTICE,
            {"event": "BREACH", "session": SESSIONS[0], "offered": "1100", "free": "1000", "breaches": "1"},
        )

    run(trial, units=1000)


def test_the_third_breach_of_a_quarter_bars_until_a_day_and_orders_are_refused() -> None:
    async def trial(stand: Stand, sandbox: IcmSandbox, adapter: IcmAdapter) -> None:
        for number, session in enumerate(SESSIONS, 1):
            answers = await over_bid(stand, session)
            assert f"breach {number} of the quarter" in answers[0].reason
        assert (await stand.all_changes())[-1].details == {"event": "DEBARRED", "until": "2026-09-25"}
        later = block(stand, "IEX", 1, "2026-04-29")
        no = await adapter.instruct(later)
        assert isinstance(no, Refused)
        assert (no.final, no.reason) == (True, f"DEBARRED: no orders of {PLANT} until 2026-09-25")
        assert await stand.ask(later) == no
        assert (await adapter.balance(PLANT)).debarred_until == "2026-09-25"  # type: ignore[union-attr]
        sandbox.clock.move_to(instant(date(2026, 9, 25), time(0, 0)))
        again = block(stand, "IEX", 2, "2026-09-30")
        assert isinstance(await adapter.instruct(again), Report)
        assert (await adapter.balance(PLANT)).debarred_until == ""  # type: ignore[union-attr]

    run(trial, units=1000)


def test_breaches_of_two_quarters_do_not_add_up() -> None:
    async def trial(stand: Stand, sandbox: IcmSandbox, adapter: IcmAdapter) -> None:
        for session in ("2026-02-25", "2026-03-25", "2026-04-29"):
            await over_bid(stand, session)
        found = await adapter.balance(PLANT)
        assert isinstance(found, Balance)
        assert (found.breaches, found.debarred_until) == (1, "")

    run(trial, units=1000)


def test_a_stricter_profile_bars_at_once() -> None:
    async def trial(stand: Stand, sandbox: IcmSandbox, adapter: IcmAdapter) -> None:
        await over_bid(stand, SESSIONS[0])
        assert (await adapter.balance(PLANT)).debarred_until == "2026-07-28"  # type: ignore[union-attr]

    run(trial, units=1000, debarment=Debarment(breaches_max=1))


def test_what_is_blocked_is_sold_out_of_its_own_session_or_released() -> None:
    async def trial(stand: Stand, sandbox: IcmSandbox, adapter: IcmAdapter) -> None:
        orders = [block(stand, "IEX", 600, SESSIONS[0]), block(stand, "PXIL", 400, SESSIONS[0], 600)]
        confirmed = instant(date(2026, 1, 28), time(16, 0))
        for order in orders:
            said = await adapter.instruct(order)
            assert isinstance(said, Report)
            assert (said.pending_units, said.due_ms) == (order.units, confirmed)
        sandbox.clock.move_to(confirmed)
        assert [(await stand.ask(order)).done_units for order in orders] == [600, 400]  # type: ignore[union-attr]
        assert await adapter.balance(PLANT) == Balance(0, 1000, 0, 0, 0, 0, "")

        sold = {"exchange": "IEX", "session": SESSIONS[0]}
        sale = stand.instruction(250, "sale", action=Action.TRANSFER, to_account=BUYER, details=sold)
        other = sale._replace(key="other", details={**sold, "exchange": "PXIL"})
        no = await adapter.instruct(other)
        assert isinstance(no, Refused)
        assert "NOT_BLOCKED" in no.reason
        assert isinstance(await adapter.instruct(sale), Report)
        rest = stand.instruction(350, "rest", 250, action=Action.UNBLOCK, details=sold)
        assert isinstance(await adapter.instruct(rest), Report)
        again = await adapter.instruct(rest._replace(key="again"))
        assert isinstance(again, Refused)
        assert sandbox.book.units(BUYER) == 250
        assert await adapter.balance(PLANT) == Balance(350, 400, 0, 0, 0, 0, "")
        ends = [(c.kind, c.serials and c.serials.units) for c in await stand.all_changes()]
        assert ends[1:] == [
            (ChangeKind.BLOCKED, 600),
            (ChangeKind.BLOCKED, 400),
            (ChangeKind.TRANSFERRED, 250),
            (ChangeKind.UNBLOCKED, 350),
        ]

    run(trial, units=1000)


def test_after_the_report_of_a_session_no_order_is_taken_for_it() -> None:
    async def trial(stand: Stand, sandbox: IcmSandbox, adapter: IcmAdapter) -> None:
        sandbox.clock.move_to(instant(date(2026, 1, 28), time(15, 31)))
        no = await adapter.instruct(block(stand, "IEX", 1, SESSIONS[0]))
        assert isinstance(no, Refused)
        assert "TOO_LATE" in no.reason

    run(trial)


def test_what_is_left_of_a_year_is_banked_and_may_still_be_surrendered() -> None:
    async def trial(stand: Stand, sandbox: IcmSandbox, adapter: IcmAdapter) -> None:
        use = stand.instruction(600, action=Action.USE, details={"use_year": "2025-26"})
        assert isinstance(await adapter.instruct(use), Report)
        sandbox.close_year("2025-26")
        assert await adapter.balance(PLANT) == Balance(0, 0, 400, 600, 0, 0, "")
        event = (await stand.all_changes())[-1]
        assert (event.details["event"], event.serials and event.serials.first) == ("BANKED", 601)
        next_year = stand.instruction(100, "next", 600, action=Action.USE, details={"use_year": "2026-27"})
        assert isinstance(await adapter.instruct(next_year), Report)
        assert await adapter.balance(PLANT) == Balance(0, 0, 300, 700, 0, 0, "")
        assert sandbox.book.units(PLANT, (HoldingState.USED,)) == 700

    run(trial, units=1000)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"action": Action.BLOCK, "to_account": "NYSE", "details": {"session": SESSIONS[0]}}, "not at NYSE"),
        ({"action": Action.BLOCK, "to_account": "IEX", "details": {}}, "named by its day"),
        ({"action": Action.BLOCK, "to_account": "IEX", "details": {"session": "2026-01-27"}}, "is on 2026-01-28"),
        ({"action": Action.TRANSFER, "to_account": BUYER}, "not at no exchange"),
        (
            {"action": Action.TRANSFER, "details": {"exchange": "IEX", "session": SESSIONS[0]}},
            "names the buyer's account",
        ),
        ({"action": Action.USE, "details": {"use_year": "soon"}}, "'soon'"),
        ({"key": "with space"}, "1 to 64"),
    ],
)
def test_what_cannot_be_ordered(changed: dict[str, Any], words: str) -> None:
    async def trial(stand: Stand, sandbox: IcmSandbox, adapter: IcmAdapter) -> None:
        with pytest.raises(UnsendableError, match=words):
            adapter.compose(stand.instruction(**changed))

    run(trial)


def test_one_key_with_another_body_and_no_token() -> None:
    async def trial(stand: Stand, sandbox: IcmSandbox, adapter: IcmAdapter) -> None:
        await adapter.instruct(stand.instruction(10))
        no = await adapter.instruct(stand.instruction(11))
        assert isinstance(no, Unknown), "under that key something happened: it must be looked at"
        stranger = open_icm(Settings(sandbox.base_url, lambda _: "x"))
        assert isinstance(await stranger.instruct(stand.instruction(1, "k")), Unauthorised)
        await stranger.close()

    run(trial)


def test_a_no_to_a_part_and_a_unit_done_twice_are_no_order() -> None:
    order = {"orderId": "1", "key": "k", "quantity": 100, "done": [], "refusedQuantity": 0, "reason": ""}
    block = "IN-CCC-OE-CEM0042-2025-26-1-40"
    good = mapping.read_order(order | {"status": "REFUSED", "refusedQuantity": 100})
    assert good.refused_units == 100
    for wrong in (
        {"status": "REFUSED", "refusedQuantity": 60},
        {"status": "PARTIAL", "done": [block, block]},
        {"status": "DONE", "done": [block, block], "refusedQuantity": 20, "decidedAt": "2026-03-20T00:00:00Z"},
    ):
        with pytest.raises(ShapeError):
            mapping.read_order(order | wrong)


def test_any_order_is_a_value_or_a_wrong_shape() -> None:
    @settings(max_examples=80, deadline=None)
    @given(any_json())
    def read(value: Any) -> None:
        for parse_it in (mapping.read_order, mapping.read_event, mapping.read_holding, mapping.read_balance):
            with pytest.raises(ShapeError):
                parse_it(value)

    read()


@given(st.dates(date(2020, 1, 1), date(2040, 12, 31)), st.integers(0, 40))
def test_sessions_are_the_last_wednesday_and_months_are_counted_whole(day: date, months: int) -> None:
    session = find_session(day)
    assert (session.weekday(), session.month, session.year) == (2, day.month, day.year)
    assert (date.fromordinal(session.toordinal() + 7)).month != day.month
    later = add_months(day, months)
    assert later.year * 12 + later.month == day.year * 12 + day.month + months
    assert later.day == day.day or later.day < day.day <= 31
    assert quarter_of(day) == (day.year, -(-day.month // 3))
    assert day_of(instant(day, time(23, 59))) == day == datetime.combine(day, time(0), INDIA).date()


def test_the_marks_say_what_is_assumed() -> None:
    assert SYSTEM.marks == "facts 10, assumed 10"
