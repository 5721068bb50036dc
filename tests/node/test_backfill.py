"""The log below a snapshot is fetched piece by piece: whole, whatever breaks off, and never on a peer's word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.encoding import U64
from keeling.merkle import EMPTY_FRONTIER, Subtree, check_inclusion, hash_leaf, prove_inclusion, read_frontier
from node import backfill
from node.archive import TreeNotHere, leaf_key, put_growth, read_size, read_subtrees, subtree_key
from node.backfill import FILLED_KEY, Backfill, Gap, PieceRefused, check_piece, plan_piece, read_gap
from node.joining import find_peaks, install_snapshot
from node.ledger import JOINED_KEY
from node.peers.contract import PeerFailed
from node.store.contract import Batch, Family, Reads, Store, StoreFailed
from node.store.memory import MemoryStore
from tests.fakes.attested import tell_attested
from tests.fakes.faulty_store import FaultyStore

Leaves = list[bytes]
SIZE = 13
"""With pieces of at most 4 leaves: three of 4, and one of 1."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "PAUSE_S", 0.0)
    monkeypatch.setattr(backfill, "LEVEL_MAX", 2)


def whole(size: int) -> MemoryStore:
    """The log of a node that was there from the first leaf on."""
    store, batch = MemoryStore(), Batch()
    leaves = [b"leaf %d" % at for at in range(size)]
    batch.update(Family.LEAVES, [(leaf_key(at), leaf) for at, leaf in enumerate(leaves)])
    put_growth(batch, EMPTY_FRONTIER.extend([hash_leaf(leaf) for leaf in leaves]))
    store.commit(batch)
    return store


def joined(theirs: Reads, size: int) -> MemoryStore:
    """What a node has of it that joined at this size: the peaks."""
    store = MemoryStore()
    join_again(store, theirs, size)
    return store


def join_again(store: Store, theirs: Reads, size: int) -> None:
    batch, frontier = Batch(), read_frontier(size, read_subtrees(theirs))
    for subtree, peak in zip(find_peaks(frontier), frontier.peaks, strict=True):
        batch.put(Family.LEAVES, subtree_key(subtree), peak)
    batch.put(Family.META, JOINED_KEY, U64.encode(size))
    store.commit(batch)


def rows(store: Reads) -> list[tuple[bytes, bytes]]:
    return list(store.scan(Family.LEAVES))


class Peer:
    """A peer with a whole log; it may change what it sends, and go away before the piece of that number."""

    def __init__(
        self,
        theirs: Reads,
        name: str = "peer",
        leaves: Callable[[int, Leaves], Leaves] = lambda first, leaves: leaves,
        path: Callable[[int, Leaves], Leaves] = lambda first, path: path,
        pieces: int = 1_000,
    ) -> None:
        self.name, self.asked = name, list[int]()
        self._theirs, self._leaves, self._path, self._pieces = theirs, leaves, path, pieces

    async def leaves(self, first: int, most: int) -> Sequence[bytes]:
        if len(self.asked) >= self._pieces:
            raise PeerFailed(f"{self.name} went away")
        self.asked.append(first)
        found = [self._theirs.get(Family.LEAVES, leaf_key(at)) for at in range(first, first + most)]
        return self._leaves(first, [leaf for leaf in found if leaf is not None])

    async def path(self, index: int, size: int) -> Sequence[bytes]:
        return self._path(index, list(prove_inclusion(index, size, read_subtrees(self._theirs))))


def fetch(store: Store, *peers: Peer) -> dict[str, str]:
    """Ask these once; what was told of liars."""
    work = Backfill(store, lambda: peers, lambda: False)
    asyncio.run(work.fetch_all())
    return work.told


@given(st.integers(1, 10_000), st.data())
def test_pieces_are_complete_subtrees_and_tile_what_is_missing(size: int, data: st.DataObject) -> None:
    done = data.draw(st.integers(0, size - 1))
    while done < size:
        level, at = plan_piece(Gap(done, size, b""))
        assert (at << level, level <= backfill.LEVEL_MAX) == (done, True)
        done += 1 << level
    assert done == size


@pytest.mark.parametrize("size", range(1, 34))
def test_a_node_that_joined_at_any_size_gets_what_the_others_have(size: int) -> None:
    theirs = whole(size)
    mine = joined(theirs, size)
    assert fetch(mine, Peer(theirs)) == {}
    assert rows(mine) == rows(theirs)
    assert read_gap(mine) is None


def test_nobody_asks_for_what_is_there_already() -> None:
    peer = Peer(whole(SIZE))
    for store in (MemoryStore(), whole(SIZE)):
        assert fetch(store, peer) == {}
    assert peer.asked == []


def swapped(first: int, leaves: Leaves) -> Leaves:
    return leaves[::-1]


