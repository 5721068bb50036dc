"""What a report is made from. Values only; where they come from is known to the importer."""

from __future__ import annotations

from typing import Final, NamedTuple

KG_PER_TONNE: Final = 1000
ENDED_STATES: Final = frozenset({"ended", "retired", "cancelled", "converted"})
REGISTRY_NAMES: Final = {
    "verra": "Verra",
    "gold_standard": "Gold Standard",
    "acr": "American Carbon Registry",
    "car": "Climate Action Reserve",
    "art": "ART Registry",
    "cercarbono": "Cercarbono",
    "isometric": "Isometric",
    "arb": "California Air Resources Board",
    "cdop": "CDOP file",
    "cadt": "CAD Trust",
    "wa_ecology": "Washington Department of Ecology",
}


def name_registry(key: str) -> str:
    """A registry's own name; the key where we have none."""
    return REGISTRY_NAMES.get(key, key)


class Row(NamedTuple):
    """One row of a file and what became of it. Texts carry no personal data: it was removed when the row was read."""

    file: str
    row: int
    row_class: str
    """lot, evidence, duplicate or refused."""
    outcome: str
    status: str
    """What the registry shows; for evidence, what happened; empty where it could not be read."""
    units: int | None
    grain: str
    batch: str = ""
    serials: str = ""
    reason: str = ""
    detail: str = ""
    moved_to: str = ""
    effective: str = ""
    buffer_units: int = 0
    beneficiary_named: bool = True
    vintage_years: int = 0
    """Calendar years the vintage covers; 0 where it is not stated."""
    ex_ante: bool = False


class BatchState(NamedTuple):
    """A batch of the file as the ledger has it after the import."""

    batch: str
    exact: bool
    unseen: int
    grain: str


class Disagreement(NamedTuple):
    """Units of which ledger and file, two files or two claims say different things."""

    name: str
    batch: str
    serials: str
    first: int
    """The position in the batch of the first of the units."""
    units: int
    grain: str
    ledger: str
    claimed: str
    source: str
    restricted: bool
