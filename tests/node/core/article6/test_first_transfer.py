"""First transfers: partial, once for each tonne, inherited by splits, by each authorization's own definition."""

from __future__ import annotations

from typing import Any

import pytest

from keeling.events import EventKind
from keeling.reasons import Reason
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.article6.stretches import read_stretches
from node.core.intervals import MarkKind, read_layer
from tests.node.core.article6.parties import (
    TERMS,
    Parties,
    a64_levies,
    accepted,
    date,
    evidence,
    programme,
    terms,
)


def ready(first: str = "", **fields: Any) -> Parties:
    world = Parties()
    accepted(world.issue())
    accepted(world.authorize(terms=terms(first, **fields)))
    return world


@pytest.mark.parametrize(
    ("first", "authorized", "abroad", "onward", "ended"),
    [
        ("", 0, 400, 400, 400),
        ("authorization", 1000, 1000, 1000, 1000),
        ("issuance", 1000, 1000, 1000, 1000),
        ("use or cancellation", 0, 0, 0, 100),
    ],
)
def test_each_definition_has_its_moment(first: str, authorized: int, abroad: int, onward: int, ended: int) -> None:
    world = ready(first)
    assert world.sums("GHA", 2023)[0] == authorized
    accepted(world.send("gh", "ch", 400))
    assert world.sums("GHA", 2023)[0] == abroad
    accepted(world.send("ch", "se", 400))
    assert world.sums("GHA", 2023)[0] == onward
    accepted(world.cancel("se", 100))
    assert world.sums("GHA", 2023)[0] == ended


def test_a_part_is_first_transferred_and_the_rest_is_not() -> None:
    world = ready()
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="b", first=300, units=400)))
    stretches = read_stretches(world.state, 1, 0, 1000)
    assert [(s.first, s.units, bool(s.version)) for s in stretches] == [
        (0, 300, False),
        (300, 400, True),
        (700, 300, False),
    ]
    accepted(world.send("gh", "se", 600))
    assert world.sums("GHA", 2023) == (1000, 0)
    assert world.actions()[-2:] == [("TRANSFER", "first", 300), ("TRANSFER", "first", 300)]


def test_the_mark_says_which_action_and_which_version() -> None:
    world = ready()
    accepted(world.send("gh", "ch", 100))
    accepted(world.send("gh", "ch", 100))
    places = [p for p, e in world.log() if e.kind == EventKind.ITMO_ACTION and e.fact("first_transfer")]
    marks = read_layer(world.state, 1, MarkKind.FIRST_TRANSFER, "", 0, 1000)
    assert [mark.value for _, mark in marks] == [f"1 {place.height}.{place.ordinal}" for place in places]


def test_what_a_reversal_undid_can_be_first_transferred_again() -> None:
    world = ready("use or cancellation")
    accepted(world.cancel("gh", 100))
    place = next(p for p, e in world.log() if e.kind == EventKind.CANCELLED)
    reversal = op.Reverse(height=place.height, ordinal=place.ordinal, reason="error", evidence=evidence())
    accepted(world.run("reg", reversal))
    assert world.sums("GHA", 2023) == (0, 0)
    accepted(world.cancel("gh", 100))
    assert world.sums("GHA", 2023) == (100, 0)
    assert world.row(t.AUTHORIZATIONS, "GHA-1").transferred == 100


def test_a_split_inherits_the_mark_and_going_home_does_not_take_it_off() -> None:
    world = ready()
    accepted(world.send("gh", "ch", 100))
    accepted(world.send("ch", "ch2", 30))
    accepted(world.send("ch2", "gh", 10))
    accepted(world.send("gh", "se", 0, None, op.Range(batch="b", first=0, units=10)))
    assert world.sums("GHA", 2023) == (100, 0)
    first = [units for _, is_first, units in world.actions() if is_first]
    assert sum(first) == 100


def test_vintage_year_for_the_host_and_use_year_for_the_user_whatever_the_day() -> None:
    world = ready()
    accepted(world.send("gh", "ch", 100, date(2025, 12, 31)))
    accepted(world.use("ch", 60, 2024, date(2026, 1, 15)))
    assert world.sums("GHA", 2023) == (100, 0)
    assert world.sums("CHE", 2024) == (0, 60)
    assert [world.sums("GHA", year) for year in (2024, 2025, 2026)] == [(0, 0)] * 3
    assert [world.sums("CHE", year) for year in (2023, 2025, 2026)] == [(0, 0)] * 3


