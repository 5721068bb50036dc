"""Serials of the Gold Standard registry: its own, and CERs held there, which are printed as a pair of CDM numbers.

Source: 197 of 200 rows of the public exports of April 2026 are its own, 3 are CER pairs. Numbers restart in each batch.
"""

from __future__ import annotations

from typing import Final

from keeling.serials.model import Grain
from keeling.serials.scheme import Piece, Scheme

GOLD_STANDARD: Final = Scheme(
    "gold_standard",
    registry="gold_standard",
    grain=Grain.T_CO2E,
    space=("project", "type", "vintage", "batch"),
    pieces=(
        Piece(r"GS1-(?P<standard>\d+)-", "GS1- and a number"),
        Piece(r"(?P<country>[A-Z]{2})-", "a two-letter country"),
        Piece(r"GS(?P<project>\d+)-", "GS and the project number"),
        Piece(r"(?P<type>\d+)-", "the project type number"),
        Piece(r"(?P<vintage>\d{4})-", "the vintage year"),
        Piece(r"(?P<batch>\d+)-", "the batch number"),
        Piece(r"(?P<first>\d+)-", "the number of the first unit"),
        Piece(r"(?P<last>\d+)", "the number of the last unit"),
    ),
)

GS_CER_PAIR: Final = Scheme(
    "gs_cer_pair",
    registry="cer",
    grain=Grain.T_CO2E,
    space=("country",),
    pieces=(
        Piece(r"(?P<country>[A-Z]{2})-", "a two-letter Party"),
        Piece(r"5-", "the unit type 5 (CER)"),
        Piece(r"(?P<first>\d+)-", "the number of the first unit"),
        Piece(r"(?P<periods>\d-\d)-0-", "two commitment periods and 0"),
        Piece(r"(?P<project>\d+)", "the CDM project number"),
        Piece(r" - (?P=country)-5-", "' - ' and the same Party and type"),
        Piece(r"(?P<last>\d+)-", "the number of the last unit"),
        Piece(r"(?P=periods)-0-(?P=project)", "the same periods and project"),
    ),
)
"""Kyoto numbers are unique for each Party, whichever registry shows them: the space is the Party's."""
