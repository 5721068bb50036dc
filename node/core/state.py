"""State: consensus state as rules see it, decoded, with what unfinished blocks and the current transaction changed.

Below is a `Reader` of final bytes (a store, or a dict in tests); above it an overlay of everything not yet durable. A
transaction is undone by `rollback`, a block ends with `finish_block`, and `settle` forgets what the store now has.
Nothing here knows a rule.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol, TypeVar

from node.core.tables import ALL, Table, after

V = TypeVar("V")
_MISSING: Final[Any] = object()
CACHED_VALUES_MAX: Final = 200_000
"""Decoded values kept between blocks; more would cost memory, fewer decoding. At 41-byte lots about 60 MB."""

_TABLES: Final = {table.prefix[0]: table for table in ALL}


class Reader(Protocol):
    """Final state as bytes. `scan` gives start <= key < stop in key order, or from the end when `reverse`."""

    def get(self, key: bytes) -> bytes | None: ...

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]: ...

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]: ...


class _Changed:
    """The changed keys of one table, put in order only when somebody scans it: most transactions scan nothing."""

    __slots__ = ("_fresh", "_sorted")

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._sorted = sorted(keys)
        self._fresh: list[bytes] = []

    def add(self, key: bytes) -> None:
        self._fresh.append(key)

    def between(self, low: bytes, high: bytes) -> list[bytes]:
        if self._fresh:
            if len(self._fresh) < 16:
                for key in self._fresh:
                    insort(self._sorted, key)
            else:
                self._sorted += self._fresh
                self._sorted.sort()
            self._fresh.clear()
        return self._sorted[bisect_left(self._sorted, low) : bisect_left(self._sorted, high)]


class State:
    """Written by one executor. Reading never changes what `finish_block` returns."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._values: dict[bytes, Any] = {}
        self._block: dict[bytes, Table[Any]] = {}
        self._undo: list[tuple[bytes, Any, bool]] = []
        self._unsettled: dict[bytes, int] = {}
        self._changed: dict[bytes, _Changed] = {table.prefix: _Changed() for table in ALL}

    # -- reading ----------------------------------------------------------------------------------------------------

    def get(self, table: Table[V], *parts: Any) -> V | None:
        """The value under the key with these parts."""
        key = table.whole_key(*parts)
        value = self._values.get(key, _MISSING)
        return self._load(table, key) if value is _MISSING else value

    def get_key(self, table: Table[V], key: bytes) -> V | None:
        value = self._values.get(key, _MISSING)
        return self._load(table, key) if value is _MISSING else value

    def _load(self, table: Table[V], key: bytes) -> V | None:
        raw = self._reader.get(key)
        value = None if raw is None else table.value.decode(raw)
        self._values[key] = value
        return value

    def prefetch(self, table: Table[Any], keys: Sequence[bytes]) -> None:
        """Read many keys in one go; later `get`s of them are free."""
        wanted = [key for key in keys if key not in self._values]
        if wanted:
            for key, raw in zip(wanted, self._reader.get_many(wanted), strict=True):
                self._values[key] = None if raw is None else table.value.decode(raw)

    def scan(
        self, table: Table[V], *parts: Any, start: bytes = b"", reverse: bool = False
    ) -> Iterator[tuple[bytes, V]]:
        """Keys and values that begin with these parts, in key order; from `start` on (or down from below it)."""
        prefix = table.key(*parts)
        low, high = prefix, after(prefix)
        if start and reverse:
            high = min(high, start)
        elif start:
            low = max(low, start)
        return self._merge(table, low, high, reverse)

    def _merge(self, table: Table[V], low: bytes, high: bytes, reverse: bool) -> Iterator[tuple[bytes, V]]:
        changed = self._changed[table.prefix].between(low, high)
        if reverse:
            changed.reverse()
        at = 0
        for key, raw in self._reader.scan(low, high, reverse):
            while at < len(changed) and (changed[at] > key if reverse else changed[at] < key):
                value = self._values[changed[at]]
                if value is not None:
                    yield changed[at], value
                at += 1
            if at < len(changed) and changed[at] == key:
                continue
            value = self._values.get(key, _MISSING)
            yield key, table.value.decode(raw) if value is _MISSING else value
        for key in changed[at:]:
            value = self._values[key]
            if value is not None:
                yield key, value

    # -- writing ----------------------------------------------------------------------------------------------------

    def put(self, table: Table[V], value: V, *parts: Any) -> None:
        """Set the value under the key with these parts."""
        self.put_key(table, table.whole_key(*parts), value)

    def delete(self, table: Table[Any], *parts: Any) -> None:
        """Remove the value under the key with these parts."""
        self.put_key(table, table.whole_key(*parts), None)

    def put_key(self, table: Table[V], key: bytes, value: V | None) -> None:
        values, block = self._values, self._block
        before = values.get(key, _MISSING)
        if before is _MISSING:
            before = self._load(table, key)
        known = key in block
        self._undo.append((key, before, known))
        if not known:
            block[key] = table
            if key not in self._unsettled:
                self._unsettled[key] = 0
                if table.ordered:
                    self._changed[table.prefix].add(key)
        values[key] = value

    # -- transactions and blocks ------------------------------------------------------------------------------------

    def savepoint(self) -> int:
        """A place to `rollback` to."""
        return len(self._undo)

    def rollback(self, savepoint: int) -> None:
        """Undo every write after the savepoint. With 0, the whole unfinished block."""
        while len(self._undo) > savepoint:
            key, before, known = self._undo.pop()
            self._values[key] = before
            if not known:
                # The key stays among the changed ones: its value is the old one again, so scans are right either way.
                del self._block[key]

    def finish_block(self, height: int) -> list[tuple[bytes, bytes | None]]:
        """The block's net changes in key order, encoded; they stay visible here until `settle(height)`."""
        values, unsettled = self._values, self._unsettled
        changes: list[tuple[bytes, bytes | None]] = []
        for key, table in sorted(self._block.items(), key=_by_key):
            value = values[key]
            changes.append((key, None if value is None else table.value.encode(value)))
            unsettled[key] = height
        self._block = {}
        self._undo.clear()
        return changes

    def settle(self, height: int) -> None:
        """The store now has everything up to `height`."""
        kept = {key: at for key, at in self._unsettled.items() if at > height or key in self._block}
        ordered: dict[bytes, list[bytes]] = {prefix: [] for prefix in self._changed}
        for key in kept:
            if _TABLES[key[0]].ordered:
                ordered[key[:1]].append(key)
        self._changed = {prefix: _Changed(keys) for prefix, keys in ordered.items()}
        self._unsettled = kept
        if len(self._values) > CACHED_VALUES_MAX:
            self._values = {key: self._values[key] for key in kept}


def _by_key(item: tuple[bytes, Table[Any]]) -> bytes:
    return item[0]