def test_acquiring_adjusts_nothing() -> None:
    world = ready()
    accepted(world.send("gh", "ch", 100))
    assert all(world.sums("CHE", year) == (0, 0) for year in range(2021, 2027))


def test_for_both_purposes_whichever_comes_first_and_only_that() -> None:
    world = ready("use or cancellation", purpose=TERMS.NDC_AND_OIMP)
    accepted(world.send("gh", "ch", 100))
    assert world.sums("GHA", 2023) == (100, 0), "the first international transfer came first"
    accepted(world.cancel("ch", 40))
    assert world.sums("GHA", 2023) == (100, 0)
    accepted(world.cancel("gh", 7))
    assert world.sums("GHA", 2023) == (107, 0), "here the cancellation came first"


def test_a_cancellation_that_is_the_first_transfer_is_one_action() -> None:
    world = ready("use or cancellation")
    accepted(world.cancel("gh", 10))
    assert world.actions()[1:] == [("CANCEL", "first", 10)]


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        (op.Cancel.VOLUNTARY, True),
        (op.Cancel.OMGE, True),
        (op.Cancel.OTHER, True),
        (op.Cancel.ADMINISTRATIVE, False),
        (op.Cancel.REVERSAL, False),
    ],
)
def test_what_an_administrator_cancels_is_no_first_transfer(kind: op.Cancel.Kind.ValueType, first: bool) -> None:
    world = ready("use or cancellation")
    accepted(world.cancel("gh", 10, kind))
    assert world.sums("GHA", 2023)[0] == (10 if first else 0)


def test_a_host_that_uses_its_own_units_adjusts_nothing_until_they_were_transferred() -> None:
    world = ready()
    accepted(world.use("gh", 10))
    assert world.sums("GHA", 2025) == (0, 0)
    accepted(world.send("gh", "ch", 20))
    accepted(world.send("ch", "gh2", 20))
    accepted(world.use("gh2", 20))
    assert world.sums("GHA", 2025) == (0, 20), "bought back, they are ITMOs like any other"
    assert world.sums("GHA", 2023) == (20, 0)


def test_units_that_are_abroad_when_they_are_authorized_are_first_transferred_then() -> None:
    world = Parties()
    accepted(world.issue())
    accepted(world.send("gh", "ch", 100))
    accepted(world.authorize())
    assert world.sums("GHA", 2023) == (100, 0)


def test_what_was_used_before_the_authorization_never_comes_under_it() -> None:
    world = Parties()
    accepted(world.issue())
    accepted(world.cancel("gh", 100))
    accepted(world.authorize(terms=terms("authorization")))
    assert world.sums("GHA", 2023) == (900, 0)
    assert world.row(t.AUTHORIZATIONS, "GHA-1").covered == 900


def test_a_cap_is_used_up_from_the_lowest_position_and_the_rest_goes_to_the_next() -> None:
    world = Parties()
    accepted(world.issue("x"))
    accepted(world.authorize("GHA-1", terms=terms(batches=["x"], projects=["p"], cap=1300)))
    accepted(world.authorize("GHA-2", terms=terms(projects=["p"])))
    accepted(world.issue("y"))
    second = read_stretches(world.state, 2, 0, 1000)
    assert [(s.first, s.units, s.authorization) for s in second] == [(0, 300, "GHA-1"), (300, 700, "GHA-2")]
    assert [event.subject for event in world.events_of(EventKind.AUTHORIZATION_EXHAUSTED)] == ["GHA-1"]


def test_itmo_numbers_are_unique_in_the_registry_and_keep_their_offset() -> None:
    world = ready()
    accepted(world.issue("c", 50, 2024))
    accepted(world.authorize("GHA-2", terms=terms(batches=["c"])))
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="c", first=10, units=5)))
    action = world.events_of(EventKind.ITMO_ACTION)[-1]
    assert action.fact("itmo") == "CA0004-GHA01-GHA-1011-2024"
    assert (action.fact("first_id"), action.fact("last_id")) == ("1011", "1015")


