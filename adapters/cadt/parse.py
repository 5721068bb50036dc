"""Units of a CAD Trust node, version 2 of the data model: JSON of `/v2/unit`, or the same fields as CSV.

A node copies what a registry says and does not check count against range (its own examples disagree), so serial, blocks
and count must agree here or the row is refused. Picklist words are those of schema 2.0.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapters.any_registry import check_active, read_any_unit
from adapters.cadt.layout import UNITS
from adapters.delimited import Binding, plain
from adapters.documents import DocumentAdapter, RecordShapeError, text_of
from adapters.exports import Label, RowFault, RowRefused, RowSource, TwinProposal, UnitRow, UnitStatus
from adapters.fields import DateForm, Dates
from adapters.labels import REDUCTION, REMOVAL, flagged
from adapters.tabular import RowReader, Sheet

_DATES: Final = Dates(DateForm.ISO)

_STATUS: Final = {
    "held": UnitStatus.ACTIVE,
    "issued": UnitStatus.ACTIVE,
    "buffer": UnitStatus.BUFFER,
    "retired": UnitStatus.RETIRED,
    "cancelled": UnitStatus.CANCELLED,
    "expired": UnitStatus.CANCELLED,
}
"""Inactive and Rejected say too little to become the state of a unit."""


def _units(at: Binding) -> RowReader:
    ended_at, reason_at, note_at, itmo_at = at.at("ended"), at.at("reason"), at.at("note"), at.at("itmo")
    beneficiary_at, holder_at, type_at = at.at("beneficiary"), at.at("holder"), at.at("type")

    def read(cells: list[str], source: RowSource) -> UnitRow:
        status = _STATUS.get(plain(cells[at.at("status")]))
        if status is None:
            raise RowRefused(
                RowFault.BAD_STATUS, f"status {cells[at.at('status')][:40]!r} is none of {', '.join(_STATUS)}"
            )
        if plain(cells[at.at("metric")]) != "tco2e":
            raise RowRefused(RowFault.BAD_QUANTITY, f"metric {cells[at.at('metric')][:40]!r} is not tCO2e")
        serials, batch = read_any_unit(
            cells[at.at("serial")],
            cells[at.at("quantity")],
            cells[at.at("first")],
            cells[at.at("last")],
            cells[at.at("vintage")],
        )
        if status is UnitStatus.ACTIVE:
            check_active(serials)
        itmo = cells[itmo_at].strip()
        return UnitRow(
            source,
            serials,
            status,
            batch,
            _DATES.effective(cells[ended_at]) if status is not UnitStatus.ACTIVE else None,
            _type_labels(cells[type_at]),
            cells[holder_at].strip(),
            cells[beneficiary_at].strip(),
            cells[reason_at].strip(),
            cells[note_at].strip(),
            TwinProposal("itmo", itmo) if itmo else None,
        )

    return read


def _type_labels(text: str) -> tuple[Label, ...]:
    """Return what a unit type such as "Removal - nature" says of the kind."""
    kind = plain(text).partition(" - ")[0]
    return flagged(REMOVAL) if kind == "removal" else flagged(REDUCTION) if kind in ("reduction", "avoidance") else ()


def _flatten(record: Any) -> list[dict[str, str]]:
    if not isinstance(record, Mapping) or "unitSerialId" not in record:
        raise RecordShapeError("is no object with unitSerialId as a CAD Trust unit must be")
    return [{str(name): text_of(value) for name, value in record.items()}]


ADAPTER: Final = DocumentAdapter("cadt", Sheet(UNITS, _units, quantity="quantity"), _flatten)
