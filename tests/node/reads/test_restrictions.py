"""When a restriction began and ended, also one that is over, and what closed a discrepancy."""

from __future__ import annotations

import pytest

from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.reads import get_restriction, list_discrepancies, list_restrictions
from node.reads.errors import NotFound
from tests.hub.dispatch.stage import EVIDENCE, open_puro_world
from tests.node.reads.trading_world import IndexedWorld

Change = tuple[bool, int, int]


def units(first: int, size: int) -> op.Range:
    return op.Range(batch="corc-1", first=first, units=size)


def restrict(world: IndexedWorld, name: str, first: int, size: int) -> None:
    world.must("hub", op.Restrict(restriction=name, ranges=[units(first, size)], reason="said there"))


def lift(world: IndexedWorld, name: str, first: int, size: int, reason: str = "over") -> None:
    world.must("hub", op.Unrestrict(restriction=name, ranges=[units(first, size)], reason=reason, evidence=EVIDENCE))


def history(world: IndexedWorld, name: str, batch: str = "corc-1") -> list[Change]:
    with world.store.snapshot() as view:
        found = get_restriction(view, pb.GetRestrictionRequest(batch=batch, restriction=name))
    assert found.height == world.tip.height
    assert [each.height for each in found.changes] == sorted(each.height for each in found.changes)
    return [(each.began, each.range.first, each.range.units) for each in found.changes]


def test_a_restriction_is_told_with_its_parts_and_after_it_is_over() -> None:
    world = open_puro_world()
    restrict(world, "one", 10, 10)
    restrict(world, "other", 15, 10)
    lift(world, "one", 10, 4)
    lift(world, "one", 10, 10)
    assert history(world, "one") == [(True, 10, 10), (False, 10, 4), (False, 10, 10)]
    assert history(world, "other") == [(True, 15, 10)]
    with world.store.snapshot() as view:
        alike = get_restriction(view, pb.GetRestrictionRequest(batch="corc-1", restriction="o", prefix=True)).changes
    assert [each.restriction for each in alike] == ["one", "other", "one", "one"]
    for name, batch in (("on", "corc-1"), ("one", "nothing")):
        with pytest.raises(NotFound):
            history(world, name, batch)


def test_what_closed_a_discrepancy_is_told_with_its_reason_and_evidence() -> None:
    world = open_puro_world()
    for name, first in (("e1", 100), ("e2", 200)):
        said = op.Attest(registry="puro", attestation=name, range=units(first, 5), status=op.Observation.RETIRED)
        said.evidence.CopyFrom(EVIDENCE)
        world.must("hub", said)
    with world.store.snapshot() as view:
        one, other = list_discrepancies(view, pb.ListRequest()).discrepancies
    assert not one.HasField("closed")
    place = f"discrepancy/{one.place.height}.{one.place.ordinal}"
    lift(world, place, 100, 2, "half of it")
    lift(world, place, 100, 5, "their letter")
    with world.store.snapshot() as view:
        closed, standing = list_discrepancies(view, pb.ListRequest()).discrepancies
        assert [each.place for each in list_discrepancies(view, pb.ListRequest(open_only=True)).discrepancies] == [
            other.place
        ]
    assert (closed.open, standing.open, standing.HasField("closed")) == (False, True, False)
    facts = {fact.name: fact.value for fact in closed.closed.facts}
    assert (facts["reason"], facts["grade"], facts["digest"]) == ("their letter", "C", EVIDENCE.digest.hex())
    assert closed.closed.place.height == world.tip.height


def listed(
    world: IndexedWorld, prefix: str = "", size: int = 0, account: str = "alice/puro"
) -> list[tuple[str, int, int]]:
    """All pages: name, first position and units."""
    found: list[tuple[str, int, int]] = []
    token = ""
    while True:
        asked = pb.ListRestrictionsRequest(account=account, prefix=prefix, page_size=size, page_token=token)
        with world.store.snapshot() as view:
            page = list_restrictions(view, asked)
        found += [(each.restriction, each.range.first, each.range.units) for each in page.restrictions]
        token = page.next_page_token
        if not token:
            return found


def test_what_restricts_units_of_an_account_is_listed_by_name() -> None:
    world = open_puro_world()
    assert listed(world) == []
    restrict(world, "session/a", 10, 10)
    restrict(world, "session/b", 15, 10)
    restrict(world, "court", 100, 1)
    lift(world, "session/a", 12, 2)
    expected = [("court", 100, 1), ("session/a", 10, 2), ("session/a", 14, 6), ("session/b", 15, 10)]
    assert listed(world) == listed(world, size=1) == expected
    assert listed(world, "session/") == expected[1:]
    assert listed(world, "none") == []
    with world.store.snapshot() as view:
        first = list_restrictions(view, pb.ListRestrictionsRequest(account="alice/puro")).restrictions[0]
        with pytest.raises(NotFound):
            list_restrictions(view, pb.ListRestrictionsRequest(account="nobody"))
    assert (first.reason, first.state, first.serials[:4]) == ("said there", "FREE", "PURO")
    assert first.began.height


def test_a_disagreement_that_was_closed_stays_closed_when_the_registry_says_the_same_once_more() -> None:
    world = open_puro_world()

    def attest(name: str, status: op.Observation.Status.ValueType, first: int) -> None:
        said = op.Attest(registry="puro", attestation=name, range=units(first, 5), status=status)
        said.evidence.CopyFrom(EVIDENCE)
        world.must("hub", said)

    def stand() -> list[bool]:
        with world.store.snapshot() as view:
            return [each.open for each in list_discrepancies(view, pb.ListRequest()).discrepancies]

    attest("e1", op.Observation.RETIRED, 100)
    with world.store.snapshot() as view:
        (one,) = list_discrepancies(view, pb.ListRequest()).discrepancies
    lift(world, f"discrepancy/{one.place.height}.{one.place.ordinal}", 100, 5)
    attest("e2", op.Observation.RETIRED, 100)
    assert stand() == [False, True]
    hold = op.Hold(
        hold=b"h" * 16,
        account="alice/puro",
        selection=op.Selection(ranges=[units(200, 5)]),
        purpose=op.Hold.FOR_RETIREMENT,
        expires_ms=world.now_ms + 1_000_000,
        buyer="bob",
    )
    world.must("alice", hold)
    world.must("hub", op.Dispatch(hold=b"h" * 16, attempt=1, instruction=bytes(32)))
    world.must("hub", op.Capture(hold=b"h" * 16, evidence=op.Evidence(digest=bytes(32), grade="B", reference="T")))
    attest("e3", op.Observation.ACTIVE, 200)
    with world.store.snapshot() as view:
        *_, ended = list_discrepancies(view, pb.ListRequest()).discrepancies
    assert (ended.ledger, ended.open, ended.restricted) == ("RETIRED in alice/puro", True, False)
    lift(world, f"discrepancy/{ended.place.height}.{ended.place.ordinal}", 200, 5)
    assert stand() == [False, True, False]
    attest("e4", op.Observation.ACTIVE, 200)
    assert stand() == [False, True, False, True], "the mark is of the second one alone"
