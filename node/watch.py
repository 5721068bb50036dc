"""Watching the clock: time for the chain, tips for the others, heartbeats that are due, and an engine that is down.

An idle network is silent but for tips. A heartbeat is ordered only when a due time lies between ledger time and the own
clock (rule E4): time moves with blocks, and what expires must not wait for somebody's transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from node.peers.contract import Peers, TipMessage

if TYPE_CHECKING:
    from node.replica import Replica

log = structlog.get_logger()
TICK_S: Final = 0.1
ALONE_TICK_S: Final = 0.5
TIP_MS: Final = 2_000
FRESH_MS: Final = 3 * TIP_MS
"""What a peer said of the engine counts for so long."""
HEARTBEAT_MS: Final = 1_000
"""At most one heartbeat in so long, and each validator somewhere within as much: most often one is enough."""


class _Heard(NamedTuple):
    tip: TipMessage
    at_ms: int


class Watch:
    """Owned by one event loop; `run` is its task."""

    def __init__(
        self, replica: Replica, peers: Peers, clock_ms: Callable[[], int], random: Random, reseed_after_ms: int
    ) -> None:
        self._replica = replica
        self._peers = peers
        self._clock_ms = clock_ms
        self._random = random
        self._reseed_after_ms = reseed_after_ms
        self._heard: dict[str, _Heard] = {}
        self._told_ms = 0
        self._down_since_ms: int | None = None
        self._down_epoch = 0
        self._beat_at_ms: int | None = None
        self._past = 0

    def hear(self, sender: str, tip: TipMessage) -> None:
        """A peer's tip, with its word on the engine."""
        self._heard[sender] = _Heard(tip, self._clock_ms())

    async def run(self) -> None:
        """Tick, for ever."""
        while True:
            is_alone = len(self._replica.chain.outlook.policy.validators) == 1
            await asyncio.sleep(ALONE_TICK_S if is_alone else TICK_S)
            now_ms = self._clock_ms()
            await self._replica.turn(self._replica.chain.tick, now_ms)
            if not 0 <= now_ms - self._told_ms < TIP_MS:
                self._told_ms = now_ms
                self._peers.announce(self._replica.make_tip())
            self._watch_due(now_ms)
            await self._watch_engine(now_ms)
            self._watch_past()

    # -- heartbeats -------------------------------------------------------------------------------------------------

    def _watch_due(self, now_ms: int) -> None:
        outlook = self._replica.chain.outlook
        due_ms = outlook.due_ms
        if due_ms is None or not outlook.time_ms < due_ms <= now_ms or not self._replica.may_author:
            self._beat_at_ms = None
        elif self._beat_at_ms is None:
            self._beat_at_ms = now_ms + int(self._random.random() * HEARTBEAT_MS)
        elif now_ms >= self._beat_at_ms:
            self._beat_at_ms = now_ms + HEARTBEAT_MS
            self._replica.offering.beat()

    # -- the ordering engine ----------------------------------------------------------------------------------------

    async def _watch_engine(self, now_ms: int) -> None:
        """When more validators than may lie cannot reach the log for long enough, ask for another epoch."""
        outlook = self._replica.chain.outlook
        epoch = outlook.health.epoch
        if epoch != self._down_epoch:
            self._down_epoch, self._down_since_ms = epoch, None
        down = 0 if self._replica.engine_ok or not outlook.is_validator else 1
        for participant in self._replica.roster.validators:
            heard = self._heard.get(participant)
            if heard is not None and now_ms - heard.at_ms <= FRESH_MS and heard.tip.epoch == epoch:
                down += not heard.tip.engine_ok
        if down <= outlook.policy.faults or len(outlook.policy.validators) == 1:
            self._down_since_ms = None
        elif self._down_since_ms is None:
            self._down_since_ms = now_ms
        elif now_ms - self._down_since_ms >= self._reseed_after_ms and outlook.is_validator:
            log.warning("the ordering log is out of reach: asking for a new epoch", validators=down)
            self._down_since_ms = now_ms
            await self._replica.turn(self._replica.chain.reseed, None, now_ms)

    def _watch_past(self) -> None:
        """Say below which epoch nobody reads an ordering log any more.

        Every validator said that it is past it, and so is the newest final block: what is carried over to a later epoch
        was read no earlier than the block before it.
        """
        outlook, validators = self._replica.chain.outlook, self._replica.roster.validators
        heard = [self._heard[name].tip.epoch for name in validators if name in self._heard]
        past = min([outlook.final_place.epoch, outlook.health.epoch, *heard])
        if past > self._past and len(heard) + outlook.is_validator >= len(validators):
            self._past = past
            self._replica.on_past(past)
