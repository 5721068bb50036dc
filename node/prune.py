"""Pruning: which old bytes a node may forget, and forgetting them. What proves anything is never among them.

Entries and archived answers go where two attested snapshots make them unnecessary for anyone who joins, and where no id
can be asked for again; headers, certificates, checkpoints, handovers, leaves, tree hashes, journal and evidence stay.
Planning reads and computes only, so that a dry run says exactly what would be done. Source: protocol review S2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from keeling.block import Header, parse_header
from keeling.encoding import U64
from node.archive import height_key
from node.core.limits import ID_WINDOW_MS
from node.ledger import read_height
from node.store.contract import Batch, Family, Reads, Store

PRUNED_KEY: Final = b"chain/pruned"
"""In META, u64: blocks below this height have neither entry nor answers here any more."""
BLOCKS_PER_COMMIT: Final = 1_000


class PruneRefused(Exception):
    """Nothing may be forgotten yet; the text says why. Nothing was changed."""


class PrunePlan(NamedTuple):
    """Blocks from `first` up to, not including, `below` lose `entry_bytes` and `answer_bytes`; `kept` are snapshots."""

    first: int
    below: int
    entry_bytes: int
    answer_bytes: int
    kept: tuple[int, ...]

    @property
    def blocks(self) -> int:
        return self.below - self.first


def plan_prune(reads: Reads, snapshots: Sequence[int]) -> PrunePlan:
    """What may go, given the heights of the attested snapshots on disk. Raises `PruneRefused`."""
    height = read_height(reads)
    kept = tuple(sorted(snapshot for snapshot in snapshots if snapshot <= height)[-2:])
    if len(kept) < 2:
        raise PruneRefused(
            f"{len(kept)} attested snapshots are here; with two of them, what lies below the older may be forgotten"
        )
    first = read_pruned(reads)
    below = max(first, min(kept[0], _find_first_in_window(reads, height)))
    entry_bytes = answer_bytes = 0
    for at in range(first, below):
        entry = reads.get(Family.BODIES, _read_header(reads, at).entry)
        answers = reads.get(Family.EVENTS, U64.encode(at))
        entry_bytes += len(entry or b"")
        answer_bytes += len(answers or b"")
    return PrunePlan(first, below, entry_bytes, answer_bytes, kept)


def read_pruned(reads: Reads) -> int:
    """The first height whose entry and answers are still here."""
    raw = reads.get(Family.META, PRUNED_KEY)
    return 1 if raw is None else U64.decode(raw)


def _read_header(reads: Reads, height: int) -> Header:
    leaf = reads.get(Family.BLOCKS, height_key(b"h", height))
    if leaf is None:
        raise PruneRefused(f"the log has no header at {height} here: this node joined above it, or must be restored")
    return parse_header(leaf)


def _find_first_in_window(reads: Reads, height: int) -> int:
    """The first height that an id of today may still refer to: its receipt is owed to whoever asks again (G5)."""
    since = _read_header(reads, height).time_ms - ID_WINDOW_MS
    low, high = read_pruned(reads), height
    while low < high:
        middle = (low + high) // 2
        if _read_header(reads, middle).time_ms < since:
            low = middle + 1
        else:
            high = middle
    return low


def prune(store: Store, plan: PrunePlan, progress: Callable[[int], None] = lambda height: None) -> None:
    """Forget what the plan names, in synced steps: interrupted anywhere, a new plan goes on from there."""
    for start in range(plan.first, plan.below, BLOCKS_PER_COMMIT):
        stop = min(start + BLOCKS_PER_COMMIT, plan.below)
        batch = Batch()
        for at in range(start, stop):
            batch.delete(Family.BODIES, _read_header(store, at).entry)
            batch.delete(Family.EVENTS, U64.encode(at))
        batch.put(Family.META, PRUNED_KEY, U64.encode(stop))
        store.commit(batch)
        progress(stop - 1)
