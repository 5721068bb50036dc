"""Rows of formats that carry units of every registry: the serial tells which one, and with it batch, project and host.

The batch gets the key that the registry's own adapter would give it, so both describe one batch. A serial that no
scheme reads is refused, since what it stands for would be a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.countries import ALPHA3
from adapters.exports import Batch, Period, RowFault, RowRefused
from adapters.fields import batch_key, read_host, read_serial_day, read_serials, read_units, read_year
from keeling.serials import Grain, SerialError, SerialRange, detect_scheme, find_scheme, print_range
from keeling.serials.labelled import LabelScheme

_PROGRAMMES: Final = {"verra": "VCS", "gold_standard": "GS", "gs_cer_pair": "CDM"}
"""Programme by scheme, where it is not the scheme's name in capitals."""
_SET_ASIDE: Final = {
    "cercarbono": (
        ("buffer", "BFC", "the buffer"),
        ("buffer", "BFI", "the buffer"),
        ("buffer_end", "BF", "the buffer"),
    ),
    "biocarbon": (("verification", "R", "the reserve"),),
    "plan_vivo": (("unit", "fPVC", "future units"),),
}
"""Segments, by scheme, that say units are no credits to be used: name, text, and what it stands for."""


def read_any_unit(serial: str, quantity: str, first: str, last: str, year: str) -> tuple[SerialRange, Batch]:
    """Return range and batch of a serial of any scheme; what stands beside it must agree with it.

    `first` and `last` may be empty, unless the serial's registry prints no range (Cercarbono).
    """
    units, text = read_units(quantity), serial.strip()
    if not text:
        raise RowRefused(RowFault.MISSING, "has no serial number")
    try:
        scheme = detect_scheme(text)
    except SerialError as error:
        raise RowRefused(RowFault.BAD_SERIAL, str(error)) from error
    if isinstance(scheme, LabelScheme) and "#" not in text:
        text = f"{text}#{read_units(first)}-{read_units(last)}"
    serials = read_serials(text, scheme, units)
    if serials.grain is not Grain.T_CO2E:
        raise RowRefused(RowFault.CONTRADICTION, f"{text[:80]!r} counts {serials.grain.name}, not tonnes")
    for stated, name, own in ((first, "first", serials.first), (last, "last", serials.last + serials.beyond)):
        if stated.strip() and stated.strip().lstrip("0") != str(own).lstrip("0"):
            raise RowRefused(RowFault.CONTRADICTION, f"{name} unit is {stated[:40]!r} but the serial's is {own}")
    return serials, _batch(serials, scheme.segments(text), year)


def check_active(serials: SerialRange) -> None:
    """Refuse units as active whose serial says that they are in a reserve, or are planned and not achieved yet."""
    if serials.scheme not in _SET_ASIDE:
        return
    named = find_scheme(serials.scheme).segments(print_range(serials))
    for name, word, meaning in _SET_ASIDE[serials.scheme]:
        if named.get(name) == word:
            raise RowRefused(RowFault.CONTRADICTION, f"status is active but {word} in the serial stands for {meaning}")


def _batch(serials: SerialRange, named: Mapping[str, str], year: str) -> Batch:
    vintage = stated = read_year(year)
    exact = len(named.get("vintage_start", "")) == 8 and serials.scheme != "regen_batch"
    if exact:
        vintage = Period(read_serial_day(named["vintage_start"]), read_serial_day(named["vintage_end"]))
    own_years = range(vintage.first.year, vintage.last.year + 1)
    if stated.first.year not in own_years or named.get("vintage", year.strip()[:4]) != str(stated.first.year):
        raise RowRefused(RowFault.CONTRADICTION, f"vintage is {stated.first.year} but the serial's is another")
    country = named.get("country") or named.get("host") or named.get("party") or ""
    return Batch(
        batch_key(serials, named, stated.first.year),
        _PROGRAMMES.get(serials.scheme, serials.scheme.upper()),
        named.get("project", "").lstrip("0"),
        vintage,
        country if country in ALPHA3 else read_host(country),
        None,
        vintage_exact=exact,
    )
