"""The columns of ACR's issuance, retirement and cancellation exports. What they mean is in `parse`."""

from __future__ import annotations

from typing import Final

from adapters.apx import CCP_COLUMN
from adapters.delimited import Column, Layout

_PROJECT: Final = (
    Column("project", ("Project ID",)),
    Column("vintage", ("Vintage",)),
    Column("issued", ("Date Issued (GMT)",)),
    Column("arb", ("ARB Eligible",), required=False),
    Column("ecology", ("Ecology Eligible",), required=False),
    CCP_COLUMN,
    Column("removal", ("Verified Removal",), required=False),
    Column("country", ("Project Site Country",), required=False),
    Column("name", ("Project Name",), required=False),
    Column("project_type", ("Project Type",), required=False),
    Column("methodology", ("Project Methodology/Protocol",), required=False),
    Column("methodology_version", ("Methodology/Protocol Version",), required=False),
    Column("site", ("Project Site Location",), required=False),
    Column("site_state", ("Project Site State",), required=False),
    Column("goals", ("Sustainable Development Goal(s)",), required=False),
    Column("website", ("Project Website",), required=False),
    Column("documents", ("Documents",), required=False),
)

_BLOCK: Final = (
    Column("serial", ("Credit Serial Numbers",)),
    Column("quantity", ("Quantity of Credits",)),
    Column("ended", ("Status Effective (GMT)",)),
    Column("holder", ("Account Holder",)),
    Column("corsia", ("CORSIA Eligible",), required=False),
    Column("corsia_pilot", ("Eligible for CORSIA 2021-2023 Compliance Period (Pilot Phase)",), required=False),
    Column("corsia_first", ("Eligible for CORSIA 2024-2026 Compliance Period (First Phase)",), required=False),
    Column("period_start", ("Vintage Assignment Period Start Date",), required=False),
    Column("period_end", ("Vintage Assignment Period End Date",), required=False),
    Column("fiid", ("fiid",), required=False),
    Column("files", ("Numberoffiles",), required=False),
)
"""`Status Effective  (GMT)` has two spaces in one of the files; headings are compared with one."""

ISSUANCES: Final = Layout(
    "issuances",
    (
        *_PROJECT,
        Column("quantity", ("Total Credits Issued",)),
        Column("to_project", ("Credits Issued to Project",)),
        Column("to_buffer", ("Credits Issued to Buffer Pool",)),
        Column("transferred_to_buffer", ("Credits Transferred to Buffer Pool",)),
        Column("period_start", ("ReportingPeriodBegin",), required=False),
        Column("period_end", ("ReportingPeriodEnd",), required=False),
        Column("developer", ("Project Developer",), required=False),
        Column("verifier", ("Project VVB",), required=False),
        Column("crediting_start", ("Project Crediting Period Start Date",), required=False),
    ),
)

RETIREMENTS: Final = Layout(
    "retirements",
    (
        *_PROJECT,
        *_BLOCK,
        Column("beneficiary", ("Retired on Behalf of",)),
        Column("reason", ("Retirement Reason",)),
        Column("note", ("Purpose of Retirement",)),
    ),
)

CANCELLATIONS: Final = Layout(
    "cancellations",
    (
        *_PROJECT,
        *_BLOCK,
        Column("reason", ("Cancellation Type",)),
        Column("note", ("Cancellation Details",)),
        Column("holder_id", ("ahID",), required=False),
    ),
)
