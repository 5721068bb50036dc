"""Unit descriptions of the Carbon Data Open Protocol (CDOP), as in its JSON schema of May 2026.

A record has lists: its references and credit blocks belong together one by one, each pair a row; of its statuses the
current one counts. The flat example in the protocol's repository does not follow its schema and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapters.any_registry import check_active, read_any_unit
from adapters.cdop.layout import UNITS
from adapters.delimited import Binding, plain
from adapters.documents import DocumentAdapter, RecordShapeError, text_of
from adapters.exports import Label, RowFault, RowRefused, RowSource, UnitRow, UnitStatus
from adapters.labels import PRODUCT, flagged
from adapters.tabular import RowReader, Sheet

_STATUS: Final = {
    "active": UnitStatus.ACTIVE,
    "on hold": UnitStatus.ACTIVE,
    "pending transfer": UnitStatus.ACTIVE,
    "accepted pending payment": UnitStatus.ACTIVE,
    "deposited released": UnitStatus.ACTIVE,
    "retired": UnitStatus.RETIRED,
    "cancelled": UnitStatus.CANCELLED,
}


def _units(at: Binding) -> RowReader:
    beneficiary_at, note_at, holder_at = at.at("beneficiary"), at.at("note"), at.at("holder")

    def read(cells: list[str], source: RowSource) -> UnitRow:
        word, metric = plain(cells[at.at("status")]), plain(cells[at.at("metric")])
        status = _STATUS.get(word)
        if status is None:
            raise RowRefused(RowFault.BAD_STATUS, f"status {cells[at.at('status')][:40]!r} is none of CDOP's")
        if metric not in ("tco2e", "tco2"):
            raise RowRefused(RowFault.BAD_QUANTITY, f"metric {cells[at.at('metric')][:40]!r} is not tCO2e")
        serials, batch = read_any_unit(
            cells[at.at("serial")],
            cells[at.at("quantity")],
            cells[at.at("first")],
            cells[at.at("last")],
            cells[at.at("vintage")][:4],
        )
        if status is UnitStatus.ACTIVE:
            check_active(serials)
        return UnitRow(
            source,
            serials,
            status,
            batch,
            None,
            _labels(word, cells[at.at("type")]),
            cells[holder_at].strip(),
            cells[beneficiary_at].strip(),
            cells[at.at("reason")].strip(),
            cells[note_at].strip(),
        )

    return read


def _labels(status: str, product: str) -> tuple[Label, ...]:
    """Return the product and, of an active unit, what the registry's account says of it ("registry-state:on hold")."""
    state = flagged(f"registry-state:{status}") if _STATUS[status] is UnitStatus.ACTIVE and status != "active" else ()
    return (*state, *(flagged(PRODUCT + plain(product)) if product.strip() else ()))


def _flatten(record: Any) -> list[dict[str, str]]:
    unit, project, vintage = _part(record, "unit"), _part(record, "project"), _part(record, "vintage")
    references, blocks = _list(unit, "reference"), _list(unit, "credit_block")
    if not references or len(references) != len(blocks):
        raise RecordShapeError(f"has {len(references)} unit.reference and {len(blocks)} unit.credit_block")
    current = [status for status in _list(unit, "status") if status.get("is_current") is True]
    if len(current) != 1:
        raise RecordShapeError(f"has {len(current)} current entries in unit.status instead of one")
    descriptor, retirement = _first(_list(unit, "descriptor")), _first(_list(unit, "retirement"))
    common = {
        "unit.status.status": current[0].get("status"),
        "unit.status.status_reason": current[0].get("status_reason"),
        "unit.descriptor.metric": descriptor.get("metric"),
        "unit.descriptor.type": descriptor.get("type"),
        "unit.retirement.retirement_beneficiary": retirement.get("retirement_beneficiary"),
        "unit.retirement.retirement_detail": retirement.get("retirement_detail"),
        "unit.owner_account_id": unit.get("owner_account_id"),
        "project.current_registry_project_id": project.get("current_registry_project_id"),
        "vintage.vintage": vintage.get("vintage"),
    }
    return [
        {heading: text_of(value) for heading, value in {**common, **_paired(reference, block)}.items()}
        for reference, block in zip(references, blocks, strict=True)
    ]


def _paired(reference: Mapping[str, Any], block: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "unit.reference.serial_number": reference.get("serial_number"),
        "unit.reference.source_serial_number": reference.get("source_serial_number"),
        "unit.credit_block.quantity": block.get("quantity"),
        "unit.credit_block.block_start": block.get("block_start"),
        "unit.credit_block.block_end": block.get("block_end"),
    }


def _part(record: Any, name: str) -> Mapping[str, Any]:
    part = record.get(name) if isinstance(record, Mapping) else None
    if not isinstance(part, Mapping):
        raise RecordShapeError(f"has no object {name!r} as a CDOP unit description must")
    return part


def _list(part: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = part.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise RecordShapeError(f"has no list of objects {name!r} as a CDOP unit description must")
    return found


def _first(parts: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    if len(parts) > 1:
        raise RecordShapeError("has several descriptors or retirements; which blocks they are of is not said")
    return parts[0] if parts else {}


ADAPTER: Final = DocumentAdapter("cdop", Sheet(UNITS, _units, quantity="quantity"), _flatten)
