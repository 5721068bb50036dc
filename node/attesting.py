"""A validator's attestations: makes the snapshot that is due, puts its digest on the ledger, keeps the proof.

`after_commit` must run between the commit of a block and the next one, for only then is the state exactly the one that
is due; all else happens beside, on a thread, while the chain goes on. What is due when is decided by the rules
(`node.core.governance.snapshots`). A node that catches up by many blocks at once attests none of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final, TypeVar

from keeling.submission import format_submission, format_transaction
from keeling.v1 import operations_pb2 as op
from keeling.v1 import transaction_pb2 as pb
from node.core import tables
from node.core.block import Block
from node.snapshots import Made, Shelf, keep_proofs
from node.store.contract import Store, View

T = TypeVar("T")
Sign = Callable[[bytes], bytes]
RunInThread = Callable[[Callable[[], T]], Awaitable[T]]

KEPT: Final = 2
"""Snapshots with proof that stay on disk: the newest two (protocol review S2)."""


def is_due(block: Block) -> bool:
    """Whether the rules ask for the digest of the state after this block."""
    key = tables.ATTESTED.key(block.header.height)
    at = bisect_left(block.changes, (key,))
    return at < len(block.changes) and block.changes[at][0] == key


def format_attestation(network: bytes, participant: str, made: Made, time_ms: int, key: bytes, sign: Sign) -> bytes:
    """The submission by which a validator attests a snapshot of a block of ledger time `time_ms`, with its node's key.

    Its id follows from what it says, so handing it in again is no second attestation.
    """
    attest = op.AttestState(height=made.height, digest=made.digest)
    said = made.height.to_bytes(8, "big") + made.digest
    return format_own(network, participant, op.Operation(attest_state=attest), said, time_ms, key, sign)


def format_own(
    network: bytes, participant: str, operation: op.Operation, said: bytes, time_ms: int, key: bytes, sign: Sign
) -> bytes:
    """A submission that a node makes by itself: one operation, and an id that follows from `time_ms` and `said`."""
    tail = sha256(participant.encode() + said).digest()
    number = time_ms.to_bytes(6, "big") + bytes([0x70 | tail[0] & 15, tail[1], 0x80 | tail[2] & 63]) + tail[3:10]
    transaction = pb.Transaction(id=number, participant=participant, operations=[operation])
    return format_submission(network, key, [(format_transaction(transaction), ())], sign)


class Attester:
    """One per node. An observer makes snapshots too, and attests none."""

    def __init__(
        self,
        store: Store,
        shelf: Shelf,
        network: bytes,
        participant: str,
        key: bytes,
        sign: Sign,
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._network = network
        self._participant = participant
        self._key = key
        self._sign = sign
        self._view: View | None = None
        self._time_ms = 0

    def after_commit(self, block: Block) -> bool:
        """Freeze the state if it is due; returns whether `attest` has work. Cheap: nothing is read."""
        if not is_due(block):
            return False
        if self._view is not None:
            self._view.close()
        self._view = self._store.snapshot()
        self._time_ms = block.header.time_ms
        return True

    async def attest(self, run: RunInThread[Made], submit: Callable[[bytes], Awaitable[object]] | None) -> Made | None:
        """Make the snapshot of the frozen state and hand in its digest (None: only make it)."""
        view, self._view, time_ms = self._view, None, self._time_ms
        if view is None:
            return None
        try:
            made = await run(lambda: self._shelf.make(view))
        finally:
            view.close()
        if submit is not None:
            arguments = (self._participant, made, time_ms, self._key, self._sign)
            await submit(format_attestation(self._network, *arguments))
        return made

    def keep_proofs(self, height: int) -> list[int]:
        """Once the block at `height` is final with its checkpoint: write the proofs it completes, drop old snapshots.

        Raises `SnapshotError` where a quorum attested another state than this node has: it has diverged.
        """
        with self._store.snapshot() as view:
            done = keep_proofs(view, self._shelf, height)
        if done:
            self._shelf.drop_old(KEPT)
        return done
