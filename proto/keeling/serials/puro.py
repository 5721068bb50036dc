"""Certificate numbers of Puro.earth: the long form and the two short forms that circulate.

Numbers are unique within an issuance (a UUID). Numbers from before the registry changed have 30 digits (an 18-digit
GSRN and 12 more) and are unique by themselves, so all forms that print one share one space. Source: 68 of 68 serials of
the public site and the vendor's documentation.
"""

from __future__ import annotations

import re
from typing import Final

from keeling.serials.model import Grain
from keeling.serials.scheme import Piece, Scheme, join_space

_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LEGACY_DIGITS: Final = 30


class _Puro(Scheme):
    def space(self, found: re.Match[str]) -> str:
        if len(found["first"]) == _LEGACY_DIGITS:
            return join_space(self.registry, ["legacy"])
        return join_space(self.registry, [found["issuance"]])


PURO: Final = _Puro(
    "puro",
    registry="puro",
    grain=Grain.T_CO2E,
    pieces=(
        Piece(r"PURO_PR_", "PURO_PR_"),
        Piece(r"(?P<type>CORC(?:\d+\+|_\d+)?)_", "the credit type such as CORC100+"),
        Piece(r"(?P<country>[A-Z]{2})_", "a two-letter country"),
        Piece(r"(?P<project>\d+)_", "the facility number"),
        Piece(r"(?P<vintage>\d{4})_", "the vintage year"),
        Piece(rf"(?P<issuance>{_UUID})_", "the UUID of the issuance"),
        Piece(r"(?P<first>\d+)-", "the number of the first certificate"),
        Piece(r"(?P<last>\d+)", "the number of the last certificate"),
    ),
)

PURO_SHORT_V1: Final = _Puro(
    "puro_short_v1",
    registry="puro",
    grain=Grain.T_CO2E,
    pieces=(
        Piece(r"(?P<first>\d{30})-", "a number of 30 digits"),
        Piece(r"(?P<last>\d{30})", "a second number of 30 digits"),
    ),
)

PURO_SHORT_V2: Final = _Puro(
    "puro_short_v2",
    registry="puro",
    grain=Grain.T_CO2E,
    pieces=(
        Piece(rf"(?P<issuance>{_UUID})_", "the UUID of the issuance"),
        Piece(r"(?P<first>\d+)-", "the number of the first certificate"),
        Piece(r"(?P<last>\d+)", "the number of the last certificate"),
    ),
)
