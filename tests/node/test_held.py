"""Rows of holds: kept with every block, made again from a state, and enough to find live holds among many ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node import reads
from node.held import HOLDS_PER_COMMIT, INDEXED_KEY, complete_holds
from node.store.contract import Batch, Family, Store, StoreFailed
from node.store.memory import MemoryStore
from tests.fakes.faulty_store import FaultyStore
from tests.node.reads.trading_world import IndexedWorld, hold_id, open_world, place_hold, units

LIVE, ENDED = ("l1", "l2"), tuple(f"e{number}" for number in range(5))


def traded() -> IndexedWorld:
    """Two holds that still hold units among more that ended; one is placed and released in one block."""
    world = open_world()
    expires = world.now_ms + 60_000
    for name in LIVE + ENDED[1:]:
        world.must("alice", place_hold(name, "alice", units(10), expires))
    for name in ENDED[1:]:
        world.must("alice", op.Release(hold=hold_id(name), reason="over"))
    both = place_hold(ENDED[0], "alice", units(3), expires), op.Release(hold=hold_id(ENDED[0]), reason="at once")
    world.must("alice", *both)
    return world


def index_rows(store: Store) -> list[tuple[bytes, bytes]]:
    return [(key, value) for key, value in store.scan(Family.INDEX) if key[:1] in (b"h", b"o", b"O")]


def copy_state(store: Store) -> MemoryStore:
    """A store that came by its state without blocks."""
    copied, batch = MemoryStore(), Batch()
    batch.update(Family.STATE, store.scan(Family.STATE))
    copied.commit(batch)
    return copied


def test_rows_are_the_same_from_blocks_and_from_a_state() -> None:
    world = traded()
    assert len(index_rows(world.store)) == len(LIVE) * 3 + len(ENDED)
    joined = copy_state(world.store)
    complete_holds(joined)
    assert index_rows(joined) == index_rows(world.store)
    assert joined.get(Family.META, INDEXED_KEY) is not None


def test_rows_are_made_once() -> None:
    joined = copy_state(traded().store)
    complete_holds(joined)
    joined.clear([Family.INDEX])
    complete_holds(joined)
    assert index_rows(joined) == []


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_interrupted_it_is_done_again(monkeypatch: pytest.MonkeyPatch, step: int, took_effect: bool) -> None:
    monkeypatch.setattr("node.held.HOLDS_PER_COMMIT", 4)
    assert HOLDS_PER_COMMIT > 4
    world = traded()
    joined = copy_state(world.store)
    faulty = FaultyStore(joined)
    faulty.fail_commit(step, took_effect=took_effect)
    with pytest.raises(StoreFailed):
        complete_holds(faulty)
    complete_holds(joined)
    assert index_rows(joined) == index_rows(world.store)


class Counting:
    """Reads that count the holds they give."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.holds = 0

    def get(self, family: Family, key: bytes) -> bytes | None:
        self.holds += family is Family.STATE and key[:1] == b"o"
        return self._store.get(family, key)

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.get(family, key) for key in keys]

    def scan(
        self,
        family: Family,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._store.scan(family, start, stop, reverse=reverse, limit=limit):
            self.holds += family is Family.STATE and key[:1] == b"o"
            yield key, value


@pytest.mark.parametrize("account", ["", "alice"])
def test_holds_that_ended_cost_nothing_to_those_who_ask_for_live_ones(account: str) -> None:
    counting = Counting(traded().store)
    found = reads.list_holds(counting, pb.ListRequest(account=account, open_only=True))
    assert sorted(hold.hold for hold in found.holds) == sorted(map(hold_id, LIVE))
    assert counting.holds == len(LIVE)
