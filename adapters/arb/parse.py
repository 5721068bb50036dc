"""ARB's table of offset credits: quantities without serials, so every row is evidence and none becomes a lot.

It tells how many credits there are that ACR's, CAR's and Verra's conversions became (`OPR Project ID` is the project
there). A reporting period without reductions has no quantity, which is not zero.
"""

from __future__ import annotations

from typing import Final

from adapters.arb.layout import ISSUANCES
from adapters.delimited import Binding
from adapters.exports import Amount, EvidenceKind, EvidenceRow, RowFault, RowRefused, RowSource
from adapters.fields import DateForm, Dates, read_optional_units, read_year
from adapters.tabular import RowReader, Sheet, TableAdapter
from keeling.serials import Grain

_DATES: Final = Dates(DateForm.ISO, DateForm.MONTH_DAY_YEAR)
_PARTS: Final = (
    "forest_buffer",
    "invalidated",
    "voluntary",
    "reversal",
    "compliance_1",
    "compliance_2",
    "compliance_3",
    "compliance_4",
    "compliance_5",
    "compliance_quebec",
)


def _issuances(at: Binding) -> RowReader:
    def read(cells: list[str], source: RowSource) -> EvidenceRow:
        project = cells[at.at("project")].strip()
        if not project:
            raise RowRefused(RowFault.MISSING, "has no project")
        vintage = cells[at.at("vintage")]
        parts = {part: read_optional_units(cells[at.at(part)]) for part in _PARTS}
        return EvidenceRow(
            source,
            EvidenceKind.ISSUANCE,
            read_optional_units(cells[at.at("quantity")]),
            Grain.T_CO2E,
            cells[at.at("reference")].strip(),
            project,
            read_year(vintage) if vintage.strip() else None,
            "USA",
            _DATES.effective(cells[at.at("issued")]),
            amounts=tuple(Amount(part.replace("_", "-"), units) for part, units in parts.items() if units is not None),
            origin=cells[at.at("registry_project")].strip(),
            note=cells[at.at("note")].strip(),
            buffer_units=parts["forest_buffer"] or 0,
        )

    return read


ADAPTER: Final = TableAdapter("arb", (Sheet(ISSUANCES, _issuances, quantity="quantity"),))
