"""A row of a registry's books that cannot be true is told and left out: it harms no other, and no units are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from adapters.contract import Holdings, WrongShape
from adapters.web import Line, Reply
from tests.adapters import (
    test_icm_exchange,
    test_irec_exchange,
    test_isometric_exchange,
    test_puro,
    test_verra_exchange,
)
from tests.adapters.exchange_suite import ExchangeSuite


def spoil(told: Any, rows_at: str, total_at: tuple[str, ...], wrong: Mapping[str, Any], *, more: bool) -> Any:
    """The page with one row more that is wrong, or with two rows that both are."""
    rows = told[rows_at] if rows_at else told
    if not more:
        changed = [{**rows[0], **wrong, "entityId": place} for place in (1, 2)]
        told = _count(told, total_at, 2 - len(rows))
        return {**told, rows_at: changed} if rows_at else changed
    changed = [*rows, {**rows[-1], **wrong}]
    if not rows_at:
        return changed
    return {**_count(told, total_at, 1), rows_at: changed}


def _count(told: Any, total_at: tuple[str, ...], more: int) -> Any:
    """The page with a total so much higher."""
    if not total_at:
        return told
    if len(total_at) == 1:
        return {**told, total_at[0]: told[total_at[0]] + more}
    return {**told, total_at[0]: _count(told[total_at[0]], total_at[1:], more)}


@pytest.mark.parametrize(
    ("suite", "rows_at", "total_at", "wrong"),
    [
        (test_puro.TestPuro, "data", ("pagination", "total"), {"certificates": "nonsense"}),
        (test_icm_exchange.TestIcm, "holdings", ("total",), {"block": "ACR-US-934-2024-2891-58384 to 58673"}),
        (test_verra_exchange.TestVerra, "entities", ("totalEntities",), {"serialNo": "nonsense", "entityId": 10**9}),
        (test_isometric_exchange.TestIsometric, "nodes", ("total_count",), {"size": {"credit_kgs": 7}}),
        (test_irec_exchange.TestIrec, "", (), {"volume": "1.5"}),
    ],
)
def test_a_row_that_cannot_be_true_harms_no_other(
    suite: type[ExchangeSuite], rows_at: str, total_at: tuple[str, ...], wrong: Mapping[str, Any]
) -> None:
    async def run() -> None:
        async with suite().stand() as stand:
            call = Line._call
            before = await stand.adapter.snapshot()
            assert isinstance(before, Holdings)
            assert before.rows
            for more in (True, False):

                async def tell(*asked: Any, more: bool = more) -> Any:
                    reply = await call(*asked)
                    if not isinstance(reply, Reply) or (rows_at and rows_at not in reply.json):
                        return reply
                    return reply._replace(json=spoil(reply.json, rows_at, total_at, wrong, more=more))

                Line._call = tell  # type: ignore[method-assign, assignment]
                try:
                    found = await stand.adapter.snapshot()
                finally:
                    Line._call = call  # type: ignore[method-assign]
                if more:
                    assert isinstance(found, Holdings), found
                    assert found.rows == before.rows
                    assert len(found.unread) == 1
                else:
                    assert isinstance(found, WrongShape), "nothing of it can be read"

    asyncio.run(run())
