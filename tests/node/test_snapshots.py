"""Snapshots on disk: whole or not there, proved once a quorum agreed, the two newest kept; two stores make the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keeling.snapshot import check_snapshot, parse_chunk, parse_proof
from keeling.submission import parse_submission
from keeling.v1 import operations_pb2 as op
from node.archive import read_archive
from node.snapshots import Made, Shelf, SnapshotError, find_agreed
from node.store.contract import Family
from node.store.memory import MemoryStore
from node.store.rocks import RocksStore
from tests.fakes.attested import VALIDATORS, attest, every, make_attester, tell_attested
from tests.fakes.recorded_electorate import RecordedElectorate


def test_two_kinds_of_store_give_one_digest(tmp_path: Path) -> None:
    made = []
    for name, store in (("memory", MemoryStore()), ("rocks", RocksStore.create(tmp_path / "db"))):
        world = RecordedElectorate(VALIDATORS, ["alice"], [every(1)], store=store)
        world.must("alice", op.OpenAccount(account="a", owner="alice"))
        shelf = Shelf(tmp_path / name)
        with store.snapshot() as view:
            made.append(shelf.make(view))
            rows = list(view.scan(Family.STATE))
        found = [row for n in range(made[-1].chunks) for row in parse_chunk(shelf.read_chunk(1, n))]
        assert found == rows
        assert made[-1].rows == len(rows)
        store.close()
    assert made[0] == made[1]


def test_proved_snapshot_is_served_and_older_ones_are_dropped(tmp_path: Path) -> None:
    world, shelf = tell_attested(tmp_path)
    assert (shelf.heights(), shelf.proved()) == ([3], [3])
    for _ in range(2):
        while world.blocks[-1].header.height % 20 != 0:
            world.must("alice", op.OpenAccount(account=f"b{world.tip.height}", owner="alice"))
            with world.store.snapshot() as view:
                if make_attester(world, shelf).after_commit(world.blocks[-1]):
                    attest(world, shelf.make(view), "v1", "v2", "v3", "v5")
                    make_attester(world, shelf).keep_proofs(world.tip.height)
        world.must("alice", op.OpenAccount(account=f"b{world.tip.height}", owner="alice"))
    assert len(shelf.proved()) == 2
    assert shelf.heights()[0] > 3
    for height in shelf.proved():
        assert check_snapshot(parse_proof(shelf.read_proof(height)), world.genesis).height == height
    with pytest.raises(SnapshotError, match="no attested snapshot"):
        shelf.read_proof(3)
    with pytest.raises(SnapshotError, match="chunk 0"):
        shelf.read_chunk(3, 0)


def test_attester_makes_what_is_due_and_hands_in_its_digest(tmp_path: Path) -> None:
    world = RecordedElectorate(VALIDATORS, ["alice"], [every(2)])
    shelf = Shelf(tmp_path)
    attester = make_attester(world, shelf)
    handed: list[bytes] = []

    async def run(work: Callable[[], Any]) -> Any:
        return work()

    async def submit(raw: bytes) -> None:
        handed.append(raw)

    for account in ("a", "b"):
        world.must("alice", op.OpenAccount(account=account, owner="alice"))
        due = attester.after_commit(world.blocks[-1])
    assert due
    # The chain goes on while the snapshot is made: it is of the block that was due.
    world.must("alice", op.OpenAccount(account="c", owner="alice"))
    made = asyncio.run(attester.attest(run, submit))
    assert made is not None
    assert made.height == 2
    assert asyncio.run(attester.attest(run, submit)) is None
    assert parse_submission(handed[0]).key == world.people["v1"].key
    answer = world.block(handed[0]).submissions[0].answers[0]
    assert answer.refusal is None


def test_snapshot_of_another_state_is_no_snapshot_of_the_quorum(tmp_path: Path) -> None:
    world = RecordedElectorate(VALIDATORS, ["alice"], [every(1)])
    world.must("alice", op.OpenAccount(account="a", owner="alice"))
    shelf = Shelf(tmp_path)
    with world.store.snapshot() as view:
        made = shelf.make(view)
    attest(world, Made(made.height, bytes(32), 0, 0), "v1", "v2", "v3")
    archived = read_archive(world.store, world.tip.height)
    assert archived is not None
    assert [agreed.height for agreed in find_agreed(archived)] == [1]
    with pytest.raises(SnapshotError, match="is another here"):
        make_attester(world, shelf).keep_proofs(world.tip.height)


def test_unfinished_folders_count_for_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "none")
    assert shelf.heights() == []
    (tmp_path / "none" / "7.making").mkdir(parents=True)
    assert shelf.heights() == []
    with pytest.raises(SnapshotError, match="no block at 0"), MemoryStore().snapshot() as view:
        shelf.make(view)
