"""Following others: catching up from a peer's final blocks, and fetching single blocks that finality wants.

A validator follows when it heard of a higher tip and does not get there by itself; an observer follows always, for it
is sent no votes. Everything that comes is checked and executed by the chain before it counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from random import Random
from typing import Final

import structlog

from node.chain import Chain
from node.outcome import Done
from node.peers.contract import FinalRecord, PeerFailed, Peers, TipMessage
from node.pulse import Pulse
from node.verify import Signatures

log = structlog.get_logger()
PATIENCE_S: Final = 0.5
"""A validator that heard of a higher tip waits so long for votes and the ordering log to bring it there."""
FETCH_PATIENCE_S: Final = 0.05
"""The same for a block that a quorum voted for: most often our own reading is only a moment behind."""
FAR: Final = 64
"""So many heights behind, nothing is waited for, and the ordering log is not read meanwhile."""
STALL_S: Final = 10.0
"""A peer that hands over nothing for so long, although others are further, is left for another."""
RETRY_S: Final = 1.0

Turn = Callable[..., Awaitable[Done]]


class Following:
    """Owned by one event loop; `run` and `run_fetches` are its tasks."""

    def __init__(
        self,
        chain: Chain,
        peers: Peers,
        validators: Callable[[], Sequence[str]],
        signatures: Signatures,
        clock_ms: Callable[[], int],
        random: Random,
        pulse: Pulse,
        turn: Turn,
    ) -> None:
        self._chain = chain
        self._peers = peers
        self._validators = validators
        self._signatures = signatures
        self._clock_ms = clock_ms
        self._random = random
        self._pulse = pulse
        self._turn = turn
        self._tips: dict[str, int] = {}
        self._is_asked = False
        self.is_far = False
        """Whether the ordering log is better left unread for now."""

    @property
    def behind(self) -> int:
        """Heights we lack of those that more validators speak of than may be lying."""
        outlook = self._chain.outlook
        heights = sorted((self._tips.get(name, 0) for name in self._validators()), reverse=True)
        return max(0, heights[outlook.policy.faults] - outlook.height)

    @property
    def is_informed(self) -> bool:
        """Whether more validators have said how far they are than may be lying."""
        heard = sum(1 for name in self._validators() if name in self._tips)
        return heard > self._chain.outlook.policy.faults

    @property
    def is_current(self) -> bool:
        """Whether this node knows how far the others are, and is as far."""
        outlook = self._chain.outlook
        alone = outlook.is_validator and outlook.policy.quorum == 1
        return alone or (self.is_informed and not self.behind)

    async def wait_current(self, patience_s: float) -> bool:
        """Wait until this node is as far as the others, at most for so long; return whether it is."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        while not self.is_current and (left := until - loop.time()) > 0:
            await self._pulse.next(left)
        return self.is_current

    def hear(self, sender: str, tip: TipMessage) -> None:
        """Somebody says how far it is."""
        is_news = sender not in self._tips
        self._tips[sender] = tip.height
        if self.behind or is_news:
            self._pulse.beat()

    def ask(self) -> None:
        """Votes or certificates for heights above ours were seen: whoever is asked may have what is between."""
        self._is_asked = True
        self._pulse.beat()

    # -- catching up ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow whenever there is a reason to, now this peer and now another."""
        while True:
            await self._wait_reason()
            self.is_far = self.behind > FAR
            try:
                await self._follow()
            except PeerFailed as error:
                log.info("following ended", why=str(error))
                await self._pause(RETRY_S)
            self.is_far = False
            self._pulse.beat()

    async def _wait_reason(self) -> None:
        while self._chain.outlook.upgrade:
            await self._pulse.next()  # nobody has anything for this release
        while self._chain.outlook.is_validator:
            height = self._chain.outlook.height
            if not self._is_asked and not self.behind:
                await self._pulse.next()
                continue
            if self.behind <= FAR:
                await asyncio.sleep(PATIENCE_S)
            is_stuck = self._chain.outlook.height == height
            if self.behind > FAR or (is_stuck and (self._is_asked or self.behind)):
                return
            self._is_asked = False

    async def _follow(self) -> None:
        stream = self._peers.follow(self._chain.outlook.height + 1)
        try:
            while True:
                page = await self._next_page(stream)
                now_ms, check = self._clock_ms(), self._signatures.check
                done = await self._turn(self._chain.adopt, page, now_ms, check)
                if done.misled:
                    raise PeerFailed(done.misled)
                self._is_asked = False
                if self._chain.outlook.is_validator and not self.behind:
                    return
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    async def _next_page(self, stream: object) -> tuple[FinalRecord, ...]:
        """An observer waits for as long as nothing happens; a validator that is behind does not."""
        patience = STALL_S if self._chain.outlook.is_validator else None
        try:
            async with asyncio.timeout(patience):
                page: tuple[FinalRecord, ...] = await anext(stream)  # type: ignore[call-overload]
                return page
        except StopAsyncIteration as error:
            raise PeerFailed("the peer ended the stream") from error
        except TimeoutError as error:
            self._is_asked = False
            raise PeerFailed(f"nothing came for {STALL_S:.0f} seconds") from error

    # -- single blocks ----------------------------------------------------------------------------------------------

    async def run_fetches(self) -> None:
        """Get what finality wants executed, from whoever has it."""
        while True:
            wanted = self._chain.outlook.wanted
            if wanted is None or self.is_far:
                await self._pulse.next()
                continue
            await asyncio.sleep(FETCH_PATIENCE_S)
            if self._chain.outlook.wanted != wanted:
                continue
            candidate = wanted.candidate
            try:
                block = await self._peers.fetch_block(candidate.height, candidate.root)
            except PeerFailed as error:
                log.info("nobody to fetch from", why=str(error))
                block = None
            if block is not None:
                done = await self._turn(self._chain.answer_fetch, wanted, block, self._clock_ms())
                if done.misled:
                    log.warning("fetched something else", why=done.misled)
            if self._chain.outlook.wanted == wanted:
                await self._pause(PATIENCE_S)

    async def _pause(self, seconds: float) -> None:
        """About so long, and not all nodes for equally long."""
        await asyncio.sleep(seconds * (0.5 + self._random.random()))
