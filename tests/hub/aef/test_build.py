"""Reports made from a ledger: the rows of each Party, the sums they rebuild, and the same bytes every time."""

from __future__ import annotations

import pytest

from hub.aef import nomenclature as n
from hub.aef.build import ReportError, Stated, build_report, make_entity_row
from hub.aef.check import check_report
from hub.aef.layout import (
    ACTIONS,
    AUTHORIZATIONS,
    CURRENT,
    EARLIER,
    ENTITIES,
    FIELDS,
    HOLDINGS,
    SHEETS,
    SUBMISSION,
    Edition,
    Report,
    cell,
)
from hub.aef.match import match_reports, sum_adjustments
from hub.aef.write import FORMATS
from keeling.events import EventKind
from keeling.operations import When, WhenPrecision
from keeling.v1 import operations_pb2 as op
from tests.hub.aef.samples import busy_world, picture_of, report_of
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
from tests.node.core.article6.test_renumbering import counted, show


@pytest.fixture(scope="module")
def world() -> Parties:
    return busy_world()


def shown(report: Report) -> list[tuple[str, ...]]:
    """(type, subtype, first id, last id) of Table 3."""
    names = ("ActionType", "ActionSubtype", "FirstID", "LastID")
    return [tuple(cell(ACTIONS, row, name) for name in names) for row in report.actions]


def held(report: Report) -> list[tuple[str, ...]]:
    """(registry, first id, last id) of Table 4."""
    names = ("PartyITMORegistryID", "FirstID", "LastID")
    return [tuple(cell(HOLDINGS, row, name) for name in names) for row in report.holdings]


def test_the_tables_have_the_79_fields_of_annex_two() -> None:
    assert FIELDS == 79
    assert [len(sheet.columns) for sheet in SHEETS] == [9, 19, 27, 16, 8]


def test_the_host_reports_what_it_authorized_and_first_transferred(world: Parties) -> None:
    report = report_of(world, "GHA", 2025)
    assert shown(report) == [
        ("Authorization", "Authorization", "1001", "1300"),
        ("First transfer", "First transfer to another Party", "1", "1000"),
        ("First transfer", "Use or cancellation", "1001", "1050"),
        ("First transfer", "Use or cancellation", "1051", "1075"),
    ]
    assert held(report) == []
    assert check_report(report) == []


def test_the_acquirer_reports_under_its_own_registry_at_its_own_time(world: Parties) -> None:
    report = report_of(world, "CHE", 2025)
    assert shown(report) == [
        ("Acquisition", "", "1", "1000"),
        ("Transfer", "Not yet defined", "1", "200"),
        ("Use", "", "201", "600"),
    ]
    acquired, onward, used = report.actions
    assert cell(ACTIONS, acquired, "ActionDateTime") == "2025-03-16T00:00:00.000Z", "its own recognition"
    assert cell(ACTIONS, acquired, "TransferringPartyID") == "GHA"
    assert cell(ACTIONS, acquired, "AcquiringPartyID") == n.NOT_APPLICABLE
    assert cell(ACTIONS, acquired, "PartyITMORegistryID") == "CHE01"
    assert cell(ACTIONS, acquired, "FirstTransferringPartyID") == "GHA"
    assert cell(ACTIONS, onward, "AcquiringPartyID") == "SWE"
    assert cell(ACTIONS, used, "YearITMOUsedTowardsNDC") == "2025"
    assert cell(ACTIONS, used, "Using/cancellingEntityID") == "CHE-123"
    assert held(report) == [("CHE01", "601", "1000")]
    assert check_report(report) == []
    first = report_of(world, "GHA", 2025).actions[1]
    assert cell(ACTIONS, first, "ActionDateTime") == "2025-03-15T00:00:00.000Z"


def test_both_reports_match(world: Parties) -> None:
    gha, che, swe = (report_of(world, code, 2025) for code in ("GHA", "CHE", "SWE"))
    assert match_reports(gha, che) == match_reports(che, swe) == match_reports(swe, gha) == []
    shorter = che._replace(actions=che.actions[1:])
    assert [str(f) for f in match_reports(gha, shorter)] == [
        "table 3, row 2, bilateral: no acquisition in the report of CHE matches 1 to 1000"
    ]


