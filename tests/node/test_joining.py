"""Joining from a snapshot: interrupted anywhere it resumes, a lying peer is named and another asked, and it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from keeling import ed25519, snapshot
from keeling.entry import parse_entry
from keeling.snapshot import PROOF, parse_proof
from node.core.block import Place, execute
from node.core.state import State
from node.handovers import read_handovers, read_reign
from node.held import INDEXED_KEY, complete_holds
from node.joining import JoinFailed, fetch_snapshot, find_peaks, install_snapshot
from node.ledger import ChainError, StateReader, check_store, read_height, read_in_force, read_tip
from node.peers.contract import PeerFailed
from node.snapshots import Shelf, SnapshotError, name_chunk
from node.store.contract import Family, StoreFailed
from node.store.memory import MemoryStore
from tests.fakes.attested import tell_attested
from tests.fakes.faulty_store import FaultyStore
from tests.fakes.recorded_electorate import RecordedElectorate

HEIGHT = 3


class ShelfSource:
    """A peer that serves a shelf; `spoil` changes a chunk, `stop_at` breaks the stream before that chunk."""

    def __init__(
        self,
        shelf: Shelf,
        name: str = "peer",
        spoil: Callable[[int, bytes], bytes] = lambda ordinal, chunk: chunk,
        stop_at: int | None = None,
        proof: Callable[[bytes], bytes] = lambda proof: proof,
    ) -> None:
        self.name = name
        self.sent: list[int] = []
        self._shelf, self._spoil, self._stop_at, self._proof = shelf, spoil, stop_at, proof

    async def offer(self, height: int) -> bytes:
        known = self._shelf.proved()
        if not known or (height and height not in known):
            raise PeerFailed(f"{self.name} has no snapshot of {height}")
        return self._proof(self._shelf.read_proof(height or known[-1]))

    async def chunks(self, height: int, first: int) -> AsyncIterator[bytes]:
        ordinal = first
        while (self._shelf.folder / str(height) / name_chunk(ordinal)).exists():
            if ordinal == self._stop_at:
                raise PeerFailed(f"{self.name} went away")
            self.sent.append(ordinal)
            yield self._spoil(ordinal, self._shelf.read_chunk(height, ordinal))
            ordinal += 1


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RecordedElectorate, Shelf]:
    monkeypatch.setattr(snapshot, "CHUNK_BYTES_MAX", 400)
    return tell_attested(tmp_path / "theirs")


def total_of(shelf: Shelf) -> int:
    return len(parse_proof(shelf.read_proof(HEIGHT)).chunks)


def fetch(world: RecordedElectorate, mine: Shelf, *sources: ShelfSource, above: int = 0) -> int:
    return asyncio.run(fetch_snapshot(sources, world.genesis, mine, above))


def test_fetched_snapshot_is_the_one_attested_and_can_be_served_on(
    told: tuple[RecordedElectorate, Shelf], tmp_path: Path
) -> None:
    world, theirs = told
    mine, again = Shelf(tmp_path / "mine"), Shelf(tmp_path / "again")
    assert fetch(world, mine, ShelfSource(theirs)) == HEIGHT
    assert fetch(world, again, ShelfSource(mine)) == HEIGHT
    files = [sorted((path.name, path.read_bytes()) for path in (s.folder / "3").iterdir()) for s in (theirs, again)]
    assert files[0] == files[1]
    assert total_of(mine) > 5


def test_interrupted_at_every_chunk_it_resumes_there(told: tuple[RecordedElectorate, Shelf], tmp_path: Path) -> None:
    world, theirs = told
    mine = Shelf(tmp_path / "mine")
    asked = []
    for stop in range(total_of(theirs)):
        source = ShelfSource(theirs, stop_at=stop)
        with pytest.raises(JoinFailed, match="peer: peer went away"):
            fetch(world, mine, source)
        asked += source.sent
        assert mine.heights() == []
    last = ShelfSource(theirs)
    assert fetch(world, mine, last) == HEIGHT
    assert asked + last.sent == list(range(total_of(theirs))), "no chunk is asked for twice"


def test_lying_peer_is_named_and_another_asked(told: tuple[RecordedElectorate, Shelf], tmp_path: Path) -> None:
    world, theirs = told
    mine = Shelf(tmp_path / "mine")
    liar = ShelfSource(theirs, "liar", spoil=lambda n, chunk: chunk if n < 2 else chunk[:-1] + b"\x00\x00")
    with pytest.raises(JoinFailed, match="liar: it sent something else for chunk 2"):
        fetch(world, mine, liar)
    honest = ShelfSource(theirs, "honest")
    assert fetch(world, mine, liar, honest) == HEIGHT
    assert honest.sent[0] == 2


def test_peer_with_a_false_proof_or_none_is_passed_over(told: tuple[RecordedElectorate, Shelf], tmp_path: Path) -> None:
    world, theirs = told
    mine = Shelf(tmp_path / "mine")

    def longer(raw: bytes) -> bytes:
        proof = parse_proof(raw)
        return PROOF.encode(proof._replace(chunks=(*proof.chunks, bytes(32))))

    false, nothing = ShelfSource(theirs, "false", proof=longer), ShelfSource(Shelf(tmp_path / "empty"), "empty")
    junk = ShelfSource(theirs, "junk", proof=lambda raw: b"junk")
    with pytest.raises(JoinFailed, match=r"false: its proof does not hold.*; empty: .*; junk: its proof"):
        fetch(world, mine, false, nothing, junk)
    assert not list(tmp_path.glob("mine/*"))
    assert fetch(world, mine, false, nothing, junk, ShelfSource(theirs)) == HEIGHT
    with pytest.raises(JoinFailed, match="above height 3"):
        fetch(world, mine, ShelfSource(theirs), above=3)


def test_too_few_and_too_many_chunks_are_noticed(told: tuple[RecordedElectorate, Shelf], tmp_path: Path) -> None:
    world, theirs = told

    class Surplus(ShelfSource):
        async def chunks(self, height: int, first: int) -> AsyncIterator[bytes]:
            async for chunk in super().chunks(height, first):
                yield chunk
            yield b"surplus"

    class Short(ShelfSource):
        async def chunks(self, height: int, first: int) -> AsyncIterator[bytes]:
            async for chunk in super().chunks(height, first):
                yield chunk
                return

    with pytest.raises(JoinFailed, match="it ended after chunk 0"):
        fetch(world, Shelf(tmp_path / "short"), Short(theirs))
    assert fetch(world, Shelf(tmp_path / "surplus"), Surplus(theirs)) == HEIGHT


# -- into the store


def test_a_joined_store_goes_on_as_the_others_do(told: tuple[RecordedElectorate, Shelf]) -> None:
    world, shelf = told
    store = MemoryStore()
    complete_holds(store)
    install_snapshot(store, world.genesis, shelf, HEIGHT, b"\x07" * 32)
    check_store(store, world.genesis)
    assert store.get(Family.META, INDEXED_KEY) is None, "rows of the state before would be taken for those of this one"
    assert read_height(store) == HEIGHT
    tip = read_tip(store, world.genesis)
    assert tip == world.blocks[HEIGHT - 1].tip
    assert read_in_force(store, world.genesis).since == 2
    assert read_reign(store, world.genesis, HEIGHT + 1).hash == tip.policy
    assert read_handovers(store, 99) == read_handovers(world.store, 99)
    assert len(list(store.scan(Family.JOURNAL))) == 1
    state = State(StateReader(store))
    for theirs in world.blocks[HEIGHT:]:
        raw = world.store.get(Family.BODIES, theirs.header.entry)
        assert raw is not None
        entry = parse_entry(raw, ed25519.check_signature)
        place = Place(theirs.header.epoch, theirs.header.position)
        block = execute(state, tip, entry, place, ed25519.check_signature)
        assert block.header_leaf == theirs.header_leaf
        tip = block.tip


@pytest.mark.parametrize("took_effect", [False, True])
def test_interrupted_installation_is_marked_and_repeated(
    told: tuple[RecordedElectorate, Shelf], took_effect: bool
) -> None:
    world, shelf = told
    whole = MemoryStore()
    install_snapshot(whole, world.genesis, shelf, HEIGHT, None)
    expected = {family: list(whole.scan(family)) for family in Family}
    for step in range(1, 4):
        store = MemoryStore()
        faulty = FaultyStore(store)
        faulty.fail_commit(step, took_effect=took_effect)
        with pytest.raises(StoreFailed):
            install_snapshot(faulty, world.genesis, shelf, HEIGHT, None)
        if {family: list(store.scan(family)) for family in Family} != expected:
            with pytest.raises(ChainError):
                check_store(store, world.genesis)
            install_snapshot(store, world.genesis, shelf, HEIGHT, None)
        assert {family: list(store.scan(family)) for family in Family} == expected


def test_snapshot_changed_on_disk_or_not_above_the_store_is_not_installed(
    told: tuple[RecordedElectorate, Shelf],
) -> None:
    world, shelf = told
    with pytest.raises(SnapshotError, match="already"):
        install_snapshot(world.store, world.genesis, shelf, HEIGHT, None)
    path = shelf.folder / str(HEIGHT) / name_chunk(1)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(SnapshotError, match="chunk 1 of the snapshot of 3 was changed on disk"):
        install_snapshot(MemoryStore(), world.genesis, shelf, HEIGHT, None)


def test_peaks_are_the_subtrees_of_the_frontier(told: tuple[RecordedElectorate, Shelf]) -> None:
    world, _ = told
    for block in world.blocks:
        frontier = block.growth.frontier
        assert sum(1 << subtree.level for subtree in find_peaks(frontier)) == frontier.size
        assert len(find_peaks(frontier)) == len(frontier.peaks)
