"""Identifiers under Article 6: ITMOs (6/CMA.4 annex I para. 5), UNDP's layout of them, and A6.4 emission reductions.

An ITMO identifier names one unit, so a range is written as its first and last identifier with " - " between (our
spelling; the tables of decision 4/CMA.6 carry the two in columns). Writing is strict; the one tolerant reader says so
in its name. What an identifier entitles to is not here.
"""

from __future__ import annotations

import re
from typing import Final

from keeling.serials.model import Grain, SerialError, SerialFault, SerialRange
from keeling.serials.scheme import Piece, Scheme

_PAIR: Final = " - "


class _SingleId(Scheme):
    """A scheme whose text names one unit; two of them name the range between."""

    def parse(self, text: str, units: int | None = None) -> SerialRange:
        found = self._match(text)
        if found["last"] is None:
            first_id, last_text = text, found["first"]
        else:
            first_id, last_text = text.split(_PAIR, maxsplit=1)[0], found["last"]
            if last_text == found["first"]:
                raise SerialError(SerialFault.WRONG_SHAPE, f"{text!r} writes one identifier twice")
        first, last, _ = self._numbers(text, found["first"], last_text)
        if units is not None and units != last - first + 1:
            raise self._disagreement(text, last - first + 1, units)
        prefix, suffix = first_id[: found.start("first")], first_id[found.end("first") :]
        joint = f"{suffix}{_PAIR}{prefix}"
        return SerialRange(self.name, self.version, self.space(found), first, last, self.grain, prefix, joint, suffix)

    def print_range(self, serials: SerialRange) -> str:
        if serials.first == serials.last:
            return f"{serials.prefix}{serials.first}{serials.suffix}"
        return super().print_range(serials)


ITMO: Final = _SingleId(
    "itmo",
    registry="itmo",
    grain=Grain.T_CO2E,
    space=("approach", "registry", "party", "vintage"),
    pieces=(
        Piece(r"(?P<approach>CA\d{4})-", "a cooperative approach such as CA0004"),
        Piece(r"(?P<registry>[A-Z]{3}\d{2}|UN01)-", "a Party registry such as GHA01"),
        Piece(r"(?P<party>[A-Z]{3})-", "the three-letter first transferring Party"),
        Piece(r"(?P<first>[1-9]\d*)-", "a serial number without leading zeros"),
        Piece(r"(?P<vintage>(?:19|20)\d{2})", "the vintage year"),
        Piece(
            r"(?: - (?P=approach)-(?P=registry)-(?P=party)-(?P<last>[1-9]\d*)-(?P=vintage))?",
            "nothing, or ' - ' and the last identifier",
        ),
    ),
)
"""`UN01`, the mechanism registry, has two letters and is the one exception among Party registries."""

ITMO_UNDP: Final = Scheme(
    "itmo_undp",
    registry="itmo_undp",
    grain=Grain.T_CO2E,
    space=("approach", "host", "party", "project", "vintage"),
    pieces=(
        Piece(r"(?P<approach>CA\d{4})-", "a cooperative approach such as CA0004"),
        Piece(r"(?P<host>[A-Z]{2})-", "the two-letter host Party"),
        Piece(r"(?P<party>[A-Z]{2})-", "the two-letter first transferring Party"),
        Piece(r"(?P<project>\d+)-", "the project number"),
        Piece(r"(?P<first>[1-9]\d*)-", "the number of the first unit"),
        Piece(r"(?P<last>[1-9]\d*)-", "the number of the last unit"),
        Piece(r"(?P<vintage>(?:19|20)\d{2})", "the vintage year"),
    ),
)
"""The layout of UNDP's National Carbon Registry, for its files; it is not the strict form."""

A64ER: Final = Scheme(
    "a64er",
    registry="a64er",
    grain=Grain.T_CO2E,
    space=("activity", "vintage"),
    pieces=(
        Piece(r"(?P<host>[A-Z]{3})-", "the three-letter host Party"),
        Piece(r"UN01-", "the mechanism registry UN01"),
        Piece(r"(?P<activity>[A-Z0-9]{1,16})-", "the activity"),
        Piece(r"(?P<vintage>20\d{2})-", "the vintage year"),
        Piece(r"(?P<first>[1-9]\d{0,14})-", "the number of the first unit"),
        Piece(r"(?P<last>[1-9]\d{0,14})", "the number of the last unit"),
    ),
)
"""Elements and uniqueness as published (unique within vintage and activity); the printed order is our assumption, since
no official example exists. Designation, conditionality and first-transfer flag change and are no part of it."""

_TOLERANT: Final = re.compile(r"CA\d{4}-[A-Z]{3}\d{2}-[A-Z]{3}-([1-9]\d{0,2}(?:,\d{3})+)-\d{4}", re.ASCII)


def parse_itmo_tolerant(text: str) -> SerialRange:
    """Read an ITMO identifier that may have thousands commas, as public checkers accept; it prints without them."""
    found = _TOLERANT.fullmatch(text) if len(text) <= 80 else None
    if found is not None:
        text = text[: found.start(1)] + found[1].replace(",", "") + text[found.end(1) :]
    return ITMO.parse(text)
