"""The embedded ordering engine: a `SegmentLog` on this machine behind the asynchronous `Ordering` protocol.

Here appends of many callers are gathered into one write and one sync, on a thread of its own so that the event loop
never waits for a disk, and readers are woken. Files and their safety are in `segment_log`. Other nodes reach this
engine through the service of the node that hosts it.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from node.ordering.contract import Appended, LogClosed, LogFailed, LogId, OrderingError, Page, Unknown, check_entry
from node.ordering.segment_log import GROUP_BYTES_MAX, SegmentLog


class _Waiting(NamedTuple):
    entry: bytes
    answer: asyncio.Future[Appended]


class EmbeddedOrdering:
    """An `Ordering` for one event loop. Owns the log it is given, and closes it.

    `append` never answers `Unknown`: a caller whose append was not answered gets `LogFailed`, and stops.
    """

    def __init__(self, log: SegmentLog) -> None:
        self._log = log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ordering-log")
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._readers: list[tuple[int, asyncio.Future[None]]] = []
        self._error: OrderingError | None = None  # once set, everything is refused with it

    @property
    def log(self) -> LogId:
        return self._log.log

    async def append(self, entry: bytes) -> Appended | Unknown:
        check_entry(entry)
        self._check_usable()
        answer: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(entry, answer))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return await answer

    async def read(self, start: int, limit: int) -> Page:
        self._check_usable()
        return self._log.read(start, limit)

    async def wait(self, position: int) -> None:
        self._check_usable()
        if position >= self._log.next_position:
            reader: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._readers.append((position, reader))
            await reader

    async def truncate(self, below: int) -> None:
        """Drop old files as far as they hold only positions under `below`. Raises `LogFailed`."""
        self._check_usable()
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._log.truncate, below)
        except LogFailed as error:
            self._stop(error)
            raise

    async def close(self) -> None:
        if self._error is None:
            self._error = LogClosed("the log was closed")
        if self._writer is not None:
            await asyncio.wait([self._writer])
        self._stop(self._error)
        self._thread.shutdown()
        self._log.close()

    async def _write(self) -> None:
        """Write what waits until nothing does."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                group = self._take_group()
                entries = [waiting.entry for waiting in group]
                try:
                    positions = await loop.run_in_executor(self._thread, self._log.append_many, entries)
                except OrderingError as error:
                    self._waiting[:0] = group
                    self._stop(error)
                    return
                except BaseException as error:
                    self._waiting[:0] = group
                    self._stop(LogFailed(f"the log's writer stopped, open the log again: {error!r}"))
                    raise
                for waiting, position in zip(group, positions, strict=True):
                    if not waiting.answer.done():  # a caller may have stopped waiting
                        waiting.answer.set_result(position)
                self._wake_readers()
        finally:
            self._writer = None

    def _take_group(self) -> list[_Waiting]:
        size = 0
        for ordinal, waiting in enumerate(self._waiting):
            size += len(waiting.entry)
            if ordinal and size > GROUP_BYTES_MAX // 2:
                break
        else:
            ordinal = len(self._waiting)
        group, self._waiting = self._waiting[:ordinal], self._waiting[ordinal:]
        return group

    def _wake_readers(self) -> None:
        end = self._log.next_position
        for position, reader in self._readers:
            if position < end and not reader.done():
                reader.set_result(None)
        self._readers = [waiting for waiting in self._readers if not waiting[1].done()]

    def _stop(self, error: OrderingError) -> None:
        if self._error is None:
            self._error = error
        open_futures: list[asyncio.Future[Any]] = [waiting.answer for waiting in self._waiting]
        open_futures += [reader for _, reader in self._readers]
        self._waiting, self._readers = [], []
        for future in open_futures:
            if not future.done():
                future.set_exception(type(error)(str(error)))

    def _check_usable(self) -> None:
        if self._error is not None:
            raise type(self._error)(str(self._error))