def test_rows_rebuild_the_sums_of_the_ledger(world: Parties) -> None:
    found: dict[tuple[str, int, str], int] = {}
    for code in ("GHA", "CHE", "SWE"):
        for year in (2024, 2025):
            for key, units in sum_adjustments(report_of(world, code, year)).items():
                found[key] = found.get(key, 0) + units
    assert found == {("GHA", 2023, "FT"): 1000, ("GHA", 2024, "FT"): 75, ("CHE", 2025, "USE"): 400}
    for (code, year, side), units in found.items():
        assert world.sums(code, year)[0 if side == "FT" else 1] == units


def test_not_applicable_empty_and_filled_by_carp_are_three_things(world: Parties) -> None:
    report = report_of(world, "GHA", 2025)
    by_name = {cell(AUTHORIZATIONS, row, "AuthorizationID"): row for row in report.authorizations}
    ndc, oimp = by_name["GHA-CHE-2024-001"], by_name["GHA-OIMP-2025"]
    assert cell(AUTHORIZATIONS, ndc, "FirstTransferDefnForOIMP") == n.NOT_APPLICABLE
    assert cell(AUTHORIZATIONS, oimp, "FirstTransferDefnForOIMP") == "Use or Cancellation"
    assert cell(AUTHORIZATIONS, oimp, "OIMPAuthorized") == "CORSIA"
    assert (cell(AUTHORIZATIONS, ndc, "AuthorizedQuantity"), cell(AUTHORIZATIONS, oimp, "AuthorizedQuantity")) == (
        "5000",
        "",
    )
    assert cell(AUTHORIZATIONS, ndc, "AuthorizationDocumentation") == ""
    assert b'"AuthorizationDocumentation": null' in FORMATS["json"](report)
    assert b'"AuthorizedTimeframe": ""' in FORMATS["json"](report)
    assert b'"FirstTransferDefnForOIMP": "NA"' in FORMATS["json"](report)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_ledger_gives_the_same_bytes(world: Parties, name: str) -> None:
    first = FORMATS[name](report_of(world, "GHA", 2025))
    assert FORMATS[name](report_of(world, "GHA", 2025)) == first


def test_the_year_is_that_of_the_action_in_utc_whatever_the_vintage(world: Parties) -> None:
    assert shown(report_of(world, "GHA", 2024)) == [("Authorization", "Authorization", "1", "1000")]
    assert report_of(world, "GHA", 2023).actions == ()
    late = Parties()
    accepted(late.issue())
    accepted(late.authorize())
    last_ms = date(2026).ms - 1
    accepted(late.send("gh", "ch", 10, op.When(ms=last_ms, precision=op.When.INSTANT)))
    accepted(late.send("gh", "ch", 10, op.When(ms=last_ms + 1, precision=op.When.INSTANT)))
    assert [row[0] for row in report_of(late, "GHA", 2025).actions] == ["2025-12-31T23:59:59.999Z"]
    assert [row[0] for row in report_of(late, "GHA", 2026).actions] == ["2026-01-01T00:00:00.000Z"]
    assert held(report_of(late, "CHE", 2025)) == [("CHE01", "1", "10")]
    assert held(report_of(late, "CHE", 2026)) == [("CHE01", "1", "20")]


def test_a_submitted_version_is_rebuilt_from_the_events_up_to_it(world: Parties) -> None:
    before = picture_of(world)
    frozen = FORMATS["json"](
        build_report(before, "CHE", 2025, Stated("1.0", When(date(2026, 4, 10).ms, WhenPrecision.DATE)))
    )
    later = busy_world()
    message = op.ReportAdjustment(
        party="CHE", reported_year=2025, version="1.0", step=op.ReportAdjustment.REPORTED, date=date(2026, 4, 10)
    )
    message.evidence.CopyFrom(evidence())
    accepted(later.run("che-bafu", message))
    accepted(later.send("ch", "se", 100, date(2025, 12, 20)))
    submitted = picture_of(later).submitted["CHE", 2025]
    assert [(item.version, item.place.height) for item in submitted] == [("1.0", later.blocks[-2].header.height)]
    now = build_report(picture_of(later), "CHE", 2025)
    assert cell(SUBMISSION, now.submission, "SubmissionVersion") == "1.1"
    assert FORMATS["json"](now) != frozen
    cut = later.blocks[-1]
    later.blocks.remove(cut)
    again = build_report(picture_of(later), "CHE", 2025, Stated("1.0"))
    assert FORMATS["json"](again) == frozen, "rebuilt from what was known when it was submitted"


