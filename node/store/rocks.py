"""The store on disk: one RocksDB database, a column family per `Family`, one synced write batch per commit.

Here live opening, creating, committing, clearing and backing up; reading is in `rocks_reads`. A store is a folder with
a lock file and the database beside it, so that nothing but RocksDB touches the database's own files. What RocksDB calls
an exception without a class is translated here into the errors of `contract`.
"""

from __future__ import annotations

import shutil
import threading
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import rocksdict

from keeling.encoding import U64, EncodingError
from node.durable import FolderLock, Locked, make_folder, sync_folder
from node.store.contract import (
    RESTORED_KEY,
    RESTORED_VALUE,
    SCHEMA_KEY,
    SCHEMA_VERSION,
    Batch,
    Family,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreExists,
    StoreFailed,
    StoreLocked,
    StoreMissing,
    StoreTooNew,
    check_clearable,
)
from node.store.rocks_reads import FamilyReader, FrozenFamily, RocksView

_DATABASE: Final = "records"
_FILES_PER_DATABASE: Final = 512
_MUCH_DELETED: Final = (4_096, 2_048, 0.25)
"""A table file is merged away soon where so many of so many neighbours (or this part of all) are deletions: every scan
there passes over each of them."""
_DEFAULT_FAMILY: Final = "default"
_PARTIAL: Final = ".partial"


@dataclass(frozen=True)
class RocksOptions:
    """How much memory a store may take. With the defaults a process that wrote and read a million
    records of 90 bytes stayed under 150 MB."""

    block_cache_bytes: int = 128 << 20
    """Blocks, indexes and filters kept in memory. More makes reads of a state larger than this quicker."""

    write_buffer_bytes: int = 32 << 20
    """Writes of all families kept in memory before they go to a table file. More means fewer, larger files."""

    background_jobs: int = 2
    """Threads that write and merge table files."""


