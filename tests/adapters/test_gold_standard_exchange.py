"""Gold Standard: the contract through the assumed account interface; the public list live, and its traps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.answers import ShapeError
from adapters.contract import (
    Adapter,
    Driver,
    Holdings,
    HoldingState,
    NothingFound,
    Refused,
    Report,
    Settings,
    UnsendableError,
    WrongShape,
)
from adapters.gold_standard import SYSTEM, mapping
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.gold_standard import ACCOUNTS, API_KEY, REVIEW_MS, TOKEN, GoldStandardSandbox
from adapters.systems import CannotOpenError, open_system
from tests.adapters.exchange_stand import DAY_MS, Stand, any_json, dump, ended_units
from tests.adapters.exchange_suite import ExchangeSuite

SECRETS = {"api-key": API_KEY, "account-token": TOKEN}


def open_gold_standard(settings: Settings, driver: Driver = Driver.SANDBOX) -> Adapter:
    assert SYSTEM.open is not None
    return SYSTEM.open(driver, settings)


@asynccontextmanager
async def gold_stand(reviews: bool = True) -> AsyncIterator[Stand]:
    sandbox = GoldStandardSandbox(reviews=reviews)
    units = sandbox.fill(10_000)
    adapter = open_gold_standard(Settings(await sandbox.start(), SECRETS.__getitem__))
    try:
        yield Stand(sandbox, adapter, ACCOUNTS[0], units, lambda: sandbox.clock.advance(3 * DAY_MS))
    finally:
        await adapter.close()
        await sandbox.stop()


def prove(trial: Callable[[Stand, GoldStandardSandbox], Awaitable[None]]) -> None:
    async def run() -> None:
        async with gold_stand() as stand:
            assert isinstance(stand.sandbox, GoldStandardSandbox)
            await trial(stand, stand.sandbox)

    asyncio.run(run())


class TestGoldStandard(ExchangeSuite):
    """The using entity is reviewed first."""

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with gold_stand() as stand:
            yield stand

    def open_adapter(self, settings: Settings) -> Adapter:
        return open_gold_standard(settings)


class TestGoldStandardAtOnce(TestGoldStandard):
    """The using entity is known already."""

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with gold_stand(reviews=False) as stand:
            yield stand


def test_an_entity_is_reviewed_once_and_the_units_are_blocked_meanwhile() -> None:
    async def trial(stand: Stand, sandbox: GoldStandardSandbox) -> None:
        first = await stand.adapter.instruct(stand.instruction())
        assert isinstance(first, Report)
        assert first.pending_units == 100
        assert sandbox.clock.now_ms + REVIEW_MS <= stand.adapter.expects(stand.instruction(), sandbox.clock.now_ms)
        again = await stand.adapter.instruct(stand.instruction(50, "c3" * 16, skip=50))
        assert isinstance(again, Refused)
        assert again.final
        assert "NOT_ACTIVE" in again.reason
        stand.settle()
        known = await stand.adapter.instruct(stand.instruction(50, "d4" * 16, skip=100))
        assert isinstance(known, Report)
        assert known.done_units == 50
        assert ended_units(stand) == 150

    prove(trial)


def test_two_orders_of_one_key_are_a_matter_for_a_person() -> None:
    async def trial(stand: Stand, sandbox: GoldStandardSandbox) -> None:
        one = await stand.adapter.instruct(stand.instruction())
        await stand.adapter.instruct(stand.instruction(skip=100))
        stand.settle()
        assert isinstance(await stand.ask(stand.instruction()), WrongShape)
        assert isinstance(await stand.ask(stand.instruction(), one if isinstance(one, Report) else None), Report)

    prove(trial)


def test_without_notes_somebody_elses_order_is_never_ours() -> None:
    async def trial(stand: Stand, sandbox: GoldStandardSandbox) -> None:
        one = await stand.adapter.instruct(stand.instruction())
        sandbox.clock.advance(REVIEW_MS)
        sandbox.shows_notes = False
        question = stand.question(stand.instruction())._replace(sent_ms=sandbox.clock.now_ms - REVIEW_MS)
        assert isinstance(await stand.adapter.ask(question), WrongShape), "these units, whoever's order"
        assert isinstance(await stand.ask(stand.instruction(100, "b2" * 16, skip=500)), NothingFound)
        assert isinstance(await stand.ask(stand.instruction(), one if isinstance(one, Report) else None), Report)

    prove(trial)


def test_lagging_reads_find_nothing_yet() -> None:
    async def trial(stand: Stand, sandbox: GoldStandardSandbox) -> None:
        sandbox.faults.add(Fault(FaultKind.STALE, "GET", times=-1, value=DAY_MS))
        await stand.adapter.instruct(stand.instruction())
        assert isinstance(await stand.ask(stand.instruction()), NothingFound)
        stand.settle()
        assert isinstance(await stand.ask(stand.instruction()), Report)

    prove(trial)


def test_lists_are_read_to_their_end() -> None:
    async def trial(stand: Stand, sandbox: GoldStandardSandbox) -> None:
        sandbox.reviews = False
        for number in range(60):
            await stand.adapter.instruct(stand.instruction(1, f"{number:032x}", skip=2 * number))
        assert len({change.id for change in await stand.all_changes()}) == 61
        assert len(await stand.all_holdings()) == 121 - 1
        last = await stand.ask(stand.instruction(1, f"{59:032x}", skip=118))
        assert isinstance(last, Report)
        sandbox.faults.add(Fault(FaultKind.SHRUNK, times=-1))
        for answer in (await stand.ask(stand.instruction()), await stand.adapter.snapshot()):
            assert isinstance(answer, WrongShape)

    prove(trial)


@pytest.mark.parametrize(
    "changed",
    [
        {"details": {}},
        {"details": {"beneficiary": "x" * 201}},
        {"details": {"beneficiary": "A", "purpose": "with [another-key]"}},
        {"details": {"beneficiary": "A", "purpose": "x" * 500}},
        {"key": "with space"},
    ],
)
def test_what_cannot_be_said_is_refused(changed: dict[str, Any]) -> None:
    async def trial(stand: Stand, _: GoldStandardSandbox) -> None:
        with pytest.raises(UnsendableError):
            stand.adapter.compose(stand.instruction(**changed))

    prove(trial)


# -- the public list, live


def test_live_is_off_until_the_registry_permitted_it() -> None:
    with pytest.raises(CannotOpenError, match="missing secret 'written-permission'"):
        open_system("gold_standard", Driver.LIVE, Settings("https://public-api.goldstandard.org", lambda _: ""))
    allowed = Settings("https://public-api.goldstandard.org", lambda name: "GS/2026/17")
    adapter = open_system("gold_standard", Driver.LIVE, allowed)
    assert not adapter.capabilities.actions
    assert adapter.capabilities.grade == "C"
    assert [(limit.requests, limit.per_ms) for limit in adapter.capabilities.limits] == [(1, 1_000)]


@pytest.mark.parametrize("projects", [(), ("GS99001",), ("GS99002", "GS99001")])
def test_live_reads_the_public_list_and_nothing_else(projects: tuple[str, ...]) -> None:
    async def trial(stand: Stand, sandbox: GoldStandardSandbox) -> None:
        sandbox.fill(700, project=99002)
        sandbox.fill(300, project=99003)
        await stand.adapter.instruct(stand.instruction())
        stand.settle()
        live = open_gold_standard(Settings(sandbox.base_url, lambda _: "", projects), Driver.LIVE)
        public = Stand(sandbox, live, "", stand.units, stand.settle)
        rows = [(r.serials, r.state) for r in await public.all_holdings()]
        wanted = [p.removeprefix("GS") for p in projects] or ["99001", "99002", "99003"]
        book = sandbox.book.rows()
        assert sorted(rows) == sorted(
            (r.serials, r.state) for r in book if any(f":{w}-" in r.serials.space for w in wanted)
        )
        with pytest.raises(UnsendableError, match="live only reads"):
            live.compose(stand.instruction())
        refused = await public.ask(stand.instruction())
        assert isinstance(refused, Refused)
        assert not refused.final
        assert await public.all_changes() == []
        await live.close()

    prove(trial)


def test_blocks_that_contradict_themselves_are_told_and_not_counted() -> None:
    async def trial(stand: Stand, sandbox: GoldStandardSandbox) -> None:
        good = {"id": 5, "status": "ISSUED", "serial_number": "GS1-1-KE-GS99009-16-2024-50009-1-10"}
        sandbox.odd = [
            good | {"number_of_credits": 9},
            good | {"number_of_credits": 10, "ending_credit_number": 11},
            good | {"number_of_credits": 10, "status": "LOST"},
            good | {"number_of_credits": 10, "product": {"abbreviation": "PER"}},
            good | {"number_of_credits": 133, "serial_number": "RW-5-1459975-2-2-0-7014 - RW-5-1460107-2-2-0-7014"},
        ]
        live = open_gold_standard(Settings(sandbox.base_url, lambda _: ""), Driver.LIVE)
        page = await live.snapshot()
        assert isinstance(page, Holdings)
        assert len(page.unread) == 3
        assert [row.state for row in page.rows[1:]] == [HoldingState.PENDING, HoldingState.ACTIVE]
        await live.close()

    prove(trial)


@pytest.mark.parametrize(
    ("query", "agent", "status", "rows"),
    [
        ("page=1&size=25", "Mozilla/5.0", 200, 2),
        ("page=1&size=26", "Mozilla/5.0", 403, None),
        ("page=1&size=25&project_id=99002&status=RETIRED", "Mozilla/5.0", 200, 2),
        ("page=1&size=25&query=GS99002", "Mozilla/5.0", 200, 1),
        ("page=1&size=25", "python", 403, None),
    ],
)
def test_the_sandbox_sets_the_traps(query: str, agent: str, status: int, rows: int | None) -> None:
    async def trial(stand: Stand, sandbox: GoldStandardSandbox) -> None:
        sandbox.fill(700, project=99002)
        url = f"{sandbox.base_url}/credits?{query}"
        async with aiohttp.ClientSession() as session, session.get(url, headers={"User-Agent": agent}) as answer:
            assert answer.status == status
            if rows is not None:
                assert len(await answer.json()) == rows
                assert answer.headers["X-Total-Count"] == str(rows)

    prove(trial)


# -- whatever comes

BLOCK = {
    "id": 5,
    "status": "ISSUED",
    "serial_number": "GS1-1-KE-GS99009-16-2024-50009-1-10",
    "number_of_credits": 10,
    "product": {"abbreviation": "VER"},
    "type": "RETIREMENT",
    "created_at": "2026-03-20T09:46:40.123456",
    "note": "[a]",
}
ORDER = BLOCK | {"status": "RETIRED", "credits": [BLOCK], "rejected_credits": 0, "decided_at": None}


def near(row: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(sorted(row))
    changed = st.dictionaries(names, any_json() | st.sampled_from(["\ud800", "0001-01-01T00:00+23:59"]), max_size=3)
    return changed.map(lambda some: {**row, **some})


@settings(max_examples=300, deadline=None)
@given(near(BLOCK), near(ORDER))
def test_any_row_is_read_or_refused(block: dict[str, Any], order: dict[str, Any]) -> None:
    order = json.loads(dump(order | {"credits": [block]} if order["id"] == 5 else order))
    with suppress(ShapeError):
        assert mapping.read_block(block).serials.units == block["number_of_credits"]
    with suppress(ShapeError):
        assert mapping.read_event(block).serials is not None
    with suppress(ShapeError):
        assert mapping.read_order(order).reference


def test_the_marks_say_what_is_assumed() -> None:
    assert SYSTEM.marks == "facts 11, assumed 11"
