"""Blocks of Indian carbon credit certificates. The registry's own layout is not public: elements and order are assumed.

A block is of one entity and one compliance year; `OE` of obligated entities, `OFF` of the offset mechanism.
"""

from __future__ import annotations

from typing import Final

from keeling.serials.model import Grain
from keeling.serials.scheme import Piece, Scheme

ICM_CCC: Final = Scheme(
    "icm_ccc",
    registry="icm",
    grain=Grain.CCC,
    space=("kind", "entity", "year"),
    pieces=(
        Piece(r"IN-CCC-", "IN-CCC-"),
        Piece(r"(?P<kind>OE|OFF)-", "OE or OFF"),
        Piece(r"(?P<entity>[A-Z0-9]{1,20})-", "the entity's registration"),
        Piece(r"(?P<year>20\d{2}-\d{2})-", "the compliance year such as 2025-26"),
        Piece(r"(?P<first>[1-9]\d{0,14})-", "the number of the first certificate"),
        Piece(r"(?P<last>[1-9]\d{0,14})", "the number of the last certificate"),
    ),
)
