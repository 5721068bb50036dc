"""State rebuilt from the log: every block executed again from genesis, its results put where the old ones were.

For a store whose state or indexes are doubted or damaged while its log is whole. Headers, certificates, entries, the
vote journal and the node's own records stay; everything that follows from them is cleared and made again. A rebuild
that is interrupted is marked, and the node does not start until one was finished.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from keeling.block import parse_header
from keeling.ed25519 import check_signature
from keeling.entry import parse_entry
from keeling.genesis import Genesis
from node.archive import height_key, put_block
from node.core.block import Place, Tip, execute
from node.core.opening import open_ledger
from node.core.state import State
from node.indexes import put_indexes
from node.ledger import REBUILDING_KEY, ChainError, StateReader, read_height
from node.replay import MemoryState
from node.snapshots import Shelf
from node.store.contract import Batch, Family, Store
from node.succeed import check_snapshot_is, put_state

DERIVED: Final = (Family.STATE, Family.INDEX, Family.LEAVES, Family.EVENTS)
KEYS_PER_COMMIT: Final = 50_000
"""One synced write for so many keys: thousands of blocks at light load."""


def rebuild(
    store: Store, genesis: Genesis, progress: Callable[[int], None] = lambda height: None, before: Shelf | None = None
) -> int:
    """Make everything derived again; returns the height reached. Raises `ChainError` where the log contradicts itself.

    Nothing that was promised is touched, so it may be run as often as needed. A node that was pruned, or
    joined from a snapshot, has not the entries for it, and is left as it is. `before` has the state that a successor
    took over; `SnapshotError` where it is not there, and then nothing was changed.
    """
    height = read_height(store)
    if height > genesis.base and not _has_entry(store, genesis.base + 1):
        text = "the entry of the first block is not kept here: a pruned node cannot be rebuilt from its log"
        raise ChainError(f"{text}: nothing was changed")
    if genesis.succeeds is not None:
        if before is None:
            raise ChainError("this network takes over the state of another, whose snapshot is not here")
        check_snapshot_is(genesis.succeeds, before)
    mark = Batch()
    mark.put(Family.META, REBUILDING_KEY, b"")
    store.commit(mark)
    store.clear(DERIVED)
    tip, changes = open_ledger(State(MemoryState()), genesis)
    batch = Batch()
    batch.update(Family.STATE, changes)
    if genesis.succeeds is not None and before is not None:
        batch = put_state(store, genesis, genesis.succeeds, before)
    store.commit(batch)
    state, batch = State(StateReader(store)), Batch()
    for at in range(genesis.base + 1, height + 1):
        tip = _rebuild_block(store, batch, state, tip, at)
        if len(batch) >= KEYS_PER_COMMIT:
            store.commit(batch)
            state.settle(at)
            batch = Batch()
            progress(at)
    batch.delete(Family.META, REBUILDING_KEY)
    store.commit(batch)
    progress(height)
    return height


def _has_entry(store: Store, height: int) -> bool:
    leaf = store.get(Family.BLOCKS, height_key(b"h", height))
    return leaf is not None and store.get(Family.BODIES, parse_header(leaf).entry) is not None


def _rebuild_block(store: Store, batch: Batch, state: State, tip: Tip, height: int) -> Tip:
    leaf = store.get(Family.BLOCKS, height_key(b"h", height))
    if leaf is None:
        raise ChainError(f"the log has no header at {height}: restore a backup")
    header = parse_header(leaf)
    entry = store.get(Family.BODIES, header.entry)
    if entry is None:
        raise ChainError(f"the entry of block {height} is not kept here: a pruned node cannot be rebuilt from its log")
    signed = parse_entry(entry, check_signature)
    block = execute(state, tip, signed, Place(header.epoch, header.position), check_signature)
    if block.header_leaf != leaf:
        raise ChainError(f"executing block {height} gives another header than the log has: the log is damaged")
    certificate = store.get(Family.BLOCKS, height_key(b"c", height)) or b""
    checkpoint = store.get(Family.BLOCKS, height_key(b"k", height)) or b""
    put_block(batch, block, entry, certificate, checkpoint)
    put_indexes(batch, block, state)
    return block.tip