def test_the_earlier_template_has_full_identifiers_and_dates(world: Parties) -> None:
    report = build_report(picture_of(world), "GHA", 2025, edition=EARLIER)
    row = report.actions[1]
    assert cell(ACTIONS, row, "ActionDateTime") == "15/03/2025"
    assert (cell(ACTIONS, row, "FirstID"), cell(ACTIONS, row, "LastID")) == (
        "CA0004-GHA01-GHA-1-2023",
        "CA0004-GHA01-GHA-1000-2023",
    )
    assert check_report(report) == []


def test_article_6_4_rows_have_the_words_of_the_nomenclature() -> None:
    record = programme("A64", a64_levies(op.Levy.UP))
    world = Parties(record, party("GHA", "gha-epa", "ghana-co", itmo_registry="UN01"))
    accepted(world.authorize(terms=terms("issuance", programmes=["A64"]), when=date(2025)))
    accepted(world.issue("a", 7125, 2024, programme="A64", project="act", effective=date(2025, 2, 1)))
    report = report_of(world, "GHA", 2025)
    assert shown(report) == [
        ("Transfer", "Mandatory transfer to the Adaptation Fund (A6.4 ERs)", "1", "357"),
        ("First transfer", "Mandatory cancellation to deliver OMGE", "358", "500"),
        ("First transfer", "Issuance", "501", "7125"),
    ]
    assert {cell(ACTIONS, row, "PartyITMORegistryID") for row in report.actions} == {"UN01"}
    assert check_report(report) == [], "UN01 is the exception to the pattern of registries"
    assert sum_adjustments(report) == {("GHA", 2024, "FT"): 7125}
    assert world.sums("GHA", 2024) == (7125, 0)
    assert held(report) == [("UN01", "501", "7125")], "neither the Fund's share nor what was cancelled"


def test_what_was_reversed_is_in_no_row() -> None:
    world = Parties()
    accepted(world.issue())
    accepted(world.authorize(terms=terms("use or cancellation")))
    accepted(world.cancel("gh", 100))
    ended = next(place for place, event in world.log() if event.kind == EventKind.CANCELLED)
    reversal = op.Reverse(height=ended.height, ordinal=ended.ordinal, reason="error", evidence=evidence())
    reversal.ranges.append(op.Range(batch="b", first=40, units=20))
    accepted(world.run("reg", reversal))
    report = report_of(world, "GHA", 2025)
    assert [row[2:] for row in shown(report)] == [("1", "40"), ("61", "100")]
    assert sum_adjustments(report) == {("GHA", 2023, "FT"): 80}
    assert world.sums("GHA", 2023) == (80, 0)


def test_a_unit_whose_number_was_only_assumed_is_reported_under_its_true_one() -> None:
    """Taken to be 1 to 12 of the crediting programme when they were authorized; the registry counts from 0."""
    world = counted(underlying="Cercarbono")
    accepted(world.authorize(terms=terms("authorization", mitigation_type="Removals")))
    names = ("FirstID", "LastID", "UnderlyingUnitFirstUnitID", "UnderlyingUnitLastUnitID")

    def units(report: Report) -> list[list[str]]:
        return [[cell(ACTIONS, row, name) for name in names] for row in report.actions]

    assert units(report_of(world, "GHA", 2024)) == [["1", "12", "1", "12"]]
    accepted(show(world, 0, 2))
    after = report_of(world, "GHA", 2024)
    assert units(after) == [["1", "11", "1", "11"], ["12", "12", "0", "0"]]
    assert sum_adjustments(after) == {("GHA", 2023, "FT"): 12}
    assert check_report(after) == []


def test_a_party_that_is_not_on_record_has_no_report(world: Parties) -> None:
    with pytest.raises(ReportError, match="no Party KEN is on record; there are CHE, GHA, SWE"):
        report_of(world, "KEN", 2025)


@pytest.mark.parametrize(
    ("edition", "code", "printed"),
    [
        (CURRENT, "CHE", "CHE"),
        (EARLIER, "CHE", "Switzerland"),
        (EARLIER, "GHA", "Ghana"),
        (EARLIER, "XKX", "XKX"),
    ],
)
def test_the_earlier_edition_names_countries(edition: Edition, code: str, printed: str) -> None:
    entity = {"name": "Alps", "country": code, "identification": "CHE-1"}
    row = make_entity_row("2026-03-05", "CA0004", entity, edition)
    assert cell(ENTITIES, row, "CountryOfIncorporation") == printed
