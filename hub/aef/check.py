"""The consistency checks of a report: each finding names table, row and rule (2/CMA.3 annex para 33(a)).

The central platform's own list of checks is not public; these are what its rules for cells and between tables entail.
Nothing is corrected. Two reports are laid beside each other in `match`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from hub.aef import nomenclature as n
from hub.aef.layout import (
    ACTIONS,
    AUTHORIZATIONS,
    ENTITIES,
    HOLDINGS,
    ITMO,
    SHEETS,
    SUBMISSION,
    Column,
    Edition,
    Kind,
    Need,
    Report,
    Row,
    Sheet,
    cell,
    is_given,
)

_DATE: Final = re.compile(r"(\d{2})/(\d{2})/(\d{4})", re.ASCII)
_TIME: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})\.\d{3}Z", re.ASCII)
_WHOLE: Final = re.compile(r"0|[1-9]\d*", re.ASCII)
_OIMP_FIELDS: Final = ("OIMPAuthorized", "FirstTransferDefnForOIMP")
ENDED: Final = (n.USE, n.CANCELLATION, n.VOLUNTARY_CANCELLATION)


class Finding(NamedTuple):
    """One thing that is wrong. Row 1 is the first record of the table; row 0 is a row that is missing."""

    table: int
    row: int
    rule: str
    text: str

    def __str__(self) -> str:
        where = f"row {self.row}" if self.row else "missing row"
        return f"table {self.table}, {where}, {self.rule}: {self.text}"


class Range(NamedTuple):
    """The ITMOs a row is about; ids alone do not say which, their registry and Party do (`space`)."""

    space: tuple[str, ...]
    first: int
    last: int

    def overlaps(self, other: Range) -> bool:
        return self.space == other.space and self.first <= other.last and other.first <= self.last


def check_report(report: Report) -> list[Finding]:
    """Everything that is wrong, in order of table, row and column, then between tables."""
    found: list[Finding] = []
    for sheet in SHEETS:
        for i, row in enumerate(report.rows(sheet), 1):
            found += [Finding(sheet.number, i, rule, text) for rule, text in _check_cells(report.edition, sheet, row)]
    for i, row in enumerate(report.authorizations, 1):
        found += [Finding(2, i, rule, text) for rule, text in _check_authorization(row)]
    for i, row in enumerate(report.actions, 1):
        found += [Finding(3, i, rule, text) for rule, text in _check_action(report, row)]
    for sheet in (ACTIONS, HOLDINGS):
        for i, row in enumerate(report.rows(sheet), 1):
            found += [Finding(sheet.number, i, rule, text) for rule, text in _check_range(report, sheet, row)]
    return found + _check_between(report)


# -- one cell


def _check_cells(edition: Edition, sheet: Sheet, row: Row) -> Iterator[tuple[str, str]]:
    for column, text in zip(sheet.columns, row, strict=True):
        if column.need == Need.CARP:
            if text.strip():
                yield "filled-by-CARP", f"{column.label} is filled by the central platform; found {text!r}"
        elif not is_given(text):
            if column.need == Need.REQUIRED:
                yield "required", f"{column.label} is required; found {text!r}"
        else:
            for part in text.split("; ") if column.many else [text]:
                problem = _problem(edition, column, part)
                if problem:
                    yield problem[0], f"{column.label}: {part!r} {problem[1]}"


def _problem(edition: Edition, column: Column, text: str) -> tuple[str, str] | None:
    if column.values and text not in column.values:
        return "controlled-value", "is in no list of the nomenclature"
    if column.pattern and not re.fullmatch(column.pattern, text, re.ASCII):
        return "pattern", f"does not match {column.pattern}"
    if column.kind == Kind.WHOLE and not _WHOLE.fullmatch(text):
        return "whole-number", "is not a whole number"
    if column.kind == Kind.NUMBER and _number(text) is None:
        return "number", "is not a number"
    if column.kind == Kind.ID and (_WHOLE if edition.whole_ids else ITMO).fullmatch(text) is None:
        return "id", "is not a whole number" if edition.whole_ids else "is not a full ITMO identifier"
    if column.kind == Kind.COUNTRY and edition.country_codes and not re.fullmatch(r"[A-Z]{3}", text, re.ASCII):
        return "country", "is not a code of three letters"
    times = column.kind == Kind.TIME and edition.action_times
    if (times or column.kind in (Kind.DATE, Kind.TIME)) and read_year(text, times) is None:
        return "date", f"is not {'yyyy-mm-ddThh:mm:ss.sssZ' if times else 'dd/mm/yyyy'}"
    return None


def read_year(text: str, is_time: bool) -> int | None:
    """The year of a date (`dd/mm/yyyy`) or time (ISO 8601, UTC); None where it is neither."""
    found = (_TIME if is_time else _DATE).fullmatch(text)
    if found is None:
        return None
    numbers = [int(part) for part in found.groups()]
    year, month, day = (numbers[0], numbers[1], numbers[2]) if is_time else (numbers[2], numbers[1], numbers[0])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not 1 <= month <= 12 or not 1 <= day <= lengths[month - 1]:
        return None
    if is_time and (numbers[3] > 23 or numbers[4] > 59 or numbers[5] > 59):
        return None
    return year


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text) if re.fullmatch(r"\d+(?:\.\d+)?", text, re.ASCII) else None
    except InvalidOperation:
        return None
    return value


# -- one row


def _check_authorization(row: Row) -> Iterator[tuple[str, str]]:
    purpose = cell(AUTHORIZATIONS, row, "PurposeForAuthorization")
    for name in _OIMP_FIELDS:
        label = AUTHORIZATIONS.columns[AUTHORIZATIONS.at(name)].label
        given = is_given(cell(AUTHORIZATIONS, row, name))
        if purpose == "NDC" and given:
            yield "not-applicable", f"{label} is only for purposes with OIMP, IMP or OP; this is {purpose}"
        if purpose not in ("NDC", "") and not given and name == "FirstTransferDefnForOIMP":
            yield "needed", f"{label} is needed for {purpose}"
    yield from _check_metric(AUTHORIZATIONS, row)


def _check_metric(sheet: Sheet, row: Row) -> Iterator[tuple[str, str]]:
    """Metric non-GHG names its metric and, in Tables 3 and 4, its quantity; GHG its tonnes."""
    other = cell(sheet, row, "Metric") == "non-GHG"
    pairs = [("Non-GHGMetric", other)]
    if sheet is not AUTHORIZATIONS:
        pairs += [("QuantityNon-GHG", other), ("QuantityCO2", not other)]
    for name, wanted in pairs:
        label, given = sheet.columns[sheet.at(name)].label, is_given(cell(sheet, row, name))
        if wanted and not given:
            yield "needed", f"{label} is needed for the metric {cell(sheet, row, 'Metric')}"
        if given and not wanted and name != "QuantityCO2":
            yield "not-applicable", f"{label} is only for the metric non-GHG"


_ONLY: Final = {
    "TransferringPartyID": (n.ACQUISITION,),
    "AcquiringPartyID": (n.FIRST_TRANSFER, n.TRANSFER),
    "PurposeITMOUsedForOIMP": n.ENDINGS,
    "Using/cancellingPartyID": n.ENDINGS,
    "Using/cancellingEntityID": n.ENDINGS,
    "YearITMOUsedTowardsNDC": (n.USE,),
}


def _check_action(report: Report, row: Row) -> Iterator[tuple[str, str]]:
    type_, subtype = cell(ACTIONS, row, "ActionType"), cell(ACTIONS, row, "ActionSubtype")
    for name, types in _ONLY.items():
        if is_given(cell(ACTIONS, row, name)) and type_ not in types:
            label = ACTIONS.columns[ACTIONS.at(name)].label
            yield "not-applicable", f"{label} is only for {', '.join(types)}; this is {type_}"
    if is_given(subtype) and subtype not in n.SUBTYPES_OF.get(type_, n.ACTION_SUBTYPES):
        yield "subtype", f"{type_} has no subtype {subtype!r}"
    if type_ == n.ACQUISITION and not is_given(cell(ACTIONS, row, "TransferringPartyID")):
        yield "needed", "an Acquisition names the transferring Party"
    if subtype == n.TO_ANOTHER_PARTY and not is_given(cell(ACTIONS, row, "AcquiringPartyID")):
        yield "needed", "a first transfer to another Party names the acquiring Party"
    if type_ == n.USE and not (
        is_given(cell(ACTIONS, row, "YearITMOUsedTowardsNDC")) or is_given(cell(ACTIONS, row, "PurposeITMOUsedForOIMP"))
    ):
        yield "needed", "a Use says for which year of the NDC, or for which other purpose"
    year = read_year(cell(ACTIONS, row, "ActionDateTime"), report.edition.action_times)
    reported = cell(SUBMISSION, report.submission, "ReportedYear")
    if year is not None and str(year) != reported:
        yield "reported-year", f"the action is of {year}, the report of {reported}"


def read_range(edition: Edition, sheet: Sheet, row: Row) -> Range | None:
    """The ITMOs of a row; None where its ids cannot be read."""
    numbers = []
    for name in ("FirstID", "LastID"):
        text = cell(sheet, row, name)
        if edition.whole_ids:
            numbers.append(int(text) if _WHOLE.fullmatch(text) else None)
        else:
            found = ITMO.fullmatch(text)
            numbers.append(int(found["number"].replace(",", "")) if found else None)
    if numbers[0] is None or numbers[1] is None:
        return None
    space = ("PartyITMORegistryID", "CooperativeApproachID", "FirstTransferringPartyID", "Vintage")
    return Range(tuple(cell(sheet, row, name) for name in space), numbers[0], numbers[1])


def _check_range(report: Report, sheet: Sheet, row: Row) -> Iterator[tuple[str, str]]:
    yield from _check_metric(sheet, row)
    ids = read_range(report.edition, sheet, row)
    if ids is not None:
        if ids.first > ids.last:
            yield "first-after-last", f"First ID {ids.first} is after Last ID {ids.last}"
        quantity = _number(cell(sheet, row, "QuantityCO2"))
        if quantity is not None and ids.first <= ids.last and quantity != ids.last - ids.first + 1:
            yield "quantity", f"{ids.first} to {ids.last} are {ids.last - ids.first + 1} units, not {quantity}"
    known = {cell(AUTHORIZATIONS, other, "AuthorizationID") for other in report.authorizations}
    authorization = cell(sheet, row, "AuthorizationID")
    if is_given(authorization) and authorization not in known:
        yield "authorization-known", f"{authorization!r} is not in Table 2"
    entity = cell(ACTIONS, row, "Using/cancellingEntityID") if sheet is ACTIONS else ""
    listed = {cell(ENTITIES, other, "IdentificationNumber") for other in report.entities}
    if is_given(entity) and entity not in listed:
        yield "entity-known", f"{entity!r} is not in Table 5"


# -- between rows


_AGREE: Final = ("CooperativeApproachID", "FirstTransferringPartyID", "Metric", "MitigationType", "Vintage")


class _Placed(NamedTuple):
    ids: Range
    row: int
    cells: Row


def _place(report: Report, sheet: Sheet) -> list[_Placed]:
    """The rows of a table whose ids can be read, by space and first id."""
    rows = [
        _Placed(ids, i, row)
        for i, row in enumerate(report.rows(sheet), 1)
        if (ids := read_range(report.edition, sheet, row))
    ]
    return sorted(rows)


def _check_between(report: Report) -> list[Finding]:
    """Holdings never overlap, hold nothing that was used or cancelled, and agree with actions on the same ITMOs."""
    found: list[Finding] = []
    held, acted = _place(report, HOLDINGS), _place(report, ACTIONS)
    widest: _Placed | None = None
    for item in held:
        if widest is not None and widest.ids.overlaps(item.ids):
            shared = f"{item.ids.first} to {item.ids.last} overlap {widest.ids.first} to {widest.ids.last}"
            found.append(Finding(4, item.row, "holdings-overlap", f"{shared} of row {widest.row}"))
        if widest is None or widest.ids.space != item.ids.space or widest.ids.last < item.ids.last:
            widest = item
    for here, there in _overlapping(held, acted):
        type_ = cell(ACTIONS, there.cells, "ActionType")
        if type_ in ENDED and here.ids.overlaps(there.ids):
            shared = f"{here.ids.first} to {here.ids.last} overlap {there.ids.first} to {there.ids.last}"
            found.append(Finding(4, here.row, "held-after-end", f"{shared} of Table 3 row {there.row}: {type_}"))
        found += [Finding(4, here.row, "agree", text) for text in _disagreements(here, there)]
    return sorted(found)


def _overlapping(held: list[_Placed], acted: list[_Placed]) -> Iterator[tuple[_Placed, _Placed]]:
    """Pairs of rows of one authorization and registry whose numbers overlap, whatever else they say."""
    groups: dict[tuple[str, str], tuple[list[_Placed], list[_Placed]]] = {}
    for side, sheet, rows in ((0, HOLDINGS, held), (1, ACTIONS, acted)):
        for item in rows:
            key = (cell(sheet, item.cells, "AuthorizationID"), item.ids.space[0])
            groups.setdefault(key, ([], []))[side].append(item)
    for _, (first, second) in sorted(groups.items()):
        waiting = sorted(second, key=lambda item: item.ids.first, reverse=True)
        active: list[_Placed] = []
        for here in sorted(first, key=lambda item: item.ids.first):
            while waiting and waiting[-1].ids.first <= here.ids.last:
                active.append(waiting.pop())
            active = [item for item in active if item.ids.last >= here.ids.first]
            yield from ((here, there) for there in active if there.ids.first <= here.ids.last)


def _disagreements(here: _Placed, there: _Placed) -> Iterator[str]:
    for name in _AGREE:
        ours, theirs = cell(HOLDINGS, here.cells, name), cell(ACTIONS, there.cells, name)
        if ours != theirs:
            label = HOLDINGS.columns[HOLDINGS.at(name)].label
            yield f"{label} is {ours!r}, in Table 3 row {there.row} it is {theirs!r} for the same ITMOs"
