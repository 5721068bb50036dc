"""Reconciliations that are under way: how far they are, that they go on by themselves, one of a registry at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hub.reconcile.report import Run
from hub.reconcile.run import Bench, Page
from hub.service.comparing import Comparisons, Progress
from tests.hub.dispatch.stage import Stage, play
from tests.hub.reconcile.test_reconcile import Listing, shown


class Gate:
    """Lets the pages of a registry's books through one by one."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._open = asyncio.Semaphore(0)

    async def __call__(self, _registry: str, read: Callable[[], Awaitable[Page]]) -> Page:
        self.asked.set()
        await self._open.acquire()
        return await read()

    async def let_through(self, pages: int) -> None:
        """And wait until so many have been counted."""
        for _ in range(pages):
            self._open.release()
            await self._wait_for_next()

    async def _wait_for_next(self) -> None:
        self.asked.clear()
        await asyncio.wait_for(self.asked.wait(), 10)


def open_comparisons(stage: Stage, gate: Any, told: list[Run], *rows: Any) -> Comparisons:
    now = lambda: stage.world.now_ms  # noqa: E731
    adapters: Any = {"puro": Listing(*rows, page=1) if rows else stage.adapter}
    return Comparisons(Bench(stage.ledger, adapters, stage.hub(), stage.keep, now, gate), told.append)


def test_who_asks_sees_how_far_it_is_and_then_the_run() -> None:
    async def story(stage: Stage) -> None:
        gate, told = Gate(), list[Run]()
        comparisons = open_comparisons(stage, gate, told, shown(1, 4_000), shown(4_001, 9_000), shown(9_001, 10_000))
        assert comparisons.describe("puro") == ("puro", None, None)
        asked = asyncio.create_task(comparisons.reconcile("puro"))
        await gate.asked.wait()
        began = stage.world.now_ms
        assert comparisons.describe("puro").progress == Progress(began, 0, 0)
        await gate.let_through(2)
        assert comparisons.describe("puro").progress == Progress(began, 2, 9_000)
        gate._open.release()
        run = await asked
        assert comparisons.describe("puro") == ("puro", None, run)
        assert told == [run]
        assert run.agreed_units == 10_000

    play(story)


def test_a_run_goes_on_when_nobody_waits_for_it_any_more() -> None:
    async def story(stage: Stage) -> None:
        gate, told = Gate(), list[Run]()
        comparisons = open_comparisons(stage, gate, told, shown(1, 10_000))
        asked = asyncio.create_task(comparisons.reconcile("puro"))
        await gate.asked.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert comparisons.describe("puro").progress is not None
        gate._open.release()
        gate._open.release()
        second = await comparisons.reconcile("puro")
        assert [run.agreed_units for run in told] == [10_000, 10_000], "the second came after the first"
        assert comparisons.newest == {"puro": second}

    play(story)


def test_who_asks_while_a_run_waits_gets_that_one() -> None:
    async def story(stage: Stage) -> None:
        gate, told = Gate(), list[Run]()
        comparisons = open_comparisons(stage, gate, told, shown(1, 10_000))
        first = asyncio.create_task(comparisons.reconcile("puro"))
        await gate.asked.wait()
        others = [asyncio.create_task(comparisons.reconcile("puro")) for _ in range(50)]
        believing = asyncio.create_task(comparisons.reconcile("puro", believe_shrunk=True))
        await asyncio.sleep(0)
        others[0].cancel()  # whoever asked for it first
        for _ in range(60):
            gate._open.release()
        runs = await asyncio.gather(*others[1:])
        assert {id(run) for run in runs} == {id(told[1])}, "one that began after all of them had asked"
        assert (await first, await believing) == (told[0], told[2])
        assert len(told) == 3
        assert await comparisons.reconcile("puro") is told[3]

    play(story)


def test_what_is_under_way_ends_with_the_hub_and_leaves_nothing() -> None:
    async def story(stage: Stage) -> None:
        gate, told = Gate(), list[Run]()
        comparisons = open_comparisons(stage, gate, told, shown(1, 10_000))
        asked = asyncio.create_task(comparisons.reconcile("puro"))
        await gate.asked.wait()
        await comparisons.close()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert (told, comparisons.describe("puro")) == ([], ("puro", None, None))
        assert stage.ledger.said == []

    play(story)
