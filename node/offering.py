"""An author's work: one entry at a time from what waits, ordered, and offered again until it is final.

At most one entry of this node is not final, so load makes entries bigger, not more numerous (rule E3). What a new epoch
or a passed-over entry left undone goes into a new entry under a new number: ids make each transaction count once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from keeling.entry import Entry, format_entry
from node.chain import Chain
from node.intake import Intake, Observing, Poisonous, Waiting
from node.ordering.contract import (
    Appended,
    Engine,
    LogClosed,
    LogFailed,
    LogId,
    OrderingError,
    compute_entry_digest,
)
from node.outcome import Done
from node.pulse import Pulse
from node.signing import Author
from node.verify import Signatures

log = structlog.get_logger()
AGAIN_S: Final = 0.05
"""Before the same bytes are appended again after an unknown answer. Engines that are far away wait by themselves."""


class Offering:
    """Owned by one event loop; `run` is its only task."""

    def __init__(
        self,
        chain: Chain,
        engine: Engine,
        intake: Intake,
        author: Author,
        signatures: Signatures,
        clock_ms: Callable[[], int],
        pulse: Pulse,
        is_author: Callable[[], bool],
    ) -> None:
        self._chain = chain
        self._engine = engine
        self._intake = intake
        self._author = author
        self._signatures = signatures
        self._clock_ms = clock_ms
        self._pulse = pulse
        self._is_author = is_author
        self._last_number = chain.last_number(author.key)
        self._in_flight = b""
        self._ended = ""
        self._heartbeat = False
        self.can_append = True
        """Whether the ordering log in force took the last entry offered to it."""

    def beat(self) -> None:
        """Order an entry although nothing waits: a due time has passed and ledger time must follow."""
        self._heartbeat = True
        self._intake.arrived.set()

    def note(self, done: Done) -> None:
        """Look in what a call of the chain led to for the entry under way."""
        for final in done.blocks:
            header = final.block.header
            if header.author == self._author.key:
                self._last_number = max(self._last_number, header.number)
            if header.entry == self._in_flight:
                self._ended = "final"
        if self._in_flight and done.passed == self._in_flight and not self._ended:
            self._ended = "passed over"

    async def run(self) -> None:
        """Order what waits, for ever."""
        while True:
            await self._intake.arrived.wait()
            if self._intake.limits.linger_ms and self._intake.is_linger_worth_it():
                await asyncio.sleep(self._intake.limits.linger_ms / 1000)
            taken = self._intake.take_entry()
            if taken or self._heartbeat:
                self._heartbeat = False
                await self._offer(taken)
                self._intake.forget(taken)
                self._signatures.forget(claim for waiting in taken for claim in waiting.admitted.claims)

    async def _offer(self, taken: Sequence[Waiting]) -> None:
        """Until all of it is final; a heartbeat only once."""
        left = list(taken)
        while True:
            which = self._chain.outlook.log
            self._ended = ""
            signed = self._make_entry(left)
            position = await self._append(which, signed)
            if position is not None:
                await self._wait_end(which, position)
            if self._ended != "final":
                log.info("offered again", why=self._ended or "another epoch", submissions=len(left))
            self._in_flight = b""
            left = [one for one in left if self._intake.is_unanswered(one) and not self._is_refused(one)]
            if self._ended != "final" and not self._is_author():
                for one in left:
                    self._intake.refuse(one, Observing("this node orders nothing any more: hand in at a validator"))
                return
            if not left:
                return
            if self._ended == "passed over":
                await asyncio.sleep(AGAIN_S)

    def _is_refused(self, waiting: Waiting) -> bool:
        if waiting.digest not in self._chain.refused:
            return False
        self._intake.refuse(waiting, Poisonous("an entry with this submission made execution fail; nothing was done"))
        return True

    def _make_entry(self, taken: Sequence[Waiting]) -> bytes:
        now_ms = self._clock_ms()
        self._last_number = max(self._last_number + 1, now_ms * 1000)
        raws = tuple(dict.fromkeys(waiting.admitted.submission.raw for waiting in taken))
        entry = Entry(self._chain.genesis.network, self._author.key, self._last_number, now_ms, raws)
        signed = format_entry(entry, self._author.sign)
        self._in_flight = compute_entry_digest(signed)
        return signed

    async def _append(self, which: LogId, signed: bytes) -> int | None:
        """The position; None when another epoch began, or the entry came to its end without an answer."""
        ordering = self._engine.open(which)
        while self._chain.outlook.log == which and not self._ended:
            try:
                answer = await ordering.append(signed)
            except (LogFailed, LogClosed):
                if self._chain.outlook.log == which:
                    raise
                return None  # the log of an epoch that is over was given up under the append
            except OrderingError as error:
                reason = str(error)
            else:
                if isinstance(answer, Appended):
                    self.can_append = True
                    return answer.position
                reason = answer.reason
            self.can_append = False
            log.warning("append unknown, repeating the same entry", reason=reason)
            await asyncio.sleep(AGAIN_S)
        return None

    async def _wait_end(self, which: LogId, position: int) -> None:
        """Until the entry is final, was passed over, or cannot become final any more where it stands."""
        while not self._ended:
            outlook = self._chain.outlook
            if outlook.log != which:
                return
            if outlook.final_place.epoch == which.epoch and outlook.final_place.position >= position:
                self._ended = "passed over"
                return
            await self._pulse.next()
