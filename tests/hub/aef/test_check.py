"""One wrong cell, one finding: each row of the table breaks a report that had nothing wrong in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hub.aef import nomenclature as n
from hub.aef.check import check_report, read_year
from hub.aef.layout import ACTIONS, AUTHORIZATIONS, ENTITIES, HOLDINGS, SHEETS, SUBMISSION, Need, Report, Sheet
from tests.hub.aef.samples import action_row, hand_written, holding_row

Change = Callable[[Report], Report]


def put(sheet: Sheet, row: int, name: str, text: str) -> Change:
    """Write a text into one cell; rows count from 1."""
    tables = {1: "submission", 2: "authorizations", 3: "actions", 4: "holdings", 5: "entities"}

    def change(report: Report) -> Report:
        rows = [list(cells) for cells in report.rows(sheet)]
        rows[row - 1][sheet.at(name)] = text
        made = tuple(tuple(cells) for cells in rows)
        changed: dict[str, Any] = {tables[sheet.number]: made[0] if sheet.down else made}
        return report._replace(**changed)

    return change


def add_action(*row: str) -> Change:
    return lambda report: report._replace(actions=(*report.actions, row))


def add_holding(*row: str) -> Change:
    return lambda report: report._replace(holdings=(*report.holdings, row))


CARP_CELLS = [(sheet, column.name) for sheet in SHEETS for column in sheet.columns if column.need == Need.CARP]
CASES: list[tuple[str, Change, str]] = [
    ("a required cell is empty", put(SUBMISSION, 1, "ParticipatingParty", ""), "table 1, row 1, required"),
    ("NA is not given either", put(AUTHORIZATIONS, 1, "Sectors", "NA"), "table 2, row 1, required"),
    ("white space is not given either", put(ENTITIES, 1, "Name", "  "), "table 5, row 1, required"),
    ("a version has a point", put(SUBMISSION, 1, "SubmissionVersion", "1"), "table 1, row 1, pattern"),
    ("a Party has three letters", put(SUBMISSION, 1, "ParticipatingParty", "CH"), "table 1, row 1, pattern"),
    ("dates are dd/mm/yyyy", put(SUBMISSION, 1, "DateOfSubmission", "2026-04-10"), "table 1, row 1, date"),
    ("a day exists", put(SUBMISSION, 1, "DateOfSubmission", "30/02/2026"), "table 1, row 1, date"),
    (
        "a time frame has two years",
        put(AUTHORIZATIONS, 1, "AuthorizedTimeframe", "2021-2030"),
        "table 2, row 1, pattern",
    ),
    ("the digit zero stands", put(AUTHORIZATIONS, 1, "ActivityType", "CO2 usage"), "table 2, row 1, controlled-value"),
    (
        "each sector is listed",
        put(AUTHORIZATIONS, 1, "Sectors", "Waste management; Waste"),
        "table 2, row 1, controlled-value",
    ),
    ("NDC has no OIMP", put(AUTHORIZATIONS, 1, "OIMPAuthorized", "CORSIA"), "table 2, row 1, not-applicable"),
    ("OIMP needs its definition", put(AUTHORIZATIONS, 1, "PurposeForAuthorization", "OIMP"), "table 2, row 1, needed"),
    (
        "a spelling of another list",
        put(AUTHORIZATIONS, 1, "FirstTransferDefnForOIMP", "Authorization"),
        "table 2, row 1, controlled-value",
    ),
    ("non-GHG names its metric", put(AUTHORIZATIONS, 1, "Metric", "non-GHG"), "table 2, row 1, needed"),
    ("times are ISO 8601", put(ACTIONS, 1, "ActionDateTime", "15/03/2025"), "table 3, row 1, date"),
    (
        "actions are of the reported year",
        put(ACTIONS, 1, "ActionDateTime", "2024-12-31T23:59:59.999Z"),
        "table 3, row 1, reported-year",
    ),
    ("an approach is CA0004", put(ACTIONS, 1, "CooperativeApproachID", "CA4"), "table 3, row 1, pattern"),
    ("a registry is GHA01", put(ACTIONS, 1, "PartyITMORegistryID", "GHA1"), "table 3, row 1, pattern"),
    ("ids are whole numbers now", put(ACTIONS, 1, "FirstID", "CA0004-GHA01-GHA-1-2023"), "table 3, row 1, id"),
    (
        "the authorization is in Table 2",
        put(ACTIONS, 1, "AuthorizationID", "GHA-X"),
        "table 3, row 1, authorization-known",
    ),
    ("the entity is in Table 5", put(ACTIONS, 2, "Using/cancellingEntityID", "SWE-9"), "table 3, row 2, entity-known"),
    ("an Acquisition names who gave", put(ACTIONS, 1, "TransferringPartyID", "NA"), "table 3, row 1, needed"),
    ("nobody acquires on a Use", put(ACTIONS, 2, "AcquiringPartyID", "SWE"), "table 3, row 2, not-applicable"),
    ("nobody transfers on a Use", put(ACTIONS, 2, "TransferringPartyID", "GHA"), "table 3, row 2, not-applicable"),
    (
        "nobody uses on an Acquisition",
        put(ACTIONS, 1, "Using/cancellingPartyID", "CHE"),
        "table 3, row 1, not-applicable",
    ),
    ("a year of use is of a Use", put(ACTIONS, 1, "YearITMOUsedTowardsNDC", "2025"), "table 3, row 1, not-applicable"),
    ("a Use says what for", put(ACTIONS, 2, "YearITMOUsedTowardsNDC", "NA"), "table 3, row 2, needed"),
    ("the first id is not after the last", put(ACTIONS, 1, "FirstID", "2000"), "table 3, row 1, first-after-last"),
    ("the quantity is that of the ids", put(ACTIONS, 1, "QuantityCO2", "999"), "table 3, row 1, quantity"),
    ("a quantity is a number", put(ACTIONS, 1, "QuantityCO2", "1,000"), "table 3, row 1, number"),
    (
        "a Transfer has no subtype of cancellations",
        add_action(
            *action_row(
                "2025-06-01T00:00:00.000Z",
                "Transfer",
                1001,
                1100,
                ActionSubtype=n.OTHER_CANCELLATIONS,
                AcquiringPartyID="SWE",
            )
        ),
        "table 3, row 3, subtype",
    ),
    ("holdings do not overlap", add_holding(*holding_row(900, 1100)), "table 4, row 2, holdings-overlap"),
    ("what was used is not held", add_holding(*holding_row(300, 400)), "table 4, row 2, held-after-end"),
    ("one ITMO has one mitigation type", put(HOLDINGS, 1, "MitigationType", "Removals"), "table 4, row 1, agree"),
    ("one ITMO has one host", put(HOLDINGS, 1, "FirstTransferringPartyID", "KEN"), "table 4, row 1, agree"),
    ("one ITMO has one vintage", put(HOLDINGS, 1, "Vintage", "2022"), "table 4, row 1, agree"),
    (
        "a country has three letters",
        put(ENTITIES, 1, "CountryOfIncorporation", "Switzerland"),
        "table 5, row 1, country",
    ),
]


def test_the_report_that_the_cases_break_has_nothing_wrong() -> None:
    assert check_report(hand_written()) == []


@pytest.mark.parametrize(("name", "change", "finding"), CASES, ids=[case[0] for case in CASES])
def test_each_rule_is_named_with_its_table_and_row(name: str, change: Change, finding: str) -> None:
    found = [str(item) for item in check_report(change(hand_written()))]
    assert [text for text in found if text.startswith(f"{finding}:")], found


@pytest.mark.parametrize(("sheet", "name"), CARP_CELLS, ids=[name for _, name in CARP_CELLS])
def test_a_cell_that_the_platform_fills_must_be_empty(sheet: Sheet, name: str) -> None:
    found = check_report(put(sheet, 1, name, "consistent")(hand_written()))
    assert [(item.table, item.rule) for item in found] == [(sheet.number, "filled-by-CARP")]


def test_the_same_numbers_in_another_space_are_other_units() -> None:
    elsewhere = holding_row(1, 400, FirstTransferringPartyID="KEN", AuthorizationID="KEN-1")
    report = hand_written()
    authorized = list(report.authorizations[0])
    authorized[AUTHORIZATIONS.at("AuthorizationID")] = "KEN-1"
    report = report._replace(
        holdings=(*report.holdings, elsewhere), authorizations=(*report.authorizations, tuple(authorized))
    )
    assert check_report(report) == []


@pytest.mark.parametrize(
    ("text", "is_time", "year"),
    [
        ("29/02/2024", False, 2024),
        ("29/02/2023", False, None),
        ("1/2/2023", False, None),
        ("2025-12-31T23:59:59.999Z", True, 2025),
        ("2025-12-31T24:00:00.000Z", True, None),
        ("2025-12-31T23:59:59Z", True, None),
        ("2025-12-31T23:59:59.999+01:00", True, None),
    ],
)
def test_dates_and_times_are_read_strictly(text: str, is_time: bool, year: int | None) -> None:
    assert read_year(text, is_time) == year
