"""ACR's exports: issuances without serials are evidence; retirements and cancellations are blocks of serials.

Most cancellations are conversions into compliance credits of California (ARB) or Washington (Ecology): the tonne lives
on there under another identity and is not destroyed. Project 885 is written ACR885, ACR0885 and, in serials, 885.
"""

from __future__ import annotations

from typing import Final

from adapters import labels
from adapters.acr.layout import CANCELLATIONS, ISSUANCES, RETIREMENTS
from adapters.apx import APX_DATES, find_conversion, read_answers, read_batch
from adapters.delimited import Binding
from adapters.exports import Amount, EvidenceKind, EvidenceRow, Period, RowSource, UnitRow, UnitStatus
from adapters.fields import (
    around_numbers,
    read_host,
    read_optional_units,
    read_project,
    read_serials,
    read_units,
    read_year,
)
from adapters.tabular import RowReader, Sheet, TableAdapter
from keeling.serials import Grain, find_scheme

_SCHEME: Final = find_scheme("acr")

_ANSWERS: Final = {
    "arb": labels.ARB_ELIGIBLE,
    "ecology": labels.ECOLOGY_ELIGIBLE,
    "corsia": labels.CORSIA,
    "corsia_pilot": labels.CORSIA_PILOT,
    "corsia_first": labels.CORSIA_FIRST,
    "ccp": labels.CCP,
    "removal": labels.REMOVAL,
}
_CONVERSIONS: Final = {
    "convert to arb offset credits": "arb",
    "convert to ecology offset credits": "wa_ecology",
}


def _issuances(at: Binding) -> RowReader:
    def read(cells: list[str], source: RowSource) -> EvidenceRow:
        to_buffer = read_optional_units(cells[at.at("to_buffer")])
        transferred = read_optional_units(cells[at.at("transferred_to_buffer")])
        to_project = read_optional_units(cells[at.at("to_project")])
        project, vintage = read_project(cells[at.at("project")], "ACR"), read_year(cells[at.at("vintage")])
        parts = {"to-project": to_project, "to-buffer": to_buffer, "transferred-to-buffer": transferred}
        return EvidenceRow(
            source,
            EvidenceKind.ISSUANCE,
            read_units(cells[at.at("quantity")]),
            Grain.T_CO2E,
            f"acr:{project}-{vintage.first.year}",
            project,
            vintage,
            read_host(cells[at.at("country")]),
            APX_DATES.effective(cells[at.at("issued")]),
            read_answers(at, _ANSWERS, cells),
            tuple(Amount(name, units) for name, units in parts.items() if units is not None),
            buffer_units=to_buffer or 0,
        )

    return read


def _blocks(at: Binding) -> RowReader:
    cancelled = at.layout is CANCELLATIONS
    beneficiary_at = at.indexes.get("beneficiary", -1)
    starts_at, ends_at = at.at("period_start"), at.at("period_end")

    def read(cells: list[str], source: RowSource) -> UnitRow:
        serials = read_serials(cells[at.at("serial")], _SCHEME, read_units(cells[at.at("quantity")]))
        batch = read_batch(
            _SCHEME,
            "ACR",
            around_numbers(serials),
            cells[at.at("project")],
            cells[at.at("vintage")],
            cells[at.at("issued")],
        )
        batch = batch._replace(vintage=_narrow(batch.vintage, cells[starts_at], cells[ends_at]))
        reason, note = cells[at.at("reason")].strip(), cells[at.at("note")].strip()
        twin = find_conversion(_CONVERSIONS, reason, note) if cancelled else None
        ended = UnitStatus.CANCELLED if cancelled else UnitStatus.RETIRED
        return UnitRow(
            source,
            serials,
            UnitStatus.CONVERTED if twin else ended,
            batch,
            APX_DATES.effective(cells[at.at("ended")]),
            read_answers(at, _ANSWERS, cells),
            cells[at.at("holder")].strip(),
            cells[beneficiary_at].strip(),
            reason,
            note,
            twin,
        )

    return read


def _narrow(year: Period | None, first: str, last: str) -> Period | None:
    """Return the days of the vintage year that the file assigns; the year where it names none, or days outside it."""
    if year is None or not first.strip() or not last.strip():
        return year
    period = APX_DATES.period(first, last)
    return period if year.first <= period.first and period.last <= year.last else year


ADAPTER: Final = TableAdapter(
    "acr",
    (
        Sheet(ISSUANCES, _issuances, quantity="quantity"),
        Sheet(RETIREMENTS, _blocks, quantity="quantity"),
        Sheet(CANCELLATIONS, _blocks, quantity="quantity"),
    ),
)
