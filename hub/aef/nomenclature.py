"""Controlled values of the agreed electronic format, verbatim: list of common nomenclatures of 17 February 2026.

The spelling is the source's, slips included ("C02 usage" with a digit, "Authorisation" in one list and "Authorization"
in another): these are the strings the central platform matches, so nothing is normalised. What an authorization itself
says is in `keeling.aef_words`: ledgers have those lists as records.
"""

from __future__ import annotations

from typing import Final

from keeling import aef_words

NOT_APPLICABLE: Final = "NA"
"""The cell does not apply. An empty cell was not filled; the two are never the same."""

METRICS: Final = ("GHG", "non-GHG")
SECTORS: Final = aef_words.SECTORS
ACTIVITY_TYPES: Final = aef_words.ACTIVITY_TYPES
MITIGATION_TYPES: Final = aef_words.MITIGATION_TYPES
PURPOSES: Final = ("NDC", "OIMP", "IMP", "OP", "NDC and OIMP", "NDC and IMP", "NDC and OP")
FIRST_TRANSFERS: Final = ("Authorisation", "Issuance", "Use or Cancellation")
"""Definitions of first transfer for OIMP (list 22b)."""

AUTHORIZATION: Final = "Authorization"
FIRST_TRANSFER: Final = "First transfer"
TRANSFER: Final = "Transfer"
ACQUISITION: Final = "Acquisition"
USE: Final = "Use"
CANCELLATION: Final = "Cancellation"
VOLUNTARY_CANCELLATION: Final = "Voluntary Cancellation"
ACTION_TYPES: Final = (
    AUTHORIZATION,
    FIRST_TRANSFER,
    TRANSFER,
    ACQUISITION,
    USE,
    CANCELLATION,
    VOLUNTARY_CANCELLATION,
)
ENDINGS: Final = (USE, FIRST_TRANSFER, CANCELLATION, VOLUNTARY_CANCELLATION)
"""Action types whose rows may say who used or cancelled, and for what."""

TO_ANOTHER_PARTY: Final = "First transfer to another Party"
ON_AUTHORIZATION: Final = "Authorization"
ON_ISSUANCE: Final = "Issuance"
ON_USE_OR_CANCELLATION: Final = "Use or cancellation"
MANDATORY_ADAPTATION: Final = "Mandatory transfer to the Adaptation Fund (A6.4 ERs)"
VOLUNTARY_ADAPTATION: Final = "Voluntary transfer to the Adaptation Fund (A6.4 ERs)"
MANDATORY_OMGE: Final = "Mandatory cancellation to deliver OMGE"
VOLUNTARY_OMGE: Final = "Voluntary cancellation to deliver OMGE"
OTHER_CANCELLATIONS: Final = "Other cancellations"
NOT_YET_DEFINED: Final = "Not yet defined"
ACTION_SUBTYPES: Final = (
    TO_ANOTHER_PARTY,
    ON_AUTHORIZATION,
    ON_ISSUANCE,
    ON_USE_OR_CANCELLATION,
    MANDATORY_ADAPTATION,
    VOLUNTARY_ADAPTATION,
    MANDATORY_OMGE,
    VOLUNTARY_OMGE,
    OTHER_CANCELLATIONS,
    NOT_YET_DEFINED,
)
_CANCELLED: Final = (MANDATORY_OMGE, VOLUNTARY_OMGE, OTHER_CANCELLATIONS, NOT_YET_DEFINED)
SUBTYPES_OF: Final = {
    FIRST_TRANSFER: (TO_ANOTHER_PARTY, ON_AUTHORIZATION, ON_ISSUANCE, ON_USE_OR_CANCELLATION, *_CANCELLED),
    TRANSFER: (MANDATORY_ADAPTATION, VOLUNTARY_ADAPTATION, NOT_YET_DEFINED),
    CANCELLATION: _CANCELLED,
    VOLUNTARY_CANCELLATION: _CANCELLED,
}
"""Subtypes an action type allows; the other types are not constrained by the source."""

UNDERLYING_REGISTRIES: Final = (
    *("VCS", "GS", "CAR", "ACR", "ART", "GCC", "Cercarbono", "Isometric", "ISFL", "FCPF", "T-VER", "JCM"),
)
