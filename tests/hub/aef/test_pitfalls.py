"""What is easily got wrong in accounting for Article 6: one row, one pitfall, as a reviewer would ask.

Each row is a small ledger and what must be true of it. The rules behind them have tests of their own.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hub.aef import nomenclature as n
from hub.aef.build import build_report
from hub.aef.check import check_report
from hub.aef.layout import ACTIONS, AUTHORIZATIONS, EARLIER, ENTITIES, HOLDINGS, SUBMISSION, cell
from hub.aef.match import match_reports
from hub.aef.read import parse_report
from hub.aef.write import format_csv, format_json
from keeling.events import EventKind
from keeling.reasons import Reason
from keeling.v1 import operations_pb2 as op
from tests.hub.aef.samples import busy_world, hand_written, picture_of, report_of
from tests.hub.aef.test_check import put
from tests.node.core.article6.parties import (
    Parties,
    a64_levies,
    accepted,
    date,
    evidence,
    party,
    programme,
    terms,
)


def ready(first: str = "", **fields: object) -> Parties:
    """1,000 units of 2023 in Ghana, under one authorization."""
    world = Parties()
    accepted(world.issue())
    accepted(world.authorize(terms=terms(first, **fields)))
    return world


def part(first: int, units: int, batch: str = "b") -> op.Range:
    return op.Range(batch=batch, first=first, units=units)


def types(world: Parties, code: str, year: int = 2025) -> list[str]:
    return [cell(ACTIONS, row, "ActionType") for row in report_of(world, code, year).actions]


# -- rules


def partial_first_transfer() -> bool:
    world = ready()
    accepted(world.send("gh", "ch", 0, None, part(300, 400)))
    accepted(world.send("ch", "ch2", 0, None, part(350, 10)))
    before = world.sums("GHA", 2023)
    accepted(world.send("gh", "ch", 0, None, part(200, 100)))
    return before == (400, 0) and world.sums("GHA", 2023) == (500, 0)


def acquiring_is_no_term() -> bool:
    world = ready()
    accepted(world.send("gh", "ch", 100))
    acquired = world.sums("CHE", 2025)
    accepted(world.use("ch", 60, 2025))
    return acquired == (0, 0) and world.sums("CHE", 2025) == (0, 60)


def vintage_for_the_host_year_of_use_for_the_user() -> bool:
    world = ready()
    accepted(world.send("gh", "ch", 100, date(2025, 12, 31)))
    accepted(world.use("ch", 60, 2024, date(2026, 1, 15)))
    return world.sums("GHA", 2023) == (100, 0) and world.sums("CHE", 2024) == (0, 60)


def definition_of_each_authorization() -> bool:
    world = ready("use or cancellation")
    accepted(world.issue("c", 50))
    accepted(world.authorize("GHA-2", terms=terms("authorization", batches=["c"])))
    at_once = world.sums("GHA", 2023)
    accepted(world.cancel("gh", 1000))
    return at_once == (50, 0) and world.sums("GHA", 2023) == (1050, 0)


def levies_of_6_4_alone() -> bool:
    world = Parties(programme("A64", a64_levies()))
    accepted(world.issue("a", 7125, 2024, programme="A64", project="a"))
    of_64 = {move.to_account: move.units for event in world.blocks[-1].events for move in event.moves}
    accepted(world.issue("b", 7125, 2024))
    of_62 = {move.to_account: move.units for event in world.blocks[-1].events for move in event.moves}
    return of_64 == {"AF": 357, "OMGE": 143, "gh": 6625} and of_62 == {"gh": 7125}


def minimum_is_never_rounded_down() -> bool:
    world = Parties(programme("A64", a64_levies()))
    for units in (49, 50, 101):
        accepted(world.issue(f"a{units}", units, 2024, programme="A64", project="a"))
        found = {move.to_account: move.units for event in world.blocks[-1].events for move in event.moves}
        if found["OMGE"] * 100 < 2 * units:
            return False
    return True


def ids_and_dates_by_edition() -> bool:
    report = build_report(picture_of(busy_world()), "GHA", 2025, edition=EARLIER)
    now, row = report_of(busy_world(), "GHA", 2025).actions[1], report.actions[1]
    earlier = (cell(ACTIONS, row, "FirstID"), cell(ACTIONS, row, "ActionDateTime"))
    current = (cell(ACTIONS, now, "FirstID"), cell(ACTIONS, now, "ActionDateTime"))
    return earlier == ("CA0004-GHA01-GHA-1-2023", "15/03/2025") and current == ("1", "2025-03-15T00:00:00.000Z")


def other_dates_stay() -> bool:
    report = build_report(picture_of(busy_world()), "CHE", 2025)
    dates = (cell(AUTHORIZATIONS, report.authorizations[0], "DateOfAuthorization"), report.entities[0][0])
    countries = {cell(ENTITIES, row, "CountryOfIncorporation") for row in report.entities}
    return all(len(text) == 10 and text[2] == text[5] == "/" for text in dates) and countries == {"CHE", "SWE"}


def words_as_they_are_listed() -> bool:
    spelled = "C02 usage" in n.ACTIVITY_TYPES and "Authorisation" in n.FIRST_TRANSFERS
    return spelled and n.ON_AUTHORIZATION == "Authorization" and "Authorization" not in n.FIRST_TRANSFERS


def not_applicable_is_not_empty() -> bool:
    change = put(AUTHORIZATIONS, 1, "AuthorizedTimeframe", "NA")(hand_written())
    empty = put(AUTHORIZATIONS, 1, "AuthorizedTimeframe", "")(hand_written())
    kept = all(parse_report(write(item)) == item for item in (change, empty) for write in (format_json, format_csv))
    filled = put(SUBMISSION, 1, "ResultOfConsistencyCheck", "ok")(hand_written())
    return kept and change != empty and [finding.rule for finding in check_report(filled)] == ["filled-by-CARP"]


def holdings_of_december_are_frozen() -> bool:
    world = ready()
    accepted(world.send("gh", "ch", 100, date(2025, 6, 1)))
    before = report_of(world, "CHE", 2025).holdings
    accepted(world.send("ch", "se", 100, date(2026, 1, 2)))
    return before == report_of(world, "CHE", 2025).holdings and report_of(world, "CHE", 2026).holdings == ()


def years_are_of_utc() -> bool:
    world, end = ready(), date(2026).ms
    for ms in (end - 1, end):
        accepted(world.send("gh", "ch", 10, op.When(ms=ms, precision=op.When.INSTANT)))
    years = [[row[0] for row in report_of(world, "CHE", year).actions] for year in (2025, 2026)]
    return years == [["2025-12-31T23:59:59.999Z"], ["2026-01-01T00:00:00.000Z"]]


def numbers_need_their_origin() -> bool:
    report = hand_written()
    other = put(HOLDINGS, 1, "FirstTransferringPartyID", "KEN")(report).holdings[0]
    authorized = put(AUTHORIZATIONS, 1, "AuthorizationID", "KEN-1")(report).authorizations
    other = tuple("KEN-1" if i == HOLDINGS.at("AuthorizationID") else text for i, text in enumerate(other))
    both = report._replace(holdings=(*report.holdings, other), authorizations=(*report.authorizations, *authorized))
    return check_report(both) == []


def either_side_of_a_split() -> bool:
    world = ready()
    accepted(world.send("gh", "ch", 0, None, part(900, 100)))
    accepted(world.send("gh", "ch", 0, None, part(0, 100)))
    gha, che = (report_of(world, code, 2025) for code in ("GHA", "CHE"))
    return match_reports(gha, che) == [] and world.sums("GHA", 2023) == (200, 0)


def twins_need_evidence_and_one_lives() -> bool:
    world = Parties(programme("NAT"))
    accepted(world.issue())
    accepted(world.issue("n", 1000, programme="NAT", project="n"))
    accepted(world.authorize())
    message = op.Twin(form=op.Twin.WRAP, ours=part(0, 10), theirs=part(0, 10, "n"), evidence=evidence())
    without = world.run("ghana-co", message, approvals=["reg"])
    message.their_evidence.CopyFrom(evidence())
    accepted(world.run("ghana-co", message, approvals=["reg"]))
    held_twice = world.send("gh", "ch", 0, None, part(0, 10))
    return bool(without.refusal and held_twice.refusal and held_twice.refusal.reason == Reason.UNITS_NOT_FREE)


def revocation_unwinds_nothing() -> bool:
    world = ready()
    accepted(world.send("gh", "ch", 400))
    revoked = op.RevokeAuthorization(authorization="GHA-1", reason="why", date=date(2025, 6, 1), evidence=evidence())
    accepted(world.run("gha-epa", revoked))
    rest = world.send("gh", "ch", 0, None, part(500, 1))
    onward = world.send("ch", "se", 400)
    notices = [event.subject for event in world.events_of(EventKind.NOTICE)]
    stopped = rest.refusal is not None and rest.refusal.reason == Reason.UNITS_RESTRICTED
    return (
        stopped and onward.refusal is None and notices == ["revocation/GHA-1"] and world.sums("GHA", 2023) == (400, 0)
    )


def cancellation_is_one_row() -> bool:
    world = ready("use or cancellation")
    accepted(world.cancel("gh", 10))
    return [row[1:3] for row in report_of(world, "GHA", 2025).actions] == [("First transfer", "Use or cancellation")]


def mechanism_registry_is_the_exception() -> bool:
    world = Parties(party("GHA", "gha-epa", "ghana-co", itmo_registry="UN01"))
    accepted(world.issue())
    accepted(world.authorize())
    report = report_of(world, "GHA", 2024)
    return [row[6] for row in report.actions] == ["UN01"] and check_report(report) == []


def second_life_is_the_same_tonne() -> bool:
    world = Parties(programme("A64", underlying="JCM"), programme("INT"))
    accepted(world.issue("a", 100, programme="A64", project="a", first_number="501"))
    accepted(world.issue("i", 100, programme="INT", project="i"))
    accepted(world.authorize(terms=terms(batches=["a"])))
    pair = op.Twin(form=op.Twin.CONVERT, ours=part(0, 100, "a"), theirs=part(0, 100, "i"), identifier="UN01-501")
    pair.evidence.CopyFrom(evidence())
    pair.their_evidence.CopyFrom(evidence())
    accepted(world.run("ghana-co", pair, approvals=["reg"]))
    accepted(world.send("gh", "ch", 0, None, part(0, 100, "i")))
    (row,) = report_of(world, "CHE", 2025).holdings
    names = ("FirstID", "LastID", "UnderlyingUnitRegistryID", "UnderlyingUnitFirstUnitID", "UnderlyingUnitLastUnitID")
    return [cell(HOLDINGS, row, name) for name in names] == ["1", "100", "JCM", "501", "600"]


def acquirer_has_its_own_registry() -> bool:
    world = ready()
    accepted(world.send("gh", "ch", 100))
    gha, che = (report_of(world, code, 2025) for code in ("GHA", "CHE"))
    registries = [cell(ACTIONS, report.actions[-1], "PartyITMORegistryID") for report in (gha, che)]
    full = world.events_of(EventKind.ITMO_ACTION)[-1].fact("itmo")
    return registries == ["GHA01", "CHE01"] and match_reports(gha, che) == [] and full == "CA0004-GHA01-GHA-1-2023"


PITFALLS: list[tuple[str, Callable[[], bool]]] = [
    ("a part is first transferred, and its split inherits that", partial_first_transfer),
    ("acquiring is no term of the balance, use is subtracted", acquiring_is_no_term),
    ("vintage year for the host, year of use for the user", vintage_for_the_host_year_of_use_for_the_user),
    ("the definition of first transfer is each authorization's own", definition_of_each_authorization),
    ("6.4 has levies, 6.2 has none", levies_of_6_4_alone),
    ("ids and times are written as the edition wants them", ids_and_dates_by_edition),
    ("other dates and countries are not times and names", other_dates_stay),
    ("controlled values keep the slips of their list", words_as_they_are_listed),
    ("NA, empty and the platform's cells are three things", not_applicable_is_not_empty),
    ("holdings of 31 December do not change in January", holdings_of_december_are_frozen),
    ("a year begins and ends in UTC", years_are_of_utc),
    ("numbers say nothing without their origin", numbers_need_their_origin),
    ("whichever side of a range is given away", either_side_of_a_split),
    ("a twin needs evidence of both sides, and one lives", twins_need_evidence_and_one_lives),
    ("a revocation unwinds nothing", revocation_unwinds_nothing),
    ("a cancellation that is the first transfer is one row", cancellation_is_one_row),
    ("a minimum is never rounded down", minimum_is_never_rounded_down),
    ("UN01 fits no pattern and is right", mechanism_registry_is_the_exception),
    ("the unit in the mechanism and the ITMO are one tonne", second_life_is_the_same_tonne),
    ("an acquirer's rows carry its own registry", acquirer_has_its_own_registry),
]


@pytest.mark.parametrize("holds", [check for _, check in PITFALLS], ids=[name for name, _ in PITFALLS])
def test_pitfalls(holds: Callable[[], bool]) -> None:
    assert holds()
