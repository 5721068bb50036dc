"""What a store of a node promises, whatever keeps the bytes: families of keys, atomic durable batches, frozen views.

Here live the protocol, its errors and the names every store shares. How bytes reach a disk is in `rocks`, a store
without a disk in `memory`; what the keys and values mean is known to the modules that own a family, never to a store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Final, Protocol, Self


class StoreError(Exception):
    """A store could not do as asked. The message says what, where, and what to do."""


class StoreMissing(StoreError):
    """There is no store in that folder."""


class StoreExists(StoreError):
    """There is something in that folder already; nothing was overwritten."""


class StoreLocked(StoreError):
    """Another process has the store open."""


class StoreTooNew(StoreError):
    """A later release wrote the store; this one must not touch it."""


class StoreDamaged(StoreError):
    """The bytes on disk are not what was written."""


class StoreFailed(StoreError):
    """A commit failed and it is unknown what of it is on disk. The store refuses everything from here on: after a
    failed sync the system may count lost pages as written, so only opening the store again tells what is true."""


class StoreClosed(StoreError):
    """The store, or the view, was closed before."""


class Family(Enum):
    """The families of keys. Values are the names on disk and are never reused."""

    __hash__ = object.__hash__  # of the enum it would be a call into Python for every key that is put

    STATE = "state"
    """Consensus state at the last final height: what the state digest covers."""
    BLOCKS = "blocks"
    """By height: headers, certificates, checkpoints."""
    LEAVES = "leaves"
    """Merkle leaves and the hashes of perfect subtrees."""
    BODIES = "bodies"
    """Entry and submission bytes by their digest."""
    EVENTS = "events"
    """By height: what readers are told of a block."""
    JOURNAL = "journal"
    """The vote journal (architecture §4.8). Never in a backup, never cleared."""
    INDEX = "index"
    """Derived from the other families; may be cleared and built again."""
    META = "meta"
    """The store's own records, node identity, frontier."""


SCHEMA_VERSION: Final = 1
"""The layout of the families. Raised when an older release could misread what this one writes."""
SCHEMA_KEY: Final = b"store/schema"
"""In META: the schema version, u64. Keys that begin with `store/` belong to the store."""
RESTORED_KEY: Final = b"store/restored"
"""In META of every backup, and so of a node started from one: the vote journal is not what this node last had. A node
that finds it must not sign with its old vote key; whoever replaced that key deletes the record in the same batch."""
RESTORED_VALUE: Final = b"\x01"

KEPT_FAMILIES: Final = frozenset({Family.JOURNAL, Family.META})
"""Families `clear` refuses: what was voted, and who the node is, cannot be derived again."""


class Batch:
    """Puts and deletes that take effect together. Of several writes to one key the last counts."""

    __slots__ = ("_writes",)

    def __init__(self) -> None:
        self._writes: dict[Family, dict[bytes, bytes | None]] = {}

    def put(self, family: Family, key: bytes, value: bytes) -> None:
        """Set `key` to `value`. Both may be empty; empty is not absent."""
        try:
            self._writes[family][key] = value
        except KeyError:
            self._writes[family] = {key: value}

    def delete(self, family: Family, key: bytes) -> None:
        """Remove `key`, whether or not it is there."""
        self._writes.setdefault(family, {})[key] = None

    def update(self, family: Family, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Many puts, and deletes where the value is None: the changes of a block at once."""
        self._writes.setdefault(family, {}).update(changes)

    def families(self) -> Iterator[tuple[Family, dict[bytes, bytes | None]]]:
        """Each family written to, with its last write per key (None deletes). To be read only."""
        return iter(self._writes.items())

    def __len__(self) -> int:
        """The number of keys written."""
        return sum(len(writes) for writes in self._writes.values())


class Reads(Protocol):
    """The reading half, the same for a store and for a view. May be used from any thread."""

    def get(self, family: Family, key: bytes) -> bytes | None:
        """The value of `key`, or None if it has none."""
        ...

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys` in their order. In a store a commit may fall between two of them, in a view never."""
        ...

    def scan(
        self,
        family: Family,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """The pairs with `start` <= key < `stop` in byte order, or from the highest down if `reverse`; at most `limit`.

        Shows the content at the moment of the call: later commits change nothing of a scan under way. Drop a scan that
        is not read to its end before closing the store. Raises `StoreDamaged` rather than ending early.
        """
        ...


class View(Reads, Protocol):
    """A store as it was between two commits. Reads go on while the writer does; close it to give its space free."""

    def close(self) -> None:
        """Let the content go. May be called more than once; reading afterwards raises `StoreClosed`."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class Store(Reads, Protocol):
    """One writer, many readers. All methods raise `StoreClosed` after `close` and `StoreFailed` after a failed commit;
    views taken before that stay readable, for they show only what was durable."""

    def commit(self, batch: Batch) -> None:
        """Apply `batch`: all or nothing, and durable (synced) when this returns.

        No reader sees any of it before that. Raises `StoreFailed` if it is unknown whether it took effect; never retry
        on the same store: stop, open again, look. An empty batch does nothing.
        """
        ...

    def snapshot(self) -> View:
        """The content of all families as of now, frozen. Waits for a commit under way."""
        ...

    def clear(self, families: Collection[Family]) -> None:
        """Empty `families` at once, atomically and durably, before they are built again.

        Raises `ValueError` for JOURNAL and META. Fails as `commit` does.
        """
        ...

    def backup(self, directory: Path) -> None:
        """Write the content as of now to the new folder `directory`, while commits go on; complete or not there at all.

        JOURNAL is left out down to its bytes and META has `RESTORED_KEY`. Raises `StoreExists`, `StoreError`.
        """
        ...

    def close(self) -> None:
        """Close the views too, and give the folder free. May be called more than once."""
        ...


def check_clearable(families: Collection[Family]) -> None:
    """Refuse to clear what cannot be derived again."""
    if kept := [family.name for family in Family if family in families and family in KEPT_FAMILIES]:
        raise ValueError(f"{', '.join(kept)} cannot be cleared: nothing could build it again")
