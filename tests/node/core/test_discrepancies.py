"""Closing a disagreement: who may, that it restricts nothing need not stop anybody, and that the next one is new."""

from __future__ import annotations

import pytest

from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from tests.fakes.world import World
from tests.node.core.cases_marks import unrestrict
from tests.node.core.cases_news import attest
from tests.node.core.sample import evidence, ranges, sample_world

LIVE, ENDED = op.Observation.ACTIVE, op.Observation.RETIRED


def two_attestors(world: World, needed: int = 2) -> World:
    policy = op.RegistryPolicy(
        scheme="opaque",
        attestors=["verra", "alice"],
        importers=["importer"],
        attestors_needed=needed,
        capture_grade="B",
    )
    world.must("reg", op.SetRecord(id="registry:verra", version=2, source="test", registry=policy))
    return world


def contradicted(units: tuple[str, int, int] = ("vcs", 1, 10)) -> tuple[World, str]:
    """Verra says that units of alice have retired; the discrepancy's restriction."""
    world = sample_world()
    world.must("verra", attest(units))
    return world, last_name(world)


def last_name(world: World) -> str:
    *_, (key, _) = world.state.scan(t.DISCREPANCIES)
    height, ordinal = t.DISCREPANCIES.parts(key)
    return f"discrepancy/{height}.{ordinal}"


def ended_here() -> World:
    """Ten units of `partly`, nobody's, that Verra retired and calls active since: nothing is left to restrict."""
    world = sample_world()
    world.must("verra", attest(("partly", 1, 10), attestation="ended"))
    world.must("verra", attest(("partly", 1, 10), attestation="lives", status=LIVE))
    return world


def test_what_restricts_nothing_is_closed_too_and_said_again_is_a_new_one() -> None:
    world = ended_here()
    name = last_name(world)
    number = world.row(t.BATCH_NUMBERS, "partly")
    assert world.row(t.BATCHES, number).restrictions == 0
    world.must("verra", unrestrict(("partly", 1, 4), name=name))
    world.must("verra", unrestrict(("partly", 1, 10), name=name, evidence=evidence()))
    again = world.run("verra", unrestrict(("partly", 1, 10), name=name))
    assert again.refusal is not None
    assert again.refusal.reason == R.RESTRICTION_NOT_FOUND, "it is over"
    world.must("verra", attest(("partly", 1, 10), attestation="lives on", status=LIVE))
    assert last_name(world) != name


def test_closing_one_leaves_what_another_says_of_the_same_batch() -> None:
    world, name = contradicted()
    world.must("verra", attest(("vcs", 21, 10), attestation="e2"))
    other = last_name(world)
    world.must("verra", unrestrict(("vcs", 1, 10_000), name=name, evidence=evidence()))
    event = world.blocks[-1].events[-1]
    assert (event.fact("grade"), event.fact("reference"), event.fact("digest")) == ("B", "REF-1", "05" * 32)
    world.must("verra", attest(("vcs", 21, 10), attestation="e3"))
    assert last_name(world) == other, "what stands is no new contradiction"
    world.must("verra", unrestrict(("vcs", 21, 10), name=other))


CLOSERS = [
    ("a stranger", "mallory", (), R.NOT_PERMITTED),
    ("one of two people", "importer", (), R.NEEDS_APPROVAL),
    ("two people of two organisations", "importer", ("alice",), None),
    ("two keys of one person", "alice", ("alice/second",), R.NEEDS_APPROVAL),
    ("two people of one organisation", "alice", ("alice/ravi",), None),
    ("the registry itself", "verra", (), None),
    ("an authority", "authority", (), None),
]


@pytest.mark.parametrize("case", CLOSERS, ids=lambda each: each[0])
def test_as_many_people_as_the_record_asks_attestors(case: tuple[str, str, tuple[str, ...], R | None]) -> None:
    _, by, others, reason = case
    world, name = contradicted()
    two_attestors(world)
    lift = op.Unrestrict(restriction=name, ranges=ranges(("vcs", 1, 10)), reason="looked into")
    refusal = world.run(by, lift, approvals=others).refusal
    assert (refusal.reason if refusal else None) == reason


def test_one_person_is_enough_where_one_attestor_is_and_other_restrictions_need_no_more() -> None:
    world, name = contradicted()
    two_attestors(world, needed=1)
    world.must("importer", unrestrict(("vcs", 1, 10), name=name))
    world = two_attestors(sample_world())
    world.must("importer", op.Restrict(restriction="court", ranges=ranges(("vcs", 1, 10)), reason="order"))
    world.must("importer", unrestrict(("vcs", 1, 10), name="court"))
