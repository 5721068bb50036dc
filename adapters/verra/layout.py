"""The columns of Verra's VCU export, by every name they have had. What they mean is in `parse`."""

from __future__ import annotations

from typing import Final

from adapters.delimited import Column, Layout

TRANSACTIONS: Final = Layout(
    "transactions",
    (
        Column("issued", ("Issuance Date",)),
        Column("vintage_start", ("Vintage Start",)),
        Column("vintage_end", ("Vintage End",)),
        Column("project", ("ID",)),
        Column("quantity", ("Quantity Issued", "Quantity of Units Issued")),
        Column("serial", ("Serial Number",)),
        Column("labels", ("Additional Certifications",)),
        Column("ended", ("Retirement/Cancellation Date",)),
        Column("beneficiary", ("Retirement Beneficiary",)),
        Column("reason", ("Retirement Reason",)),
        Column("details", ("Retirement Details",)),
        Column("vintage_total", ("Total Vintage Quantity",), required=False),
        Column("name", ("Name",), required=False),
        Column("country", ("Country/Area",), required=False),
        Column("project_type", ("Project Type",), required=False),
        Column("methodology", ("Methodology",), required=False),
        Column("goals", ("Sustainable Development Goals",), required=False),
    ),
    free_text="details",
)
