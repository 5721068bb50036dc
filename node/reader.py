"""Reading the ordering log in force, entry by entry, for the chain to execute; and noticing when the engine is broken.

Which log, from where, and whether to go on is the chain's decision: it is looked at anew before each read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from node.chain import Chain
from node.finality.events import Reason
from node.following import Following, Turn
from node.intake import Intake
from node.ordering.contract import (
    Engine,
    LogClosed,
    LogFailed,
    LogFault,
    LogTruncated,
    Ordering,
    OrderingError,
    Page,
    check_continuity,
)
from node.outcome import Outlook
from node.pulse import Pulse
from node.verify import Signatures

log = structlog.get_logger()
READ_ENTRIES: Final = 64
AGAIN_S: Final = 0.2
"""Before a log that could not be read is read again. Engines that are far away wait by themselves."""


class Reader:
    """Owned by one event loop; `run` is its task."""

    def __init__(
        self,
        chain: Chain,
        engine: Engine,
        intake: Intake,
        following: Following,
        signatures: Signatures,
        clock_ms: Callable[[], int],
        pulse: Pulse,
        turn: Turn,
    ) -> None:
        self._chain = chain
        self._engine = engine
        self._intake = intake
        self._following = following
        self._signatures = signatures
        self._clock_ms = clock_ms
        self._pulse = pulse
        self._turn = turn
        self._waits: asyncio.Future[None] | None = None
        self._waits_at: Outlook | None = None
        self.can_read = True
        """Whether the ordering log in force could be read the last time."""

    async def run(self) -> None:
        """Read, for ever. An observer reads nothing: it follows what is final."""
        while True:
            outlook = self._chain.outlook
            if not outlook.is_validator or not outlook.may_read or self._following.is_far:
                await self._pulse.next()
            elif not await self.read_page():
                await self._wait_entry(outlook)

    async def read_page(self) -> bool:
        """Have the chain take what the log shows next; False if there is nothing, or nothing that can be used."""
        outlook = self._chain.outlook
        if not outlook.may_read:
            return False
        page = await self._read(outlook)
        if page is None or not page.entries:
            return False
        for ordered in page.entries:
            check, parse = self._signatures.check, self._intake.parse
            await self._turn(self._chain.take, outlook.log, ordered, self._clock_ms(), check, parse)
            if self._has_moved(outlook) or self._chain.outlook.cursor.position != ordered.position:
                break
        return True

    def _has_moved(self, outlook: Outlook) -> bool:
        return self._chain.outlook.log != outlook.log

    async def _read(self, outlook: Outlook) -> Page | None:
        try:
            page = await self._engine.open(outlook.log).read(outlook.cursor.position + 1, READ_ENTRIES)
            check_continuity(outlook.cursor, page)
        except LogFault as fault:
            if not self._has_moved(outlook) and self._chain.outlook.cursor == outlook.cursor:
                log.error("engine fault", log=outlook.log.name, fault=str(fault))
                await self._turn(self._chain.suspend, Reason.ENGINE_FAULT, self._clock_ms())
            return None
        except (LogFailed, LogClosed):
            if not self._has_moved(outlook):
                raise
            return None  # the log of an epoch that is over was given up under the read
        except LogTruncated as error:
            log.warning("the ordering log no longer has what is next here", error=str(error))
            self._following.ask()
            await asyncio.sleep(AGAIN_S)
            return None
        except OrderingError as error:
            await self._cannot(outlook, error)
            return None
        self.can_read = True
        return page

    async def _cannot(self, outlook: Outlook, error: OrderingError) -> None:
        if self.can_read and not self._has_moved(outlook):
            log.warning("ordering log unreachable", log=outlook.log.name, error=str(error))
        self.can_read = False
        await asyncio.sleep(AGAIN_S)

    async def _wait_entry(self, outlook: Outlook) -> None:
        """Until the log has more, or there is another place to read."""
        if not self._is_at(outlook) or not self.can_read:
            return
        ordering: Ordering = self._engine.open(outlook.log)
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(ordering.wait(outlook.cursor.position + 1))
        waiting.add_done_callback(partial(_end_wait, ended))
        self._waits, self._waits_at = ended, outlook
        try:
            await ended
        finally:
            self._waits = None
            if not waiting.done():
                waiting.cancel()
        if waiting.done() and not waiting.cancelled():
            try:
                waiting.result()
            except (LogFailed, LogClosed):
                if not self._has_moved(outlook):
                    raise
            except OrderingError as error:
                await self._cannot(outlook, error)

    def _is_at(self, outlook: Outlook) -> bool:
        now = self._chain.outlook
        return (now.log, now.cursor, now.may_read) == (outlook.log, outlook.cursor, outlook.may_read)

    def look(self) -> None:
        """The chain may have moved: stop waiting for an entry that is not the next one any more."""
        waits, at = self._waits, self._waits_at
        if waits is not None and at is not None and not self._is_at(at) and not waits.done():
            waits.set_result(None)


def _end_wait(ended: asyncio.Future[None], waiting: asyncio.Future[None]) -> None:
    """The log has more, or why it cannot say so; nobody else looks at that where the wait was given up."""
    if not waiting.cancelled():
        waiting.exception()
    if not ended.done():
        ended.set_result(None)