def test_recognitions_are_two_facts_and_no_adjustment() -> None:
    world = ready()
    accepted(world.send("gh", "ch", 100))
    place = next(p for p, e in reversed(world.log()) if e.kind == EventKind.ITMO_ACTION)

    def recognise(by: str, code: str, hour: int) -> Reason | None:
        at = op.When(ms=date(2025, 3, 14).ms + hour * 3_600_000, precision=op.When.INSTANT)
        message = op.Recognise(
            authorization="GHA-1", height=place.height, ordinal=place.ordinal, party=code, at=at, evidence=evidence()
        )
        answer = world.run(by, message)
        return answer.refusal.reason if answer.refusal else None

    assert recognise("gha-epa", "GHA", 9) is None
    assert recognise("che-bafu", "CHE", 10) is None
    assert recognise("che-bafu", "CHE", 11) == Reason.ALREADY_RECOGNISED
    assert recognise("swe-energy", "SWE", 11) == Reason.ACTION_NOT_FOUND
    assert recognise("che-bafu", "GHA", 11) == Reason.NOT_PERMITTED
    times = [(e.fact("party"), e.effective.ms) for e in world.events_of(EventKind.RECOGNISED)]
    assert times[1][1] - times[0][1] == 3_600_000
    assert len(world.events_of(EventKind.ADJUSTED)) == 1


def test_a_revocation_spares_the_400_and_restricts_the_rest() -> None:
    world = ready()
    accepted(world.send("gh", "ch", 400))
    due = date(2027)
    message = op.RevokeAuthorization(
        authorization="GHA-1", reason="law changed", date=date(2025, 6, 1), due=due, evidence=evidence()
    )
    accepted(world.run("gha-epa", message))
    event = world.events_of(EventKind.AUTHORIZATION_REVOKED)[0]
    assert (event.fact("spared"), event.fact("restricted")) == ("400", "600")
    assert world.sums("GHA", 2023) == (400, 0), "an adjustment is never unwound by a revocation"
    notice = world.state.get(t.NOTICES, "revocation/GHA-1")
    assert notice is not None
    assert notice.open
    answer = world.send("gh", "gh2", 0, None, op.Range(batch="b", first=500, units=1))
    assert answer.refusal is not None
    assert answer.refusal.reason == Reason.UNITS_RESTRICTED
    accepted(world.send("ch", "se", 100))
    accepted(world.use("ch", 100))
    assert world.sums("CHE", 2025) == (0, 100), "what was first transferred goes on"


def test_an_amendment_does_not_reach_what_was_first_transferred() -> None:
    world = ready()
    accepted(world.send("gh", "ch", 400))
    changed = terms("use or cancellation")
    message = op.AmendAuthorization(
        authorization="GHA-1", version=2, terms=changed, date=date(2025, 7, 1), evidence=evidence()
    )
    accepted(world.run("gha-epa", message))
    accepted(world.use("ch", 400))
    assert world.sums("CHE", 2025) == (0, 400), "the 400 are still for NDC use"
    accepted(world.send("gh", "ch", 50))
    assert world.sums("GHA", 2023) == (400, 0), "the others are not, and their transfer is not first"
    refused = world.use("ch", 50)
    assert refused.refusal is not None
    assert refused.refusal.reason == Reason.PURPOSE_NOT_AUTHORIZED


def test_an_amendment_to_a_definition_that_is_met_transfers_at_once() -> None:
    world = ready("use or cancellation")
    message = op.AmendAuthorization(
        authorization="GHA-1", version=2, terms=terms("authorization"), date=date(2025, 7, 1), evidence=evidence()
    )
    accepted(world.run("gha-epa", message))
    assert world.sums("GHA", 2023) == (1000, 0)


def test_article_6_4_takes_its_levies_and_6_2_takes_none() -> None:
    world = Parties(programme("A64", a64_levies()))
    accepted(world.authorize(terms=terms(programmes=["A64", "GHA-CP"])))
    accepted(world.issue("a", 7125, 2024, programme="A64", project="act"))
    assert world.actions() == [
        ("LEVY_ADAPTATION", "first", 357),
        ("LEVY_OMGE", "first", 143),
        ("AUTHORIZE", "", 6625),
    ]
    assert world.sums("GHA", 2024) == (500, 0), "authorized levies are first transferred at issuance"
    accepted(world.issue("b", 7125, 2024))
    assert world.sums("GHA", 2024) == (500, 0)
    assert world.actions()[-1] == ("AUTHORIZE", "", 7125)


def test_mitigation_contribution_units_adjust_nothing_and_can_be_authorized_later() -> None:
    world = Parties(programme("A64", a64_levies()))
    accepted(world.issue("a", 7125, 2024, programme="A64", project="act"))
    accepted(world.send("gh", "ch", 100))
    assert world.actions() == []
    accepted(world.authorize(terms=terms(projects=["act"])))
    assert world.sums("GHA", 2024) == (100, 0)
    covered = sum(units for kind, _, units in world.actions() if kind in ("AUTHORIZE", "TRANSFER"))
    assert covered == 7125 - 143, "what was cancelled for overall mitigation stays what it was"
