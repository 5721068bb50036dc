"""The columns of the five tables: labels, technical names and order (decision 4/CMA.6 annex II), by template edition.

An edition is data: what a cell must look like may differ between two editions, the columns do not. What rows say is
made in `build`, what is wrong with them is found in `check`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple

from hub.aef import nomenclature as n


class Need(StrEnum):
    """Whether a cell has to be filled."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    CONDITIONAL = "conditional"
    CARP = "CARP"
    """Filled by the central platform: empty in every submission."""


class Kind(StrEnum):
    """What a cell holds."""

    TEXT = "text"
    WHOLE = "whole"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    ID = "id"
    COUNTRY = "country"


class Column(NamedTuple):
    """`values` are the controlled values, `many` whether several may stand in one cell, separated by "; "."""

    label: str
    name: str
    kind: Kind
    need: Need
    values: tuple[str, ...] = ()
    pattern: str = ""
    many: bool = False


class Sheet(NamedTuple):
    """One table. `down` tables have their labels in a column instead of a row, and exactly one record."""

    number: int
    title: str
    columns: tuple[Column, ...]
    down: bool = False

    def at(self, name: str) -> int:
        """The place of the column with this technical name."""
        return next(i for i, column in enumerate(self.columns) if column.name == name)


class Edition(NamedTuple):
    """How cells are written: full ITMO identifiers or their numbers, times of actions or dates, codes or names."""

    name: str
    whole_ids: bool
    action_times: bool
    country_codes: bool


CURRENT: Final = Edition("2026-02", whole_ids=True, action_times=True, country_codes=True)
EARLIER: Final = Edition("2024", whole_ids=False, action_times=False, country_codes=False)
EDITIONS: Final = {edition.name: edition for edition in (CURRENT, EARLIER)}

PARTY: Final = r"[A-Z]{3}"
APPROACH: Final = r"CA\d{4}"
REGISTRY: Final = r"[A-Z]{3}\d{2}|UN01"
"""`UN01`, of the mechanism registry, is the one exception to the pattern of Party registries."""
AUTHORIZATION_ID: Final = r"[A-Za-z0-9 ./-]+"
VERSION: Final = r"[1-9]\d*\.\d+"
TIMEFRAME: Final = r"\d{4}\s-\s\d{4}"
ITMO: Final = re.compile(
    r"CA\d{4}-(?:[A-Z]{3}\d{2}|UN01)-[A-Z]{3}-(?P<number>[1-9]\d{0,2}(?:\d*|(?:,\d{3})*))-\d{4}", re.ASCII
)
"""A full identifier as public checkers accept it, thousands commas included."""

_R, _O, _C, _CARP = Need.REQUIRED, Need.OPTIONAL, Need.CONDITIONAL, Need.CARP


def _text(label: str, name: str, need: Need, pattern: str = "", many: bool = False) -> Column:
    return Column(label, name, Kind.TEXT, need, (), pattern, many)


def _listed(label: str, name: str, need: Need, values: tuple[str, ...], many: bool = False) -> Column:
    return Column(label, name, Kind.TEXT, need, values, "", many)


_APPROACH_ID: Final = _text("Cooperative approach ID", "CooperativeApproachID", _R, APPROACH)
_AUTHORIZATION_ID: Final = _text("Authorization ID", "AuthorizationID", _R, AUTHORIZATION_ID)
_METRIC: Final = _listed("Metric", "Metric", _R, n.METRICS)
_GWP: Final = _text("Applicable GWP value(s)", "GWPValues", _O)
_NON_GHG: Final = _text("Applicable non-GHG metric", "Non-GHGMetric", _C)
_NOTES: Final = _text("Additional explanatory information", "AdditionalExplanatoryInformation", _O)
_IDENTITY: Final = (
    _text("First transferring participating Party ID", "FirstTransferringPartyID", _R, PARTY),
    _text("Party ITMO registry ID", "PartyITMORegistryID", _R, REGISTRY),
    Column("First ID", "FirstID", Kind.ID, _R),
    Column("Last ID", "LastID", Kind.ID, _R),
    _listed("Underlying unit registry ID", "UnderlyingUnitRegistryID", _O, n.UNDERLYING_REGISTRIES),
    Column("First unit ID", "UnderlyingUnitFirstUnitID", Kind.WHOLE, _O),
    Column("Last unit ID", "UnderlyingUnitLastUnitID", Kind.WHOLE, _O),
    _METRIC,
    _GWP,
    _NON_GHG,
    Column("Quantity (t CO2 eq)", "QuantityCO2", Kind.NUMBER, _C),
    Column("Quantity (in non-GHG metric)", "QuantityNon-GHG", Kind.NUMBER, _C),
    _listed("Mitigation type", "MitigationType", _R, n.MITIGATION_TYPES),
    Column("Vintage", "Vintage", Kind.WHOLE, _R, (), r"(?:19|20)\d{2}"),
)
"""What Tables 3 and 4 both say of a range of ITMOs."""

