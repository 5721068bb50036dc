"""A recorded electorate whose state was attested: a snapshot with proof on a shelf, after a change of policy."""

from __future__ import annotations

from pathlib import Path

from keeling.v1 import operations_pb2 as op
from node.attesting import Attester, is_due
from node.core.governance.snapshots import INTERVAL_RECORD
from node.snapshots import Made, Shelf
from node.store.contract import Store
from tests.fakes.recorded_electorate import RecordedElectorate

VALIDATORS = ("v1", "v2", "v3", "v4")


def every(blocks: int) -> op.SetRecord:
    """The record that makes the state due every so many blocks."""
    return op.SetRecord(id=INTERVAL_RECORD, version=1, source="test", rule=op.Rule(value=str(blocks)))


def make_attester(world: RecordedElectorate, shelf: Shelf) -> Attester:
    person = world.people["v1"]
    return Attester(world.store, shelf, world.genesis.network, "v1", person.key, person.sign)


def attest(world: RecordedElectorate, made: Made, *names: str) -> None:
    """These validators put the digest on the ledger, a block each."""
    for name in names:
        world.must(name, op.AttestState(height=made.height, digest=made.digest))


def tell_attested(folder: Path, store: Store | None = None, blocks: int = 3) -> tuple[RecordedElectorate, Shelf]:
    """A fifth validator comes into force, then the state is due, made and attested by the four that a quorum needs."""
    world = RecordedElectorate(VALIDATORS, ["alice"], [every(blocks)], store=store)
    shelf = Shelf(folder)
    world.admit("v5", "v2", "v3")
    world.must("v5", world.ready("v5"))
    for _ in range(blocks - 2):
        world.must("alice", op.OpenAccount(account=f"a{world.tip.height}", owner="alice"))
    assert is_due(world.blocks[-1])
    with world.store.snapshot() as view:
        made = shelf.make(view)
    attest(world, made, "v1", "v2", "v3", "v5")
    assert make_attester(world, shelf).keep_proofs(world.tip.height) == [made.height]
    return world, shelf
