"""ART's exports: issuances without serials are evidence; retirements and cancellations are blocks of serials.

Buffer deposits are beside the credits verified, not part of them. Serials of the FCPF's credits begin with FCPF. The
country is printed as a name; the host Party is read from the serial, and unknown for issuances.
"""

from __future__ import annotations

from typing import Final

from adapters import labels
from adapters.apx import APX_DATES, read_answers, read_batch
from adapters.art.layout import CANCELLATIONS, ISSUANCES, RETIREMENTS
from adapters.delimited import Binding
from adapters.exports import Amount, EvidenceKind, EvidenceRow, RowSource, UnitRow, UnitStatus
from adapters.fields import (
    around_numbers,
    read_optional_units,
    read_project,
    read_serials,
    read_units,
    read_year,
)
from adapters.tabular import RowReader, Sheet, TableAdapter
from keeling.serials import Grain, find_scheme

_SCHEME: Final = find_scheme("art")

_ANSWERS: Final = {
    "corsia": labels.CORSIA,
    "corsia_pilot": labels.CORSIA_PILOT,
    "corsia_first": labels.CORSIA_FIRST,
    "ccp": labels.CCP,
}


def _issuances(at: Binding) -> RowReader:
    def read(cells: list[str], source: RowSource) -> EvidenceRow:
        project, vintage = read_project(cells[at.at("project")], "ART"), read_year(cells[at.at("vintage")])
        buffer, total = read_optional_units(cells[at.at("buffer")]), read_optional_units(cells[at.at("total")])
        parts = {"buffer": buffer, "total": total}
        return EvidenceRow(
            source,
            EvidenceKind.ISSUANCE,
            read_units(cells[at.at("quantity")]),
            Grain.T_CO2E,
            f"art:{project}-{vintage.first.year}",
            project,
            vintage,
            "",
            APX_DATES.effective(cells[at.at("issued")]),
            read_answers(at, _ANSWERS, cells),
            tuple(Amount(name, units) for name, units in parts.items() if units is not None),
            buffer_units=buffer or 0,
        )

    return read


def _blocks(at: Binding) -> RowReader:
    status = UnitStatus.CANCELLED if at.layout is CANCELLATIONS else UnitStatus.RETIRED
    beneficiary_at = at.indexes.get("beneficiary", -1)

    def read(cells: list[str], source: RowSource) -> UnitRow:
        serials = read_serials(cells[at.at("serial")], _SCHEME, read_units(cells[at.at("quantity")]))
        batch = read_batch(
            _SCHEME,
            "ART",
            around_numbers(serials),
            cells[at.at("project")],
            cells[at.at("vintage")],
            cells[at.at("issued")],
        )
        return UnitRow(
            source,
            serials,
            status,
            batch,
            APX_DATES.effective(cells[at.at("ended")]),
            read_answers(at, _ANSWERS, cells),
            cells[at.at("holder")].strip(),
            cells[beneficiary_at].strip(),
            cells[at.at("reason")].strip(),
            cells[at.at("note")].strip(),
        )

    return read


ADAPTER: Final = TableAdapter(
    "art",
    (
        Sheet(ISSUANCES, _issuances, quantity="quantity"),
        Sheet(RETIREMENTS, _blocks, quantity="quantity"),
        Sheet(CANCELLATIONS, _blocks, quantity="quantity"),
    ),
)
