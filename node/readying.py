"""A validator-to-be says that it is there: once its node has caught up, it puts `Ready` on the ledger by itself.

Its four keys sign what `keeling.readiness` says, and the participant's submission key hands it in at a validator, for
what this node orders makes no block yet. Whether it becomes a validator by it is decided by the rules
(`node.core.governance.membership`). Source: protocol review O1.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog

from keeling.operations import NodeKeys
from keeling.readiness import readiness_message
from keeling.v1 import ledger_pb2
from keeling.v1 import operations_pb2 as op
from network.channels import LinkDown
from network.keys import Signer
from node.attesting import format_own
from node.core import tables
from node.core.governance.records import Standing
from node.core.governance.validators import ROLES
from node.core.state import State
from node.ledger import StateReader
from node.replica import Replica
from node.store.contract import Reads

log = structlog.get_logger()
RETRY_S: Final = 2.0
"""How long a word that came to nothing is not repeated."""

HandIn = Callable[[str, bytes], Awaitable[ledger_pb2.TransactionResult]]
"""Hands a submission in at the node of a participant; raises `LinkDown` when it does not answer."""


class OwnKeys(NamedTuple):
    """The four keys of the node, and the participant's that hands in, in that order."""

    entry: Signer
    vote: Signer
    log: Signer
    cosigner: Signer
    submission: Signer

    def names(self) -> NodeKeys:
        """Their public halves, as the ledger has them."""
        return NodeKeys(*(key.public_key for key in self[:4]))


def is_awaited(reads: Reads, participant: str, keys: NodeKeys) -> bool:
    """Whether the ledger waits for the word of exactly this node: admitted with these keys, and not in force."""
    state = State(StateReader(reads))
    row, member = state.get(tables.VALIDATORS, participant), state.get(tables.PARTICIPANTS, participant)
    if row is None or member is None or member.suspended or row.standing != Standing.CANDIDATE:
        return False
    return keys == NodeKeys(row.entry, row.vote, row.log, row.cosigner)


def format_ready(origin: str, network: bytes, participant: str, height: int, time_ms: int, keys: OwnKeys) -> bytes:
    """The submission that says it: the node has executed the block at `height`."""
    message = readiness_message(origin, participant, keys.names(), height)
    signed = {role: key.sign(message) for role, key in zip(ROLES, keys[:4], strict=True)}
    ready = op.Operation(ready=op.Ready(participant=participant, height=height, **signed))
    hand = keys.submission
    return format_own(network, participant, ready, height.to_bytes(8, "big"), time_ms, hand.public_key, hand.sign)


class Readier:
    """One per node that has its submission key. Owned by one event loop."""

    def __init__(
        self, replica: Replica, participant: str, keys: OwnKeys, hand_in: HandIn, clock_ms: Callable[[], int]
    ) -> None:
        self._replica = replica
        self._participant = participant
        self._keys = keys
        self._hand_in = hand_in
        self._clock_ms = clock_ms

    async def run(self) -> None:
        """Say it whenever the ledger waits for it, until cancelled. A node that stops by itself ends this too."""
        while self._replica.failure is None:
            height = self._replica.height
            if self._has_caught_up() and await asyncio.to_thread(self._is_awaited):
                await self._say(height)
                await asyncio.sleep(RETRY_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S):
                    await self._replica.wait_above(height)

    def _has_caught_up(self) -> bool:
        """Also: may this node sign at all. One whose journal is lost would only take the place of one that votes."""
        following, outlook = self._replica.following, self._replica.chain.outlook
        return following.is_informed and not following.behind and outlook.health.stopped is None

    def _is_awaited(self) -> bool:
        return is_awaited(self._replica.chain.store, self._participant, self._keys.names())

    async def _say(self, height: int) -> None:
        """Hand it in at one validator after the other, until one answers."""
        chain = self._replica.chain
        origin, network = chain.outlook.policy.origin, chain.genesis.network
        raw = format_ready(origin, network, self._participant, height, self._clock_ms(), self._keys)
        for validator in self._replica.roster.validators:
            try:
                result = await self._hand_in(validator, raw)
            except LinkDown as error:
                log.info("not said there that this node is ready", validator=validator, why=str(error))
                continue
            if result.reason:
                log.warning("not ready by the rules", reason=result.reason_name, detail=result.detail)
            else:
                log.info("ready", height=height, decided=result.place.height)
            return
