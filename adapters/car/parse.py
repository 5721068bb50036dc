"""CAR's exports: issuances without serials are evidence; retirements and cancellations are blocks of serials.

Most cancellations are conversions into compliance credits (reasons ARB and WA ECO), so the tonne lives on there. The
beneficiary stands, if at all, in free text; it is not taken from the account holder.
"""

from __future__ import annotations

from typing import Final

from adapters import labels
from adapters.apx import APX_DATES, find_conversion, read_answers, read_batch
from adapters.car.layout import CANCELLATIONS, ISSUANCES, RETIREMENTS
from adapters.delimited import Binding
from adapters.exports import Amount, EvidenceKind, EvidenceRow, Label, RowSource, TwinProposal, UnitRow, UnitStatus
from adapters.fields import (
    around_numbers,
    read_host,
    read_optional_units,
    read_project,
    read_serials,
    read_units,
    read_year,
)
from adapters.labels import merge_labels, split_labels
from adapters.tabular import RowReader, Sheet, TableAdapter
from keeling.serials import Grain, find_scheme

_SCHEME: Final = find_scheme("car")

_ANSWERS: Final = {
    "arb": labels.ARB_ELIGIBLE,
    "ecology": labels.ECOLOGY_ELIGIBLE,
    "corsia_pilot": labels.CORSIA_PILOT,
    "corsia_first": labels.CORSIA_FIRST,
    "adjustment": labels.ADJUSTMENT,
    "ccp": labels.CCP,
}
_CONVERSIONS: Final = {
    "arb": "arb",
    "canceled for arb": "arb",
    "wa eco": "wa_ecology",
    "ecology": "wa_ecology",
}
_PARTS: Final = ("reserve_buffer", "compliance_buffer", "converted_to_vcu", "cancelled_for_compliance", "cancelled")


def _issuances(at: Binding) -> RowReader:
    def read(cells: list[str], source: RowSource) -> EvidenceRow:
        project, vintage = read_project(cells[at.at("project")], "CAR"), read_year(cells[at.at("vintage")])
        parts = {part: read_optional_units(cells[at.at(part)]) for part in _PARTS}
        return EvidenceRow(
            source,
            EvidenceKind.ISSUANCE,
            read_units(cells[at.at("quantity")]),
            Grain.T_CO2E,
            f"car:{project}-{vintage.first.year}",
            project,
            vintage,
            read_host(cells[at.at("country")]),
            APX_DATES.effective(cells[at.at("issued")]),
            _labels(at, cells),
            tuple(Amount(part.replace("_", "-"), units) for part, units in parts.items() if units is not None),
            buffer_units=parts["reserve_buffer"] or 0,
        )

    return read


def _blocks(at: Binding) -> RowReader:
    cancelled = at.layout is CANCELLATIONS
    holder_at = at.indexes.get("holder", -1)

    def read(cells: list[str], source: RowSource) -> UnitRow:
        serials = read_serials(cells[at.at("serial")], _SCHEME, read_units(cells[at.at("quantity")]))
        batch = read_batch(
            _SCHEME, "CAR", around_numbers(serials), cells[at.at("project")], cells[at.at("vintage")], ""
        )
        reason, note = cells[at.at("reason")].strip(), cells[at.at("note")].strip()
        twin = _twin(reason, note) if cancelled else None
        converted = twin is not None and twin.destination in _CONVERSIONS.values()
        ended = UnitStatus.CANCELLED if cancelled else UnitStatus.RETIRED
        return UnitRow(
            source,
            serials,
            UnitStatus.CONVERTED if converted else ended,
            batch,
            APX_DATES.effective(cells[at.at("ended")]),
            _labels(at, cells),
            cells[holder_at].strip(),
            "",
            reason,
            note,
            twin,
        )

    return read


def _twin(reason: str, note: str) -> TwinProposal | None:
    """Return the conversion a reason names, or the export that a note tells of, in the note's own words."""
    return find_conversion(_CONVERSIONS, reason, note) or (TwinProposal(note, note) if note else None)


def _labels(at: Binding, cells: list[str]) -> tuple[Label, ...]:
    return merge_labels(
        (
            read_answers(at, _ANSWERS, cells),
            split_labels(cells[at.at("kind")], ";"),
            split_labels(cells[at.at("certifications")], ";"),
        )
    )


ADAPTER: Final = TableAdapter(
    "car",
    (
        Sheet(ISSUANCES, _issuances, quantity="quantity"),
        Sheet(RETIREMENTS, _blocks, quantity="quantity"),
        Sheet(CANCELLATIONS, _blocks, quantity="quantity"),
    ),
)
