"""The columns of the California Air Resources Board's table of issued offset credits. Their meaning is in `parse`."""

from __future__ import annotations

from typing import Final

from adapters.delimited import Column, Layout

ISSUANCES: Final = Layout(
    "issuances",
    (
        Column("project", ("CARB Project ID",)),
        Column("registry_project", ("OPR Project ID",)),
        Column("vintage", ("Vintage",)),
        Column("quantity", ("ARB Offset Credits Issued",)),
        Column("forest_buffer", ("Forest Buffer Account Contribution",)),
        Column("issued", ("Issuance Date",)),
        Column("reference", ("CARB Issuance ID",)),
        Column("invalidated", ("Invalidated or Canceled",)),
        Column("voluntary", ("Retired Voluntarily",)),
        Column("reversal", ("Retired for Intentional Reversal",)),
        Column("compliance_1", ("Retired 1st Compliance Period (CA)",)),
        Column("compliance_2", ("Retired 2nd Compliance Period (CA)",)),
        Column("compliance_3", ("Retired 3rd Compliance Period (CA)",)),
        Column("compliance_4", ("Retired 4th Compliance Period (CA)",)),
        Column("compliance_5", ("Retired 5th Compliance Period (CA)",)),
        Column("compliance_quebec", ("Retired for Compliance in Quebec",)),
        Column("buffer_retired", ("Buffer Pool Retired",), required=False),
        Column("note", ("Comment",), required=False),
        Column("project_type", ("Project Type",), required=False),
        Column("reporting_period", ("Reporting Period",), required=False),
        Column("reporting_start", ("Reporting Period Start Date",), required=False),
        Column("reporting_end", ("Reporting Period End Date",), required=False),
        Column("early", ("Early Action/ Compliance",), required=False),
        Column("invalidation", ("Invalidation Timeframe",), required=False),
        Column("invalidation_reduced", ("Date Invalidation Period Reduced",), required=False),
        Column("invalidation_start", ("Start of Invalidation Timeframe",), required=False),
        Column("name", ("Offset Project Name",), required=False),
        Column("operator", ("Offset Project Operator",), required=False),
        Column("verifier", ("Verification Body",), required=False),
        Column("state", ("State",), required=False),
        Column("benefits", ("Provides DEBS",), required=False),
        Column("section", ("Section 95989(b) Documentation, if applicable",), required=False),
        Column("documents", ("Project Documentation",), required=False),
        Column("intentional_reversal", ("Intentional Reversal",), required=False),
        Column("unintentional_reversal", ("Unintentional Reversal",), required=False),
    ),
)
