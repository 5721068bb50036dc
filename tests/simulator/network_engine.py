"""An ordering engine that does what engines must not: it shows readers different logs, loses what it acknowledged,
starts empty, answers late or never. It keeps no promise but that it says nothing the weather did not draw.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final

from node.ordering.contract import (
    ORIGIN,
    PAGE_BYTES_MAX,
    Appended,
    LogId,
    LogUnreachable,
    Ordered,
    Page,
    Unknown,
    check_entry,
    compute_entry_digest,
)
from tests.simulator.network_weather import Weather

WAIT_S: Final = 2.0
"""How long a reader of a quiet log waits before it asks again."""


class SimulatedEngine:
    """Logs by name, as every node sees them through the `Engine` that `seen_by` gives it."""

    def __init__(self, weather: Weather, random: Random) -> None:
        self.weather = weather
        self._random = random
        self.logs: dict[str, list[bytes]] = {}
        self._shown: dict[tuple[str, str, int], bytes] = {}
        self._news = asyncio.Event()
        self._epochs: dict[str, int] = {}
        self.down = False
        self.lied = 0
        self.forgotten = 0

    def seen_by(self, reader: str) -> SeenEngine:
        return SeenEngine(self, reader)

    def lose_tail(self, entries: int) -> None:
        """Forget the newest entries of every log; their places are used again. As many as all: it starts empty."""
        for log in self.logs.values():
            if log and entries:
                del log[-entries:]

    def know(self, log: LogId) -> None:
        """Somebody reads or appends a log."""
        self._epochs[log.name] = log.epoch

    def forget(self, below: int) -> None:
        """Some node says that nobody reads the logs of earlier epochs: they are gone, for everybody."""
        for name in [name for name in self.logs if self._epochs.get(name, below) < below]:
            del self.logs[name]
            self.forgotten += 1

    async def pause(self) -> None:
        """What one call takes; an engine that is down answers after a while that it does not."""
        await asyncio.sleep(self._random.uniform(0.0002, self.weather.engine_delay_s))
        if self.down:
            await asyncio.sleep(0.3)
            raise LogUnreachable("the simulated engine is down")

    async def append(self, name: str, entry: bytes) -> Appended | Unknown:
        check_entry(entry)
        await self.pause()
        lost = self._random.random() < self.weather.unknown_appends
        if lost and self._random.random() < 0.5:
            return Unknown("the append was lost")
        log = self.logs.setdefault(name, [])
        if entry not in log[-200:]:
            log.append(entry)
            news, self._news = self._news, asyncio.Event()
            news.set()
        await self.pause()
        return Unknown("the answer was lost") if lost else Appended(log.index(entry) + 1)

    async def read(self, name: str, reader: str, start: int, limit: int) -> Page:
        await self.pause()
        entries = self.logs.get(name, [])
        if start > len(entries) + 1:
            return Page(None, ())
        page, size = list[Ordered](), 0
        for position in range(start, min(start + limit, len(entries) + 1)):
            entry = self._show(name, reader, position)
            size += len(entry)
            if page and size > PAGE_BYTES_MAX:
                break
            page.append(Ordered(position, entry))
        before = ORIGIN if start == 1 else compute_entry_digest(self._show(name, reader, start - 1))
        return Page(before, tuple(page))

    def _show(self, name: str, reader: str, position: int) -> bytes:
        """What a reader was shown it goes on seeing, or else what is there: a lie is another genuine entry."""
        place = (name, reader, position)
        entries = self.logs[name]
        if place not in self._shown:
            shown = entries[position - 1]
            if len(entries) > 1 and self._random.random() < self.weather.engine_lies:
                shown = self._random.choice(entries)
                self.lied += 1
            self._shown[place] = shown
        return self._shown[place]

    def forget_lies(self) -> None:
        """From now on everybody is shown what is there, where nothing was shown yet."""
        self.weather = self.weather.calm()

    async def wait(self, name: str, position: int) -> None:
        while position > len(self.logs.get(name, [])):
            if self.down:
                await self.pause()
            news = self._news
            try:
                await asyncio.wait_for(news.wait(), WAIT_S)
            except TimeoutError:
                return


class SeenEngine:
    """`node.ordering.contract.Engine` for one reader."""

    def __init__(self, engine: SimulatedEngine, reader: str) -> None:
        self._engine = engine
        self._reader = reader
        self._open: dict[LogId, SeenLog] = {}

    def open(self, log: LogId) -> SeenLog:
        self._engine.know(log)
        return self._open.setdefault(log, SeenLog(self._engine, self._reader, log))

    async def close(self) -> None:
        self._open.clear()


class SeenLog:
    """`node.ordering.contract.Ordering` for one reader."""

    def __init__(self, engine: SimulatedEngine, reader: str, log: LogId) -> None:
        self._engine = engine
        self._reader = reader
        self._log = log

    @property
    def log(self) -> LogId:
        return self._log

    async def append(self, entry: bytes) -> Appended | Unknown:
        return await self._engine.append(self._log.name, entry)

    async def read(self, start: int, limit: int) -> Page:
        return await self._engine.read(self._log.name, self._reader, start, limit)

    async def wait(self, position: int) -> None:
        await self._engine.wait(self._log.name, position)

    async def close(self) -> None:
        """Nothing to give free."""
