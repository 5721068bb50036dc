"""An ordering log that another validator hosts, as this node reads and appends to it over gRPC.

Appends whose answer did not come are `Unknown`, whatever the error says. What is shown is checked against the host's
signed words, and a reader that waits is sent pages before it asks, in a buffer that stops the stream when it is full.
The host's side is in `service`; who hosts a log is decided in `engine`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple, cast

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from keeling.engine_word import EngineEvidence, SignedWord
from keeling.v1 import ordering_pb2 as pb
from keeling.v1 import ordering_pb2_grpc as rpc
from network.channels import Channels, LinkDown, Pace, answer_of
from node.ordering.contract import (
    Appended,
    LogClosed,
    LogId,
    LogTruncated,
    LogUnreachable,
    Ordered,
    Page,
    Unknown,
    check_entry,
    compute_entry_digest,
)
from node.ordering.shown_page import BadPage, CheckedPage, check_page
from node.ordering.words import WordBook

APPEND_S: Final = 5.0
"""An append unanswered for this long is `Unknown`."""
SHOWN_S: Final = 1.0
"""An own entry that was confirmed is looked for when nobody showed it for so long."""
APPENDS_AT_ONCE: Final = 4
"""Fewer than a host lets one caller have under way."""
READ_S: Final = 10.0
AHEAD_BYTES_MAX: Final = 2 << 20
"""The stream stops when this many bytes of entries were sent and not read."""
PAGE_ENTRIES: Final = 64


class Host(NamedTuple):
    """Where a log is: the validator, its entry key, and the channels to reach it by."""

    network: bytes
    participant: str
    entry_key: Callable[[], bytes | None]
    channels: Channels


class RemoteOrdering:
    """An `Ordering` for one event loop."""

    def __init__(self, log: LogId, host: Host, on_evidence: Callable[[EngineEvidence], None], random: Random) -> None:
        self._log = log
        self._host = host
        self._on_evidence = on_evidence
        self._append_pace = Pace(random)
        self._turns = asyncio.Semaphore(APPENDS_AT_ONCE)
        self._read_pace = Pace(random)
        self._book = WordBook()
        self._ahead: deque[Ordered] = deque()
        self._ahead_before: bytes = b""
        self._ahead_next = 0  # position behind the newest entry the stream brought
        self._ahead_bytes = 0
        self._seen = 0  # the highest position that was shown
        self._confirmed = 0  # the highest that an own entry was given
        self._drained = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._calls: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def log(self) -> LogId:
        return self._log

    @property
    def newest_word(self) -> SignedWord | None:
        """The newest word of the host, for others to compare."""
        return self._book.newest

    def compare(self, word: SignedWord) -> None:
        """Compare a checked word of the host that somebody else was given with what was shown here."""
        self._report(self._book.compare(word))

    async def append(self, entry: bytes) -> Appended | Unknown:
        check_entry(entry)
        request = pb.AppendRequest(log=self._name(), entry=entry)
        try:
            async with self._turns:
                answer: pb.AppendResponse = await self._call("Append", request, APPEND_S)
        except LinkDown as error:
            await self._pause(self._append_pace)
            return Unknown(f"{self._host.participant}, which hosts the log, did not confirm the entry: {error}")
        if not answer.position:
            await self._pause(self._append_pace)
            return Unknown(f"{self._host.participant}, which hosts the log, confirmed the entry without a position")
        self._append_pace.succeed()
        self._confirmed = max(self._confirmed, answer.position)
        asyncio.get_running_loop().call_later(SHOWN_S, self._expect_shown, answer.position)
        return Appended(answer.position)

    async def read(self, start: int, limit: int) -> Page:
        self._check_open()
        page = self._take_ahead(start, limit)
        if page is not None:
            return page
        request = pb.ReadRequest(log=self._name(), start=start, limit=limit)
        try:
            raw: pb.LogPage = await self._call("Read", request, READ_S)
            checked = self._check(raw, start, limit)
        except LinkDown as error:
            if isinstance(error.__cause__, grpc.RpcError) and (first := _find_truncation(error.__cause__)):
                raise LogTruncated(first) from error
            await self._pause(self._read_pace)
            raise self._unreachable(error) from error
        except BadPage as error:
            await self._pause(self._read_pace)
            raise self._unreachable(error) from error
        self._read_pace.succeed()
        if checked.page.entries:
            self._seen = max(self._seen, checked.page.entries[-1].position)
        elif limit:
            self._seen = min(self._seen, start - 1)
            if start <= self._confirmed:
                await self._pause(self._read_pace)
                raise self._unreachable(
                    BadPage(f"an entry at position {self._confirmed} was confirmed, and is not shown")
                )
        return checked.page

    async def wait(self, position: int) -> None:
        self._check_open()
        if position <= self._seen:
            return
        if self._follower is None:
            self._follower = asyncio.create_task(self._follow(position))
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((position, waiting))
        self._drained.set()  # a stream stopped by a full buffer must go on for who waits behind it
        await waiting

    def _expect_shown(self, position: int) -> None:
        """Have who waits look for an entry that was confirmed, if the stream did not bring it: it may never do so."""
        if self._seen < position:
            for wanted, waiting in self._waiting:
                if wanted <= position and not waiting.done():
                    waiting.set_result(None)

    async def close(self) -> None:
        self._closed = True
        tasks = [task for task in (self._follower, *self._calls) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._end_waits(LogClosed("the log was closed"))

    # -- calls ------------------------------------------------------------------------------------------------------

    async def _call(self, method: str, request: Any, timeout: float) -> Any:
        """One call; `LinkDown` without an answer, `LogClosed` when the log is closed meanwhile."""
        self._check_open()
        stub: Any = rpc.OrderingStub(self._host.channels.open(self._host.participant))
        task = asyncio.ensure_future(answer_of(getattr(stub, method)(request, timeout=timeout)))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        try:
            return await task
        except asyncio.CancelledError:
            task.cancel()
            if self._closed:
                raise LogClosed("the log was closed") from None
            raise

    async def _follow(self, start: int) -> None:
        """Keep what the host sends until somebody reads it. Ends with the stream, telling who waits."""
        self._ahead.clear()
        self._ahead_bytes, self._ahead_next = 0, start
        try:
            stub: Any = rpc.OrderingStub(self._host.channels.open(self._host.participant))
            request = pb.ReadRequest(log=self._name(), start=start, limit=PAGE_ENTRIES)
            stream = stub.Follow(request)
            try:
                while (raw := await answer_of(stream.read())) is not grpc.aio.EOF:
                    self._take_page(self._check(raw, self._ahead_next, PAGE_ENTRIES))
                    self._read_pace.succeed()
                    while self._ahead_bytes > AHEAD_BYTES_MAX:
                        await self._wait_drained()
            finally:
                stream.cancel()
            error: Exception = LinkDown("the stream ended")
        except (LinkDown, BadPage) as failure:
            error = failure
        await self._pause(self._read_pace)
        self._follower = None
        self._end_waits(self._unreachable(error))

    def _take_page(self, checked: CheckedPage) -> None:
        page = checked.page
        if page.before is None:
            return
        if not self._ahead:
            self._ahead_before = page.before
        for ordered in page.entries:
            self._ahead.append(ordered)
            self._ahead_bytes += len(ordered.entry)
            self._ahead_next = ordered.position + 1
        self._seen = max(self._seen, self._ahead_next - 1)
        for position, waiting in self._waiting:
            if position < self._ahead_next and not waiting.done():
                waiting.set_result(None)
        self._waiting = [item for item in self._waiting if not item[1].done()]

    async def _wait_drained(self) -> None:
        """Wait until the buffer was read; drop it where somebody waits for what comes behind it."""
        if any(position >= self._ahead_next for position, _ in self._waiting):
            self._drop_ahead()
            return
        self._drained.clear()
        await self._drained.wait()

    def _take_ahead(self, start: int, limit: int) -> Page | None:
        """The page from the buffer, if it begins there; what is before `start` was read and is dropped."""
        first = self._ahead_next - len(self._ahead)
        if not self._ahead or not first <= start < self._ahead_next or limit <= 0:
            return None
        while first < start:
            self._drop_first()
            first += 1
        before = self._ahead_before
        entries: list[Ordered] = []
        while self._ahead and len(entries) < limit:
            entries.append(self._drop_first())
        return Page(before, tuple(entries))

    def _drop_first(self) -> Ordered:
        ordered = self._ahead.popleft()
        self._ahead_before = compute_entry_digest(ordered.entry)
        self._ahead_bytes -= len(ordered.entry)
        self._drained.set()
        return ordered

    def _drop_ahead(self) -> None:
        while self._ahead:
            self._drop_first()

    # -- checks -----------------------------------------------------------------------------------------------------

    def _check(self, raw: pb.LogPage, start: int, limit: int) -> CheckedPage:
        key = self._host.entry_key()
        checked = check_page(raw, self._host.network, self._log, key, start, limit)
        self._report(self._book.note(checked.shown))
        return checked

    def _report(self, evidence: EngineEvidence | None) -> None:
        if evidence is not None:
            self._on_evidence(evidence)

    def _unreachable(self, error: Exception) -> LogUnreachable:
        return LogUnreachable(
            f"the log of epoch {self._log.epoch} cannot be read at {self._host.participant} now: {error}"
        )

    def _end_waits(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_exception(type(error)(str(error)))

    async def _pause(self, pace: Pace) -> None:
        await pace.pause()
        if self._closed:
            raise LogClosed("the log was closed")

    def _name(self) -> pb.LogName:
        return pb.LogName(network=self._host.network, epoch=self._log.epoch, name=self._log.name)

    def _check_open(self) -> None:
        if self._closed:
            raise LogClosed("the log was closed")


def _find_truncation(error: grpc.RpcError) -> int | None:
    """The first position there is, if the host says that older ones were dropped."""
    if not isinstance(error, grpc.aio.AioRpcError) or error.code() is not grpc.StatusCode.OUT_OF_RANGE:
        return None
    status = rpc_status.from_call(cast(grpc.Call, error))
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.reason == "LOG_TRUNCATED" and info.metadata["first"].isdecimal():
            return int(info.metadata["first"])
    return None
