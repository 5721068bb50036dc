"""A store without a disk: the promises of `contract` kept in sorted dictionaries. For tests and simulators.

A view shares the dictionaries until the next commit to their family, which copies them first. Nothing here fails by
itself; `tests.fakes.faulty_store` makes any store fail.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from sortedcontainers import SortedDict

from keeling.encoding import BYTES, TEXT, U64, EncodingError, listing, record
from node.durable import make_folder, replace_file
from node.store.contract import (
    RESTORED_KEY,
    RESTORED_VALUE,
    SCHEMA_KEY,
    SCHEMA_VERSION,
    Batch,
    Family,
    StoreClosed,
    StoreDamaged,
    StoreExists,
    StoreMissing,
    check_clearable,
)

_BACKUP_NAME: Final = "records"

Table = Any
"""A `SortedDict` from bytes to bytes; the library has no types."""


class _Saved(NamedTuple):
    family: str
    key: bytes
    value: bytes


_SAVED: Final = listing(record(_Saved, TEXT, BYTES, BYTES))


class _Tables:
    """Reading, the same for the store and its views."""

    def __init__(self, tables: dict[Family, Table]) -> None:
        self._tables = tables
        self._closed = False

    def _table(self, family: Family) -> Table:
        if self._closed:
            raise StoreClosed("the store or view was closed")
        return self._tables[family]

    def get(self, family: Family, key: bytes) -> bytes | None:
        value: bytes | None = self._table(family).get(key)
        return value

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        table = self._table(family)
        return [table.get(key) for key in keys]

    def scan(
        self,
        family: Family,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        table = self._table(family)
        keys = table.irange(start, stop, inclusive=(True, False), reverse=reverse)
        return iter([(key, table[key]) for key in islice(keys, limit)])

    def close(self) -> None:
        self._closed = True
        self._tables = {}


class MemoryView(_Tables):
    """A frozen view of a `MemoryStore`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class MemoryStore(_Tables):
    """A `Store` in memory. Its content ends with the object, except for what `backup` wrote."""

    def __init__(self) -> None:
        super().__init__({family: SortedDict() for family in Family})
        self._tables[Family.META][SCHEMA_KEY] = U64.encode(SCHEMA_VERSION)
        self._commit_lock = threading.Lock()
        self._shared: set[Family] = set()  # families whose table a view may hold; guarded by _commit_lock
        self._views: list[MemoryView] = []

    @classmethod
    def open_backup(cls, directory: Path) -> MemoryStore:
        """A store with the content of a backup that a `MemoryStore` wrote."""
        try:
            saved = _SAVED.decode((directory / _BACKUP_NAME).read_bytes())
        except FileNotFoundError as error:
            raise StoreMissing(f"{directory} holds no backup of a memory store") from error
        except EncodingError as error:
            raise StoreDamaged(f"{directory / _BACKUP_NAME}: {error}") from error
        store = cls()
        for family, key, value in saved:
            store._tables[Family(family)][key] = value
        return store

    def commit(self, batch: Batch) -> None:
        with self._commit_lock:
            for family, writes in batch.families():
                table = self._table(family).copy() if family in self._shared else self._table(family)
                for key, value in writes.items():
                    if value is None:
                        table.pop(key, None)
                    else:
                        table[key] = value
                self._shared.discard(family)
                self._tables[family] = table

    def snapshot(self) -> MemoryView:
        with self._commit_lock:
            self._table(Family.META)
            self._shared.update(Family)
            view = MemoryView(dict(self._tables))
            self._views = [known for known in self._views if not known._closed]
            self._views.append(view)
            return view

    def clear(self, families: Collection[Family]) -> None:
        check_clearable(families)
        with self._commit_lock:
            for family in families:
                self._table(family)
                self._tables[family] = SortedDict()
                self._shared.discard(family)

    def backup(self, directory: Path) -> None:
        with self.snapshot() as view:
            if directory.exists():
                raise StoreExists(f"{directory} exists; name a new folder for the backup")
            saved = [
                _Saved(family.value, key, value)
                for family in Family
                if family is not Family.JOURNAL
                for key, value in view.scan(family)
            ]
        saved.append(_Saved(Family.META.value, RESTORED_KEY, RESTORED_VALUE))
        make_folder(directory)
        replace_file(directory / _BACKUP_NAME, _SAVED.encode(tuple(saved)))

    def close(self) -> None:
        for view in self._views:
            view.close()
        self._views = []
        super().close()
