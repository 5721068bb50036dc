"""State: consensus state as rules see it, decoded, with what unfinished blocks and the current transaction changed.

Below is a `Reader` of final bytes (a store, or a dict in tests); above it an overlay of everything not yet durable. A
transaction is undone by `rollback`, a block ends with `finish_block`, and `settle` forgets what the store now has.
Nothing here knows a rule.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, Final, Protocol, TypeVar

from node.core.tables import Table, after

V = TypeVar("V")
_MISSING: Final[Any] = object()
_key: Final = itemgetter(0)
CACHED_VALUES_MAX: Final = 200_000
"""Decoded values kept between blocks; more would cost memory, fewer decoding. At 41-byte lots about 60 MB."""
GROUP_MAX: Final = 4_096
"""Keys of one group kept in order: what an account has of a batch, for all but the largest."""


class Reader(Protocol):
    """Final state as bytes. `scan` gives start <= key < stop in key order, or from the end when `reverse`."""

    def get(self, key: bytes) -> bytes | None: ...

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]: ...

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]: ...


class _Changed:
    """The changed keys of one table, put in order only when somebody scans it: most transactions scan nothing.

    `fresh` are keys still to be put in order; a key may stand there that is known already.
    """

    __slots__ = ("_sorted", "fresh")

    def __init__(self) -> None:
        self._sorted: list[bytes] = []
        self.fresh: list[bytes] = []

    def between(self, low: bytes, high: bytes) -> list[bytes]:
        if self.fresh:
            if len(self.fresh) < 16:
                for key in self.fresh:
                    at = bisect_left(self._sorted, key)
                    if self._sorted[at : at + 1] != [key]:
                        self._sorted.insert(at, key)
            else:
                self._sorted = sorted({*self._sorted, *self.fresh})
            self.fresh.clear()
        return self._sorted[bisect_left(self._sorted, low) : bisect_left(self._sorted, high)]


class State:
    """Written by one executor. Reading never changes what `finish_block` returns.

    `concluded` is for the rules: what they worked out from steady tables alone, by a name of their own. It is emptied
    when a row of such a table changes, so that an account is looked up once and not for each of its transactions.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._values: dict[bytes, Any] = {}
        self._block: dict[bytes, Table[Any]] = {}
        self._undo: list[tuple[bytes, Any, bool]] = []
        self._unsettled: list[tuple[int, dict[bytes, Table[Any]]]] = []
        self._changed: defaultdict[bytes, _Changed] = defaultdict(_Changed)
        self._groups: dict[bytes, list[bytes] | None] = {}  # None: longer than GROUP_MAX
        self.concluded: defaultdict[str, dict[Any, Any]] = defaultdict(dict)

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
        """Keys and values that begin with these parts, in key order; from `start` on (or down from below it).

        Nothing is written to the scanned rows before the scan is done or dropped.
        """
        prefix = table.key(*parts)
        if len(prefix) == table.group and not start and not reverse:
            keys = self._group(table, prefix)
            if keys is not None:
                return zip(keys, map(self._values.__getitem__, keys), strict=True)
        low, high = prefix, after(prefix)
        if start and reverse:
            high = min(high, start)
        elif start:
            low = max(low, start)
        return self._merge(table, low, high, reverse)

    def _group(self, table: Table[Any], prefix: bytes) -> list[bytes] | None:
        """The keys of all rows of a group in order, kept so by every write; None where they are too many to keep."""
        if prefix in self._groups:
            return self._groups[prefix]
        keys: list[bytes] = []
        for key, value in self._merge(table, prefix, after(prefix), False):
            if len(keys) == GROUP_MAX:
                self._groups[prefix] = None
                return None
            self._values[key] = value
            keys.append(key)
        self._groups[prefix] = keys
        return keys

    def _merge(self, table: Table[V], low: bytes, high: bytes, reverse: bool) -> Iterator[tuple[bytes, V]]:
        changed = self._changed[table.prefix].between(low, high)
        if reverse:
            changed.reverse()
        at = 0
        for key, raw in self._reader.scan(low, high, reverse):
            while at < len(changed) and (changed[at] > key if reverse else changed[at] < key):
                value = self.get_key(table, changed[at])
                if value is not None:
                    yield changed[at], value
                at += 1
            if at < len(changed) and changed[at] == key:
                continue
            value = self._values.get(key, _MISSING)
            yield key, table.value.decode(raw) if value is _MISSING else value
        for key in changed[at:]:
            value = self.get_key(table, key)
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
        self.write(table, ((key, value),))

    def write(self, table: Table[V], rows: Sequence[tuple[bytes, V | None]]) -> None:
        """Set or remove (None) rows of one table, in this order."""
        values, block, undo = self._values, self._block, self._undo
        ordered, group = table.ordered, table.group
        for key, value in rows:
            known = key in block
            # What the store has is not read to be undone: forgetting the write brings it back. Half of all are new.
            before = values.get(key, _MISSING)
            undo.append((key, before, known))
            values[key] = value
            if not known:
                block[key] = table
                if ordered:
                    self._changed[table.prefix].fresh.append(key)
            if group:
                keys = self._groups.get(key[:group])
                if keys is not None:
                    _keep_in_order(keys, key, before is not None and before is not _MISSING, value is not None)
        if table.steady:
            self.concluded.clear()

    # -- transactions and blocks ------------------------------------------------------------------------------------

    def savepoint(self) -> int:
        """A place to `rollback` to."""
        return len(self._undo)

    def rollback(self, savepoint: int) -> None:
        """Undo every write after the savepoint. With 0, the whole unfinished block."""
        while len(self._undo) > savepoint:
            key, before, known = self._undo.pop()
            table = self._block[key]
            if table.group:
                self._groups.pop(key[: table.group], None)
            elif table.steady:
                self.concluded.clear()
            if before is _MISSING:
                del self._values[key]
            else:
                self._values[key] = before
            if not known:
                # The key stays among the changed ones: its value is the old one again, so scans are right either way.
                del self._block[key]

    def finish_block(self, height: int) -> list[tuple[bytes, bytes | None]]:
        """The block's net changes in key order, encoded; they stay visible here until `settle(height)`."""
        values, tables = self._values, self._block
        changes = [
            (key, None if (value := values[key]) is None else table.encode(value)) for key, table in tables.items()
        ]
        changes.sort(key=_key)
        self._unsettled.append((height, tables))
        self._block = {}
        self._undo.clear()
        return changes

    def drop(self) -> None:
        """Forget everything that is not in the store, and what is known of the store: blocks were discarded, or it was
        given others than those executed here."""
        self._values.clear()
        self._block = {}
        self._undo.clear()
        self._unsettled.clear()
        self._changed.clear()
        self._groups.clear()
        self.concluded.clear()

    def settle(self, height: int) -> None:
        """The store now has everything up to `height`."""
        self._unsettled = [(at, keys) for at, keys in self._unsettled if at > height]
        self._changed.clear()
        kept = [keys for _, keys in self._unsettled] + [self._block]
        for keys in kept:
            for key, table in keys.items():
                if table.ordered:
                    self._changed[table.prefix].fresh.append(key)
        if len(self._values) > CACHED_VALUES_MAX:
            self._values = {key: self._values[key] for keys in kept for key in keys}
            self._groups.clear()
            self.concluded.clear()


def _keep_in_order(keys: list[bytes], key: bytes, was: bool, is_now: bool) -> None:
    """A row of a group came, went, or only changed."""
    if was == is_now:
        return
    if is_now:
        insort(keys, key)
    else:
        del keys[bisect_left(keys, key)]
