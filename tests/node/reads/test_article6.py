"""Reads of authorizations and Party-years: sums as of now, of a height and of a date; balances and reasons for none."""

from __future__ import annotations

from typing import Any

import pytest

from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.reads.article6 import get_authorization, get_party_years, list_authorizations
from node.reads.errors import BadRequest, BeyondFinal, NotFound
from node.reads.messages import convert_record
from node.store.contract import Batch, Family
from node.store.memory import MemoryStore
from tests.node.core.article6.parties import Parties, accepted, approach, date, evidence, terms


def view_of(world: Parties) -> MemoryStore:
    """What a node's store would hold of the world's state."""
    store, batch = MemoryStore(), Batch()
    for key, value in world.reader.data.items():
        batch.put(Family.STATE, key, value)
    store.commit(batch)
    return store


def traded() -> Parties:
    """400 first transferred in 2025, of which 100 were used by Switzerland; 600 more first transferred in 2026."""
    world = Parties()
    accepted(world.issue())
    accepted(world.authorize(terms=terms(cap=1000, first_year=2021, last_year=2030)))
    accepted(world.send("gh", "ch", 400, date(2025, 3, 1)))
    accepted(world.use("ch", 100, 2025, date(2025, 12, 1)))
    accepted(world.send("gh", "se", 600, date(2026, 2, 1)))
    return world


def years(world: Parties, party: str = "GHA", **fields: Any) -> dict[int, tuple[int, int]]:
    answer = get_party_years(view_of(world), pb.GetPartyYearsRequest(party=party, **fields))
    return {row.year: (row.first_transferred, row.used) for row in answer.rows}


def test_sums_as_of_now_of_a_height_and_of_a_date() -> None:
    world = traded()
    assert years(world)[2023] == (1000, 0)
    assert list(years(world)) == [2021, 2022, 2023, 2024, 2025], "the NDC period on record"
    before = world.blocks[-1].header.height - 1
    assert years(world, at_height=before)[2023] == (400, 0), "what was known then"
    assert years(world, as_of=date(2025, 12, 31))[2023] == (400, 0), "what was effective then"
    assert years(world, as_of=date(2025, 2, 28))[2023] == (0, 0)
    assert years(world, "CHE", as_of=date(2025, 12, 1))[2025] == (0, 100), "a date is its whole day"
    with pytest.raises(BeyondFinal):
        years(world, at_height=before + 2)


def test_a_balance_needs_inventory_and_method() -> None:
    view = view_of(traded())
    inventory = [pb.Emissions(year=year, value="1000.5") for year in (2023, 2024)]
    request = pb.GetPartyYearsRequest(party="GHA", inventory=inventory)
    answer = get_party_years(view, request)
    shown = [(row.balance, row.adjustment, row.why) for row in answer.rows[1:4]]
    assert shown == [
        ("", "0", "no emissions were given for 2022"),
        ("2000.5", "333.3333", ""),
        ("1000.5", "250", ""),
    ]
    assert (answer.final, answer.method) == ("200", "AVERAGING")
    request.method = op.Party.MULTI_YEAR
    assert get_party_years(view, request).final == "1000"


