"""The columns of Cercarbono's issuance and retirement lists. What they mean is in `parse`."""

from __future__ import annotations

from typing import Final

from adapters.delimited import Column, Layout

ISSUANCES: Final = Layout(
    "issuances",
    (
        Column("serial", ("serial",)),
        Column("quantity", ("issued_quantity",)),
        Column("issued", ("issuance_date",)),
        Column("is_buffer", ("is_buffer",)),
        Column("vintage", ("vintage_of_credits",)),
        Column("eligible", ("elegible", "eligible")),
        Column("year", ("year",), required=False),
        Column("verification", ("verification",), required=False),
        Column("goals", ("global_goals",), required=False),
    ),
)

RETIREMENTS: Final = Layout(
    "retirements",
    (
        Column("serial", ("serial",)),
        Column("quantity", ("quantity",)),
        Column("first", ("from",)),
        Column("last", ("to",)),
        Column("ended", ("date",)),
        Column("vintage", ("vintage",)),
        Column("beneficiary", ("end_user", "final_user")),
        Column("reason", ("certificate_destination",)),
        Column("passive_subject", ("passive_subject",), required=False),
        Column("in_kilograms", ("is_kg",), required=False),
        Column("name", ("project_name",), required=False),
        Column("internal_id", ("project_id",), required=False),
        Column("page", ("public_consult",), required=False),
        Column("industry", ("industry",), required=False),
    ),
)