LIES: list[tuple[str, dict[str, Callable[[int, Leaves], Leaves]], str]] = [
    ("one leaf fewer", {"leaves": lambda _, leaves: leaves[:-1]}, "it sent 3 leaves from 4 on, not 4"),
    ("one leaf more", {"leaves": lambda _, leaves: [*leaves, b"x"]}, "it sent 5 leaves from 4 on, not 4"),
    ("another order", {"leaves": swapped}, "it sent another leaf 4, or no proof of it"),
    ("another first leaf", {"leaves": lambda _, leaves: [b"x", *leaves[1:]]}, "it sent another leaf 4"),
    ("another second leaf", {"leaves": lambda _, it: [it[0], b"x", *it[2:]]}, "it sent other leaves from 4 on"),
    ("another last leaf", {"leaves": lambda _, leaves: [*leaves[:-1], b"x"]}, "it sent other leaves from 4 on"),
    ("a leaf cut short", {"leaves": lambda _, leaves: [*leaves[:-1], leaves[-1][:-1]]}, "it sent other leaves"),
    ("no proof", {"path": lambda _, path: []}, "too short"),
    ("a longer proof", {"path": lambda _, path: [*path, bytes(32)]}, "too long"),
    ("a hash too short", {"path": lambda _, path: [path[0][:-1], *path[1:]]}, "or no proof of it"),
    ("another hash below", {"path": lambda _, path: [bytes(32), *path[1:]]}, "not to the root"),
    ("another hash above", {"path": lambda _, path: [*path[:-1], bytes(32)]}, "not to the root"),
]


def from_the_second(spoil: Callable[[int, Leaves], Leaves]) -> Callable[[int, Leaves], Leaves]:
    return lambda first, sent: spoil(first, sent) if first else sent


@pytest.mark.parametrize(("what", "lie", "said"), LIES, ids=[what for what, *_ in LIES])
def test_a_liar_is_named_nothing_of_it_is_kept_and_another_is_asked(
    what: str, lie: dict[str, Callable[[int, Leaves], Leaves]], said: str
) -> None:
    theirs = whole(SIZE)
    mine = joined(theirs, SIZE)
    leaves, path = (from_the_second(lie.get(each, lambda _, sent: sent)) for each in ("leaves", "path"))
    liar, honest = Peer(theirs, "liar", leaves, path), Peer(theirs, "honest")
    told = fetch(mine, liar)
    assert set(told) == {"liar"}
    assert said in told["liar"]
    assert mine.get(Family.META, FILLED_KEY) == U64.encode(4), "what it sent before was true, and is kept"
    assert mine.get(Family.LEAVES, leaf_key(4)) is None
    assert set(fetch(mine, liar, honest)) == {"liar"}
    assert honest.asked[0] == 4
    assert rows(mine) == rows(theirs)


def test_a_liar_is_not_asked_again_and_those_who_have_nothing_are_passed_over() -> None:
    theirs = whole(SIZE)
    liar, empty = Peer(theirs, "liar", leaves=swapped), Peer(theirs, "empty", pieces=0)
    mine = joined(theirs, SIZE)
    peers: list[Peer] = [liar, empty]
    work = Backfill(mine, lambda: peers, lambda: True)
    for _ in range(3):
        gap = asyncio.run(work.fetch_all())
        assert gap is not None
        assert gap.done == 0
    assert liar.asked == [0]
    peers.append(Peer(theirs))
    assert asyncio.run(work.fetch_all()) is None


def test_interrupted_after_every_piece_it_goes_on_there() -> None:
    theirs = whole(SIZE)
    mine, asked = joined(theirs, SIZE), []
    while read_gap(mine) is not None:
        peer = Peer(theirs, pieces=1)
        fetch(mine, peer)
        asked += peer.asked
    assert asked == [0, 4, 8, 12]
    assert rows(mine) == rows(theirs)


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_a_write_that_fails_loses_a_piece_at_most(step: int, took_effect: bool) -> None:
    theirs = whole(SIZE)
    mine = joined(theirs, SIZE)
    faulty = FaultyStore(mine)
    faulty.fail_commit(step, took_effect=took_effect)
    with pytest.raises(StoreFailed):
        fetch(faulty, Peer(theirs))
    again = Peer(theirs)
    fetch(mine, again)
    assert again.asked[:1] == [first for first in (0, 4, 8, 12) if first >= 4 * (step - 1 + took_effect)][:1]
    assert rows(mine) == rows(theirs)


def test_who_joins_again_higher_up_fetches_what_is_between() -> None:
    theirs = whole(SIZE)
    mine = joined(theirs, 6)
    fetch(mine, Peer(theirs))
    join_again(mine, theirs, SIZE)
    with pytest.raises(TreeNotHere):
        prove_inclusion(7, SIZE, read_subtrees(mine))
    peer = Peer(theirs)
    fetch(mine, peer)
    assert peer.asked[0] == 6
    assert rows(mine) == rows(theirs)


def test_a_joined_ledger_proves_every_leaf_afterwards(tmp_path: Path) -> None:
    world, shelf = tell_attested(tmp_path)
    mine = MemoryStore()
    install_snapshot(mine, world.genesis, shelf, 3, None)
    size, root = read_size(world.store, 3), world.blocks[2].growth.frontier.root()
    assert read_gap(mine) == Gap(0, size, root)
    fetch(mine, Peer(world.store))
    for at in range(size):
        leaf = mine.get(Family.LEAVES, leaf_key(at)) or b""
        check_inclusion(at, size, hash_leaf(leaf), prove_inclusion(at, size, read_subtrees(mine)), root)


def test_a_proof_of_another_tree_is_refused() -> None:
    theirs = whole(SIZE)
    gap = Gap(0, SIZE, read_frontier(SIZE, read_subtrees(theirs)).root())
    leaves = [b"leaf %d" % at for at in range(4)]
    path = prove_inclusion(0, 8, read_subtrees(theirs))
    with pytest.raises(PieceRefused, match="too short"):
        check_piece(gap, EMPTY_FRONTIER, Subtree(2, 0), leaves, path)
