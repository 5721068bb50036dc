"""The vote journal in the store: its records, and the blocks that its votes name.

What the records mean is known to `node.finality.journal`. A block that was voted for is kept whole until its height is
final, because after a restart the ordering log may show something else (architecture 4.5). The family is in no backup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from keeling.encoding import U64
from node.finality.journal import JOURNAL_RECORD, GaveLock, JournalRecord, Voted
from node.incidents import STOPPED_KEY
from node.ledger import journal_key, put_opened
from node.peers.contract import FETCHED_BLOCK, FetchedBlock
from node.store.contract import RESTORED_KEY, Batch, Family, Store

RECORDS_MAX: Final = 256
"""With more, the journal is written anew without what is over: epochs come and go, and each leaves its reports."""


def block_key(height: int, root: bytes) -> bytes:
    """Key in JOURNAL of a block that was voted for."""
    return b"b" + U64.encode(height) + root


class JournalStore:
    """Owned by one chain. Nothing is durable before the batch it was put into."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next = 0
        self._votes: list[tuple[bytes, int]] = []
        self._live: dict[bytes, None] = {}
        self._blocks: dict[tuple[int, bytes], bool] = {}

    def read(self) -> tuple[JournalRecord, ...]:
        """All records, oldest first."""
        found: list[JournalRecord] = []
        for key, raw in self._store.scan(Family.JOURNAL, b"r", b"s"):
            found.append(JOURNAL_RECORD.decode(raw))
            self._note(key, found[-1])
            self._next = U64.decode(key[1:]) + 1
        for key, _ in self._store.scan(Family.JOURNAL, b"b", b"c"):
            self._blocks[U64.decode(key[1:9]), key[9:]] = True
        return tuple(found)

    def _note(self, key: bytes, item: JournalRecord) -> None:
        self._live[key] = None
        if isinstance(item, Voted | GaveLock):
            self._votes.append((key, item.signed.vote.height))

    def put(self, batch: Batch, records: Sequence[JournalRecord]) -> None:
        """Add records."""
        for item in records:
            key = journal_key(self._next)
            batch.put(Family.JOURNAL, key, JOURNAL_RECORD.encode(item))
            self._next += 1
            self._note(key, item)

    def put_block(self, batch: Batch, height: int, root: bytes, make: Callable[[], FetchedBlock]) -> None:
        """Keep a block that was voted for, once."""
        if (height, root) not in self._blocks:
            self._blocks[height, root] = True
            batch.put(Family.JOURNAL, block_key(height, root), FETCHED_BLOCK.encode(make()))

    def find(self, height: int, root: bytes) -> FetchedBlock | None:
        """A block that was voted for and is not final."""
        raw = self._store.get(Family.JOURNAL, block_key(height, root))
        return None if raw is None else FETCHED_BLOCK.decode(raw)

    def forget(self, batch: Batch, height: int, remembered: Callable[[], Sequence[JournalRecord] | None]) -> None:
        """The block at `height` is final: votes below can do no harm any more; those at it stay until the next is.

        `remembered` are the records that all others may be replaced by, None if there are no such.
        """
        for key, _ in (item for item in self._votes if item[1] < height):
            batch.delete(Family.JOURNAL, key)
            del self._live[key]
        self._votes = [item for item in self._votes if item[1] >= height]
        for at, root in [kept for kept in self._blocks if kept[0] <= height]:
            batch.delete(Family.JOURNAL, block_key(at, root))
            del self._blocks[at, root]
        records = remembered() if len(self._live) > RECORDS_MAX else None
        if records is not None:
            self._rewrite(batch, records)

    def _rewrite(self, batch: Batch, records: Sequence[JournalRecord]) -> None:
        """Also what this very batch adds is in `records`, so nothing older may be left behind them."""
        for key in self._live:
            batch.delete(Family.JOURNAL, key)
        self._votes, self._live, self._next = [], {}, 0
        self.put(batch, records)


def replace_journal(store: Store, network: bytes, vote_key: bytes, height: int) -> None:
    """Begin the journal of a vote key that was made just now, in a store that has another's or a lost one.

    `height` is the newest final one known to the network: the key has signed nothing at or below it. Never do this for
    a key that was in use before, by whatever node: a forgotten vote counts as a lie.
    """
    batch = Batch()
    for key, _ in store.scan(Family.JOURNAL):
        batch.delete(Family.JOURNAL, key)
    put_opened(batch, network, vote_key, height)
    batch.delete(Family.META, RESTORED_KEY)
    batch.delete(Family.META, STOPPED_KEY)
    store.commit(batch)
