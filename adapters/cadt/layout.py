"""The fields of a CAD Trust unit (data model 2.0.2), as its node's `/v2/unit` writes them. See `parse`."""

from __future__ import annotations

from typing import Final

from adapters.delimited import Column, Layout

UNITS: Final = Layout(
    "units",
    (
        Column("serial", ("unitSerialId",)),
        Column("first", ("unitStartBlock",)),
        Column("last", ("unitEndBlock",)),
        Column("quantity", ("unitCount",)),
        Column("status", ("unitStatus",)),
        Column("vintage", ("unitVintageYear",)),
        Column("metric", ("unitMetric",)),
        Column("type", ("unitType",), required=False),
        Column("reason", ("unitStatusReason",), required=False),
        Column("ended", ("unitStatusDate",), required=False),
        Column("note", ("unitRetirementDetail",), required=False),
        Column("beneficiary", ("unitRetirementBeneficiary",), required=False),
        Column("beneficiary_id", ("unitRetirementBeneficiaryId",), required=False),
        Column("holder", ("unitCurrentOwner",), required=False),
        Column("itmo", ("unitItmosReferenceId",), required=False),
        Column("page", ("unitLink",), required=False),
        Column("reference", ("cadTrustUnitId",), required=False),
        Column("issuance", ("cadTrustIssuanceId",), required=False),
        Column("organisation", ("orgUid",), required=False),
        Column("marketplace", ("marketplace",), required=False),
        Column("marketplace_link", ("marketplaceLink",), required=False),
        Column("marketplace_id", ("marketplaceIdentifier",), required=False),
        Column("created", ("createdAt",), required=False),
        Column("updated", ("updatedAt",), required=False),
    ),
)
