"""Lists of the UK registry that hold more, less or other rows than ours: nothing is lost, and nothing else stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from adapters.contract import ChangeKind, Changes, Holdings, WrongShape
from adapters.web import Line, Reply
from tests.adapters.test_uk_ets_exchange import UkStand, propose, uk_stand

LIST, BLOCKS = "/api-registry/transactions.list", "/api-registry/unit-blocks.report"


@contextmanager
def told_instead(path: str, change: Callable[[list[Any], dict[str, Any]], list[Any]]) -> Iterator[None]:
    """While it lasts, the rows of the list at `path` are what `change` makes of them and of the page's other fields."""
    call = Line._call

    async def tell(line: Line, method: str, asked: str, *rest: Any) -> Any:
        reply = await call(line, method, asked, *rest)
        if asked != path or not isinstance(reply, Reply):
            return reply
        page = dict(reply.json)
        page["items"] = change(list(page["items"]), page)
        return reply._replace(json=page)

    Line._call = tell  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Line._call = call  # type: ignore[method-assign]


def prove(trial: Callable[[UkStand], Awaitable[None]]) -> None:
    async def run() -> None:
        async with uk_stand() as stand:
            await trial(stand)

    asyncio.run(run())


def test_a_transaction_of_another_type_is_told_and_stops_no_news() -> None:
    """An allocation, or the reversal of a surrender: types that we never propose."""

    def allocate(rows: list[Any], page: dict[str, Any]) -> list[Any]:
        page["totalResults"] += 1
        return [{**rows[0], "id": "UK999999", "type": "AllocateAllowances"}, *rows]

    async def trial(stand: UkStand) -> None:
        _, report = await propose(stand)
        with told_instead(LIST, allocate):
            changes = await stand.all_changes()
        assert [(change.kind, change.reference) for change in changes] == [
            (ChangeKind.PROPOSED, report.reference),
            (ChangeKind.NOTICE, "UK999999"),
        ]
        assert changes[1].details["type"] == "AllocateAllowances"
        assert changes[1].evidence

    prove(trial)


def test_of_transactions_of_one_instant_none_is_lost() -> None:
    """Many are executed at one full minute, and a list may be read in the midst of it."""

    async def trial(stand: UkStand) -> None:
        for number in range(3):
            await propose(stand, units=10, key=f"{number}" * 32)
        first = sorted(stand.sandbox.desk.orders)[0]
        with told_instead(LIST, lambda rows, page: _without(rows, page, first)):
            page = await stand.adapter.changes("")
        assert isinstance(page, Changes)
        assert len(page.items) == 2
        rest = await stand.all_changes(page.cursor)
        assert [change.reference for change in rest] == [first]
        assert await stand.all_changes((await _read(stand, page.cursor)).cursor) == []

    prove(trial)


async def _read(stand: UkStand, cursor: str) -> Changes:
    page = await stand.adapter.changes(cursor)
    assert isinstance(page, Changes)
    return page


def _without(rows: list[Any], page: dict[str, Any], gone: str) -> list[Any]:
    page["totalResults"] -= 1
    return [row for row in rows if row["id"] != gone]


def test_a_report_whose_pages_are_shorter_than_asked_for_is_not_the_whole_book() -> None:
    async def trial(stand: UkStand) -> None:
        def clamp(rows: list[Any], page: dict[str, Any]) -> list[Any]:
            page["totalResults"] = 150
            return rows[:20]

        with told_instead(BLOCKS, clamp):
            assert isinstance(await stand.adapter.snapshot(), WrongShape)
        with told_instead(BLOCKS, lambda _rows, page: page.update(totalResults=150, page=1) or []):
            assert isinstance(await stand.adapter.snapshot("1"), WrongShape)

    prove(trial)


def test_a_block_that_contradicts_itself_harms_no_other() -> None:
    async def trial(stand: UkStand) -> None:
        def add(rows: list[Any], page: dict[str, Any]) -> list[Any]:
            page["totalResults"] += 2
            first = rows[0]["endBlock"] + 1
            wrong = {**rows[0], "startBlock": first, "endBlock": first + 9, "quantity": 11}
            return [*rows, wrong, {**rows[0], "unitType": "CER"}]

        with told_instead(BLOCKS, add):
            found = await stand.adapter.snapshot()
            assert isinstance(found, Holdings), found
            assert [row.serials for row in found.rows] == [stand.units]
            assert len(found.unread) == 2

    prove(trial)
