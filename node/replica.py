"""The replica: gathers submissions into entries, orders them, and lets the chain take what the log shows.

One asyncio task drives it; execution and commits run on one thread beside the loop. At most one entry of this node is
not final at a time, so load makes entries bigger, not more numerous (rule E3). Nobody is answered before the block is
final and durable.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import structlog

from keeling.encoding import Ref
from keeling.entry import Entry, compute_size, format_entry
from keeling.submission import Submission, parse_submission
from node.archive import ArchivedSubmission
from node.chain import Chain, FinalBlock, Sign
from node.door import Admitted
from node.ordering.contract import Appended, Ordering, Unknown
from node.verify import Verifier

log = structlog.get_logger()
READ_ENTRIES: Final = 64
TICK_S: Final = 0.5


class Full(Exception):
    """The node has as much unfinished work as it takes; nothing was ordered."""


class Observing(Exception):
    """This node signs nothing any more; nothing was ordered. Hand in at another node."""


class Answered(NamedTuple):
    """A submission that is final: where its first transaction is, ledger time, and what was answered."""

    place: Ref
    first_event: int
    time_ms: int
    submission: ArchivedSubmission


class Limits(NamedTuple):
    """How entries are filled, and when the door closes."""

    entry_bytes: int = 1 << 20
    entry_transactions: int = 500
    linger_ms: int = 3
    waiting_bytes: int = 64 << 20


class _Call:
    """One call of a client: what its submissions were answered so far, and who waits for all of them."""

    __slots__ = ("answers", "done", "left")

    def __init__(self, submissions: int, done: asyncio.Future[list[Answered]]) -> None:
        self.answers: list[Answered | None] = [None] * submissions
        self.left = submissions
        self.done = done

    def answer(self, which: int, answered: Answered) -> None:
        """The submission `which` is final; the last one wakes the caller."""
        self.answers[which] = answered
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result([found for found in self.answers if found is not None])

    def fail(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class _Waiting(NamedTuple):
    """A submission that waits: the `which`-th of its call."""

    admitted: Admitted
    call: _Call
    which: int


class Replica:
    """Owned by one event loop. `submit` may be called by anybody on it."""

    def __init__(
        self,
        chain: Chain,
        ordering: Ordering,
        verifier: Verifier,
        author: bytes,
        sign: Sign,
        clock_ms: Callable[[], int],
        limits: Limits = Limits(),
    ) -> None:
        self.chain = chain
        self._ordering = ordering
        self._verifier = verifier
        self._author = author
        self._sign = sign
        self._clock_ms = clock_ms
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="chain")
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._asked: dict[bytes, list[_Waiting]] = {}
        self._in_company = False
        self._parsed: dict[bytes, Submission] = {}
        self._position = chain.position
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self.failure: BaseException | None = None
        self.last_final_ms = clock_ms()
        self.answered = 0

    # -- clients ----------------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Transactions taken and not final."""
        return sum(len(waiting.admitted.submission.transactions) for waiting in self._queue) + len(self._asked)

    async def submit(self, admitted: Sequence[Admitted]) -> list[Answered]:
        """Have submissions ordered and wait until each is final. Raises `Full`; the failure if the node stops."""
        self._check_running()
        stopped = self.chain.health().stopped
        if stopped is not None:
            raise Observing(f"this node observes and orders nothing: {stopped.value}")
        size = sum(len(item.submission.raw) for item in admitted)
        if self._queued_bytes + size > self._limits.waiting_bytes:
            raise Full(f"{self._queued_bytes} bytes wait to be ordered; try again shortly")
        if not admitted:
            return []
        call = _Call(len(admitted), asyncio.get_running_loop().create_future())
        self._queue.extend([_Waiting(item, call, which) for which, item in enumerate(admitted)])
        self._queued_bytes += size
        self._wake.set()
        return await call.done

    async def wait_above(self, height: int) -> int:
        """Return the newest final height once it is above `height`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.height > height or self.failure is not None)
        self._check_running()
        return self.height

    @property
    def height(self) -> int:
        """The newest final height."""
        return self.chain.finality.tip.height

    def _check_running(self) -> None:
        if self.failure is not None:
            raise self.failure

    # -- the loop ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take what the log already has, then run until `stop`."""
        await self._read_log()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finish the entry under way, then stop. What waits is not ordered; its callers are told."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._fail(asyncio.CancelledError("the node is stopping"))
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)

    async def _run(self) -> None:
        try:
            while True:
                await self._wait_for_work()
                if self._queue:
                    await asyncio.shield(self._order_entry())
                else:
                    await self._answer(await self._in_thread(self._tick))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever stopped the writer stops the node, with its reason
            log.error("stopped", error=str(error), kind=type(error).__name__)
            self._fail(error)
            async with self._changed:
                self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        for waiting in (*self._queue, *(one for asked in self._asked.values() for one in asked)):
            waiting.call.fail(error)
        self._queue.clear()

    async def _wait_for_work(self) -> None:
        if not self._queue:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TICK_S)
        if self._queue and self._is_linger_worth_it():
            await asyncio.sleep(self._limits.linger_ms / 1000)

    def _is_linger_worth_it(self) -> bool:
        """Whether others are likely to join: the last entry held several calls, and the next has room. A client that is
        alone is not made to wait for company."""
        waiting = sum(len(one.admitted.submission.transactions) for one in self._queue)
        return self._in_company and waiting < self._limits.entry_transactions

    def _take_entry(self) -> list[_Waiting]:
        """As many waiting submissions as one entry carries, in order."""
        taken: list[_Waiting] = []
        transactions, size = 0, compute_size(())
        while self._queue:
            submission = self._queue[0].admitted.submission
            transactions += len(submission.transactions)
            size += 4 + len(submission.raw)
            full = transactions > self._limits.entry_transactions or size > self._limits.entry_bytes
            if taken and full:
                break
            taken.append(self._queue.popleft())
            self._queued_bytes -= len(submission.raw)
        return taken

    async def _order_entry(self) -> None:
        """Make one entry, order it, and take what the log shows until it is final."""
        taken = self._take_entry()
        for waiting in taken:
            self._asked.setdefault(waiting.admitted.submission.digest, []).append(waiting)
        self._in_company = taken[0].call is not taken[-1].call
        self._parsed = {waiting.admitted.submission.raw: waiting.admitted.submission for waiting in taken}
        raws = tuple(self._parsed)
        now_ms = self._clock_ms()
        number = self.chain.next_number(self._author, now_ms)
        entry = Entry(self.chain.genesis.network, self._author, number, now_ms, raws)
        signed = format_entry(entry, self._sign)
        answer: Appended | Unknown = await self._ordering.append(signed)
        while isinstance(answer, Unknown):
            log.warning("append unknown, repeating the same entry", reason=answer.reason)
            answer = await self._ordering.append(signed)
        await self._read_log()
        self._parsed = {}
        self._verifier.forget(claim for waiting in taken for claim in waiting.admitted.claims)

    async def _read_log(self) -> None:
        """Take every entry the log shows and we have not taken."""
        while True:
            page = await self._ordering.read(self._position + 1, READ_ENTRIES)
            if not page.entries:
                return
            for ordered in page.entries:
                epoch, check = self._ordering.log.epoch, self._verifier.check
                blocks = await self._in_thread(self.chain.take, ordered, epoch, self._clock_ms(), check, self._parse)
                self._position = ordered.position
                await self._answer(blocks)

    def _parse(self, raw: bytes) -> Submission:
        """What the door made of these bytes if they came in here: a submission of 500 is not parsed twice."""
        known = self._parsed.get(raw)
        return parse_submission(raw) if known is None else known

    def _tick(self) -> list[FinalBlock]:
        return self.chain.tick(self._clock_ms())

    async def _in_thread(self, work: Callable[..., list[FinalBlock]], *arguments: object) -> list[FinalBlock]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _answer(self, blocks: Sequence[FinalBlock]) -> None:
        for block, archived in blocks:
            self.last_final_ms = self._clock_ms()
            ordinal, event = 0, len(archived.sweeps)
            for executed, submission in zip(block.submissions, archived.submissions, strict=True):
                answered = Answered(Ref(block.header.height, ordinal), event, archived.time_ms, submission)
                ordinal += len(submission.answers)
                self.answered += len(submission.answers)
                event += sum(len(answer.events) for answer in submission.answers)
                for waiting in self._asked.pop(executed.record.digest, ()):
                    waiting.call.answer(waiting.which, answered)
        if blocks:
            async with self._changed:
                self._changed.notify_all()