def test_each_adjustment_is_shown_with_its_life() -> None:
    world = traded()
    answer = get_party_years(view_of(world), pb.GetPartyYearsRequest(party="CHE", adjustments=True))
    (item,) = answer.adjustments
    assert (item.side, item.units, item.withdrawn, item.authorization) == ("USER", 100, 0, "GHA-1")
    assert [step.state for step in item.life] == ["TRIGGERED"]
    assert item.adjustment == f"CHE-2025-USE-{item.life[0].at.height}.{item.life[0].at.ordinal}"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"party": "KEN"}, NotFound),
        ({"party": "GHA", "first_year": 2025, "last_year": 2024}, BadRequest),
        ({"party": "GHA", "first_year": 1990, "last_year": 2090}, BadRequest),
        ({"party": "GHA", "inventory": [pb.Emissions(year=2021, value="1,000")]}, BadRequest),
        ({"party": "GHA", "inventory": [pb.Emissions(year=2021, value="1")] * 2}, BadRequest),
    ],
)
def test_what_cannot_be_answered_says_why(fields: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        get_party_years(view_of(traded()), pb.GetPartyYearsRequest(**fields))


def status(world: Parties) -> str:
    return get_authorization(view_of(world), pb.GetAuthorizationRequest(authorization="GHA-1")).status


def test_an_authorization_is_shown_with_all_its_versions_and_its_status() -> None:
    world = Parties()
    accepted(world.issue())
    accepted(world.authorize(terms=terms(cap=2000)))
    assert status(world) == "ISSUED"
    changed = terms(cap=1000)
    message = op.AmendAuthorization(
        authorization="GHA-1", version=2, terms=changed, date=date(2024, 2), evidence=evidence()
    )
    accepted(world.run("gha-epa", message))
    found = get_authorization(view_of(world), pb.GetAuthorizationRequest(authorization="GHA-1"))
    assert (found.version, found.covered, found.status) == (2, 1000, "EXHAUSTED")
    assert [item.cap for item in found.terms] == [2000, 1000]
    listed = list_authorizations(view_of(world), pb.ListRequest())
    assert [(a.authorization, list(a.terms)) for a in listed.authorizations] == [("GHA-1", [changed])]
    accepted(world.run("reg", approach(state=op.CooperativeApproach.SUSPENDED, version=2)))
    assert status(world) == "SUSPENDED"
    revocation = op.RevokeAuthorization(authorization="GHA-1", reason="why", date=date(2025), evidence=evidence())
    accepted(world.run("gha-epa", revocation))
    assert status(world) == "REVOKED"
    with pytest.raises(NotFound):
        get_authorization(view_of(world), pb.GetAuthorizationRequest(authorization="GHA-2"))


def test_a_time_frame_ends() -> None:
    world = Parties()
    accepted(world.issue())
    accepted(world.authorize(terms=terms(first_year=2021, last_year=2025)))
    assert status(world) == "EXPIRED", "ledger time is in 2026"


def test_governed_records_come_back_as_they_were_set() -> None:
    world = Parties()
    for record in world.genesis.records:
        versions = world.state.get(t.RECORDS, record.id)
        assert versions is not None
        message = convert_record(record.id, versions[0])
        kind = message.WhichOneof("body")
        assert kind == {"party": "party", "approach": "approach"}.get(record.id.partition(":")[0], "programme")
    ghana = world.state.get(t.RECORDS, "party:GHA")
    assert ghana is not None
    assert convert_record("party:GHA", ghana[0]).party.itmo_registry == "GHA01"


def test_one_year_of_a_period_counts_from_its_start() -> None:
    """Averaging 2021 to 2025: asked for alone, a year has the average and the cumulative figure of all before it."""
    world = Parties()
    for vintage, units in ((2022, 200), (2023, 400)):
        accepted(world.issue(f"b{vintage}", units, vintage))
        accepted(world.authorize(f"GHA-{vintage}", terms=terms(batches=[f"b{vintage}"])))
        accepted(world.send("gh", "ch", units))
    answer = get_party_years(view_of(world), pb.GetPartyYearsRequest(party="GHA", first_year=2023, last_year=2023))
    assert [(row.year, row.first_transferred, row.cumulative, row.adjustment) for row in answer.rows] == [
        (2023, 400, 600, "200")
    ]
    assert answer.final == "120"
    details = pb.GetPartyYearsRequest(party="GHA", first_year=2023, last_year=2023, adjustments=True)
    assert [item.year for item in get_party_years(view_of(world), details).adjustments] == [2023]


def test_the_basis_names_the_moment_as_people_do() -> None:
    answer = get_party_years(view_of(traded()), pb.GetPartyYearsRequest(party="GHA", as_of=date(2025, 2, 28)))
    assert answer.basis.endswith("what was effective by 2025-02-28 23:59:59 UTC")
    far = op.When(ms=2**62, precision=op.When.INSTANT)
    assert "9999-12-31" in get_party_years(view_of(traded()), pb.GetPartyYearsRequest(party="GHA", as_of=far)).basis
