"""Two claims of the same serials: both on record, the units restricted, until the registry's attestors decide."""

from typing import Any

from keeling.units import UnitState
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.lots import find_lot
from tests.fakes.world import World
from tests.node.core.cases_accounts import link
from tests.node.core.conservation import check_told
from tests.node.core.sample import evidence, give, ranges, sample_world


def holder(world: World, position: int) -> tuple[str, UnitState]:
    found = find_lot(world.state, world.row(t.BATCH_NUMBERS, "partly"), position)
    assert found is not None
    return world.row(t.ACCOUNTS, found[1].account).name, UnitState(found[1].state)


def contested() -> World:
    """Bob has claimed 1 to 50, Mallory 31 to 70."""
    world = sample_world()
    first = op.Link(
        account="L2", registry="verra", registry_account="ACC-2", hub="hub", control=op.Link.CUSTODY,
        claims=ranges(("partly", 1, 50)), evidence=evidence("B", "STATEMENT-1"),
    )  # fmt: skip
    world.must("bob", first, approvals=("importer",))
    world.must(
        "mallory", link(claims=ranges(("partly", 31, 40)), evidence=evidence("C", "PAGE-2")), approvals=("importer",)
    )
    return world


def decide(units: int = 20, **fields: Any) -> op.Link:
    return link(claims=ranges(("partly", 31, units)), evidence=evidence("A", "REGISTRY-3"), **fields)


def test_both_claims_are_shown_and_only_what_is_contested_is_restricted() -> None:
    world = contested()
    ((_, row),) = world.state.scan(t.DISCREPANCIES)
    assert (row.piece.first, row.piece.units) == (31, 20)
    assert (row.ledger, row.registry, row.source) == ("FREE in L2", "claimed for M", "PAGE-2")
    assert holder(world, 60) == ("M", UnitState.FREE)
    assert str(world.run("bob", give("L2", "L3", 0, ("partly", 31, 1))).refusal).startswith("UNITS_RESTRICTED")


def test_attestors_may_keep_the_first_claim() -> None:
    world = contested()
    ((key, _),) = world.state.scan(t.DISCREPANCIES)
    height, ordinal = t.DISCREPANCIES.parts(key)
    lift = op.Unrestrict(
        restriction=f"discrepancy/{height}.{ordinal}", ranges=ranges(("partly", 31, 20)), reason="statement of 3 May"
    )
    world.must("verra", lift)
    assert holder(world, 31) == ("L2", UnitState.FREE)
    number = world.row(t.BATCH_NUMBERS, "partly")
    assert world.row(t.BATCHES, number).restrictions == 0
    world.run("mallory", decide(), approvals=("verra",))
    assert holder(world, 31) == ("L2", UnitState.FREE), "a decided contest is not decided again: it is a new one"
    assert len(list(world.state.scan(t.DISCREPANCIES))) == 2
    check_told(world)


def test_attestors_may_give_the_units_to_the_second() -> None:
    world = contested()
    world.must("mallory", decide(5), approvals=("verra",))
    assert [holder(world, at)[0] for at in (30, 31, 35, 36, 50)] == ["L2", "M", "M", "L2", "L2"]
    world.must("mallory", link(claims=ranges(("partly", 36, 15)), evidence=evidence("A")), approvals=("verra",))
    assert holder(world, 50) == ("M", UnitState.FREE)
    number = world.row(t.BATCH_NUMBERS, "partly")
    assert world.row(t.BATCHES, number).restrictions == 0
    check_told(world)


def test_claim_of_units_whose_first_owner_retired_them_is_recorded_without_a_restriction() -> None:
    world = contested()
    hold = op.Hold(hold=b"h" * 16, account="L2", selection=op.Selection(ranges=ranges(("partly", 1, 10))),
                   purpose=op.Hold.FOR_RETIREMENT, expires_ms=world.now_ms + 9_000_000)  # fmt: skip
    world.must("bob", hold)
    world.must("hub", op.Dispatch(hold=b"h" * 16, attempt=1, instruction=bytes(32)))
    world.must("verra", op.Capture(hold=b"h" * 16, evidence=evidence("A")))
    world.must("mallory", link(claims=ranges(("partly", 1, 10)), evidence=evidence("C")), approvals=("importer",))
    assert holder(world, 1) == ("L2", UnitState.RETIRED)
    assert [row.ledger for _, row in world.state.scan(t.DISCREPANCIES)] == ["FREE in L2", "RETIRED in L2"]
    number = world.row(t.BATCH_NUMBERS, "partly")
    assert world.row(t.BATCHES, number).restrictions == 1
