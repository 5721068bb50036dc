"""Buffer units, as an export shows them and as a registry moves them: never sold, retired or claimed."""

import pytest

from keeling.reasons import Reason
from keeling.units import UnitState
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from tests.fakes.world import World
from tests.node.core.cases_accounts import claim
from tests.node.core.cases_ends import COMPENSATE, DEPOSIT, WITHDRAW, buffer, retire
from tests.node.core.sample import evidence, give, sample_world, seen, some

S = op.Observation


def show(*observations: op.Observation) -> op.ExtendBatch:
    return op.ExtendBatch(batch="partly", observations=observations, evidence=evidence("C"), run="r")


def states(world: World, batch: str) -> dict[int, str]:
    number = world.state.get(t.BATCH_NUMBERS, batch)
    return {t.LOTS.parts(key)[1]: UnitState(lot.state).name for key, lot in world.state.scan(t.LOTS, number)}


def shown_in_buffer() -> World:
    world = sample_world()
    world.must("importer", show(seen(1, 40, S.BUFFER)))
    return world


@pytest.mark.parametrize(
    ("status", "state"), [(S.ACTIVE, "FREE"), (S.CANCELLED, "CANCELLED"), (S.ENDED, "ENDED"), (S.BUFFER, "BUFFER")]
)
def test_later_exports_show_buffer_units_released_or_used_up(status: int, state: str) -> None:
    world = shown_in_buffer()
    world.must("importer", show(seen(1, 10, status)))
    assert states(world, "partly")[1] == state
    assert not list(world.state.scan(t.DISCREPANCIES))


def test_units_that_were_used_up_do_not_come_back_by_an_export() -> None:
    world = shown_in_buffer()
    world.must("importer", show(seen(1, 40, S.CANCELLED)))
    world.must("importer", show(seen(1, 40, S.BUFFER)))
    assert states(world, "partly")[1] == "CANCELLED"
    ((_, row),) = world.state.scan(t.DISCREPANCIES)
    assert (row.ledger, row.registry) == ("CANCELLED in unassigned@verra", "BUFFER")


def test_buffer_units_cannot_be_claimed() -> None:
    answer = shown_in_buffer().run("mallory", claim(("partly", 1, 10)), approvals=("importer",))
    assert answer.refusal is not None
    assert answer.refusal.reason == Reason.CLAIM_CONTESTED


IN_BUFFER = some(0, ("nat", 0, 10))
STOPPED = [
    ("sold", give("A", "A-OTHER", 0, ("nat", 0, 10))),
    ("retired", retire(selection=IN_BUFFER)),
    ("used", op.Use(account="A", selection=IN_BUFFER, use=op.Purposeful(kind=op.Purposeful.NDC, year=2030))),
    (
        "held",
        op.Hold(
            hold=b"h" * 16,
            account="A",
            selection=IN_BUFFER,
            purpose=op.Hold.FOR_RETIREMENT,
            expires_ms=2_000_000_000_000,
        ),
    ),
]


@pytest.mark.parametrize("operation", [row[1] for row in STOPPED], ids=[row[0] for row in STOPPED])
def test_nothing_but_the_registry_moves_buffer_units(operation: op.Transfer) -> None:
    world = sample_world()
    world.must("reg", buffer(DEPOSIT))
    answer = world.run("alice", operation)
    assert answer.refusal is not None
    assert answer.refusal.reason == Reason.UNITS_NOT_FREE


def test_deposit_release_and_compensation_leave_every_unit_somewhere() -> None:
    world = sample_world()
    world.must("reg", buffer(DEPOSIT, ("nat", 0, 100)))
    world.must("reg", buffer(WITHDRAW, ("nat", 0, 30)))
    world.must("reg", buffer(COMPENSATE, ("nat", 30, 20)))
    assert list(states(world, "nat").values()) == ["FREE", "CANCELLED", "BUFFER", "FREE"]
    again = world.run("reg", buffer(WITHDRAW, ("nat", 30, 20)))
    assert again.refusal is not None
    assert again.refusal.reason == Reason.UNITS_NOT_FREE
