"""The values of the serial schemes: a range of numbered units, its grain, and why a text is refused.

How one registry spells its serials is not here but in the scheme modules; which schemes exist is in `catalogue`.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

SERIAL_CHARS_MAX: Final = 256
"""Longest text any scheme reads, in characters. The longest real serial known (Puro, legacy numbers) has 126."""


class Grain(IntEnum):
    """What one position is. The numbers are ledger facts: never reused, new ones only appended."""

    T_CO2E = 1
    """One tonne of CO2 equivalent."""
    KG_CO2E = 2
    """One kilogram of CO2 equivalent (Isometric)."""
    MWH_CERTIFICATE = 3
    """One certificate of 1 MWh that is not divided (NAR, TIGR)."""
    WH = 4
    """One watt hour: the last decimal of an I-REC number of MWh."""
    SHORT_TON = 5
    """One short ton of CO2, 907.18474 kg (RGGI)."""
    CCC = 6
    """One Indian carbon credit certificate."""
    OPAQUE = 7
    """One unit of a size that the text does not state."""


class SerialFault(StrEnum):
    """Why a text is not the serial range it claims to be."""

    TOO_LONG = "too-long"
    NO_SCHEME = "no-scheme"
    SEVERAL_SCHEMES = "several-schemes"
    UNKNOWN_SCHEME = "unknown-scheme"
    WRONG_SHAPE = "wrong-shape"
    PADDING = "padding"
    END_BEFORE_START = "end-before-start"
    UNITS_DISAGREE = "units-disagree"
    RANGE_ELSEWHERE = "range-elsewhere"
    OUTSIDE = "outside"


class NearMiss(NamedTuple):
    """How far one scheme could read a text: `read` was understood, then `expected` should have followed."""

    scheme: str
    read: str
    expected: str
    permille: int
    """Part of the scheme's pieces that were understood, 0 to 1000; only orders the list."""

    def __str__(self) -> str:
        if not self.read:
            return f"{self.scheme} (starts with {self.expected})"
        return f"{self.scheme} (understood {self.read!r}, then expected {self.expected})"


class SerialError(ValueError):
    """The text cannot be read; `fault` is stable, `near` lists the schemes that came closest, best first."""

    def __init__(self, fault: SerialFault, message: str, near: tuple[NearMiss, ...] = ()) -> None:
        super().__init__(message)
        self.fault: Final = fault
        self.near: Final = near


class SerialRange(NamedTuple):
    """Consecutive units as one registry numbers them, with what is needed to print any part of them again.

    Two ranges are about the same units exactly when they `overlap`: `space` and numbers decide, never the text. The
    fields from `prefix` on are the printed form; they are for `print_range` only.
    """

    scheme: str
    scheme_version: int
    space: str
    """Scope inside which the registry never uses a number twice; begins with the registry's name."""
    first: int
    """Number of the first unit, inclusive. May exceed 64 bits (Puro's legacy numbers have 30 digits)."""
    last: int
    """Number of the last unit, inclusive, at least `first`."""
    grain: Grain
    prefix: str
    joint: str = ""
    suffix: str = ""
    width: int = 0
    """Digits the registry pads its numbers to with zeros; 0: it does not pad."""
    beyond: int = 0
    """What the printed last number has beyond `last`: 1 where a registry prints an exclusive end."""

    @property
    def units(self) -> int:
        """How many units of `grain` the range holds."""
        return self.last - self.first + 1

    def part(self, first: int, last: int) -> SerialRange:
        """Return the units `first` to `last` (registry numbers, inclusive); raise `SerialError` if not inside."""
        if not self.first <= first <= last <= self.last:
            raise SerialError(
                SerialFault.OUTSIDE, f"{first} to {last} is not a part of {self.first} to {self.last} of {self.space}"
            )
        return self._replace(first=first, last=last)

    def overlaps(self, other: SerialRange) -> bool:
        """Say whether any unit is in both: same space and intersecting numbers, whatever the texts look like."""
        return self.space == other.space and self.first <= other.last and other.first <= self.last


class Widest(NamedTuple):
    """All numbers of a space that a serial may stand for: to look for its units, not to name them."""

    space: str
    first: int
    last: int
    sure: bool
    """False: the text does not say its numbers, or not whether the last is its own; some may be nobody's."""