SUBMISSION: Final = Sheet(
    1,
    "Table 1 Submission",
    (
        _text("Party", "ParticipatingParty", _R, PARTY),
        _text("Version", "SubmissionVersion", _R, VERSION),
        Column("Reported year", "ReportedYear", Kind.WHOLE, _R, (), r"\d{4}"),
        Column("Date of submission", "DateOfSubmission", Kind.DATE, _R),
        _text("Review status of the initial report", "ReviewStatusOfInitialReport", _CARP),
        _text("Result of the consistency check of this AEF submission", "ResultOfConsistencyCheck", _CARP),
        Column("First year of the NDC implementation period", "FirstYearOfNDCPeriod", Kind.WHOLE, _R, (), r"\d{4}"),
        Column("Last year of the NDC implementation period", "LastYearOfNDCPeriod", Kind.WHOLE, _R, (), r"\d{4}"),
        _text(
            "Reference to the Article 6 technical expert review report of the initial report",
            "ReferenceToTerReport",
            _CARP,
        ),
    ),
    down=True,
)
AUTHORIZATIONS: Final = Sheet(
    2,
    "Table 2 Authorizations",
    (
        _AUTHORIZATION_ID,
        Column("Date of authorization", "DateOfAuthorization", Kind.DATE, _R),
        _APPROACH_ID,
        Column("Version of the authorization", "AuthorizationVersion", Kind.WHOLE, _R, (), r"[1-9]\d*"),
        Column("Authorized quantity", "AuthorizedQuantity", Kind.WHOLE, _O),
        _METRIC,
        _GWP,
        _NON_GHG,
        _listed("Sector(s)", "Sectors", _R, n.SECTORS, many=True),
        _listed("Activity type(s)", "ActivityType", _O, n.ACTIVITY_TYPES, many=True),
        _listed("Purposes for authorization", "PurposeForAuthorization", _R, n.PURPOSES),
        _text("Authorized Party(ies) ID", "AuthorizedPartyIDs", _O, PARTY, many=True),
        _text("Authorized entity(ies) ID", "AuthorizedEntityIDs", _O, many=True),
        _text("OIMP authorized by the Party", "OIMPAuthorized", _C),
        _text("Authorized timeframe", "AuthorizedTimeframe", _O, TIMEFRAME),
        _text("Authorization terms and conditions", "AuthorizationT&Cs", _O),
        _text("Authorization documentation", "AuthorizationDocumentation", _CARP),
        _listed("First transfer definition for OIMP", "FirstTransferDefnForOIMP", _C, n.FIRST_TRANSFERS),
        _NOTES,
    ),
)
ACTIONS: Final = Sheet(
    3,
    "Table 3 Actions",
    (
        Column("Action date", "ActionDateTime", Kind.TIME, _R),
        _listed("Action type", "ActionType", _R, n.ACTION_TYPES),
        _listed("Action subtype", "ActionSubtype", _O, n.ACTION_SUBTYPES),
        _APPROACH_ID,
        _AUTHORIZATION_ID,
        *_IDENTITY,
        _text("Transferring participating Party ID", "TransferringPartyID", _C, PARTY),
        _text("Acquiring participating Party ID", "AcquiringPartyID", _C, PARTY),
        _text("Purpose for which the ITMO has been used towards or cancelled for OIMP", "PurposeITMOUsedForOIMP", _C),
        _text("Using/cancelling participating Party ID", "Using/cancellingPartyID", _C, PARTY),
        _text("Using/cancelling authorized entity ID", "Using/cancellingEntityID", _C),
        Column(
            "Calendar year for which the ITMOs are used towards the Party's NDC",
            "YearITMOUsedTowardsNDC",
            Kind.WHOLE,
            _C,
            (),
            r"(?:19|20)\d{2}",
        ),
        _text("Result of the consistency checks", "ResultOfConsistencyChecks", _CARP),
        _NOTES,
    ),
)
HOLDINGS: Final = Sheet(4, "Table 4 Holdings", (_APPROACH_ID, _AUTHORIZATION_ID, *_IDENTITY))
ENTITIES: Final = Sheet(
    5,
    "Table 5 Auth. entities",
    (
        Column("Date of the authorization", "DateOfTheAuthorization", Kind.DATE, _R),
        _text("Name", "Name", _R),
        Column("Country of incorporation", "CountryOfIncorporation", Kind.COUNTRY, _R),
        _text("Identification number", "IdentificationNumber", _R),
        _APPROACH_ID,
        _text("Conditions", "Conditions", _O),
        _text("Change and revocation conditions", "ChangeAndRevocationConditions", _O),
        _NOTES,
    ),
)
SHEETS: Final = (SUBMISSION, AUTHORIZATIONS, ACTIONS, HOLDINGS, ENTITIES)
FIELDS: Final = sum(len(sheet.columns) for sheet in SHEETS)
"""79, as annex II has them."""

Row = tuple[str, ...]


class Report(NamedTuple):
    """One submission: the rows of each table, cells as text in the order of its columns. Empty text: not filled."""

    edition: Edition
    submission: Row
    authorizations: tuple[Row, ...]
    actions: tuple[Row, ...]
    holdings: tuple[Row, ...]
    entities: tuple[Row, ...]

    def rows(self, sheet: Sheet) -> tuple[Row, ...]:
        """The rows of one table."""
        tables = ((self.submission,), self.authorizations, self.actions, self.holdings, self.entities)
        return tables[sheet.number - 1]


def cell(sheet: Sheet, row: Row, name: str) -> str:
    """One cell by its technical name."""
    return row[sheet.at(name)]


def make_row(sheet: Sheet, **cells: str) -> Row:
    """A row from cells by technical name, with `_` for the signs that Python names cannot have; the rest is empty."""
    named = {
        column.name.replace("-", "_").replace("/", "_").replace("&", "_"): i for i, column in enumerate(sheet.columns)
    }
    row = [""] * len(sheet.columns)
    for name, text in cells.items():
        row[named[name]] = text
    return tuple(row)


def is_given(text: str) -> bool:
    """Whether a cell says something: `NA`, empty and white space do not."""
    return bool(text.strip()) and text.strip() != n.NOT_APPLICABLE
