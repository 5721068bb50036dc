"""Words of authorizations in the agreed electronic format, verbatim: list of common nomenclatures of 17 February 2026.

New networks have them as records, which the electorate replaces when the list changes; reports are checked by them.
The spelling is the source's, slips included ("C02 usage" with a digit). The other lists are in `hub.aef`.
"""

from __future__ import annotations

from typing import Final

SOURCE: Final = "UNFCCC, list of common nomenclatures under Article 6.2, 17 February 2026"
SEPARATOR: Final = "; "
"""Between the words of a list, in a record as in a cell."""
SECTORS: Final = (
    "Agriculture",
    "Building and construction",
    "Cross-sectoral mechanisms",
    "Energy generation",
    "Forestry and land use",
    "Industrial processes",
    "Transportation",
    "Urban development",
    "Waste management",
)
MITIGATION_TYPES: Final = ("Emission reductions", "Removals", "Emission reductions and removals")
ACTIVITY_TYPES: Final = (
    "Afforestation",
    "Agriculture",
    "Biogas",
    "Biomass Energy",
    "Cement",
    "C02 usage",
    "Coal bed/mine methane",
    "Energy distribution",
    "Energy Efficiency households",
    "Energy Efficiency Industry",
    "Energy Efficiency own generation",
    "Energy Efficiency service",
    "Energy Efficiency supply side",
    "Fossil fuel switch",
    "Fugitive",
    "Geothermal",
    "Hydro",
    "Landfill gas",
    "Methane avoidance",
    "N2O",
    "PFCs and SF6",
    "Reforestation",
    "Solar",
    "Tidal",
    "Transport",
    "Waste",
    "Wind",
)

LISTS: Final = {
    "aef:sectors": SECTORS,
    "aef:activity-types": ACTIVITY_TYPES,
    "aef:mitigation-types": MITIGATION_TYPES,
}
"""By the id of the record that has them."""
