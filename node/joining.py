"""Joining from a snapshot: fetch it from any peer, check every chunk, and put it into a store that follows on from it.

Nothing of a peer is believed: the proof is checked from the genesis file, each chunk against its hash. What was checked
is on disk at once, so that an interruption at any point costs one chunk; whoever sends another is named, not asked
again, and the next peer goes on. The blocks after the snapshot are caught up as every node does it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from keeling.block import parse_header
from keeling.encoding import BYTES32, U64, listing
from keeling.genesis import Genesis
from keeling.merkle import Frontier, Subtree
from keeling.policy import hash_policy
from keeling.snapshot import (
    PROOF,
    SnapshotFacts,
    SnapshotProof,
    SnapshotRefused,
    check_snapshot,
    hash_chunk,
    parse_chunk,
    parse_proof,
)
from keeling.votes import CERTIFICATE
from node.archive import height_key, subtree_key
from node.durable import make_folder, replace_file
from node.finality.events import log_name
from node.handovers import put_known_handover
from node.held import INDEXED_KEY
from node.ledger import (
    IN_FORCE,
    JOINED_KEY,
    JOINING_KEY,
    NETWORK_KEY,
    REIGN_KEY,
    TIP_KEY,
    InForce,
    is_created,
    put_opened,
    read_height,
)
from node.peers.contract import PeerFailed
from node.prune import PRUNED_KEY
from node.snapshots import JOINING, Shelf, SnapshotError, name_chunk
from node.store.contract import Batch, Family, Store

INSTALL_CHUNKS: Final = 8
"""Chunks in one synced write: at most 8 MiB of state."""


class JoinFailed(Exception):
    """No peer gave a snapshot to the end; what was checked stays on disk for the next try. The text names each peer."""


class Source(Protocol):
    """A peer that may have snapshots."""

    @property
    def name(self) -> str:
        """Whose node it is."""
        ...

    async def offer(self, height: int) -> bytes:
        """The encoded proof of its newest attested snapshot, or of the one at `height`. Raises `PeerFailed`."""
        ...

    def chunks(self, height: int, first: int) -> AsyncIterator[bytes]:
        """The chunks from `first` on, in order. Raises `PeerFailed`."""
        ...


class Chosen(NamedTuple):
    """A snapshot whose proof holds, and what it proves."""

    proof: SnapshotProof
    facts: SnapshotFacts


async def fetch_snapshot(
    sources: Sequence[Source],
    genesis: Genesis,
    shelf: Shelf,
    above: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    told: dict[str, str] | None = None,
) -> int:
    """Bring the newest snapshot above the height `above` to the shelf, whole and checked; returns its height.

    `progress` is told chunks here and chunks in all; `told` collects what was wrong with each peer that was passed
    over. Raises `JoinFailed`, which names them.
    """
    told = {} if told is None else told
    chosen = await _choose(sources, genesis, shelf, above, told)
    folder = shelf.folder / f"{chosen.facts.height}{JOINING}"
    await asyncio.to_thread(_begin, folder, chosen.proof)
    total = len(chosen.proof.chunks)
    for source in [source for source in sources if source.name not in told]:
        missing = await asyncio.to_thread(_find_missing, folder, chosen.proof)
        progress(total - len(missing), total)
        if not missing:
            break
        try:
            await _take_chunks(source, folder, chosen, missing[0], progress)
        except (PeerFailed, SnapshotRefused) as error:
            told[source.name] = str(error)
    if await asyncio.to_thread(_find_missing, folder, chosen.proof):
        raise JoinFailed(_list(told) or "no peer has the rest of the snapshot")
    await asyncio.to_thread(_finish, shelf, folder, chosen)
    return chosen.facts.height


async def _choose(
    sources: Sequence[Source], genesis: Genesis, shelf: Shelf, above: int, told: dict[str, str]
) -> Chosen:
    """The newest snapshot that anybody proves; a fetch that was interrupted is continued while somebody has the rest.

    `told` collects what was wrong with each peer that is not asked again.
    """
    begun = _read_begun(shelf, genesis)
    if begun is not None and begun.facts.height > above:
        offered = await _ask_all(sources, begun.facts.height, genesis, told)
        if any(each.facts.digest == begun.facts.digest for each in offered):
            return begun
        told.clear()
    found = await _ask_all(sources, 0, genesis, told)
    newest = max(found, key=lambda chosen: chosen.facts.height, default=None)
    if newest is None or newest.facts.height <= above:
        raise JoinFailed(_list(told) or f"no peer has a snapshot above height {above}")
    return newest


async def _ask_all(sources: Sequence[Source], height: int, genesis: Genesis, told: dict[str, str]) -> list[Chosen]:
    """What the peers prove, all asked at once: one that does not answer keeps nobody waiting for the next."""

    async def ask(source: Source) -> Chosen | str:
        try:
            proof = parse_proof(await source.offer(height))
            return Chosen(proof, check_snapshot(proof, genesis))
        except PeerFailed as error:
            return str(error)
        except SnapshotRefused as refused:
            return f"its proof does not hold: {refused}"

    answers = await asyncio.gather(*(ask(source) for source in sources))
    told.update({source.name: said for source, said in zip(sources, answers, strict=True) if isinstance(said, str)})
    return [said for said in answers if not isinstance(said, str)]


def _list(told: dict[str, str]) -> str:
    return "; ".join(f"{name}: {text}" for name, text in told.items())


def _read_begun(shelf: Shelf, genesis: Genesis) -> Chosen | None:
    """The snapshot whose chunks were being fetched, if any."""
    for folder in sorted(shelf.folder.glob(f"*{JOINING}"), reverse=True):
        try:
            proof = parse_proof((folder / "proof").read_bytes())
            return Chosen(proof, check_snapshot(proof, genesis))
        except (OSError, SnapshotRefused):
            shutil.rmtree(folder)
    return None


def _begin(folder: Path, proof: SnapshotProof) -> None:
    """Make the folder that chunks are collected in; the chunks of another snapshot are thrown away."""
    for other in folder.parent.glob(f"*{JOINING}"):
        if other != folder:
            shutil.rmtree(other)
    make_folder(folder)
    replace_file(folder / "proof", PROOF.encode(proof))


def _find_missing(folder: Path, proof: SnapshotProof) -> list[int]:
    return [ordinal for ordinal in range(len(proof.chunks)) if not (folder / name_chunk(ordinal)).exists()]


async def _take_chunks(
    source: Source, folder: Path, chosen: Chosen, first: int, progress: Callable[[int, int], None]
) -> None:
    """Keep what a peer sends from `first` on; raises `SnapshotRefused` at the first chunk that is not the one."""
    hashes = chosen.proof.chunks
    ordinal = first
    async for chunk in source.chunks(chosen.facts.height, first):
        if ordinal >= len(hashes) or hash_chunk(chunk) != hashes[ordinal]:
            raise SnapshotRefused(f"it sent something else for chunk {ordinal} of the snapshot")
        await asyncio.to_thread(replace_file, folder / name_chunk(ordinal), chunk)
        ordinal += 1
        progress(ordinal, len(hashes))
    if ordinal < len(hashes):
        raise PeerFailed(f"it ended after chunk {ordinal - 1} of {len(hashes)}")


def _finish(shelf: Shelf, folder: Path, chosen: Chosen) -> None:
    replace_file(folder / "head", chosen.proof.head)
    replace_file(folder / "hashes", listing(BYTES32).encode(chosen.proof.chunks))
    shelf.settle(folder, shelf.folder / str(chosen.facts.height))


# -- into the store


def install_snapshot(store: Store, genesis: Genesis, shelf: Shelf, height: int, vote_key: bytes | None) -> None:
    """Make a store continue from a snapshot on the shelf; `vote_key` is one that never signed anything, if any.

    The store is empty, or of this network and lower; its log and journal stay. An interrupted installation is marked,
    and is repeated. Raises `SnapshotError` and `SnapshotRefused`.
    """
    proof = parse_proof(shelf.read_proof(height))
    facts = check_snapshot(proof, genesis)
    fresh = not is_created(store)
    if not fresh and store.get(Family.META, JOINING_KEY) is None and read_height(store) >= height:
        raise SnapshotError(f"the store is at height {read_height(store)} already, the snapshot is of {height}")
    mark = Batch()
    mark.put(Family.META, JOINING_KEY, U64.encode(height))
    mark.delete(Family.META, INDEXED_KEY)
    store.commit(mark)
    store.clear((Family.STATE, Family.INDEX))
    for first in range(0, len(proof.chunks), INSTALL_CHUNKS):
        batch = Batch()
        for ordinal in range(first, min(first + INSTALL_CHUNKS, len(proof.chunks))):
            chunk = shelf.read_chunk(height, ordinal)
            if hash_chunk(chunk) != proof.chunks[ordinal]:
                raise SnapshotError(f"chunk {ordinal} of the snapshot of {height} was changed on disk: fetch it again")
            batch.update(Family.STATE, parse_chunk(chunk))
        store.commit(batch)
    store.commit(_finish_install(proof, facts, genesis, vote_key if fresh else None))


def _finish_install(proof: SnapshotProof, facts: SnapshotFacts, genesis: Genesis, vote_key: bytes | None) -> Batch:
    """The block that the chain goes on from, in one write with the word that it does."""
    batch, height = Batch(), facts.height
    batch.put(Family.BLOCKS, height_key(b"h", height), facts.head.header)
    batch.put(Family.BLOCKS, height_key(b"c", height), CERTIFICATE.encode(proof.certificate))
    batch.put(Family.BLOCKS, height_key(b"k", height), proof.checkpoint)
    for reign, handover in zip(facts.reigns[1:], proof.handovers, strict=True):
        put_known_handover(batch, reign.since, handover)
    for subtree, peak in zip(find_peaks(facts.head.frontier), facts.head.frontier.peaks, strict=True):
        batch.put(Family.LEAVES, subtree_key(subtree), peak)
    batch.put(Family.META, NETWORK_KEY, genesis.network)
    batch.put(Family.META, TIP_KEY, U64.encode(height))
    batch.put(Family.META, PRUNED_KEY, U64.encode(height + 1))
    batch.put(Family.META, JOINED_KEY, U64.encode(facts.head.frontier.size))
    batch.delete(Family.META, JOINING_KEY)
    in_force = find_in_force(proof, height, genesis)
    if in_force is not None:
        batch.put(Family.META, REIGN_KEY, IN_FORCE.encode(in_force))
    if vote_key is not None:
        put_opened(batch, genesis.network, vote_key, height)
    return batch


def find_in_force(proof: SnapshotProof, height: int, genesis: Genesis) -> InForce | None:
    """The policy after the snapshot's block, with the epoch and log it began in; None while it is that of genesis.

    The log's name follows from policy and epoch unless an operator moved it; then the next report of peers corrects it.
    """
    decided = hash_policy(genesis.policy)
    epoch, log, found = 0, log_name(decided, 0), None
    for handover in proof.handovers:
        header = parse_header(handover.header)
        if header.height > height:
            break
        if header.epoch != epoch:
            epoch, log = header.epoch, log_name(decided, header.epoch)
        decided = header.next_policy
        found = InForce(handover.policy, header.height, epoch, log)
    return found


def find_peaks(frontier: Frontier) -> list[Subtree]:
    """Which subtrees a frontier's peaks are, the biggest first."""
    found, start = [], 0
    for level in reversed(range(frontier.size.bit_length())):
        if frontier.size >> level & 1:
            found.append(Subtree(level, start >> level))
            start += 1 << level
    return found
