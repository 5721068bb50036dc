"""The fields of a CDOP unit description, flattened: the schema's paths without the marks of lists. See `parse`."""

from __future__ import annotations

from typing import Final

from adapters.delimited import Column, Layout

UNITS: Final = Layout(
    "units",
    (
        Column("serial", ("unit.reference.serial_number",)),
        Column("quantity", ("unit.credit_block.quantity",)),
        Column("first", ("unit.credit_block.block_start",)),
        Column("last", ("unit.credit_block.block_end",)),
        Column("status", ("unit.status.status",)),
        Column("reason", ("unit.status.status_reason",)),
        Column("metric", ("unit.descriptor.metric",)),
        Column("type", ("unit.descriptor.type",)),
        Column("vintage", ("vintage.vintage",)),
        Column("beneficiary", ("unit.retirement.retirement_beneficiary",), required=False),
        Column("note", ("unit.retirement.retirement_detail",), required=False),
        Column("holder", ("unit.owner_account_id",), required=False),
        Column("project", ("project.current_registry_project_id",), required=False),
        Column("source_serial", ("unit.reference.source_serial_number",), required=False),
    ),
)
