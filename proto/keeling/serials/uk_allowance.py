"""Blocks of UK allowances. The registry numbers all of them in one sequence and prints start and end in two columns.

So `UKA-<start>-<end>` is our spelling of the two, not the registry's. Source: the public code of the UK Emissions
Trading Registry (one sequence, quantity = end - start + 1). Account numbers are in `uk_account`.
"""

from __future__ import annotations

from typing import Final

from keeling.serials.model import Grain
from keeling.serials.scheme import Piece, Scheme

UKA: Final = Scheme(
    "uka",
    registry="uk_ets",
    grain=Grain.T_CO2E,
    pieces=(
        Piece(r"UKA-", "UKA-"),
        Piece(r"(?P<first>\d+)-", "the start of the block"),
        Piece(r"(?P<last>\d+)", "the end of the block"),
    ),
)
