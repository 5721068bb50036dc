"""Reading from RocksDB: the live content of a family, and a frozen one for scans and views.

The binding's own snapshots and item iterators are not used for scanning: its snapshots freeze point reads only (an
iterator made from one shows later writes), and its item iterators end quietly where a block cannot be read. A RocksDB
iterator, however, keeps the state of its family as of its making for as long as it lives; that is what a frozen family
reads, point reads beside it from a snapshot taken at the same moment. Writing and opening are in `rocks`.

What was deleted is passed over one by one until RocksDB has merged it away: a scan that finds nothing in its own range
goes on through whatever was deleted behind it. Such ranges are remembered, and read by iterators that end with them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Self

import rocksdict

from node.store.contract import Family, StoreClosed, StoreDamaged

_CHUNK_PAIRS: Final = 256
_FIRST_CHUNK_PAIRS: Final = 4
"""Most scans look for one neighbour; those that go on read four times as much each time."""
_CHUNK_BYTES: Final = 1 << 20
_ABSENT: Final = "key not found"
_SKIPPED_MOST: Final = 1_000
"""Deleted keys that a scan passes over before its range is remembered: about 0.3 ms."""
_SKIPPED: Final = "Result incomplete"
_RANGES_KEPT: Final = 8

Pair = tuple[bytes, bytes]
Range = tuple[bytes, bytes]
"""First key and the one after the last."""
Found = tuple[list[Pair], bool]
"""Pairs, and whether the range ends after them."""


class Iterators(NamedTuple):
    """Of one content: each is made when it is frozen, because what is made later shows later writes."""

    quick: rocksdict.RdictIter
    """Gives up where too much was deleted."""
    patient: rocksdict.RdictIter
    bounded: Mapping[Range, rocksdict.RdictIter]
    """For ranges that are hard to read: ends where they do."""


class HardRanges:
    """Ranges of a family that were hard to read, and how an iterator is made that ends with each. For any thread."""

    def __init__(self) -> None:
        self._options: dict[Range, rocksdict.ReadOptions] = {}  # the one used longest ago first

    def items(self) -> list[tuple[Range, rocksdict.ReadOptions]]:
        return list(self._options.items())

    def remember(self, wanted: Range) -> None:
        """It was hard to read, or read by its own iterator: it has one from the next content on."""
        options = self._options.pop(wanted, None)
        if options is None:
            options = rocksdict.ReadOptions()
            options.set_iterate_lower_bound(wanted[0])
            options.set_iterate_upper_bound(wanted[1])
        self._options[wanted] = options
        for oldest in list(self._options)[:-_RANGES_KEPT]:
            self._options.pop(oldest, None)


class FamilyReader:
    """The content of one family as it is now."""

    __slots__ = ("_column", "_frozen", "_quick", "_ranges", "_version")

    def __init__(self, column: rocksdict.Rdict) -> None:
        self._column = column
        self._quick = rocksdict.ReadOptions()
        self._quick.set_max_skippable_internal_keys(_SKIPPED_MOST)
        self._ranges = HardRanges()
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
        column = self._column
        bounded = {each: column.iter(options) for each, options in self._ranges.items()}
        iterators = Iterators(column.iter(self._quick), column.iter(), bounded)
        return FrozenFamily(iterators, column.snapshot(), self._ranges)

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
    """The content of one family as of its making. For any thread: the iterators are used by one at a time."""

    __slots__ = ("_iterators", "_lock", "_ranges", "_snapshot")

    def __init__(self, iterators: Iterators, snapshot: rocksdict.Snapshot, ranges: HardRanges) -> None:
        self._iterators = iterators
        self._snapshot = snapshot
        self._ranges = ranges
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
        bounded = self._find_bounded(start, stop, reverse)
        while not ended and limit != 0:
            size = most if limit is None else min(limit, _CHUNK_PAIRS)
            most = min(4 * most, _CHUNK_PAIRS)
            with self._lock:
                pairs, ended = self._read_chunk(bounded, start, stop, reverse, size)
            yield from pairs
            if limit is not None:
                limit -= len(pairs)
            if pairs and reverse:
                stop = pairs[-1][0]
            elif pairs:
                start = pairs[-1][0] + b"\x00"

    def _find_bounded(self, start: bytes, stop: bytes | None, reverse: bool) -> rocksdict.RdictIter | None:
        if reverse or stop is None:
            return None
        found = self._iterators.bounded.get((start, stop))
        if found is not None:
            self._ranges.remember((start, stop))
        return found

    def _read_chunk(
        self, bounded: rocksdict.RdictIter | None, start: bytes, stop: bytes | None, reverse: bool, size: int
    ) -> Found:
        """Up to `size` pairs, or fewer if they are large, and whether the range ends after them."""
        found = _read(bounded or self._iterators.quick, start, stop, reverse, size)
        if found is None:
            if stop is not None and start < stop and not reverse:
                self._ranges.remember((start, stop))
            found = _read(self._iterators.patient, start, stop, reverse, size)
        if found is None:
            raise StoreDamaged(f"a scan from {start.hex()} gave up")
        return found


def _read(iterator: rocksdict.RdictIter, start: bytes, stop: bytes | None, reverse: bool, size: int) -> Found | None:
    """None: too much was deleted there for this iterator."""
    _seek(iterator, start, stop, reverse)
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
        if str(error).startswith(_SKIPPED):
            return None
        raise StoreDamaged(f"a scan from {start.hex()} cannot go on: {error}") from error
    return pairs, True


def _seek(iterator: rocksdict.RdictIter, start: bytes, stop: bytes | None, reverse: bool) -> None:
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
