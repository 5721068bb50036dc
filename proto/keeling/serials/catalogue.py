"""Every serial scheme by name and version, and the functions over all of them.

The schemes themselves are in the sibling modules. Nothing here guesses: a text that no scheme reads, or that two
read, is refused with the schemes that came closest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keeling.serials.apx import ACR, ART, CAR, NAR, TIGR
from keeling.serials.article6 import A64ER, ITMO, ITMO_UNDP
from keeling.serials.community import BIOCARBON, PLAN_VIVO, SOCIAL_CARBON
from keeling.serials.gold_standard import GOLD_STANDARD, GS_CER_PAIR
from keeling.serials.india import ICM_CCC
from keeling.serials.irec import IREC_REDEX
from keeling.serials.isometric import ISOMETRIC
from keeling.serials.labelled import CERCARBONO, OPAQUE, REGEN_BATCH, LabelScheme
from keeling.serials.model import SERIAL_CHARS_MAX, NearMiss, SerialError, SerialFault, SerialRange, Widest
from keeling.serials.puro import PURO, PURO_SHORT_V1, PURO_SHORT_V2
from keeling.serials.scheme import Scheme
from keeling.serials.uk_allowance import UKA
from keeling.serials.verra import VERRA

_ALL: Final[tuple[Scheme, ...]] = (
    VERRA,
    GOLD_STANDARD,
    GS_CER_PAIR,
    ACR,
    CAR,
    ART,
    PURO,
    PURO_SHORT_V1,
    PURO_SHORT_V2,
    CERCARBONO,
    BIOCARBON,
    PLAN_VIVO,
    SOCIAL_CARBON,
    ISOMETRIC,
    IREC_REDEX,
    NAR,
    TIGR,
    REGEN_BATCH,
    ITMO,
    ITMO_UNDP,
    A64ER,
    UKA,
    ICM_CCC,
    OPAQUE,
)

SCHEMES: Final[Mapping[tuple[str, int], Scheme]] = {(scheme.name, scheme.version): scheme for scheme in _ALL}
"""Every scheme any ledger may name, by (name, version)."""

CURRENT: Final[Mapping[str, Scheme]] = {scheme.name: scheme for scheme in sorted(_ALL, key=lambda each: each.version)}
"""The newest version of each scheme, by name: what new text is read with."""

_NEAR_MISSES_MAX: Final = 3


def find_scheme(name: str, version: int | None = None) -> Scheme:
    """Return the scheme of that name (newest, unless a version is given); raise `SerialError` naming those known."""
    scheme = CURRENT.get(name) if version is None else SCHEMES.get((name, version))
    if scheme is None:
        asked = name if version is None else f"{name} version {version}"
        raise SerialError(
            SerialFault.UNKNOWN_SCHEME, f"no serial scheme {asked!r}; known are {', '.join(sorted(CURRENT))}"
        )
    return scheme


def detect_scheme(text: str) -> Scheme:
    """Return the one scheme that reads `text`; raise `SerialError` with near misses if none or several do."""
    text = text.strip()
    if len(text) > SERIAL_CHARS_MAX:
        raise SerialError(
            SerialFault.TOO_LONG, f"{len(text)} characters are no serial (longest {SERIAL_CHARS_MAX}): {text[:40]!r}…"
        )
    found = [scheme for scheme in CURRENT.values() if scheme.recognises(text)]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(scheme.name for scheme in found)
        raise SerialError(SerialFault.SEVERAL_SCHEMES, f"{text!r} could be {names}; say which scheme it is")
    near = _near_misses(text)
    hint = "; nearest: " + ", ".join(map(str, near)) if near else ""
    raise SerialError(SerialFault.NO_SCHEME, f"{text!r} is a serial of no known scheme{hint}", near)


def parse(text: str, scheme: str | None = None, *, version: int | None = None, units: int | None = None) -> SerialRange:
    """Read registry text to a range; without `scheme` find out which it is. Outer whitespace is dropped.

    With `units`, the quantity the registry states beside the serial, the range must hold exactly that many (Isometric's
    serials are read only so). Raises `SerialError`: `fault` says what is wrong, `near` which schemes came closest.
    """
    text = text.strip()
    found = detect_scheme(text) if scheme is None else find_scheme(scheme, version)
    return found.parse(text, units)


def parse_widest(text: str) -> Widest:
    """Return all numbers that a serial may stand for, to look for its units.

    A serial whose numbers stand in other columns (Cercarbono) stands for all of its numbers. Raises `SerialError`.
    """
    text = text.strip()
    return detect_scheme(text).parse_widest(text)


def parse_fields(text: str, first: int, last: int, scheme: str) -> SerialRange:
    """Read a serial that prints no range, with the numbers from other fields (Cercarbono's from and to)."""
    found = find_scheme(scheme)
    if not isinstance(found, LabelScheme):
        raise SerialError(SerialFault.UNKNOWN_SCHEME, f"serials of {scheme} print their range themselves; use parse")
    return found.parse_fields(text.strip(), first, last)


def print_label(serials: SerialRange) -> str:
    """Return the registry's own text for a range whose numbers stand in other fields; of all others the whole text."""
    found = find_scheme(serials.scheme, serials.scheme_version)
    return found.print_label(serials) if isinstance(found, LabelScheme) else found.print_range(serials)


def parse_segments(text: str, scheme: str) -> Mapping[str, str]:
    """Return the named segments of a serial as the registry printed them (country, project, batch, …)."""
    return find_scheme(scheme).segments(text.strip())


def parse_form(scheme: Scheme, text: str, units: int | None = None) -> SerialRange:
    """Read a serial by its scheme, or by another spelling of the same registry (Puro's short form); `SerialError`."""
    try:
        return scheme.parse(text, units)
    except SerialError as error:
        others = [each for each in CURRENT.values() if each.registry == scheme.registry and each.recognises(text)]
        if len(others) != 1 or others[0].name == scheme.name:
            raise error
        return others[0].parse(text, units)


def print_range(serials: SerialRange) -> str:
    """Return the registry's text for the range: the inverse of `parse`, also of any part of a parsed range."""
    return find_scheme(serials.scheme, serials.scheme_version).print_range(serials)


def _near_misses(text: str) -> tuple[NearMiss, ...]:
    near = [miss for miss in (scheme.near_miss(text) for scheme in CURRENT.values()) if miss.read]
    return tuple(sorted(near, key=lambda miss: (-miss.permille, miss.scheme))[:_NEAR_MISSES_MAX])
