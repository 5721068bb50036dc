"""Twin proposals: opened by an export, decided by a person with evidence or by a governed rule, never twice."""

from typing import Any

import pytest

from keeling.reasons import Reason as R
from keeling.units import UnitState
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.lots import find_lot
from node.core.records import Proposal, ProposalStatus
from node.core.twins import LIVES_AS, read_twins
from tests.fakes.world import World
from tests.node.core.cases_twins import CONVERT, outside
from tests.node.core.sample import evidence, sample_world, seen

NAME = "partly@11"
MOVED = {"destination": "national", "because": "transferred to the national registry"}


def shown(*observations: op.Observation) -> op.ExtendBatch:
    return op.ExtendBatch(batch="partly", observations=observations, evidence=evidence("C"), run="run-1")


def moved(first: int = 11, units: int = 20, status: int = op.Observation.CANCELLED, **fields: str) -> op.Observation:
    return seen(first, units, status, **{**MOVED, **fields})


def accept(**fields: Any) -> op.Twin:
    body = {"ours": ("partly", 11, 20), "destination": "national", "identifier": "N-1", "proposal": NAME, **fields}
    return outside(CONVERT, **body)


def decline(**fields: Any) -> op.Notice:
    body = {"notice": NAME, "kind": "twin-proposal", "close": True, "evidence": evidence("D"), **fields}
    return op.Notice(**body)


def proposals(world: World) -> dict[int, Proposal]:
    return {t.PROPOSALS.parts(key)[1]: row for key, row in world.state.scan(t.PROPOSALS)}


def state_of(world: World, position: int) -> UnitState:
    found = find_lot(world.state, world.row(t.BATCH_NUMBERS, "partly"), position)
    assert found is not None
    return UnitState(found[1].state)


def proposed() -> World:
    world = sample_world()
    world.must("importer", shown(moved()))
    return world


def test_export_opens_a_proposal_that_changes_nothing() -> None:
    world = proposed()
    ((first, row),) = proposals(world).items()
    assert (first, row[:5]) == (11, (20, "national", MOVED["because"], "run-1", ProposalStatus.OPEN))
    assert state_of(world, 11) == UnitState.CANCELLED


REFUSED = [
    ("no reason given", R.MISSING_FIELD, "importer", shown(moved(because=""))),
    ("no destination", R.MISSING_FIELD, "importer", shown(moved(destination=""))),
    ("two destinations", R.BAD_FIELD, "importer", shown(moved(destination="a|b"))),
    ("destination of 257", R.BAD_FIELD, "importer", shown(moved(destination="x" * 257))),
    ("active units", R.BAD_FIELD, "importer", shown(moved(status=op.Observation.ACTIVE))),
    ("accepted: no such proposal", R.NOTICE_NOT_FOUND, "importer", accept(proposal="partly@12")),
    ("accepted: no such batch", R.NOTICE_NOT_FOUND, "importer", accept(proposal="none@11")),
    ("accepted: no number", R.NOTICE_NOT_FOUND, "importer", accept(proposal="partly@x")),
    ("accepted: other units", R.BAD_FIELD, "importer", accept(ours=("partly", 11, 19))),
    ("accepted: elsewhere", R.BAD_FIELD, "importer", accept(destination="mars")),
    ("accepted by a stranger", R.NOT_PERMITTED, "bob", accept()),
    ("declined: opened by hand", R.BAD_FIELD, "importer", decline(close=False)),
    ("declined without evidence", R.MISSING_FIELD, "importer", decline(evidence=None)),
    ("declined: no such proposal", R.NOTICE_NOT_FOUND, "importer", decline(notice="partly@12")),
    ("declined by a stranger", R.NOT_PERMITTED, "bob", decline()),
]


@pytest.mark.parametrize(("reason", "by", "operation"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_what_cannot_be_proposed_or_decided(reason: R, by: str, operation: op.Twin) -> None:
    world = proposed()
    before = proposals(world)
    answer = world.run(by, operation)
    assert answer.refusal is not None
    assert answer.refusal.reason == reason, answer.refusal
    assert proposals(world) == before


def test_accepted_proposal_converts_and_keeps_the_identifier() -> None:
    world = proposed()
    world.must("importer", accept())
    row = proposals(world)[11]
    assert (row.status, row.decided.height) == (ProposalStatus.ACCEPTED, world.tip.height)
    assert state_of(world, 11) == UnitState.CONVERTED
    (pair,) = read_twins(world.state, world.row(t.BATCH_NUMBERS, "partly"), LIVES_AS, 11, 20)
    assert (pair.destination, pair.identifier) == ("national", "N-1")
    assert str(world.run("importer", decline()).refusal).startswith("NOTICE_NOT_FOUND")


def test_declined_proposal_stays_declined_when_the_export_comes_again() -> None:
    world = proposed()
    world.must("importer", decline())
    world.must("importer", shown(moved(11, 5), moved(16, 15)))
    assert {first: row.status for first, row in proposals(world).items()} == {11: ProposalStatus.DECLINED}
    assert state_of(world, 11) == UnitState.CANCELLED
    assert str(world.run("importer", accept()).refusal).startswith("NOTICE_NOT_FOUND")


def test_only_what_was_not_proposed_before_is_queued() -> None:
    world = proposed()
    world.must("importer", shown(moved(6, 40)))
    assert {first: row.units for first, row in proposals(world).items()} == {6: 5, 11: 20, 31: 15}


def test_governed_rule_decides_what_it_lists_and_nothing_else() -> None:
    world = sample_world()
    rule = op.SetRecord(id="rule:twin.auto", version=1, source="decision 7", rule=op.Rule(value="verra>arb verra>eco"))
    world.must("reg", rule)
    answer = world.must(
        "importer", shown(moved(11, 20, destination="arb"), moved(31, 5), moved(41, 5, destination="eco"))
    )
    assert {first: row.status for first, row in proposals(world).items()} == {
        11: ProposalStatus.BY_RULE,
        31: ProposalStatus.OPEN,
        41: ProposalStatus.BY_RULE,
    }
    assert [state_of(world, at) for at in (11, 31, 41)] == [
        UnitState.CONVERTED,
        UnitState.CANCELLED,
        UnitState.CONVERTED,
    ]
    assert b"rule:twin.auto version 1" in b"".join(answer.events)


def test_rule_leaves_to_a_person_what_somebody_has_claimed() -> None:
    world = sample_world()
    rule = op.SetRecord(id="rule:twin.auto", version=1, source="decision 7", rule=op.Rule(value="verra>national"))
    world.must("reg", rule)
    world.must(
        "verra",
        op.ExtendBatch(batch="vcs", observations=[moved()], evidence=evidence("C"), run="r"),
        approvals=("importer",),
    )
    ((_, row),) = proposals(world).items()
    assert row.status == ProposalStatus.OPEN
    assert len(list(world.state.scan(t.DISCREPANCIES))) == 1
