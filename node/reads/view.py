"""Consensus state as readers see it: one frozen view of the store, decoded, with names for numbers.

A `ReadState` serves one request and is thrown away; it never writes, and shares nothing with the writer's state. What
a request asks and how an answer is laid out is in the other modules of this package.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from keeling.block import parse_header
from keeling.encoding import U64
from keeling.reasons import Reason
from node.archive import height_key
from node.core import tables as t
from node.core.records import Account, Batch
from node.core.state import State
from node.core.tables import Table, after
from node.reads.errors import BeyondFinal, NotFound, NotKept
from node.store.contract import Family, Reads

V = TypeVar("V")


class _Reader:
    def __init__(self, view: Reads) -> None:
        self._view = view

    def get(self, key: bytes) -> bytes | None:
        return self._view.get(Family.STATE, key)

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        return self._view.get_many(Family.STATE, keys)

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        return self._view.scan(Family.STATE, start, stop, reverse=reverse)


class ReadState(State):
    """State at the newest final height of a view, with what it takes to name things."""

    def __init__(self, view: Reads) -> None:
        super().__init__(_Reader(view))
        self.view = view
        progress = self.get(t.PROGRESS)
        if progress is None:
            raise LookupError("the store holds no ledger: it has no progress row")
        self.height = progress.height
        self.time_ms = progress.time_ms

    def scan_keys(
        self, table: Table[V], low: bytes, high: bytes, most: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, V]]:
        """Rows of a table with low <= key < high, reading no more than `most`."""
        for key, raw in self.view.scan(Family.STATE, low, high, reverse=reverse, limit=most):
            yield key, table.value.decode(raw)

    def scan_prefix(self, table: Table[V], *parts: Any, most: int | None = None) -> Iterator[tuple[bytes, V]]:
        """Rows whose keys begin with these parts."""
        low = table.key(*parts)
        return self.scan_keys(table, low, after(low), most)

    # -- things by name: raise `NotFound`

    def account_named(self, name: str) -> tuple[int, Account]:
        number = self.get(t.ACCOUNT_NUMBERS, name)
        if number is None:
            raise NotFound(Reason.ACCOUNT_NOT_FOUND, f"no account is called {name!r}", account=name)
        return number, self.account(number)

    def batch_named(self, name: str) -> tuple[int, Batch]:
        number = self.get(t.BATCH_NUMBERS, name)
        if number is None:
            raise NotFound(Reason.BATCH_NOT_FOUND, f"no batch is called {name!r}", batch=name)
        return number, self.batch(number)

    # -- things by number: they are there, or the state is damaged

    def account(self, number: int) -> Account:
        found = self.get(t.ACCOUNTS, number)
        if found is None:
            raise LookupError(f"account number {number} is not in the state")
        return found

    def batch(self, number: int) -> Batch:
        found = self.get(t.BATCHES, number)
        if found is None:
            raise LookupError(f"batch number {number} is not in the state")
        return found

    # -- the past

    def check_kept(self, height: int) -> None:
        """Everything that happened up to `height` is final and still here; else `BeyondFinal` or `NotKept`."""
        if height > self.height:
            detail = f"height {height} is not final here; the newest is {self.height}"
            raise BeyondFinal(Reason.BEYOND_FINAL, detail, height=height, newest=self.height)
        oldest = next(iter(self.view.scan(Family.EVENTS, limit=1)), None)
        if self.height and (oldest is None or U64.decode(oldest[0]) > 1):
            since = self.height + 1 if oldest is None else U64.decode(oldest[0])
            detail = f"this node keeps what happened from height {since} on; ask one that keeps it from the first block"
            raise NotKept(Reason.NOT_KEPT, detail, oldest=since)

    def time_at(self, height: int) -> int:
        """Ledger time of a final block, in milliseconds."""
        if height == self.height:
            return self.time_ms
        leaf = self.view.get(Family.BLOCKS, height_key(b"h", height))
        if leaf is None:
            raise NotKept(Reason.NOT_KEPT, f"the header of block {height} is not kept here", height=height)
        return parse_header(leaf).time_ms