class RocksStore:
    """A `Store` in a folder of its own. Made by `create` or `open`; one process at a time.

    Kept by RocksDB's write-ahead log: synced before `commit` returns, and before any reader sees the batch. After a
    crash an incomplete last batch is dropped whole; damage anywhere else is refused, where RocksDB's default would
    silently forget every batch after it.
    """

    def __init__(self, directory: Path, database: rocksdict.Rdict, lock: FolderLock | None) -> None:
        self._directory = directory
        self._lock = lock
        self._commit_lock = threading.Lock()
        self._failure: str | None = None  # written under _commit_lock, only ever from None
        self._in_doubt = False  # written under _commit_lock: the database shows what is not synced, or never will be
        self._views: weakref.WeakSet[RocksView] = weakref.WeakSet()  # guarded by _commit_lock
        self._database: rocksdict.Rdict | None = database
        self._handles = {family: database.get_column_family_handle(family.value) for family in Family}
        self._readers = {family: FamilyReader(database.get_column_family(family.value)) for family in Family}
        self._unsynced = rocksdict.WriteOptions()
        self._unsynced.sync = False

    @classmethod
    def create(cls, directory: Path, options: RocksOptions = RocksOptions()) -> RocksStore:
        """Make an empty store. Raises `StoreExists` if there is one, `StoreLocked`. After a crash, call it again."""
        make_folder(directory)
        lock = _take_lock(directory)
        try:
            if (directory / _DATABASE).exists():
                raise StoreExists(f"{directory} holds a store already; open it, or name another folder")
            partial = directory / (_DATABASE + _PARTIAL)
            shutil.rmtree(partial, ignore_errors=True)
            store = cls(partial, _open_database(partial, options, new=True), None)
            first = Batch()
            first.put(Family.META, SCHEMA_KEY, U64.encode(SCHEMA_VERSION))
            store.commit(first)
            store.close()
            partial.rename(directory / _DATABASE)
            sync_folder(directory)
        finally:
            lock.release()
        return cls.open(directory, options)

    @classmethod
    def open(cls, directory: Path, options: RocksOptions = RocksOptions()) -> RocksStore:
        """Open the store in `directory`. Raises `StoreMissing`, `StoreLocked`, `StoreTooNew`, `StoreDamaged`."""
        path = directory / _DATABASE
        if not path.is_dir():
            raise StoreMissing(f"{directory} holds no store; create one, or check that its disk is mounted")
        lock = _take_lock(directory)
        database: rocksdict.Rdict | None = None
        try:
            _check_families(path)
            database = _open_database(path, options, new=False)
            _check_schema(database, path)
            return cls(directory, database, lock)
        except BaseException:
            if database is not None:
                database.close()
            lock.release()
            raise

    def get(self, family: Family, key: bytes) -> bytes | None:
        value = self._reader(family).get(key)
        while self._in_doubt:
            self._wait_for_sync()
            value = self._reader(family).get(key)
        return value

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        values = self._reader(family).get_many(keys)
        while self._in_doubt:
            self._wait_for_sync()
            values = self._reader(family).get_many(keys)
        return values

    def scan(
        self,
        family: Family,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        return self._latest(family).scan(start, stop, reverse, limit)

    def commit(self, batch: Batch) -> None:
        writes = rocksdict.WriteBatch(raw_mode=True)
        for family, changes in batch.families():
            handle = self._handles.get(family)
            for key, value in changes.items():
                if value is None:
                    writes.delete(key, handle)
                else:
                    writes.put(key, value, handle)
        with self._commit_lock:
            self._write(writes)

    def snapshot(self) -> RocksView:
        with self._commit_lock:  # one moment for all families: no commit falls between them
            self._usable()
            view = RocksView({family: reader.freeze() for family, reader in self._readers.items()})
            self._views.add(view)
            return view

    def clear(self, families: Collection[Family]) -> None:
        check_clearable(families)
        with self._commit_lock:
            self._usable()
            writes = rocksdict.WriteBatch(raw_mode=True)
            for family in families:
                for last_key, _ in self._readers[family].freeze().scan(b"", None, True, 1):
                    writes.delete_range(b"", last_key + b"\x00", self._handles[family])
            self._write(writes)

    def backup(self, directory: Path) -> None:
        partial = directory.with_name(directory.name + _PARTIAL)
        if directory.exists():
            raise StoreExists(f"{directory} exists; name a new folder for the backup")
        database = self._usable()
        try:
            shutil.rmtree(partial, ignore_errors=True)
            make_folder(partial)
            rocksdict.Checkpoint(database).create_checkpoint(str(partial / _DATABASE))
            _make_restorable(partial / _DATABASE)
            sync_folder(partial)
            partial.rename(directory)
            sync_folder(directory.parent)
        except Exception as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise StoreError(f"no backup was made in {directory}: {error}") from error

    def close(self) -> None:
        with self._commit_lock:
            for view in list(self._views):
                view.close()
            self._handles.clear()
            self._readers.clear()
            if self._database is not None:
                with suppress(Exception):  # it writes table files, but every commit is in the synced log already
                    self._database.close()
                self._database = None
            if self._lock is not None:
                self._lock.release()

    def _write(self, writes: rocksdict.WriteBatch) -> None:
        """Written, then synced: the binding lets other threads run while it syncs, but not while it writes."""
        database = self._usable()
        if writes.is_empty():
            return
        self._in_doubt = True
        try:
            database.write(writes, self._unsynced)
            database.flush_wal(True)
        except Exception as error:
            self._failure = str(error)
            raise StoreFailed(f"{self._directory}: a commit failed, stop and open the store again: {error}") from error
        finally:
            for reader in self._readers.values():
                reader.expire()
        self._in_doubt = False

    def _latest(self, family: Family) -> FrozenFamily:
        """The family after the newest commit that is synced."""
        while True:
            reader = self._reader(family)
            frozen = reader.latest()
            if frozen is not None:
                return frozen
            version, frozen = reader.version, reader.freeze()
            if self._in_doubt:
                self._wait_for_sync()
            elif reader.version == version:  # else a commit fell between its iterators
                reader.keep(version, frozen)
                return frozen

    def _wait_for_sync(self) -> None:
        """Nobody is shown what is not synced. What was read before the commit under way is read again after it; after
        a failed one, `_reader` refuses."""
        with self._commit_lock:
            pass

    def _reader(self, family: Family) -> FamilyReader:
        reader = self._readers.get(family)
        if reader is None or self._failure is not None:
            self._usable()
            raise StoreClosed(f"the store in {self._directory} was closed")
        return reader

    def _usable(self) -> rocksdict.Rdict:
        if self._failure is not None:
            raise StoreFailed(f"{self._directory}: an earlier commit failed, open the store again: {self._failure}")
        if self._database is None:
            raise StoreClosed(f"the store in {self._directory} was closed")
        return self._database


def _take_lock(directory: Path) -> FolderLock:
    try:
        return FolderLock(directory)
    except Locked as error:
        raise StoreLocked(str(error)) from error


def _check_families(path: Path) -> None:
    """Families this release does not know were made by a later one, and RocksDB would not open without them."""
    try:
        found = set(rocksdict.Rdict.list_cf(str(path)))
    except Exception as error:
        raise StoreDamaged(f"{path} cannot be read, restore a backup elsewhere: {error}") from error
    if unknown := found - {family.value for family in Family} - {_DEFAULT_FAMILY}:
        raise StoreTooNew(f"{path} has families unknown here ({', '.join(sorted(unknown))}): start the later release")


def _check_schema(database: rocksdict.Rdict, path: Path) -> None:
    raw = FamilyReader(database.get_column_family(Family.META.value)).get(SCHEMA_KEY)
    try:
        version = U64.decode(raw or b"")
    except EncodingError as error:
        raise StoreDamaged(f"{path} does not say which schema it has: {error}") from error
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{path} has schema {version}, this release knows up to {SCHEMA_VERSION}: start the release that wrote it, "
            "or restore a backup from before the upgrade"
        )


