"""A successor network goes on with the old one's state under other validators, from exactly the one it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keeling import ed25519
from keeling.entry import Entry, format_entry, parse_entry
from keeling.genesis import Founder, Genesis, GenesisError, Succession, Validator, format_genesis, parse_genesis
from keeling.note import KeyType, NoteKey
from keeling.policy import Policy, format_policy
from keeling.policy import Validator as PolicyValidator
from keeling.v1 import operations_pb2 as op
from node.archive import height_key
from node.core import tables as t
from node.core.block import Place, execute
from node.core.state import State
from node.handovers import read_handovers
from node.held import INDEXED_KEY, complete_holds
from node.ledger import ChainError, StateReader, create_ledger, is_created, read_height, read_tip
from node.rebuild import rebuild
from node.replay import replay
from node.snapshots import Shelf, SnapshotError, name_chunk
from node.state_audit import read_blocks
from node.store.contract import Family
from node.store.memory import MemoryStore
from node.succeed import (
    SuccessionRefused,
    check_succession,
    create_successor,
    find_snapshot,
    keep_snapshot,
    list_parts,
    read_rows,
    take_stock,
)
from tests.fakes.attested import tell_attested
from tests.fakes.electorate import node_keys, seed
from tests.fakes.recorded_electorate import RecordedElectorate
from tests.fakes.world import START_MS

ORIGIN = "test.example/second"


@pytest.fixture
def told(tmp_path: Path) -> tuple[RecordedElectorate, Shelf]:
    return tell_attested(tmp_path)


def successor(world: RecordedElectorate, succeeds: Succession | None, keys: str = "fresh") -> Genesis:
    """A network of v1 alone, with new keys of its node."""
    entry, vote, log, cosigner = node_keys(keys)
    cosigner_key = NoteKey(f"{ORIGIN}/v1", KeyType.COSIGNATURE, cosigner)
    validator = PolicyValidator("v1", NoteKey(ORIGIN, KeyType.PLAIN, log), cosigner_key, vote)
    policy = format_policy(Policy(ORIGIN, (validator,)))
    founder = Founder("v1", "V1", ("group",), (world.people["v1"].grant(),))
    file = format_genesis(ORIGIN, START_MS + 1, policy, [founder], [Validator("v1", entry)], (), succeeds)
    return parse_genesis(file)


def test_successor_goes_on_with_what_it_takes_over(told: tuple[RecordedElectorate, Shelf]) -> None:
    world, shelf = told
    succeeds = take_stock(world.store, shelf)
    assert (succeeds.network, succeeds.height) == (world.genesis.network, world.tip.height)
    genesis = successor(world, succeeds)
    assert genesis.succeeds == succeeds
    store = MemoryStore()
    create_successor(store, genesis, shelf, node_keys("fresh").vote)
    assert read_height(store) == succeeds.height
    state, tip = State(StateReader(store)), read_tip(store, genesis)
    create_ledger(other := MemoryStore(), successor(world, None), None)
    assert tip.writes != read_tip(other, successor(world, None)).writes
    assert state.get(t.ACCOUNT_NUMBERS, "a2") is not None
    assert [t.VALIDATORS.parts(key)[0] for key, _ in state.scan(t.VALIDATORS)] == ["v1"]
    left = state.get(t.PARTICIPANTS, "v2")
    assert left is not None
    assert not left.validator
    world.genesis = genesis
    submission = world.submission("alice", world.transaction("alice", op.OpenAccount(account="new", owner="alice")))
    entry = Entry(genesis.network, node_keys("fresh").entry, 1, START_MS + 2, (submission,))
    raw = format_entry(entry, lambda message: ed25519.sign(seed("fresh", "entry"), message))
    signed = parse_entry(raw, ed25519.check_signature)
    block = execute(state, tip, signed, Place(0, 1), ed25519.check_signature)
    assert block.header.height == succeeds.height + 1
    assert block.submissions[0].answers[0].refusal is None


def test_who_takes_part_is_listed_for_comparison(told: tuple[RecordedElectorate, Shelf]) -> None:
    world, _ = told
    world.must("v1", op.Suspend(participant="v4", reason="gone"), approvals=("v2", "v3", "v5"))
    listed = {part["participant"]: part for part in list_parts(world.state)}
    assert list(listed) == ["alice", "v1", "v2", "v3", "v4", "v5"]
    assert listed["v5"] == {
        "participant": "v5", "name": "V5", "roles": ["group"], "validator": True, "suspended": False
    }  # fmt: skip
    assert (listed["v4"]["validator"], listed["v4"]["suspended"]) == (False, True)
    assert listed["alice"]["validator"] is False


@pytest.mark.parametrize(
    "change",
    [
        {"digest": bytes(32)},
        {"network": bytes(32)},
        {"certificate": b"\x01"},
        {"height": 3},
    ],
)
def test_any_other_state_is_refused(told: tuple[RecordedElectorate, Shelf], change: dict[str, Any]) -> None:
    world, shelf = told
    succeeds = take_stock(world.store, shelf)._replace(**change)
    store = MemoryStore()
    with pytest.raises(SnapshotError):
        create_successor(store, successor(world, succeeds), shelf, None)
    assert not is_created(store)


def test_old_keys_of_a_node_a_changed_chunk_and_a_full_store_are_refused(
    told: tuple[RecordedElectorate, Shelf],
) -> None:
    world, shelf = told
    succeeds = take_stock(world.store, shelf)
    with pytest.raises(GenesisError, match="KEY_EXISTS"):
        create_successor(MemoryStore(), successor(world, succeeds, keys="v1"), shelf, None)
    with pytest.raises(ChainError, match="or at a snapshot"):
        create_ledger(MemoryStore(), successor(world, succeeds), None)
    with pytest.raises(SnapshotError, match="holds a ledger already"):
        create_successor(world.store, successor(world, succeeds), shelf, None)
    path = shelf.folder / str(succeeds.height) / name_chunk(0)
    path.write_bytes(path.read_bytes() + b"x")
    store = MemoryStore()
    with pytest.raises(SnapshotError, match="changed on disk"):
        create_successor(store, successor(world, succeeds), shelf, None)
    assert not is_created(store)


def test_the_state_is_found_copied_and_refused_when_it_is_another(
    told: tuple[RecordedElectorate, Shelf], tmp_path: Path
) -> None:
    world, shelf = told
    succeeds = take_stock(world.store, shelf)
    own = Shelf(tmp_path / "own" / "before")
    found = find_snapshot(shelf.folder, succeeds)
    keep_snapshot(found, own, succeeds.height)
    keep_snapshot(found, own, succeeds.height)
    assert own.heights() == [succeeds.height]
    rows = [row for chunk in read_rows(succeeds, own) for row in chunk]
    assert rows == list(world.store.scan(Family.STATE))
    with pytest.raises(SnapshotError, match="keeling network succeed"):
        find_snapshot(tmp_path / "nowhere", succeeds)
    with pytest.raises(SnapshotError, match="not the state that the genesis file names"):
        find_snapshot(shelf.folder, succeeds._replace(digest=bytes(32)))


def test_a_successor_is_rebuilt_and_replayed_with_what_it_took_over(
    told: tuple[RecordedElectorate, Shelf],
) -> None:
    world, shelf = told
    succeeds = take_stock(world.store, shelf)
    genesis, store = successor(world, succeeds), MemoryStore()
    create_successor(store, genesis, shelf, None)
    complete_holds(store)
    before = list(store.scan(Family.STATE))
    with pytest.raises(ChainError, match="snapshot is not here"):
        rebuild(store, genesis)
    assert rebuild(store, genesis, before=shelf) == succeeds.height
    assert list(store.scan(Family.STATE)) == before
    assert store.get(Family.META, INDEXED_KEY) is None, "rows of holds taken over are made at the next start"
    with pytest.raises(GenesisError, match="--before"):
        replay(genesis, ())
    replayed = replay(genesis, (), before=read_rows(succeeds, shelf))
    assert list(replayed.state.data.items()) == before
    assert replayed.tip == read_tip(store, genesis)


def test_whoever_has_the_old_log_can_check_what_the_file_says(told: tuple[RecordedElectorate, Shelf]) -> None:
    world, shelf = told
    succeeds = take_stock(world.store, shelf)
    blocks = list(read_blocks(world.store, world.genesis, succeeds.height))
    replayed, header = replay(world.genesis, blocks), blocks[-1][1].header
    handovers = read_handovers(world.store, succeeds.height)
    found = check_succession(succeeds, world.genesis, handovers, replayed, header)
    assert (found.height, found.digest) == (succeeds.height, succeeds.digest)
    earlier = world.store.get(Family.BLOCKS, height_key(b"c", succeeds.height - 1)) or b""
    for change, said in (
        ({"network": bytes(32)}, "network before"),
        ({"height": succeeds.height - 1}, "height of the last block"),
        ({"digest": bytes(32)}, "digest of the state"),
        ({"certificate": earlier}, "height in the last certificate"),
        ({"certificate": b"\x01"}, "none of the network before"),
    ):
        lie = succeeds._replace(**change)
        with pytest.raises(SuccessionRefused, match=said):
            check_succession(lie, world.genesis, handovers, replayed, header)
