"""I-REC(E) certificate numbers as platforms print them: MWh with six decimals, so one unit is 1 Wh.

`1.066602 to 1.069015` is 2,414 units. Source: the documentation of REDEX; both of its examples obey the rule.
"""

from __future__ import annotations

from typing import Final

from keeling.serials.model import Grain
from keeling.serials.scheme import Piece, Scheme

IREC_REDEX: Final = Scheme(
    "irec_redex",
    registry="irec",
    grain=Grain.WH,
    space=("device", "country", "year", "production_start", "production_end"),
    decimals=6,
    pieces=(
        Piece(r"IREC-", "IREC-"),
        Piece(r"(?P<device>[A-Z0-9]+)-", "the device code"),
        Piece(r"(?P<country>[A-Z]{2})-", "a two-letter country"),
        Piece(r"(?P<year>\d{4})-", "the year"),
        Piece(r"(?P<production_start>\d{4})-", "the start of production as MMDD"),
        Piece(r"(?P<production_end>\d{4})-", "the end of production as MMDD"),
        Piece(r"(?P<first>\d+\.\d{6})", "the first number with six decimals"),
        Piece(r" to (?P<last>\d+\.\d{6})", "' to ' and the last number with six decimals"),
    ),
)
