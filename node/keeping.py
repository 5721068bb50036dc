"""Keeps a running node's snapshots: makes those that are due, attests them, writes the proofs that blocks complete.

One task does all of it, one after the other, beside the chain. Nothing here can stop the node: a state that differs
from what a quorum attested is said loudly, and found by the votes themselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog

from keeling.events import EventKind
from node.attesting import Attester
from node.door import TurnedAway
from node.intake import Full, Observing, Poisonous
from node.outcome import FinalBlock
from node.snapshots import SnapshotError

log = structlog.get_logger()


class Keeper:
    """Owned by one event loop. `submit` hands in bytes at this node; it is asked only while `attests` says so."""

    def __init__(
        self, attester: Attester, submit: Callable[[bytes], Awaitable[object]], attests: Callable[[], bool]
    ) -> None:
        self._attester = attester
        self._submit = submit
        self._attests = attests
        self._due = False
        self._agreed: deque[int] = deque()
        self._wake = asyncio.Event()

    def on_final(self, blocks: Sequence[FinalBlock]) -> None:
        """Blocks are durable, and the store is as the last of them left it."""
        for final in blocks:
            if any(event.kind == EventKind.SNAPSHOT for event in final.block.events):
                self._agreed.append(final.block.header.height)
                self._wake.set()
        if self._attester.after_commit(blocks[-1].block):
            self._due = True
            self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._due:
                self._due = False
                await self._attest()
            while self._agreed:
                await self._keep_proofs(self._agreed.popleft())

    async def _attest(self) -> None:
        try:
            made = await self._attester.attest(asyncio.to_thread, self._submit if self._attests() else None)
        except (Full, Observing, Poisonous, TurnedAway, SnapshotError, OSError) as error:
            log.warning("snapshot not attested", reason=str(error))
            return
        if made is not None:
            log.info("snapshot made", height=made.height, rows=made.rows, digest=made.digest.hex())

    async def _keep_proofs(self, height: int) -> None:
        try:
            for proved in await asyncio.to_thread(self._attester.keep_proofs, height):
                log.info("snapshot attested by a quorum", height=proved)
        except (SnapshotError, OSError) as error:
            log.error("snapshot not proved", reason=str(error))