def _make_restorable(path: Path) -> None:
    """Take the vote journal out of the copy at `path`, bytes and all, and mark it. Opening it first turns its
    write-ahead log, which holds votes too, into table files; dropping the family deletes the journal's."""
    database = _open_database(path, RocksOptions(block_cache_bytes=1 << 20), new=False)
    try:
        database.drop_column_family(Family.JOURNAL.value)
    finally:
        database.close()
    store = RocksStore(path, _open_database(path, RocksOptions(block_cache_bytes=1 << 20), new=False), None)
    mark = Batch()
    mark.put(Family.META, RESTORED_KEY, RESTORED_VALUE)
    try:
        store.commit(mark)
    finally:
        store.close()


def _open_database(path: Path, options: RocksOptions, *, new: bool) -> rocksdict.Rdict:
    cache = rocksdict.Cache(options.block_cache_bytes)
    whole = rocksdict.Options(raw_mode=True)
    whole.create_if_missing(new)
    whole.create_missing_column_families(True)
    whole.set_db_write_buffer_size(options.write_buffer_bytes)
    whole.set_max_background_jobs(options.background_jobs)
    whole.set_max_open_files(_FILES_PER_DATABASE)
    whole.set_max_total_wal_size(4 * options.write_buffer_bytes)
    whole.set_keep_log_file_num(4)
    whole.set_wal_recovery_mode(rocksdict.DBRecoveryMode.tolerate_corrupted_tail_records())
    families = {family.value: _family_options(family, options, cache) for family in Family}
    try:
        return rocksdict.Rdict(str(path), whole, families)
    except Exception as error:
        raise StoreDamaged(f"{path} cannot be opened, restore a backup elsewhere: {error}") from error


def _family_options(family: Family, options: RocksOptions, cache: rocksdict.Cache) -> rocksdict.Options:
    blocks = rocksdict.BlockBasedOptions()
    blocks.set_block_cache(cache)
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(True)
    blocks.set_bloom_filter(10, False)
    blocks.set_format_version(5)
    tuned = rocksdict.Options(raw_mode=True)
    tuned.create_if_missing(True)
    tuned.set_block_based_table_factory(blocks)
    tuned.set_write_buffer_size(options.write_buffer_bytes // 2)
    tuned.add_compact_on_deletion_collector_factory(*_MUCH_DELETED)
    hashes = family is Family.LEAVES  # digests do not compress
    compression = rocksdict.DBCompressionType
    tuned.set_compression_type(compression.none() if hashes else compression.lz4())
    if family is Family.BODIES:  # large values under random keys: merging files must not copy them again and again
        tuned.set_enable_blob_files(True)
        tuned.set_min_blob_size(4096)
        tuned.set_blob_compression_type(compression.lz4())
        tuned.set_enable_blob_gc(True)
    return tuned
