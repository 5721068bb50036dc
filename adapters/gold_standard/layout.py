"""The columns of Gold Standard's issuance and retirement exports. What they mean is in `parse`."""

from __future__ import annotations

from typing import Final

from adapters.delimited import Column, Layout

_COMMON: Final = (
    Column("vintage", ("Vintage",)),
    Column("status", ("Credit Status",)),
    Column("quantity", ("Quantity",)),
    Column("project", ("GSID",)),
    Column("product", ("Product Type",)),
    Column("issued", ("Issuance Date",)),
    Column("serial", ("Serial Number",)),
    Column("labels", ("Label",)),
    Column("article6", ("Article Six Authorization",)),
    Column("name", ("Project Name",), required=False),
    Column("developer", ("Project Developer",), required=False),
    Column("country", ("Country",), required=False),
    Column("project_type", ("Project Type",), required=False),
    Column("methodology", ("Methodology",), required=False),
    Column("programme", ("Programme of Activities",), required=False),
    Column("programme_project", ("POA GSID",), required=False),
    Column("monitoring_start", ("Monitoring Period Start",), required=False),
    Column("monitoring_end", ("Monitoring Period End",), required=False),
)

ISSUANCES: Final = Layout("issuances", _COMMON)

RETIREMENTS: Final = Layout(
    "retirements",
    (
        *_COMMON,
        Column("ended", ("Retirement Date",)),
        Column("note", ("Note",)),
        Column("use_case", ("Use Case",)),
        Column("beneficiary", ("Using Entity",)),
        Column("operator", ("Aeroplane Operator Name",), required=False),
    ),
)
"""Despite its name the file holds cancelled units too."""
