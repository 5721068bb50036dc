"""The store that fails fails as it was told, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.store.contract import Batch, Family, StoreClosed, StoreFailed
from node.store.memory import MemoryStore
from node.store.rocks import RocksStore
from tests.fakes.faulty_store import FaultyStore


def numbered(number: int) -> Batch:
    batch = Batch()
    batch.put(Family.STATE, b"newest", b"%d" % number)
    batch.put(Family.STATE, b"%d" % number, b"there")
    batch.delete(Family.STATE, b"%d" % (number - 2))
    return batch


def content(store: FaultyStore) -> dict[bytes, bytes]:
    return dict(store.scan(Family.STATE))


def after(*numbers: int) -> dict[bytes, bytes]:
    expected = FaultyStore(MemoryStore())
    for number in numbers:
        expected.commit(numbered(number))
    return content(expected)


@pytest.mark.parametrize("ordinal", [1, 2, 3])
@pytest.mark.parametrize("took_effect", [False, True])
def test_the_nth_commit_fails_and_everything_after_it(ordinal: int, took_effect: bool) -> None:
    store = FaultyStore(MemoryStore())
    store.fail_commit(ordinal, took_effect=took_effect)
    for number in range(1, ordinal):
        store.commit(numbered(number))
    with pytest.raises(StoreFailed):
        store.commit(numbered(ordinal))
    for refused in (lambda: store.commit(numbered(9)), lambda: content(store), store.snapshot):
        with pytest.raises(StoreFailed):
            refused()
    restarted = store.restart()
    assert content(restarted) == after(*range(1, ordinal + took_effect))
    restarted.commit(numbered(ordinal + 1))
    assert restarted.get(Family.STATE, b"newest") == b"%d" % (ordinal + 1)


@pytest.mark.parametrize("lost", [0, 1, 2, 4])
def test_a_crash_takes_back_the_newest_commits(lost: int, tmp_path: Path) -> None:
    store = FaultyStore(RocksStore.create(tmp_path / "store"))
    for number in range(1, 5):
        store.commit(numbered(number))
    found = store.crash(lost_commits=lost)
    assert content(found) == after(*range(1, 5 - lost))
    with pytest.raises(StoreClosed):
        store.commit(numbered(5))
    found.close()


def test_a_crash_can_tear_a_commit() -> None:
    store = FaultyStore(MemoryStore())
    for number in range(1, 5):
        store.commit(numbered(number))
    found = store.crash(lost_commits=2, torn_writes=1)
    assert content(found) == after(1, 2) | {b"newest": b"3"}
    with pytest.raises(ValueError, match="5 commits cannot be lost, 0 were made"):
        found.crash(lost_commits=5)
