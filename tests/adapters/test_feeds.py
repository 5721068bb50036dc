"""An event that cannot be understood is told, and stops no other; where none can be, it is another list."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import pytest

from adapters.answers import ShapeError
from adapters.contract import Change, Changes, WrongShape
from adapters.des import messages
from adapters.web import Line, Reply
from tests.adapters import (
    test_gold_standard_exchange,
    test_icm_exchange,
    test_irec_exchange,
    test_isometric_exchange,
    test_puro,
    test_unfccc_exchange,
    test_verra_exchange,
)
from tests.adapters.exchange_stand import Stand
from tests.adapters.exchange_suite import ExchangeSuite


async def end_some(stand: Stand) -> list[Change]:
    """Three instructions, and every event there is."""
    for number in range(3):
        await stand.adapter.instruct(stand.instruction(10, f"{number}{number}" * 16, skip=10 * number))
    stand.settle()
    return await stand.all_changes()


def check(found: Any, before: list[Change], spoilt: int) -> None:
    """One is missing and told, or nothing of it is believed."""
    if spoilt == 1:
        assert isinstance(found, Changes), found
        assert len(found.unread) == 1
        left = [change for change in before if change not in found.items]
        assert len(left) == 1
        assert list(found.items) == [change for change in before if change not in left]
    else:
        assert isinstance(found, WrongShape), found


@pytest.mark.parametrize("all_of_them", [False, True])
@pytest.mark.parametrize(
    ("suite", "path", "rows_at", "wrong"),
    [
        (test_puro.TestPuro, r"/registry/transactions", "data", {"type": "Riddle"}),
        (test_gold_standard_exchange.TestGoldStandard, r"/account/transactions", "", {"type": "riddle"}),
        (test_verra_exchange.TestVerra, r"retirements", "entities", {"serialNo": "", "serialNumbers": ""}),
        (test_irec_exchange.TestIrec, r"/transactions$", "", {"type": "RIDDLE"}),
        (test_isometric_exchange.TestIsometric, r"/retirements$", "nodes", {"retired_at": "yesterday"}),
        (test_icm_exchange.TestIcm, r"/icm/v1/events", "events", {"event": "riddle"}),
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_understood_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
    suite: type[ExchangeSuite],
    path: str,
    rows_at: str,
    wrong: Mapping[str, Any],
    all_of_them: bool,
) -> None:
    call, spoilt = Line._call, [0]

    async def tell(line: Line, method: str, where: str, *asked: Any) -> Any:
        reply = await call(line, method, where, *asked)
        if not isinstance(reply, Reply) or not re.search(path, where):
            return reply
        rows = reply.json[rows_at] if rows_at else reply.json
        if not rows:
            return reply
        spoilt[0] += len(rows) if all_of_them else 1
        changed = [{**row, **wrong} for row in rows] if all_of_them else [*rows[:-1], {**rows[-1], **wrong}]
        return reply._replace(json={**reply.json, rows_at: changed} if rows_at else changed)

    async def run() -> None:
        async with suite().stand() as stand:
            before = await end_some(stand)
            monkeypatch.setattr(Line, "_call", tell)
            found = await stand.adapter.changes("")
            assert spoilt[0] == 1 or all_of_them
            check(found, before, 2 if all_of_them else 1)

    asyncio.run(run())


@pytest.mark.parametrize("all_of_them", [False, True])
def test_nor_does_a_signed_one(monkeypatch: pytest.MonkeyPatch, all_of_them: bool) -> None:
    read = messages.read_event

    async def run() -> None:
        async with test_unfccc_exchange.TestUnfccc().stand() as stand:
            before = await end_some(stand)

            def read_some(*asked: Any) -> Change:
                found = read(*asked)
                if all_of_them or found.id == before[-1].id:
                    raise ShapeError("a riddle")
                return found

            monkeypatch.setattr(messages, "read_event", read_some)
            check(await stand.adapter.changes(""), before, 2 if all_of_them else 1)

    asyncio.run(run())
