"""The store on disk: what survives a kill, a torn or damaged file, a full disk, and who may open it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import rocksdict

from keeling.encoding import U64
from node.store import rocks_reads
from node.store.contract import (
    SCHEMA_KEY,
    SCHEMA_VERSION,
    Batch,
    Family,
    StoreDamaged,
    StoreError,
    StoreExists,
    StoreLocked,
    StoreMissing,
    StoreTooNew,
)
from node.store.rocks import RocksOptions, RocksStore

WRITER = """
import resource, signal, sys
from pathlib import Path
from node.store.contract import Batch, Family, StoreFailed
from node.store.rocks import RocksStore

store = RocksStore.open(Path(sys.argv[1]))
limit_bytes = int(sys.argv[2])
if limit_bytes:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
for number in range(10_000_000):
    batch = Batch()
    for family in (Family.STATE, Family.JOURNAL):
        for slot in range(5):
            batch.put(family, b"%08d-%d" % (number, slot), b"x" * 50)
    try:
        store.commit(batch)
    except StoreFailed:
        for refused in (lambda: store.commit(batch), lambda: store.get(Family.STATE, b"")):
            try:
                refused()
            except StoreFailed:
                print("refused", flush=True)
        break
    print(number, flush=True)
"""


def numbered(number: int) -> Batch:
    """The batch the writer above makes."""
    batch = Batch()
    for family in (Family.STATE, Family.JOURNAL):
        for slot in range(5):
            batch.put(family, b"%08d-%d" % (number, slot), b"x" * 50)
    return batch


def whole_batches(store: RocksStore) -> int:
    """How many batches are there, from the first on; fails if one is there in part or one before it is missing."""
    keys = [key for key, _ in store.scan(Family.STATE)]
    assert keys == [key for key, _ in store.scan(Family.JOURNAL)]
    assert keys == [b"%08d-%d" % (number, slot) for number in range(len(keys) // 5) for slot in range(5)]
    return len(keys) // 5


def start_writer(directory: Path, limit_bytes: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(directory), str(limit_bytes)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


def newest_log(directory: Path) -> Path:
    return max((directory / "records").glob("*.log"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    RocksStore.create(tmp_path / "store").close()
    return tmp_path / "store"


@pytest.fixture
def store(directory: Path) -> Iterator[RocksStore]:
    store = RocksStore.open(directory)
    yield store
    store.close()


def test_create_overwrites_nothing_and_open_creates_nothing(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreExists, match="holds a store already"):
        RocksStore.create(directory)
    with pytest.raises(StoreMissing, match="check that its disk is mounted"):
        RocksStore.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_create_goes_on_after_it_was_killed_half_way(tmp_path: Path) -> None:
    half = tmp_path / "store" / "records.partial"
    half.mkdir(parents=True)
    (half / "CURRENT").write_text("not yet")
    with pytest.raises(StoreMissing):
        RocksStore.open(tmp_path / "store")
    RocksStore.create(tmp_path / "store").close()
    assert not half.exists()


def test_a_second_opener_is_told_who_has_it(store: RocksStore, directory: Path) -> None:
    with pytest.raises(StoreLocked, match=rf"store is locked by pid {os.getpid()}$"):
        RocksStore.open(directory)
    with start_writer(directory) as other:
        assert other.stdout is not None
        assert other.stdout.read() == ""
    assert other.returncode == 1
    store.close()
    RocksStore.open(directory).close()


def test_a_later_schema_or_family_is_refused_with_what_to_do(store: RocksStore, directory: Path) -> None:
    batch = Batch()
    batch.put(Family.META, SCHEMA_KEY, U64.encode(SCHEMA_VERSION + 1))
    store.commit(batch)
    store.close()
    with pytest.raises(StoreTooNew, match="has schema 2, this release knows up to 1: start the release that wrote it"):
        RocksStore.open(directory)
    names = rocksdict.Rdict.list_cf(str(directory / "records"))
    families = {name: rocksdict.Options(raw_mode=True) for name in names}
    database = rocksdict.Rdict(str(directory / "records"), rocksdict.Options(raw_mode=True), families)
    database.create_column_family("tomorrow", rocksdict.Options(raw_mode=True))
    database.close()
    with pytest.raises(StoreTooNew, match=r"families unknown here \(tomorrow\)"):
        RocksStore.open(directory)


def test_an_unreadable_schema_is_damage(store: RocksStore, directory: Path) -> None:
    batch = Batch()
    batch.delete(Family.META, SCHEMA_KEY)
    store.commit(batch)
    store.close()
    with pytest.raises(StoreDamaged, match="does not say which schema"):
        RocksStore.open(directory)


def test_content_is_there_after_close_and_open(store: RocksStore, directory: Path) -> None:
    for number in range(3):
        store.commit(numbered(number))
    with store.snapshot() as view:
        scan = view.scan(Family.STATE)
        assert next(scan)[0] == b"00000000-0"
        del scan
    store.snapshot()  # left open: closing the store must close it
    store.close()
    opened = RocksStore.open(directory, RocksOptions(block_cache_bytes=1 << 20, write_buffer_bytes=1 << 20))
    assert whole_batches(opened) == 3
    opened.close()


def test_kill_9_loses_nothing_that_was_promised(directory: Path) -> None:
    with start_writer(directory) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            promised = int(line)
            if promised == 40:
                break
        writer.send_signal(signal.SIGKILL)
        promised = max([promised, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    store = RocksStore.open(directory)
    assert whole_batches(store) in (promised + 1, promised + 2)
    store.close()


def test_a_full_disk_stops_the_store_and_loses_nothing_that_was_promised(directory: Path) -> None:
    """A limit on the file size stands in for the disk: RocksDB's log cannot grow beyond it."""
    with start_writer(directory, limit_bytes=30_000) as writer:
        assert writer.stdout is not None
        lines = writer.stdout.read().split()
    assert lines[-2:] == ["refused", "refused"]
    store = RocksStore.open(directory)
    promised = len(lines) - 2
    assert promised > 10
    assert whole_batches(store) in (promised, promised + 1)
    store.commit(numbered(whole_batches(store)))
    store.close()


