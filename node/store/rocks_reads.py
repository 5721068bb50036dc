"""Reading from RocksDB: the live content of a family, and a frozen one for scans and views.

The binding's own snapshots and item iterators are not used for scanning: its snapshots freeze point reads only (an
iterator made from one shows later writes), and its item iterators end quietly where a block cannot be read. A RocksDB
iterator, however, keeps the state of its family as of its making for as long as it lives; that is what a frozen family
reads, point reads beside it from a snapshot taken at the same moment. Writing and opening are in `rocks`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Final, Self

import rocksdict

from node.store.contract import Family, StoreClosed, StoreDamaged

_CHUNK_PAIRS: Final = 256
_FIRST_CHUNK_PAIRS: Final = 4
"""Most scans look for one neighbour; those that go on read four times as much each time."""
_CHUNK_BYTES: Final = 1 << 20
_ABSENT: Final = "key not found"

Pair = tuple[bytes, bytes]


class FamilyReader:
    """The content of one family as it is now."""

    __slots__ = ("_column", "_frozen", "_version")

    def __init__(self, column: rocksdict.Rdict) -> None:
        self._column = column
        self._version = 0  # how many commits there were; written by `expire` alone
        self._frozen: tuple[int, FrozenFamily] | None = None

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._column.get(key)
        except Exception as error:
            raise StoreDamaged(f"the value of {key.hex()} cannot be read: {error}") from error
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if not keys:
            return []
        try:
            values: list[bytes | None] = self._column.get(list(keys))  # type: ignore[assignment]
        except Exception as error:
            raise StoreDamaged(f"a value of {len(keys)} cannot be read: {error}") from error
        return values

    def freeze(self) -> FrozenFamily:
        """The content as of now. The caller keeps commits away while it freezes several families together."""
        return FrozenFamily(self._column.iter(), self._column.snapshot())

    @property
    def version(self) -> int:
        """How many commits there were."""
        return self._version

    def latest(self) -> FrozenFamily | None:
        """The content after the newest commit, if it is kept: frozen once for all scans until the next, for 20 us."""
        version, frozen = self._version, self._frozen
        return frozen[1] if frozen is not None and frozen[0] == version else None

    def keep(self, version: int, frozen: FrozenFamily) -> None:
        """Have what was frozen after so many commits for all who scan before the next one."""
        self._frozen = (version, frozen)

    def expire(self) -> None:
        """There was a commit. The caller makes sure that it is done, and that only one calls at a time."""
        self._version += 1
        self._frozen = None


class FrozenFamily:
    """The content of one family as of its making. For any thread: the iterator is used by one at a time."""

    __slots__ = ("_iterator", "_lock", "_snapshot")

    def __init__(self, iterator: rocksdict.RdictIter, snapshot: rocksdict.Snapshot) -> None:
        self._iterator = iterator
        self._snapshot = snapshot
        self._lock = threading.Lock()

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes = self._snapshot[key]
        except Exception as error:
            if str(error) == _ABSENT:
                return None
            raise StoreDamaged(f"the value of {key.hex()} cannot be read: {error}") from error
        return value

    def scan(self, start: bytes, stop: bytes | None, reverse: bool, limit: int | None) -> Iterator[Pair]:
        """As `contract.Reads.scan`: in chunks, so that several scans share the iterator and memory stays bounded."""
        ended, most = False, _FIRST_CHUNK_PAIRS
        while not ended and limit != 0:
            size = most if limit is None else min(limit, _CHUNK_PAIRS)
            most = min(4 * most, _CHUNK_PAIRS)
            with self._lock:
                pairs, ended = self._read_chunk(start, stop, reverse, size)
            yield from pairs
            if limit is not None:
                limit -= len(pairs)
            if pairs and reverse:
                stop = pairs[-1][0]
            elif pairs:
                start = pairs[-1][0] + b"\x00"

    def _read_chunk(self, start: bytes, stop: bytes | None, reverse: bool, size: int) -> tuple[list[Pair], bool]:
        """Up to `size` pairs, or fewer if they are large, and whether the range ends after them."""
        iterator = self._iterator
        self._seek(start, stop, reverse)
        pairs: list[Pair] = []
        chunk_bytes = 0
        while iterator.valid():
            key = iterator.key()
            if (key < start) if reverse else (stop is not None and key >= stop):
                return pairs, True
            if len(pairs) == size or chunk_bytes >= _CHUNK_BYTES:
                return pairs, False
            value = iterator.value()
            pairs.append((key, value))
            chunk_bytes += len(value)
            if reverse:
                iterator.prev()
            else:
                iterator.next()
        try:
            iterator.status()
        except Exception as error:
            raise StoreDamaged(f"a scan from {start.hex()} cannot go on: {error}") from error
        return pairs, True

    def _seek(self, start: bytes, stop: bytes | None, reverse: bool) -> None:
        iterator = self._iterator
        if not reverse:
            iterator.seek(start)
        elif stop is None:
            iterator.seek_to_last()
        else:
            iterator.seek_for_prev(stop)
            if iterator.valid() and iterator.key() == stop:
                iterator.prev()


class RocksView:
    """A `View` of a `RocksStore`."""

    def __init__(self, families: dict[Family, FrozenFamily]) -> None:
        self._families = families

    def get(self, family: Family, key: bytes) -> bytes | None:
        return self._family(family).get(key)

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        frozen = self._family(family)
        return [frozen.get(key) for key in keys]

    def scan(
        self,
        family: Family,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[Pair]:
        return self._family(family).scan(start, stop, reverse, limit)

    def close(self) -> None:
        self._families = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _family(self, family: Family) -> FrozenFamily:
        try:
            return self._families[family]
        except KeyError:
            raise StoreClosed("the view was closed") from None
