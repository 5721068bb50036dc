"""Reconciliations of a running hub: one of a registry at a time, each to its end, whoever asked and went away.

What a run does is in `hub.reconcile`. Here is which runs there are, how far the one under way is, and what the newest
of each registry found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from adapters.contract import Holdings
from hub.reconcile.report import Run
from hub.reconcile.run import Bench, Page, Reconciler


class Progress(NamedTuple):
    """How far a run under way is."""

    since_ms: int
    pages: int
    """Of the registry's books that were read; reading them takes the longest, because its limits hold."""
    units: int
    """On these pages."""


class Compared(NamedTuple):
    """How a registry was compared by this process; None: not yet, or nothing is under way."""

    registry: str
    progress: Progress | None
    newest: Run | None


class Comparisons:
    """Those of one hub. For one event loop."""

    def __init__(self, bench: Bench, tell: Callable[[Run], None]) -> None:
        """`tell` hears of every run that has ended."""
        self.newest: Final[dict[str, Run]] = {}
        """The newest run of each registry by this process."""
        self._bench, self._tell = bench, tell
        self._reconciler = Reconciler(bench._replace(ask=self._ask))
        self._turns: dict[str, asyncio.Lock] = {}
        self._progress: dict[str, Progress] = {}
        self._running: set[asyncio.Task[Run]] = set()
        self._waiting: dict[tuple[str, bool], asyncio.Task[Run]] = {}
        """Runs that have not begun, by registry and whether a shorter list is believed."""

    async def reconcile(self, registry: str, *, believe_shrunk: bool = False) -> Run:
        """Compare now, or after the run under way; what the last one saw gives the ages. Raises `LedgerError`.

        Whoever asks while a run waits for its turn gets that one: it will see whatever was done before. It goes on when
        who asked does not wait for it any more.
        """
        run = self._waiting.get((registry, believe_shrunk))
        if run is None:
            run = asyncio.create_task(self._run(registry, believe_shrunk))
            self._waiting[registry, believe_shrunk] = run
            self._running.add(run)
            run.add_done_callback(self._running.discard)
        return await asyncio.shield(run)

    def describe(self, registry: str) -> Compared:
        """How far the run under way is, and the newest one."""
        return Compared(registry, self._progress.get(registry), self.newest.get(registry))

    async def close(self) -> None:
        """Break off what is under way: the same run again has no second effect."""
        for run in self._running:
            run.cancel()
        self._waiting.clear()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, registry: str, believe_shrunk: bool) -> Run:
        async with self._turns.setdefault(registry, asyncio.Lock()):
            del self._waiting[registry, believe_shrunk]
            self._progress[registry] = Progress(self._bench.now_ms(), 0, 0)
            try:
                before = self.newest.get(registry)
                run = await self._reconciler.reconcile(registry, before, believe_shrunk=believe_shrunk)
            finally:
                del self._progress[registry]
            self.newest[registry] = run
            self._tell(run)
            return run

    async def _ask(self, registry: str, read: Callable[[], Awaitable[Page]]) -> Page:
        """Read a page in its turn, and count it."""
        page = await (read() if self._bench.ask is None else self._bench.ask(registry, read))
        if isinstance(page, Holdings) and registry in self._progress:
            known = self._progress[registry]
            units = known.units + sum(row.serials.units for row in page.rows)
            self._progress[registry] = known._replace(pages=known.pages + 1, units=units)
        return page
