"""The columns of the Climate Action Reserve's issuance, retirement and cancellation exports. Their meaning: `parse`."""

from __future__ import annotations

from typing import Final

from adapters.apx import CCP_COLUMN
from adapters.delimited import Column, Layout

_PROJECT: Final = (
    Column("project", ("Project ID",)),
    Column("vintage", ("Vintage",)),
    Column("name", ("Project Name",), required=False),
    Column("project_type", ("Project Type",), required=False),
    Column("kind", ("Reduction/Removal",), required=False),
    Column("reversible", ("Reversible/Non-Reversible",), required=False),
    Column("protocol", ("Protocol and Version",), required=False),
    Column("site", ("Project Site Location",), required=False),
    Column("site_state", ("Project Site State",), required=False),
    Column("country", ("Project Site Country",), required=False),
    Column("certifications", ("Additional Certification(s)",), required=False),
)

_ELIGIBLE: Final = (
    Column("corsia_pilot", ("Eligible for CORSIA 2021-2023 Compliance Period",), required=False),
    Column("corsia_first", ("Eligible for CORSIA 2024-2026 Compliance Period",), required=False),
    Column("adjustment", ("Corresponding Adjustment",)),
    CCP_COLUMN,
    Column("activity_area", ("Activity Area Type",), required=False),
)

_BLOCK: Final = (
    Column("serial", ("Offset Credit Serial Numbers",)),
    Column("quantity", ("Quantity of Offset Credits",)),
    Column("ended", ("Status Effective",)),
)

ISSUANCES: Final = Layout(
    "issuances",
    (
        *_PROJECT,
        *_ELIGIBLE,
        Column("issued", ("Date Issued",)),
        Column("quantity", ("Total Offset Credits Issued",)),
        Column("reserve_buffer", ("Offset Credits Currently in Reserve Buffer Pool",)),
        Column("compliance_buffer", ("Offset Credits Intended for Compliance Buffer Pool",)),
        Column("converted_to_vcu", ("Offset Credits Converted to VCUs",)),
        Column("cancelled_for_compliance", ("Canceled for Compliance",)),
        Column("cancelled", ("Canceled",)),
        Column("arb", ("ARB Eligible",), required=False),
        Column("ecology", ("WA ECO Eligible",), required=False),
        Column("zero", ("Zero-Credit Reporting Period",), required=False),
        Column("cooperative", ("Cooperative/ Aggregate ID",), required=False),
        Column("developer", ("Project Developer",), required=False),
        Column("owner", ("Project Owner",), required=False),
        Column("crediting_period", ("Crediting Period",), required=False),
        Column("verifier", ("Verification Body",), required=False),
        Column("website", ("Project Website",), required=False),
        Column("documents", ("Documents",), required=False),
    ),
)

RETIREMENTS: Final = Layout(
    "retirements",
    (
        *_PROJECT,
        *_ELIGIBLE,
        *_BLOCK,
        Column("holder", ("Account Holder",)),
        Column("reason", ("Retirement Reason",)),
        Column("note", ("Retirement Reason Details",)),
    ),
    free_text="note",
)
"""The registry does not double quotes inside fields; thirteen of 11,044 rows gain fields by it, all in the details."""

CANCELLATIONS: Final = Layout(
    "cancellations",
    (
        *_PROJECT,
        *_BLOCK,
        Column("reason", ("Cancellation Reason",)),
        Column("note", ("Export Notes",)),
    ),
    free_text="note",
)
