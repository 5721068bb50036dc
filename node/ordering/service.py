"""The Ordering service over gRPC: the logs this node hosts, for the other validators (`keeling/v1/ordering.proto`).

Which logs are hosted here decides `engine`; pages and words are made in `hosted`. A caller can neither fill the disk
with logs nor the memory with calls: logs are made for epochs this node itself has reached, and calls are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

from google.rpc import code_pb2

from keeling.v1 import ordering_pb2 as pb
from keeling.v1 import ordering_pb2_grpc as rpc
from node.callers import Callers, LongCalls
from node.errors import abort
from node.ordering.contract import (
    Appended,
    EntryRefused,
    LogId,
    LogTruncated,
    LogUnreachable,
    OrderingError,
    WrongLog,
)
from node.ordering.hosted import HostedLog, HostedPage

Context = Any
APPENDS_MAX: Final = 8
"""Entries of one caller under way at once; a node has one of its own that is not final (rule E3)."""
FOLLOWS_MAX: Final = 8
"""Times one caller may follow at once: one for each log it reads, and those it lost without our noticing yet."""
READ_ENTRIES_MAX: Final = 1_000
POSITION_MAX: Final = (1 << 63) - 1


class OrderingService(rpc.OrderingServicer):
    """One per node. `find` gives a log hosted here; it raises `WrongLog` or `LogUnreachable`."""

    def __init__(self, callers: Callers, find: Callable[[LogId], HostedLog], long_calls: LongCalls) -> None:
        self._callers = callers
        self._long_calls = long_calls
        self._find = find
        self._appends: Counter[str] = Counter()
        self._follows: Counter[str] = Counter()

    async def Append(self, request: pb.AppendRequest, context: Context) -> pb.AppendResponse:
        caller, hosted = await self._open(request.log, context)
        async with self._counted(self._appends, caller, APPENDS_MAX, context):
            try:
                answer = await hosted.ordering.append(request.entry)
            except EntryRefused as error:
                await abort(context, code_pb2.INVALID_ARGUMENT, "ENTRY_REFUSED", str(error))
            except OrderingError as error:
                await _abort_failed(context, error)
        if not isinstance(answer, Appended):
            await abort(context, code_pb2.UNAVAILABLE, "LOG_FAILED", answer.reason)
        return pb.AppendResponse(position=answer.position)

    async def Read(self, request: pb.ReadRequest, context: Context) -> pb.LogPage:
        _, hosted = await self._open(request.log, context)
        return _format_page(await self._read(hosted, request, request.start, context))

    async def Follow(self, request: pb.ReadRequest, context: Context) -> None:  # type: ignore[override]
        caller, hosted = await self._open(request.log, context)
        async with self._counted(self._follows, caller, FOLLOWS_MAX, context):
            await self._long_calls.serve(self._show(hosted, request, context), context)

    async def _show(self, hosted: HostedLog, request: pb.ReadRequest, context: Context) -> None:
        """Page after page, for ever."""
        start = request.start
        while True:
            shown = await self._read(hosted, request, start, context)
            await context.write(_format_page(shown))
            start += len(shown.page.entries)
            await self._wait(hosted, start, context)
            await self._callers.validator(context)

    async def _open(self, log: pb.LogName, context: Context) -> tuple[str, HostedLog]:
        caller = await self._callers.validator(context)
        await self._callers.check_network(context, log.network)
        try:
            return caller, self._find(LogId(log.epoch, log.name))
        except WrongLog as error:
            await abort(context, code_pb2.FAILED_PRECONDITION, "NOT_THE_HOST", str(error))
        except LogUnreachable as error:
            await abort(context, code_pb2.UNAVAILABLE, "LOG_NOT_BEGUN", str(error))
        except OrderingError as error:
            await _abort_failed(context, error)

    @staticmethod
    async def _read(hosted: HostedLog, request: pb.ReadRequest, start: int, context: Context) -> HostedPage:
        if not 0 < start <= POSITION_MAX:
            await abort(context, code_pb2.INVALID_ARGUMENT, "BAD_POSITION", "positions begin at 1")
        try:
            return await hosted.read(start, min(request.limit, READ_ENTRIES_MAX))
        except OrderingError as error:
            await _abort_failed(context, error)

    @staticmethod
    async def _wait(hosted: HostedLog, position: int, context: Context) -> None:
        try:
            await hosted.ordering.wait(position)
        except OrderingError as error:
            await _abort_failed(context, error)

    @asynccontextmanager
    async def _counted(self, counts: Counter[str], caller: str, most: int, context: Context) -> AsyncIterator[None]:
        if counts[caller] >= most:
            text = f"{counts[caller]} calls of {caller} are under way: wait for one of them"
            await abort(context, code_pb2.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS", text)
        counts[caller] += 1
        try:
            yield
        finally:
            counts[caller] -= 1


def _format_page(shown: HostedPage) -> pb.LogPage:
    page = shown.page
    return pb.LogPage(
        start=shown.start,
        ends_before=page.before is None,
        before=page.before or b"",
        running_before=shown.running_before,
        entries=[ordered.entry for ordered in page.entries],
        word=shown.word,
    )


async def _abort_failed(context: Context, error: OrderingError) -> NoReturn:
    if isinstance(error, LogTruncated):
        await abort(context, code_pb2.OUT_OF_RANGE, "LOG_TRUNCATED", str(error), first=error.first)
    await abort(context, code_pb2.UNAVAILABLE, "LOG_FAILED", str(error))
