"""What a sandbox of an Article 6 registry knows beside its books: authorizations, first transfers, adjustments.

First transfer is a property of the quantity: it happens once, is inherited by every part, and the host's adjustment is
booked with it, in the year of the vintage (2/CMA.3 annex paras 2 and 8). Not how anything is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from keeling.serials import SerialRange, print_range


class Letter(NamedTuple):
    """A letter of authorization. `oimp_first`: which act is the first transfer for other purposes; its host chose."""

    id: str
    party: str
    purpose: str
    covers: tuple[SerialRange, ...]
    oimp_first: str = "Use or Cancellation"
    revoked_ms: int = 0


class Booked(NamedTuple):
    """One adjustment: the host adds what it first transferred by vintage, the user subtracts in the year of use."""

    party: str
    side: str
    year: int
    units: int
    reference: str


def read_host(serials: SerialRange) -> tuple[str, int]:
    """The Party where the outcome occurred, and the vintage year, as the serial has them."""
    parts = print_range(serials._replace(last=serials.first)).split("-")
    return (parts[0], int(parts[3])) if serials.scheme == "a64er" else (parts[2], int(parts[4]))


def subtract(whole: SerialRange, parts: Iterable[SerialRange]) -> list[SerialRange]:
    """What is left of a range without these, in order."""
    found, at = [], whole.first
    for part in sorted((p for p in parts if p.overlaps(whole)), key=lambda p: p.first):
        if part.first > at:
            found.append(whole.part(at, part.first - 1))
        at = max(at, part.last + 1)
    if at <= whole.last:
        found.append(whole.part(at, whole.last))
    return found


def intersect(whole: SerialRange, parts: Sequence[SerialRange]) -> list[SerialRange]:
    """What of a range is in these, in order."""
    hit = [whole.part(max(whole.first, p.first), min(whole.last, p.last)) for p in parts if p.overlaps(whole)]
    return sorted(hit, key=lambda part: part.first)


class Marks:
    """Letters by id, what was first transferred, and the adjustments that followed."""

    def __init__(self) -> None:
        self.letters: dict[str, Letter] = {}
        self.transferred: list[SerialRange] = []
        self.booked: list[Booked] = []

    def letter_of(self, serials: SerialRange) -> Letter | None:
        """The letter that covers these units; the first, should there be two."""
        return next((each for each in self.letters.values() if any(c.overlaps(serials) for c in each.covers)), None)

    def is_transferred(self, serials: SerialRange) -> bool:
        """Whether all of it was first transferred."""
        return not subtract(serials, self.transferred)

    def first_transfer(self, serials: SerialRange, reference: str) -> list[SerialRange]:
        """Mark what was not yet first transferred, and book the host's side of it; returns those parts."""
        fresh = subtract(serials, self.transferred)
        for part in fresh:
            host, vintage = read_host(part)
            self.transferred.append(part)
            self.booked.append(Booked(host, "HOST", vintage, part.units, reference))
        return fresh

    def use(self, party: str, year: int, units: int, reference: str) -> None:
        """Book the user's side."""
        self.booked.append(Booked(party, "USER", year, -units, reference))

    def total(self, party: str, year: int) -> int:
        """What a Party adds (or, negative, subtracts) in a year."""
        return sum(each.units for each in self.booked if (each.party, each.year) == (party, year))
