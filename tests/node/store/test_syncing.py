"""Other threads run while a commit is synced; none of them is shown it before it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from node.store.contract import Batch, Family, StoreFailed
from node.store.rocks import RocksStore


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    RocksStore.create(tmp_path / "store").close()
    return tmp_path / "store"


@pytest.fixture
def store(directory: Path) -> Iterator[RocksStore]:
    store = RocksStore.open(directory)
    yield store
    store.close()


class SlowDisk:
    """A database whose next sync waits until it is let go, or fails then."""

    def __init__(self, store: RocksStore) -> None:
        assert store._database is not None
        self.database, self.fails = store._database, False
        self.syncing, self.let_go = threading.Event(), threading.Event()
        store._database = self  # type: ignore[assignment]

    def __getattr__(self, name: str) -> object:
        return getattr(self.database, name)

    def flush_wal(self, sync: bool) -> None:
        self.syncing.set()
        assert self.let_go.wait(60)
        if self.fails:
            raise OSError("no space left")
        self.database.flush_wal(sync)


def read_value(store: RocksStore) -> bytes | None:
    return store.get(Family.STATE, b"key")


def read_values(store: RocksStore) -> bytes | None:
    return store.get_many(Family.STATE, [b"other", b"key"])[1]


def scan_value(store: RocksStore) -> bytes | None:
    return dict(store.scan(Family.STATE)).get(b"key")


def view_value(store: RocksStore) -> bytes | None:
    with store.snapshot() as view:
        return view.get(Family.STATE, b"key")


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("read", [read_value, read_values, scan_value, view_value])
def test_nobody_is_shown_what_is_not_synced(
    store: RocksStore, read: Callable[[RocksStore], bytes | None], fails: bool
) -> None:
    first, second = Batch(), Batch()
    first.put(Family.STATE, b"key", b"old")
    second.put(Family.STATE, b"key", b"new")
    store.commit(first)
    disk = SlowDisk(store)
    disk.fails = fails
    with ThreadPoolExecutor(2) as threads:
        commit = threads.submit(store.commit, second)
        assert disk.syncing.wait(60)
        answer = threads.submit(read, store)
        done, _ = wait([answer], timeout=0.05)
        assert not done
        disk.let_go.set()
        if fails:
            for ended in (commit, answer):
                with pytest.raises(StoreFailed):
                    ended.result(60)
        else:
            commit.result(60)
            assert answer.result(60) == b"new"


def test_what_was_frozen_before_a_commit_is_read_beside_it(store: RocksStore) -> None:
    first, second = Batch(), Batch()
    first.put(Family.STATE, b"key", b"old")
    second.put(Family.STATE, b"key", b"new")
    store.commit(first)
    assert scan_value(store) == b"old"
    disk = SlowDisk(store)
    with store.snapshot() as view, ThreadPoolExecutor(2) as threads:
        commit = threads.submit(store.commit, second)
        assert disk.syncing.wait(60)
        assert view.get(Family.STATE, b"key") == scan_value(store) == b"old"
        disk.let_go.set()
        commit.result(60)
    assert scan_value(store) == b"new"
