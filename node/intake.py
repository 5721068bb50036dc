"""Submissions on their way: those that wait to be ordered, and those that were and are not final.

Filling entries from them, and telling callers what became of theirs. Making and ordering entries is in `node.offering`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from keeling.encoding import Ref
from keeling.entry import compute_size
from keeling.submission import Submission, parse_submission
from node.archive import ArchivedSubmission
from node.door import Admitted
from node.outcome import FinalBlock


class Full(Exception):
    """The node has as much unfinished work as it takes; nothing was ordered."""


class Observing(Exception):
    """This node orders nothing; nothing was ordered. Hand in at another node."""


class Poisonous(Exception):
    """These very bytes were in an entry that made execution fail. They are not offered again; sign something else."""


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


class Waiting(NamedTuple):
    """A submission that waits: the `which`-th of its call."""

    admitted: Admitted
    call: _Call
    which: int

    @property
    def digest(self) -> bytes:
        """SHA-256 of its bytes."""
        return self.admitted.submission.digest


class Intake:
    """Owned by one event loop."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._queue: deque[Waiting] = deque()
        self._queued_bytes = 0
        self._ordered: dict[bytes, list[Waiting]] = {}
        self._parsed: dict[bytes, Submission] = {}
        self._in_company = False
        self.arrived = asyncio.Event()
        """Something waits to be ordered."""

    @property
    def pending(self) -> int:
        """Transactions taken and not final."""
        return sum(len(waiting.admitted.submission.transactions) for waiting in self._queue) + len(self._ordered)

    def put(self, admitted: Sequence[Admitted]) -> asyncio.Future[list[Answered]]:
        """Queue what a client handed in; the future has its answers in order. Raises `Full`."""
        size = sum(len(item.submission.raw) for item in admitted)
        if self._queued_bytes + size > self.limits.waiting_bytes:
            raise Full(f"{self._queued_bytes} bytes wait to be ordered; try again shortly")
        call = _Call(len(admitted), asyncio.get_running_loop().create_future())
        self._queue.extend([Waiting(item, call, which) for which, item in enumerate(admitted)])
        self._queued_bytes += size
        if admitted:
            self.arrived.set()
        else:
            call.done.set_result([])
        return call.done

    def is_linger_worth_it(self) -> bool:
        """Whether others are likely to join: the last entry held several calls, and the next has room. A client that is
        alone is not made to wait for company."""
        waiting = sum(len(one.admitted.submission.transactions) for one in self._queue)
        return self._in_company and 0 < waiting < self.limits.entry_transactions

    def take_entry(self) -> list[Waiting]:
        """As many waiting submissions as one entry carries, in order."""
        taken: list[Waiting] = []
        transactions, size = 0, compute_size(())
        while self._queue:
            submission = self._queue[0].admitted.submission
            transactions += len(submission.transactions)
            size += 4 + len(submission.raw)
            full = transactions > self.limits.entry_transactions or size > self.limits.entry_bytes
            if taken and full:
                break
            taken.append(self._queue.popleft())
            self._queued_bytes -= len(submission.raw)
        for waiting in taken:
            self._ordered.setdefault(waiting.digest, []).append(waiting)
            self._parsed[waiting.admitted.submission.raw] = waiting.admitted.submission
        self._in_company = bool(taken) and taken[0].call is not taken[-1].call
        if not self._queue:
            self.arrived.clear()
        return taken

    def is_unanswered(self, waiting: Waiting) -> bool:
        """Whether nothing final answers this one yet."""
        return waiting.digest in self._ordered

    def parse(self, raw: bytes) -> Submission:
        """What the door made of these bytes if they came in here: a submission of 500 is not parsed twice."""
        known = self._parsed.get(raw)
        return parse_submission(raw) if known is None else known

    def forget(self, taken: Sequence[Waiting]) -> None:
        """Their entry is done."""
        for waiting in taken:
            self._parsed.pop(waiting.admitted.submission.raw, None)

    def answer(self, final: FinalBlock) -> int:
        """Tell everybody who waits for something in this block, whoever ordered it; returns its transactions."""
        block, archived = final
        ordinal, event = 0, len(archived.sweeps)
        for executed, submission in zip(block.submissions, archived.submissions, strict=True):
            answered = Answered(Ref(block.header.height, ordinal), event, archived.time_ms, submission)
            ordinal += len(submission.answers)
            event += sum(len(answer.events) for answer in submission.answers)
            for waiting in self._ordered.pop(executed.record.digest, ()):
                waiting.call.answer(waiting.which, answered)
        return ordinal

    def refuse(self, waiting: Waiting, error: Exception) -> None:
        """Give one up; its caller is told why."""
        for one in self._ordered.pop(waiting.digest, ()):
            one.call.fail(error)

    def fail(self, error: BaseException) -> None:
        """Nothing more will be ordered or become final here: tell everybody."""
        for waiting in (*self._queue, *(one for asked in self._ordered.values() for one in asked)):
            waiting.call.fail(error)
        self._queue.clear()
        self._ordered.clear()
