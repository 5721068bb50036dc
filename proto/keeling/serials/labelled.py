"""Serials that print no range: Cercarbono (numbers in other fields), Regen batches, and our own opaque positions.

A range of them is written `<serial>#<first>-<last>`. Only the part before the `#` is the registry's text; the rest is
our spelling of the fields `from` and `to`. Cercarbono counts from 0 or from 1, so nothing here assumes either.
"""

from __future__ import annotations

import re
from typing import Final

from keeling.serials.model import Grain, SerialError, SerialFault, SerialRange, Widest
from keeling.serials.scheme import Piece, Scheme

_MARK: Final = "#"
_NUMBER_MAX: Final = (1 << 63) - 1
"""No number of a serial that prints none is above; positions of the ledger are 64 bits."""
_RANGE: Final = Piece(r"(?:#(?P<first>\d+)-(?P<last>\d+))?", "# and two numbers, or nothing")


class LabelScheme(Scheme):
    """A scheme whose text names the space alone; first and last come from elsewhere."""

    def parse(self, text: str, units: int | None = None) -> SerialRange:
        """Read `<serial>#<first>-<last>`; a serial alone is refused, because it says nothing about numbers."""
        if self._match(text)["first"] is None:
            raise SerialError(
                SerialFault.RANGE_ELSEWHERE,
                f"serials of {self.name} print no range; give the first and last number of {text!r} too",
            )
        return super().parse(text, units)

    def parse_fields(self, text: str, first: int, last: int) -> SerialRange:
        """Read a serial whose numbers stand in other fields."""
        if _MARK in text:
            raise SerialError(SerialFault.WRONG_SHAPE, f"{text!r} has a range in itself already")
        if first < 0:
            raise SerialError(SerialFault.WRONG_SHAPE, f"{first} is no number of a unit")
        return self.parse(f"{text}{_MARK}{first}-{last}")

    def parse_widest(self, text: str) -> Widest:
        """Return the range, or all numbers of the space where the serial stands alone."""
        found = self._match(text)
        return super().parse_widest(text) if found["first"] else Widest(self.space(found), 0, _NUMBER_MAX, sure=False)

    def print_label(self, serials: SerialRange) -> str:
        """Return the registry's own text: the serial without numbers."""
        return serials.prefix.removesuffix(_MARK)

    def space(self, found: re.Match[str]) -> str:
        """Return the registry and the whole serial: numbers count below it."""
        return f"{self.registry}:{found.string.partition(_MARK)[0]}"


class _Cercarbono(LabelScheme):
    """EcoRegistry lists an issuance again under another revision (R6, R7): the same numbers are the same tonnes."""

    def space(self, found: re.Match[str]) -> str:
        """Return the space without the revision's number: CDC_5_…_R1_XX_CO_1_2_2021 is in CDC_5_…_XX_CO_1_2_2021."""
        whole, revision = super().space(found), found["revision"]
        return whole.replace(f"_{revision}_", "_", 1) if revision and revision != "XX" else whole


class OpaqueScheme(LabelScheme):
    """Synthetic positions of units to which no registry gave numbers; the text states the grain.

    `opaque:KG_CO2E:isometric/iss_1#0-999` are 1,000 kg of the issuance iss_1. Evidence of such positions is never
    better than a public list.
    """

    def parse(self, text: str, units: int | None = None) -> SerialRange:
        """Read a range of synthetic positions."""
        serials = super().parse(text, units)
        name = self.segments(text)["grain"]
        if name not in Grain.__members__:
            raise SerialError(
                SerialFault.WRONG_SHAPE, f"{text!r} names no grain; there are {', '.join(Grain.__members__)}"
            )
        return serials._replace(grain=Grain[name])

    def space(self, found: re.Match[str]) -> str:
        """Return the registry and reference; the grain is no part of it."""
        return f"{self.registry}:{found['registry']}/{found['reference']}"


CERCARBONO: Final = _Cercarbono(
    "cercarbono",
    registry="cercarbono",
    grain=Grain.T_CO2E,
    pieces=(
        Piece(r"CDC_", "CDC_"),
        Piece(r"(?:R_)?(?P<project>\d+)_", "the project number"),
        Piece(r"\d+_\d+_\d+_(?P<scope>\d+)", "four numbers"),
        Piece(
            r"(?:(?:_(?P<revision>R\d+|XX))?_[X\d][A-Z])?(?:_(?P<country>[A-Z]{2}))?",
            "revision and country, or nothing",
        ),
        Piece(r"_\d{1,3}(?:_\d{1,3})?", "one or two short numbers"),
        Piece(r"(?:_(?P<buffer>BFC|BFI))?(?:_(?P<vintage>\d{4}))?(?:_(?P<buffer_end>BF))?", "a buffer mark, a vintage"),
        _RANGE,
    ),
)
"""Source: 881 of 881 serials of EcoRegistry's public pages."""

REGEN_BATCH: Final = LabelScheme(
    "regen_batch",
    registry="regen",
    grain=Grain.OPAQUE,
    pieces=(
        Piece(r"(?P<class>[A-Z]{1,3}[0-9]{2,})-", "the credit class"),
        Piece(r"(?P<project>[0-9]{3,})-", "the project number"),
        Piece(r"(?P<vintage_start>[0-9]{8})-", "the vintage start as YYYYMMDD"),
        Piece(r"(?P<vintage_end>[0-9]{8})-", "the vintage end as YYYYMMDD"),
        Piece(r"(?P<batch>[0-9]{3,})", "the batch number"),
        _RANGE,
    ),
)
"""A batch denomination of Regen Ledger; its quantities are decimals and live there."""

OPAQUE: Final = OpaqueScheme(
    "opaque",
    registry="opaque",
    grain=Grain.OPAQUE,
    pieces=(
        Piece(r"opaque:", "opaque:"),
        Piece(r"(?P<grain>[A-Z0-9_]+):", "the name of a grain"),
        Piece(r"(?P<registry>[a-z0-9_]+)/", "a registry key"),
        Piece(r"(?P<reference>[!-\"$-~]+)", "the registry's reference, without spaces and #"),
        _RANGE,
    ),
)


def number_opaque(registry: str, reference: str, units: int, grain: Grain) -> SerialRange:
    """Return positions 0 to `units` - 1 for units of an event to which the registry gave no numbers.

    `registry` is its key (a-z, 0-9, _) and `reference` its id of the event in printable ASCII without spaces and "#".
    """
    return OPAQUE.parse_fields(f"opaque:{grain.name}:{registry}/{reference}", 0, units - 1)
