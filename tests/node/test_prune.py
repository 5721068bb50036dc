"""Pruning forgets what two attested snapshots replace, and nothing that proves anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeling.bundle_parts import HANDOVERS
from keeling.encoding import U64
from keeling.handover import walk_handovers
from keeling.merkle import check_inclusion, hash_leaf, prove_inclusion
from keeling.v1 import operations_pb2 as op
from node.archive import leaf_key, read_size, read_subtrees
from node.core.limits import ID_WINDOW_MS
from node.export import ExportError, export_cut, export_whole
from node.handovers import read_handovers
from node.prune import PRUNED_KEY, PruneRefused, plan_prune, prune, read_pruned
from node.snapshots import Shelf
from node.store.contract import Family, StoreFailed
from tests.fakes.attested import attest, make_attester, tell_attested
from tests.fakes.faulty_store import FaultyStore
from tests.fakes.recorded_electorate import RecordedElectorate

KEPT = (Family.STATE, Family.BLOCKS, Family.LEAVES, Family.JOURNAL, Family.INDEX)


def rest(world: RecordedElectorate, ms: int) -> None:
    """Time passes for all validators, so that ledger time does."""
    world.later(ms)
    for author in world.validators:
        world.author = author
        world.block()
    world.author = "v1"


@pytest.fixture
def told(tmp_path: Path) -> tuple[RecordedElectorate, Shelf]:
    """Two attested snapshots, and every id before the second one is out of its window."""
    world, shelf = tell_attested(tmp_path)
    while len(shelf.proved()) < 2:
        world.must("alice", op.OpenAccount(account=f"b{world.tip.height}", owner="alice"))
        if make_attester(world, shelf).after_commit(world.blocks[-1]):
            with world.store.snapshot() as view:
                made = shelf.make(view)
            attest(world, made, "v1", "v2", "v3", "v5")
            make_attester(world, shelf).keep_proofs(world.tip.height)
    rest(world, ID_WINDOW_MS + 1)
    return world, shelf


def test_what_lies_below_the_last_but_one_snapshot_goes_and_proofs_stay(
    told: tuple[RecordedElectorate, Shelf],
) -> None:
    world, shelf = told
    older = shelf.proved()[0]
    before = {family: list(world.store.scan(family)) for family in KEPT}
    bodies = sum(len(value) for _, value in world.store.scan(Family.BODIES))
    plan = plan_prune(world.store, shelf.proved())
    assert (plan.first, plan.below, plan.kept) == (1, older, tuple(shelf.proved()))
    assert plan.blocks == older - 1
    prune(world.store, plan)
    assert {family: list(world.store.scan(family)) for family in KEPT} == before
    assert bodies - sum(len(value) for _, value in world.store.scan(Family.BODIES)) == plan.entry_bytes > 0
    assert next(U64.decode(key) for key, _ in world.store.scan(Family.EVENTS)) == older
    assert read_pruned(world.store) == older
    again = plan_prune(world.store, shelf.proved())
    assert (again.blocks, again.entry_bytes, again.answer_bytes) == (0, 0, 0)


def test_every_leaf_is_still_proved_and_handovers_still_lead_on(told: tuple[RecordedElectorate, Shelf]) -> None:
    world, shelf = told
    prune(world.store, plan_prune(world.store, shelf.proved()))
    size = read_size(world.store, world.tip.height)
    root = world.tip.frontier.root()
    for index in range(size):
        leaf = world.store.get(Family.LEAVES, leaf_key(index))
        assert leaf is not None
        check_inclusion(index, size, hash_leaf(leaf), prove_inclusion(index, size, read_subtrees(world.store)), root)
    handovers = read_handovers(world.store, world.tip.height)
    assert HANDOVERS.decode(HANDOVERS.encode(handovers)) == handovers
    assert len(walk_handovers(world.genesis, handovers)) == 2
    with pytest.raises(ExportError, match="ask an archive node"):
        b"".join(export_whole(world.store, world.genesis, world.tip.height))
    with pytest.raises(ExportError, match="ask an archive node"):
        b"".join(export_cut(world.store, world.genesis, "b8", None, None, world.tip.height))


def test_nothing_goes_without_two_snapshots_nor_while_ids_can_be_asked_for(tmp_path: Path) -> None:
    world, shelf = tell_attested(tmp_path)
    with pytest.raises(PruneRefused, match="1 attested snapshots are here"):
        plan_prune(world.store, shelf.proved())
    plan = plan_prune(world.store, [2, 3])
    assert (plan.blocks, plan.kept) == (0, (2, 3))
    rest(world, ID_WINDOW_MS + 1)
    assert plan_prune(world.store, [2, 3, 9_999]).below == 2


@pytest.mark.parametrize("took_effect", [False, True])
def test_interrupted_pruning_goes_on(
    told: tuple[RecordedElectorate, Shelf], took_effect: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.prune.BLOCKS_PER_COMMIT", 1)
    world, shelf = told
    faulty = FaultyStore(world.store)
    faulty.fail_commit(2, took_effect=took_effect)
    with pytest.raises(StoreFailed):
        prune(faulty, plan_prune(faulty, shelf.proved()))
    assert read_pruned(world.store) == (3 if took_effect else 2)
    prune(world.store, plan_prune(world.store, shelf.proved()))
    assert world.store.get(Family.META, PRUNED_KEY) == U64.encode(shelf.proved()[0])
