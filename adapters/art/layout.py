"""The columns of ART's issuance, retirement and cancellation exports. What they mean is in `parse`."""

from __future__ import annotations

from typing import Final

from adapters.apx import CCP_COLUMN
from adapters.delimited import Column, Layout

_PROGRAMME: Final = (
    Column("project", ("Program ID",)),
    Column("vintage", ("Vintage",)),
    Column("issued", ("Date Approved",)),
    CCP_COLUMN,
    Column("corsia", ("CORSIA Eligible",), required=False),
    Column("name", ("Program Name",), required=False),
    Column("standard", ("Crediting Program and Standard",), required=False),
    Column("type", ("Program Type",), required=False),
    Column("version", ("Standard Version",), required=False),
    Column("jurisdictions", ("Program Jurisdiction(s)",), required=False),
    Column("country_name", ("Program Country",), required=False),
)
"""`Program  Country` has two spaces; headings are compared with one."""

_BLOCK: Final = (
    Column("serial", ("Credit Serial Numbers",)),
    Column("quantity", ("Quantity of Credits",)),
    Column("ended", ("Status Effective",)),
    Column("holder", ("Account Holder",)),
    Column("corsia_pilot", ("Eligible for CORSIA 2021-2023 Compliance Period (Pilot Phase)",), required=False),
    Column("corsia_first", ("Eligible for CORSIA 2024-2026 Compliance Period (First Phase)",), required=False),
)

ISSUANCES: Final = Layout(
    "issuances",
    (
        *_PROGRAMME,
        Column("quantity", ("Credits Verified",)),
        Column("buffer", ("Credits Deposited in Buffer",)),
        Column("total", ("Total Emission Reductions/Removals",)),
        Column("fiid", ("fiID",), required=False),
        Column("developer", ("Sovereign Program Developer",), required=False),
        Column("verifier", ("Verification Body",), required=False),
        Column("website", ("Program Website",), required=False),
        Column("documents", ("Documents",), required=False),
    ),
)

RETIREMENTS: Final = Layout(
    "retirements",
    (
        *_PROGRAMME,
        *_BLOCK,
        Column("beneficiary", ("Retired on Behalf of",)),
        Column("reason", ("Retirement Reason",)),
        Column("note", ("Purpose of Retirement", "Retirement Reason Details")),
    ),
)

CANCELLATIONS: Final = Layout(
    "cancellations",
    (
        *_PROGRAMME,
        *_BLOCK,
        Column("reason", ("Cancellation Reason",)),
        Column("note", ("Cancellation Details",)),
    ),
)
