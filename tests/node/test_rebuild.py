"""State rebuilt from the log is the state that was there, also after interruptions at every commit."""

from __future__ import annotations

import pytest

from node.archive import height_key
from node.ledger import ChainError
from node.rebuild import rebuild
from node.store.contract import Batch, Family, StoreFailed
from node.store.memory import MemoryStore
from tests.fakes.faulty_store import FaultyStore
from tests.fakes.world import World
from tests.node.test_chain import content, entries, new_store, open_chain, run_all, world

__all__ = ["world"]


@pytest.fixture
def store(world: World) -> MemoryStore:
    store = new_store(world)
    list(run_all(open_chain(store, world), entries(world), world.now_ms))
    return store


def test_rebuilt_state_is_byte_identical(world: World, store: MemoryStore) -> None:
    before = content(store)
    heights: list[int] = []
    assert rebuild(store, world.genesis, heights.append) == 8
    assert content(store) == before
    assert heights[-1] == 8
    assert open_chain(store, world).outlook.height == 8


def test_damaged_state_is_made_whole(world: World, store: MemoryStore) -> None:
    before = content(store)
    damage = Batch()
    for key, value in before[Family.STATE][::2]:
        damage.put(Family.STATE, key, value[:-1] + b"\xff")
    damage.put(Family.STATE, b"l-surplus", b"x")
    store.commit(damage)
    rebuild(store, world.genesis)
    assert content(store) == before


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("step", [1, 2])
def test_an_interrupted_rebuild_is_not_run_on(world: World, store: MemoryStore, step: int, took_effect: bool) -> None:
    before = content(store)
    faulty = FaultyStore(store)
    faulty.fail_commit(step, took_effect=took_effect)
    with pytest.raises(StoreFailed):
        rebuild(faulty, world.genesis)
    if content(store) != before:
        with pytest.raises(ChainError, match="run it again"):
            open_chain(store, world)
    rebuild(store, world.genesis)
    assert content(store) == before


def test_a_log_that_contradicts_itself_is_named(world: World, store: MemoryStore) -> None:
    leaf = store.get(Family.BLOCKS, height_key(b"h", 5))
    assert leaf is not None
    damage = Batch()
    damage.put(Family.BLOCKS, height_key(b"h", 5), leaf[:-1] + bytes([leaf[-1] ^ 1]))
    store.commit(damage)
    with pytest.raises(ChainError, match="block 5"):
        rebuild(store, world.genesis)


def test_a_pruned_log_cannot_be_rebuilt_says_so_and_is_left_as_it_is(world: World, store: MemoryStore) -> None:
    store.clear([Family.BODIES])
    before = content(store)
    with pytest.raises(ChainError, match=r"not kept here: .* nothing was changed"):
        rebuild(store, world.genesis)
    assert content(store) == before
