"""What Submit would answer now: the real rules on the newest final state, in memory, changing and pinning nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from keeling.entry import Entry, SignedEntry
from keeling.genesis import Genesis
from node.archive import ArchivedBlock, archive_block
from node.core import tables
from node.core.block import CheckSignature, Place, execute
from node.core.state import State
from node.ledger import StateReader, read_tip
from node.store.contract import Reads


def dry_run(
    reads: Reads, genesis: Genesis, raws: Sequence[bytes], author: bytes, clock_ms: int, check: CheckSignature
) -> ArchivedBlock:
    """Execute the submissions as the next block of `author` would, on a frozen view; returns what would be answered."""
    state = State(StateReader(reads))
    tip = read_tip(reads, genesis)
    known = state.get(tables.AUTHORS, author)
    number = 1 if known is None else known.number + 1
    entry = Entry(genesis.network, author, number, clock_ms, tuple(raws))
    digest = hashlib.sha256(b"".join(raws)).digest()
    return archive_block(execute(state, tip, SignedEntry(entry, bytes(64), digest), Place(0, 0), check))
