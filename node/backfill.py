"""Fetching the log below the snapshot that a node joined from: leaves and tree hashes, from any peer, in between.

A joiner votes and serves without them; with them it proves any leaf ever appended, too. Nothing of a peer is believed:
the tree's root at the snapshot was attested, and each piece is checked against it before it is kept. What was kept is
kept, so that an interruption costs one piece. Certificates, entries and answers from below are not fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import grpc.aio
import structlog

from keeling.encoding import U64
from keeling.merkle import Frontier, Growth, ProofError, Subtree, check_inclusion, hash_leaf, read_frontier
from keeling.v1 import log_pb2 as pb
from keeling.v1 import log_pb2_grpc as rpc
from network.channels import LinkDown, answer_of
from node.archive import leaf_key, put_growth, read_subtrees
from node.ledger import JOINED_KEY
from node.peers.contract import PeerFailed
from node.store.contract import Batch, Family, Reads, Store

log = structlog.get_logger()
FILLED_KEY: Final = b"chain/filled"
"""In META, u64: the leaves below this one were fetched, checked and kept, with all hashes above them."""
LEVEL_MAX: Final = 9
"""A piece is a complete subtree of at most 2^9 leaves: half a megabyte in an answer, and one synced write."""
PAUSE_S: Final = 0.02
BUSY_PAUSE_S: Final = 0.5
"""Between pieces; the second while the node has transactions to finish or blocks to catch up."""
RETRY_S: Final = 30.0
"""When nobody could give the next piece, everybody is asked again after this long."""
ANSWER_S: Final = 30.0


class PieceRefused(ValueError):
    """What a peer sent is not what the attested tree has there."""


class LeafSource(Protocol):
    """A peer that may have the log from its first leaf on."""

    @property
    def name(self) -> str:
        """Whose node it is."""
        ...

    async def leaves(self, first: int, most: int) -> Sequence[bytes]:
        """The leaves from `first` on, at most so many. Raises `PeerFailed`."""
        ...

    async def path(self, index: int, size: int) -> Sequence[bytes]:
        """The inclusion proof of a leaf in the tree of `size`. Raises `PeerFailed`."""
        ...


class Gap(NamedTuple):
    """What is missing: the leaves from `done` up to, not including, `size`, where the root of the tree is `root`."""

    done: int
    size: int
    root: bytes


def read_gap(reads: Reads) -> Gap | None:
    """What of the log is not here; None in a node that has all of it."""
    joined, filled = reads.get(Family.META, JOINED_KEY), reads.get(Family.META, FILLED_KEY)
    done, size = (0 if raw is None else U64.decode(raw) for raw in (filled, joined))
    if done >= size:
        return None
    return Gap(done, size, read_frontier(size, read_subtrees(reads)).root())


def plan_piece(gap: Gap) -> Subtree:
    """The next piece: the biggest complete subtree that begins where the gap does."""
    level = min(LEVEL_MAX, (gap.size - gap.done).bit_length() - 1)
    while gap.done & ((1 << level) - 1):
        level -= 1
    return Subtree(level, gap.done >> level)


def check_piece(gap: Gap, before: Frontier, piece: Subtree, leaves: Sequence[bytes], path: Sequence[bytes]) -> Growth:
    """How the tree grows by these leaves, if they are those of the attested tree; raises `PieceRefused`.

    `path` proves the first leaf. Its lower siblings are the roots of all else in the piece, so every leaf is bound.
    """
    if len(leaves) != 1 << piece.level:
        raise PieceRefused(f"it sent {len(leaves)} leaves from {gap.done} on, not {1 << piece.level}")
    hashes = [hash_leaf(leaf) for leaf in leaves]
    growth = before.extend(hashes)
    made = {Subtree(run.level, run.first + n): each for run in growth.completed for n, each in enumerate(run.hashes)}
    try:
        check_inclusion(gap.done, gap.size, hashes[0], path, gap.root)
    except ProofError as error:
        raise PieceRefused(f"it sent another leaf {gap.done}, or no proof of it: {error}") from error
    if [made[Subtree(level, (gap.done >> level) + 1)] for level in range(piece.level)] != list(path[: piece.level]):
        raise PieceRefused(f"it sent other leaves from {gap.done} on than the tree has")
    return growth


class Backfill:
    """Owned by one event loop. `sources` are asked in their order; `is_busy` says when to keep still longer."""

    def __init__(self, store: Store, sources: Callable[[], Sequence[LeafSource]], is_busy: Callable[[], bool]) -> None:
        self._store = store
        self._sources = sources
        self._is_busy = is_busy
        self.told: dict[str, str] = {}
        """Who sent something false, and what: not asked again by this process."""

    async def run(self) -> None:
        """Work until nothing is missing."""
        while await self.fetch_all():
            await asyncio.sleep(RETRY_S)

    async def fetch_all(self) -> Gap | None:
        """Ask everybody once, one after the other, as long as something is missing; returns what is missing still."""
        gap = await asyncio.to_thread(read_gap, self._store)
        for source in self._sources() if gap is not None else ():
            try:
                while gap is not None and source.name not in self.told:
                    gap = await self._fetch(source, gap)
                    await asyncio.sleep(BUSY_PAUSE_S if self._is_busy() else PAUSE_S)
            except PeerFailed as error:
                log.info("the log below the snapshot: not there", peer=source.name, why=str(error))
            except PieceRefused as error:
                self.told[source.name] = str(error)
                log.error("the log below the snapshot: something false", peer=source.name, why=str(error))
            if gap is None:
                log.info("the log below the snapshot is here")
                break
        return gap

    async def _fetch(self, source: LeafSource, gap: Gap) -> Gap | None:
        """Fetch, check and keep the next piece; returns what is missing then."""
        piece = plan_piece(gap)
        leaves = await source.leaves(gap.done, 1 << piece.level)
        path = await source.path(gap.done, gap.size)
        await asyncio.to_thread(self._keep, gap, piece, leaves, path)
        done = gap.done + len(leaves)
        return gap._replace(done=done) if done < gap.size else None

    def _keep(self, gap: Gap, piece: Subtree, leaves: Sequence[bytes], path: Sequence[bytes]) -> None:
        before = read_frontier(gap.done, read_subtrees(self._store))
        growth = check_piece(gap, before, piece, leaves, path)
        batch = Batch()
        batch.update(Family.LEAVES, [(leaf_key(at), leaf) for at, leaf in enumerate(leaves, gap.done)])
        put_growth(batch, growth)
        batch.put(Family.META, FILLED_KEY, U64.encode(growth.frontier.size))
        self._store.commit(batch)


class RemoteLeaves:
    """A peer's Log service as a `LeafSource`. `open_channel` may raise `LinkDown`."""

    def __init__(self, name: str, open_channel: Callable[[], grpc.aio.Channel]) -> None:
        self.name = name
        self._open_channel = open_channel

    async def leaves(self, first: int, most: int) -> Sequence[bytes]:
        request = pb.GetEntriesRequest(first=first, most=most)
        answer: pb.GetEntriesResponse = await self._ask(lambda stub: stub.GetEntries(request, timeout=ANSWER_S))
        if len(answer.leaves) < most:
            raise PeerFailed(f"it has {len(answer.leaves)} of {most} leaves from {first} on")
        return list(answer.leaves)

    async def path(self, index: int, size: int) -> Sequence[bytes]:
        request = pb.ProveInclusionRequest(index=index, size=size)
        answer: pb.Proof = await self._ask(lambda stub: stub.ProveInclusion(request, timeout=ANSWER_S))
        return list(answer.hashes)

    async def _ask(self, call: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            return await answer_of(call(rpc.LogStub(self._open_channel())))
        except LinkDown as error:
            raise PeerFailed(str(error)) from error
