"""An ordering log in memory that keeps the contract until it is told to lie.

It can show one reader another entry than the rest, lose what it acknowledged and reuse the positions, and leave
appends unanswered, with or without their effect. Everything happens at once: no thread, no timer.
"""

from __future__ import annotations

import asyncio

from node.ordering.contract import (
    ORIGIN,
    PAGE_BYTES_MAX,
    Appended,
    LogClosed,
    LogId,
    LogTruncated,
    LogUnreachable,
    Ordered,
    Ordering,
    Page,
    Unknown,
    check_entry,
    compute_entry_digest,
)


class MemoryOrdering:
    """The engine, and at the same time the way an ordinary reader sees it."""

    def __init__(self, log: LogId) -> None:
        self._log = log
        self._entries: list[bytes] = []  # of position 1 and up
        self._first = 1
        self._shown_instead: dict[str, dict[int, bytes]] = {}
        self._unknown: list[bool] = []  # for each append to leave unanswered: whether it takes effect
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._closed = False

    @property
    def log(self) -> LogId:
        return self._log

    def seen_by(self, reader: str) -> Ordering:
        """The log as `reader` is shown it."""
        return _Seen(self, reader)

    def show_instead(self, reader: str, position: int, entry: bytes) -> None:
        """Equivocate: show `entry` at `position` to `reader`, who is not told when that changes."""
        self._shown_instead.setdefault(reader, {})[position] = entry

    def slip_in(self, entry: bytes) -> None:
        """Order whatever somebody sent, the same again too."""
        self._entries.append(entry)
        self._wake()

    def lose_tail(self, entries: int) -> None:
        """Forget the newest `entries`; their positions are used again."""
        del self._entries[len(self._entries) - entries :]

    def leave_unanswered(self, *, took_effect: bool) -> None:
        """Answer the next append with `Unknown`. Called several times, it holds for as many appends."""
        self._unknown.append(took_effect)

    async def truncate(self, below: int) -> None:
        """Drop the entries under `below`."""
        self._first = max(self._first, min(below, len(self._entries) + 1))

    async def append(self, entry: bytes) -> Appended | Unknown:
        check_entry(entry)
        self._check_open()
        took_effect = self._unknown.pop(0) if self._unknown else None
        if took_effect is False:
            return Unknown("the append was lost as planned")
        if entry in self._entries:
            position = self._entries.index(entry) + 1
        else:
            self._entries.append(entry)
            position = len(self._entries)
            self._wake()
        return Appended(position) if took_effect is None else Unknown("the answer was lost as planned")

    async def read(self, start: int, limit: int) -> Page:
        return self.read_as("", start, limit)

    async def wait(self, position: int) -> None:
        self._check_open()
        if position > len(self._entries):
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((position, waiting))
            await waiting

    async def close(self) -> None:
        self._closed = True
        for _, waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(LogClosed("the log was closed"))
        self._waiting = []

    def read_as(self, reader: str, start: int, limit: int) -> Page:
        """What `read` shows `reader`."""
        self._check_open()
        if start < self._first:
            raise LogTruncated(self._first)
        shown = self._shown_instead.get(reader, {})
        entries = [shown.get(position, entry) for position, entry in enumerate(self._entries, 1)]
        if start > len(entries) + 1:
            return Page(None, ())
        page: list[Ordered] = []
        page_bytes = 0
        for position in range(start, min(start + limit, len(entries) + 1)):
            page_bytes += len(entries[position - 1])
            if page and page_bytes > PAGE_BYTES_MAX:
                break
            page.append(Ordered(position, entries[position - 1]))
        return Page(compute_entry_digest(entries[start - 2]) if start > 1 else ORIGIN, tuple(page))

    def _wake(self) -> None:
        for position, waiting in self._waiting:
            if position <= len(self._entries) and not waiting.done():
                waiting.set_result(None)
        self._waiting = [waiting for waiting in self._waiting if not waiting[1].done()]

    def _check_open(self) -> None:
        if self._closed:
            raise LogClosed("the log was closed")


class MemoryEngine:
    """The logs of all epochs in one process: all nodes of a test open the same ones."""

    def __init__(self) -> None:
        self.logs: dict[LogId, MemoryOrdering] = {}

    def open(self, log: LogId) -> Ordering:
        return self._log(log)

    def find(self, epoch: int) -> MemoryOrdering:
        """The one log of an epoch that anybody opened."""
        return next(log for which, log in self.logs.items() if which.epoch == epoch)

    def seen_by(self, reader: str) -> _EngineSeen:
        """The engine as `reader` is shown it."""
        return _EngineSeen(self, reader)

    async def close(self) -> None:
        """The logs stay: others read them."""

    def _log(self, log: LogId) -> MemoryOrdering:
        return self.logs.setdefault(log, MemoryOrdering(log))


class _EngineSeen:
    """One reader's sight of a `MemoryEngine`, which can be taken from it."""

    def __init__(self, engine: MemoryEngine, reader: str) -> None:
        self._engine = engine
        self._reader = reader
        self.is_down = False
        self._waiting: list[asyncio.Task[None]] = []

    def cut_off(self) -> None:
        """The engine is out of reach for this reader, until `is_down` is taken back."""
        self.is_down = True
        for waiting in self._waiting:
            waiting.cancel()

    async def wait(self, ordering: MemoryOrdering, position: int) -> None:
        """As the log's own `wait`, while it is in reach."""
        if self.is_down:
            raise LogUnreachable("the engine is out of reach as planned")
        waiting = asyncio.create_task(ordering.wait(position))
        self._waiting.append(waiting)
        try:
            await asyncio.wait([waiting])
        finally:
            self._waiting.remove(waiting)
            waiting.cancel()
        if self.is_down:
            raise LogUnreachable("the engine is out of reach as planned")

    def open(self, log: LogId) -> Ordering:
        return _Seen(self._engine._log(log), self._reader, self)

    async def close(self) -> None:
        """The logs stay: others read them."""


class _Seen:
    """One reader's sight of a `MemoryOrdering`."""

    def __init__(self, engine: MemoryOrdering, reader: str, place: _EngineSeen | None = None) -> None:
        self._engine = engine
        self._reader = reader
        self._place = place
        self.close = engine.close

    @property
    def log(self) -> LogId:
        return self._engine.log

    async def append(self, entry: bytes) -> Appended | Unknown:
        if self._place is not None and self._place.is_down:
            return Unknown("the engine is out of reach as planned")
        return await self._engine.append(entry)

    async def wait(self, position: int) -> None:
        await (self._engine.wait(position) if self._place is None else self._place.wait(self._engine, position))

    async def read(self, start: int, limit: int) -> Page:
        if self._place is not None and self._place.is_down:
            raise LogUnreachable("the engine is out of reach as planned")
        return self._engine.read_as(self._reader, start, limit)
