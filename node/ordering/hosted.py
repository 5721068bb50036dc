"""An embedded log as its host shows it to others: pages with the host's signed word on all entries up to there.

Here the running hash is kept; the log's files are in `segment_log`, the word's form in `keeling.engine_word`, the
calls in `service`. A hosted log is dropped whole when nobody needs its epoch any more, never at its beginning.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final, NamedTuple

from keeling.engine_word import EMPTY, SIGNED_WORD, EngineWord, extend_running, sign_word
from keeling.votes import Sign
from node.ordering.contract import Ordered, Page, compute_entry_digest
from node.ordering.embedded import EmbeddedOrdering

HOSTED_PAGE_BYTES_MAX: Final = 1 << 20
"""Bytes of entries in one page, the first entry apart, so that a page fits a call."""
_PIECE: Final = 8
_MARK_EVERY: Final = 64
_RECENT: Final = 4_096


class HostSigner(NamedTuple):
    """Who hosts: its network, its entry key, and what signs with it."""

    network: bytes
    key: bytes
    sign: Sign


class HostedPage(NamedTuple):
    """A page, the running hash before it, and the signed word at its last entry (at the log's end, if the log ends
    before the page)."""

    start: int
    page: Page
    running_before: bytes
    word: bytes


class HostedLog:
    """Owned by one event loop. The ordering is closed by whoever opened it."""

    def __init__(self, ordering: EmbeddedOrdering, signer: HostSigner) -> None:
        self.ordering = ordering
        self._signer = signer
        self._marks = [EMPTY]  # running hashes at every _MARK_EVERY-th position
        self._recent: OrderedDict[int, bytes] = OrderedDict({0: EMPTY})
        self._newest = (0, EMPTY)
        self._advancing = asyncio.Lock()
        self._word = (-1, b"")

    async def read(self, start: int, limit: int) -> HostedPage:
        """As `contract.Ordering.read`, with a word."""
        before, entries, size = None, list[Ordered](), 0
        while len(entries) < max(limit, 1):
            page = await self.ordering.read(start + len(entries), min(_PIECE, limit - len(entries)))
            before = before or page.before
            for ordered in page.entries:
                size += len(ordered.entry)
                if entries and size > HOSTED_PAGE_BYTES_MAX:
                    break
                entries.append(ordered)
            else:
                if len(page.entries) == _PIECE:
                    continue
            break
        if before is None:
            end, running = await self._find_end()
            return HostedPage(start, Page(None, ()), running, self._sign(end, running))
        running_before = await self._running_at(start - 1)
        running = running_before
        for ordered in entries:
            running = extend_running(running, [compute_entry_digest(ordered.entry)])
            self._remember(ordered.position, running)
        return HostedPage(
            start, Page(before, tuple(entries)), running_before, self._sign(start - 1 + len(entries), running)
        )

    def _sign(self, position: int, running: bytes) -> bytes:
        if self._word[0] != position:
            epoch, name = self.ordering.log
            word = EngineWord(self._signer.network, epoch, name, position, running)
            self._word = position, SIGNED_WORD.encode(sign_word(word, self._signer.key, self._signer.sign))
        return self._word[1]

    async def _running_at(self, position: int) -> bytes:
        """The running hash at a position the log has."""
        known = self._recent.get(position)
        if known is not None:
            return known
        async with self._advancing:
            while self._newest[0] < position:
                await self._walk(*self._newest, position)
        mark = position // _MARK_EVERY
        at, running = mark * _MARK_EVERY, self._marks[mark]
        while at < position:
            at, running = await self._walk(at, running, position)
        return running

    async def _find_end(self) -> tuple[int, bytes]:
        async with self._advancing:
            before = -1
            while self._newest[0] != before:
                before = self._newest[0]
                await self._walk(*self._newest, before + 1_000)
            return self._newest

    async def _walk(self, after: int, running: bytes, last: int) -> tuple[int, bytes]:
        """Take the running hash from position `after` towards `last`, at most a page; where it is then."""
        page = await self.ordering.read(after + 1, min(last - after, 1_000))
        for ordered in page.entries:
            after, running = ordered.position, extend_running(running, [compute_entry_digest(ordered.entry)])
            self._remember(after, running)
        return after, running

    def _remember(self, position: int, running: bytes) -> None:
        if position != self._newest[0] + 1:
            return
        self._newest = position, running
        self._recent[position] = running
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        if position % _MARK_EVERY == 0:
            self._marks.append(running)
