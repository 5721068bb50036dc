"""Serials of Verra's VCUs. Block numbers are global across the registry; the batch in front only says when.

Source: 200 of 200 rows of the public export of April 2026. The sectoral scope is missing in some current serials, and
`VCS-VCU` contains a hyphen, so splitting at hyphens does not work.
"""

from __future__ import annotations

from typing import Final

from keeling.serials.model import Grain
from keeling.serials.scheme import Piece, Scheme

VERRA: Final = Scheme(
    "verra",
    registry="verra",
    grain=Grain.T_CO2E,
    pieces=(
        Piece(r"(?P<batch>\d+)-", "the batch number"),
        Piece(r"(?P<first>\d+)-", "the number of the first unit"),
        Piece(r"(?P<last>\d+)-", "the number of the last unit"),
        Piece(r"(?P<unit>VCS-VCU)-", "VCS-VCU"),
        Piece(r"(?P<code>\d+)-", "a numeric code"),
        Piece(r"VER-", "the registry code VER"),
        Piece(r"(?P<country>[A-Z]{2})-", "a two-letter country"),
        Piece(r"(?:(?P<scope>\d{1,2})-)?(?P<project>\d+)-", "the project number"),
        Piece(r"(?P<vintage_start>\d{8})-", "the vintage start as DDMMYYYY"),
        Piece(r"(?P<vintage_end>\d{8})-", "the vintage end as DDMMYYYY"),
        Piece(r"(?P<certified>[01])", "0 or 1 for additional certifications"),
    ),
)