def test_a_torn_log_drops_the_last_batch_whole(store: RocksStore, directory: Path, tmp_path: Path) -> None:
    for number in range(3):
        store.commit(numbered(number))
    before = newest_log(directory).stat().st_size
    store.commit(numbered(3))
    after = newest_log(directory).stat().st_size
    log = newest_log(directory).relative_to(directory)
    for size in sorted({before, before + 1, before + 6, before + 7, before + 8, (before + after) // 2, after - 1}):
        copy = tmp_path / f"torn at {size}"
        shutil.copytree(directory, copy)
        os.truncate(copy / log, size)
        torn = RocksStore.open(copy)
        assert whole_batches(torn) == 3
        torn.close()
    shutil.copytree(directory, tmp_path / "killed")
    killed = RocksStore.open(tmp_path / "killed")
    assert whole_batches(killed) == 4
    killed.close()


def test_damage_in_the_log_is_refused_not_forgotten(store: RocksStore, directory: Path, tmp_path: Path) -> None:
    for number in range(3):
        store.commit(numbered(number))
    shutil.copytree(directory, tmp_path / "copy")
    log = newest_log(tmp_path / "copy")
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    with pytest.raises(StoreDamaged, match="cannot be opened, restore a backup elsewhere"):
        RocksStore.open(tmp_path / "copy")


def test_damage_in_a_table_file_never_looks_like_an_end(directory: Path, tmp_path: Path) -> None:
    small = RocksOptions(block_cache_bytes=1 << 16, write_buffer_bytes=1 << 16)
    store = RocksStore.open(directory, small)
    for first in range(0, 3000, 100):
        batch = Batch()
        for number in range(first, first + 100):
            batch.put(Family.STATE, b"%08d" % number, os.urandom(100))
        store.commit(batch)
    store.close()
    RocksStore.open(directory, small).close()  # turns the log into table files
    for table in (directory / "records").glob("*.sst"):
        data = bytearray(table.read_bytes())
        for at in range(2000, len(data) - 20_000, 4000):
            data[at] ^= 1
        table.write_bytes(data)
    damaged = RocksStore.open(directory, small)
    with pytest.raises(StoreDamaged, match="cannot go on"):
        list(damaged.scan(Family.STATE))
    with pytest.raises(StoreDamaged, match="cannot be read"):
        [damaged.get(Family.STATE, b"%08d" % number) for number in range(3000)]
    with pytest.raises(StoreDamaged, match="cannot be read"):
        damaged.get_many(Family.STATE, [b"%08d" % number for number in range(3000)])
    with damaged.snapshot() as view, pytest.raises(StoreDamaged, match="cannot be read"):
        view.get_many(Family.STATE, [b"%08d" % number for number in range(3000)])
    damaged.close()


def test_a_missing_file_is_damage_not_an_empty_store(store: RocksStore, directory: Path) -> None:
    store.close()
    (directory / "records" / "CURRENT").unlink()
    with pytest.raises(StoreDamaged):
        RocksStore.open(directory)


def test_a_range_with_much_deleted_behind_it_is_read_to_its_own_end(store: RocksStore) -> None:
    def scan(start: bytes, stop: bytes) -> list[tuple[bytes, bytes]]:
        return list(store.scan(Family.STATE, start, stop, limit=1))

    gone = [b"h%05d" % number for number in range(rocks_reads._SKIPPED_MOST + 1)]
    for value in (b"1", None):
        batch = Batch()
        batch.update(Family.STATE, ((key, value) for key in gone))
        batch.put(Family.STATE, b"i", b"2")
        store.commit(batch)
    reader = store._readers[Family.STATE]
    assert scan(b"e", b"f") == []
    assert [each for each, _ in reader._ranges.items()] == [(b"e", b"f")], "it was hard to read"
    assert scan(b"e", b"f") == []
    for number in range(3):
        batch = Batch()
        batch.put(Family.STATE, b"e%d" % number, b"3")
        store.commit(batch)
        assert scan(b"e", b"f") == [(b"e0", b"3")]
        assert len(list(store.scan(Family.STATE, b"e", b"f"))) == number + 1
    for number in range(2 * rocks_reads._RANGES_KEPT):
        assert scan(b"d%d" % number, b"d%d" % (number + 1)) == []
        assert scan(b"h", b"h%05d" % number) == []
        assert scan(b"e", b"f") == [(b"e0", b"3")]
    kept = [each for each, _ in reader._ranges.items()]
    assert len(kept) == rocks_reads._RANGES_KEPT
    assert kept[-1] == (b"e", b"f"), "what is read again and again stays"


def test_a_backup_under_load_is_whole(store: RocksStore, tmp_path: Path) -> None:
    done = threading.Event()

    def keep_writing() -> None:
        number = 0
        while not done.is_set():
            batch = Batch()
            for family in (Family.STATE, Family.INDEX):
                for slot in range(5):
                    batch.put(family, b"%08d-%d" % (number, slot), b"x" * 50)
            store.commit(batch)
            number += 1

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for name in ("first", "second", "third"):
            store.backup(tmp_path / name)
    finally:
        done.set()
        writer.join()
    sizes = []
    for name in ("first", "second", "third"):
        restored = RocksStore.open(tmp_path / name)
        keys = [key for key, _ in restored.scan(Family.STATE)]
        assert keys == [key for key, _ in restored.scan(Family.INDEX)]
        assert keys == [b"%08d-%d" % (number, slot) for number in range(len(keys) // 5) for slot in range(5)]
        sizes.append(len(keys))
        restored.close()
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_a_backup_that_fails_leaves_nothing(store: RocksStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="no backup was made"):
        store.backup(tmp_path / "file" / "backup")
    store.commit(numbered(0))
    store.backup(tmp_path / "backup")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "file", "store"]


def test_every_commit_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process keeps what was only written, so RocksDB's own count of syncs is asked."""
    RocksStore.create(tmp_path / "store").close()
    made = []
    genuine = rocksdict.Options

    def counting(raw_mode: bool) -> rocksdict.Options:
        made.append(genuine(raw_mode=raw_mode))
        made[-1].enable_statistics()
        return made[-1]

    monkeypatch.setattr(rocksdict, "Options", counting)
    store = RocksStore.open(tmp_path / "store")
    for number in range(7):
        store.commit(numbered(number))
    assert "rocksdb.wal.synced COUNT : 7\n" in (made[0].get_statistics() or "")
    store.close()
