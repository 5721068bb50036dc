"""The columns of Isometric's issuance and retirement lists. What they mean is in `parse`."""

from __future__ import annotations

from typing import Final

from adapters.delimited import Column, Layout

ISSUANCES: Final = Layout(
    "issuances",
    (
        Column("reference", ("id",)),
        Column("issued", ("issued_at",)),
        Column("project", ("project_id",)),
        Column("kilograms", ("credit_batch_size_total.credit_kgs",)),
        Column("credits", ("credit_batch_size_total.credits",)),
        Column("supplier_kilograms", ("supplier_credit_batch_size_total.credit_kgs",)),
        Column("buffer_kilograms", ("buffer_pool_credit_batch_size_total.credit_kgs",)),
        Column("country", ("supplier.location.country_code",), required=False),
        Column("supplier", ("supplier.organisation.name",), required=False),
        Column("supplier_id", ("supplier.id",), required=False),
        Column("short_description", ("supplier.short_description",), required=False),
        Column("long_description", ("supplier.long_description",), required=False),
        Column("organisation_id", ("supplier.organisation.id",), required=False),
        Column("organisation_domain", ("supplier.organisation.domain",), required=False),
        Column("location", ("supplier.location",), required=False),
        Column("supplier_credits", ("supplier_credit_batch_size_total.credits",), required=False),
        Column("buffer_credits", ("buffer_pool_credit_batch_size_total.credits",), required=False),
        Column("country_name", ("supplier.location.country_name",), required=False),
        Column("latitude", ("supplier.location.latitude",), required=False),
        Column("longitude", ("supplier.location.longitude",), required=False),
        Column("location_description", ("supplier.location.description",), required=False),
    ),
)

RETIREMENTS: Final = Layout(
    "retirements",
    (
        Column("reference", ("retirement_id",)),
        Column("ended", ("retired_at",)),
        Column("project", ("project_id",)),
        Column("kilograms", ("credit_batch_size_total.credit_kgs",)),
        Column("credits", ("credit_batch_size_total.credits",)),
        Column("purposes", ("purposes",)),
        Column("beneficiary", ("beneficiary.name",)),
        Column("note", ("notes",)),
        Column("sequestered", ("sequestered_on",)),
        Column("holder", ("owner.name",), required=False),
        Column("holder_id", ("owner.id",), required=False),
        Column("holder_domain", ("owner.domain",), required=False),
        Column("beneficiary_id", ("beneficiary.id",), required=False),
        Column("beneficiary_domain", ("beneficiary.domain",), required=False),
        Column("page", ("url",), required=False),
    ),
)
