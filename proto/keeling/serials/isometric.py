"""The serial of an Isometric credit batch. One unit is a kilogram.

Only one serial is public (`…-78177-81177`), and nothing says whether its last number belongs to it: 3,000 kg or 3,001.
So a serial is read only beside its quantity, which decides. Numbers count below supplier, batch code and vintage
(assumed).
"""

from __future__ import annotations

from typing import Final

from keeling.serials.model import Grain, SerialError, SerialFault, SerialRange, Widest
from keeling.serials.scheme import Piece, Scheme


class _Isometric(Scheme):
    def parse(self, text: str, units: int | None = None) -> SerialRange:
        serials = super().parse(text)
        if units is None:
            raise SerialError(
                SerialFault.RANGE_ELSEWHERE,
                f"{text!r} does not say whether its last number is included; give the quantity in kilograms too",
            )
        beyond = serials.units - units
        if units < 1 or beyond not in (0, 1):
            raise self._disagreement(text, serials.units, units)
        return serials._replace(last=serials.last - beyond, beyond=beyond)

    def parse_widest(self, text: str) -> Widest:
        """Return both readings as one: with the last number."""
        serials = Scheme.parse(self, text)
        return Widest(serials.space, serials.first, serials.last, sure=False)


ISOMETRIC: Final = _Isometric(
    "isometric",
    registry="isometric",
    grain=Grain.KG_CO2E,
    space=("supplier", "batch", "vintage"),
    pieces=(
        Piece(r"ISO-\d-", "ISO- and a digit"),
        Piece(r"(?P<supplier>[A-Z0-9]+)-", "the supplier"),
        Piece(r"(?P<country>[A-Z]{3})-", "a three-letter country"),
        Piece(r"(?P<batch>[A-Z0-9]{4})-", "a code of four characters"),
        Piece(r"(?P<vintage>\d{4})-", "the vintage year"),
        Piece(r"(?P<first>\d+)-", "the first number"),
        Piece(r"(?P<last>\d+)", "the last number"),
    ),
)
