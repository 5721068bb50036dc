"""Reading the cells that every registry has: quantities, dates, periods, serials, countries.

Each function takes the text of one cell, returns the value, and raises `RowRefused` saying what is wrong with it.
Quantities are integers of a grain; no float is ever made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Final

from adapters.countries import ALPHA3_OF_ALPHA2
from adapters.exports import Effective, Period, Precision, RowFault, RowRefused
from keeling.serials import SerialError, SerialFault, SerialRange
from keeling.serials.labelled import LabelScheme
from keeling.serials.scheme import Scheme

_QUANTITY: Final = re.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,24})(\.\d{1,12})?", re.ASCII)
_CACHED: Final = 1 << 14

UNITS_MAX: Final = (1 << 63) - 1
"""Most units one row may claim; positions of the ledger are 64 bits."""

_FAULT_OF_SERIAL: Final = {
    SerialFault.END_BEFORE_START: RowFault.END_BEFORE_START,
    SerialFault.UNITS_DISAGREE: RowFault.QUANTITY_DISAGREES,
}


def read_units(text: str, *, per_unit: int = 1) -> int:
    """Return a quantity such as "1,454,054", "79565.0" or "2765.37" times `per_unit` as a whole number."""
    if text.isdecimal() and text.isascii() and len(text) <= 18:
        return int(text) * per_unit
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        raise RowRefused(RowFault.BAD_QUANTITY, f"{text[:40]!r} is not a quantity")
    if found[2] is None and len(text) <= 18:
        return int(found[1].replace(",", "")) * per_unit
    units = Decimal(found[0].replace(",", "")) * per_unit
    if units != units.to_integral_value() or units > UNITS_MAX:
        raise RowRefused(RowFault.BAD_QUANTITY, f"{text[:40]!r} is not a whole number of units")
    return int(units)


def read_optional_units(text: str, *, per_unit: int = 1) -> int | None:
    """Return the quantity, or None where the cell is empty: missing is not zero."""
    return read_units(text, per_unit=per_unit) if text.strip() else None


def read_serials(text: str, scheme: Scheme, units: int) -> SerialRange:
    """Return the range of a serial cell, which must hold exactly the `units` the row states."""
    if not text or text.isspace():
        raise RowRefused(RowFault.MISSING, "has no serial number")
    try:
        serials = scheme.parse(text.strip(), units)
    except SerialError as error:
        raise RowRefused(_FAULT_OF_SERIAL.get(error.fault, RowFault.BAD_SERIAL), str(error)) from error
    if serials.last - serials.first >= UNITS_MAX:
        raise RowRefused(RowFault.BAD_SERIAL, f"{text[:80]!r} holds more units than a ledger can number")
    return serials


def read_fields(text: str, first: int, last: int, scheme: LabelScheme, units: int) -> SerialRange:
    """Return the range of a serial cell and two cells of numbers, which must hold exactly `units`."""
    if "#" in text:
        raise RowRefused(RowFault.BAD_SERIAL, f"{text[:80]!r} is no {scheme.name} serial")
    return read_serials(f"{text}#{first}-{last}" if text else "", scheme, units)


def around_numbers(serials: SerialRange) -> str:
    """Return the serial with both numbers replaced by 1: the same for all rows of a batch, and still readable."""
    return f"{serials.prefix}1{serials.joint}1{serials.suffix}"


def batch_key(serials: SerialRange, named: Mapping[str, str], year: int) -> str:
    """Return our name for the batch of a range: its space where the registry numbers by batch, else batch and space.

    `named` are the serial's segments. Verra numbers across all batches, CERs across all of a Party's projects.
    """
    if serials.scheme == "verra":
        return f"verra:{int(named['batch'])}"
    if serials.scheme == "gs_cer_pair":
        return f"{serials.space}-{named['project']}-{named['periods']}-{year}"
    return serials.space


def read_serial_day(text: str) -> date:
    """Return the day that a serial prints as DDMMYYYY."""
    try:
        return date(int(text[4:]), int(text[2:4]), int(text[:2]))
    except ValueError as error:
        raise RowRefused(RowFault.BAD_SERIAL, f"{text!r} in the serial is no day (DDMMYYYY)") from error


class DateForm(Enum):
    """A way to write a day or an instant; each column names those it has been seen with, so none is guessed."""

    ISO = re.compile(
        r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)"
        r"(?:[T ](?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:\.(?P<f>\d{1,6})\d{0,3})?(?P<z>Z|[+-]\d\d:\d\d)?)?",
        re.ASCII,
    )
    DAY_MONTH_YEAR = re.compile(r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})", re.ASCII)
    MONTH_DAY_YEAR = re.compile(
        r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})(?: (?P<H>\d{1,2}):(?P<M>\d\d):(?P<S>\d\d) (?P<half>AM|PM))?",
        re.ASCII,
    )


class Dates:
    """Reads the dates of one registry, in the forms it has been seen to use; the first that fits counts."""

    def __init__(self, *forms: DateForm) -> None:
        patterns: Final = [form.value for form in forms]

        @lru_cache(maxsize=_CACHED)
        def read(text: str) -> Effective:
            for pattern in patterns if len(text) <= 60 else ():
                if found := pattern.fullmatch(text.strip()):
                    try:
                        return _effective(found.groupdict())
                    except (ValueError, OverflowError):
                        continue
            raise RowRefused(RowFault.BAD_DATE, f"{text[:40]!r} is not a date")

        self._read: Final = read

    def effective(self, text: str) -> Effective | None:
        """Return when something took effect, or None where the cell is empty. Without hours it is a date."""
        return self._read(text) if text and not text.isspace() else None

    def day(self, text: str) -> date:
        """Return the day of a cell that must have one."""
        if not text.strip():
            raise RowRefused(RowFault.MISSING, "has no date")
        return self._read(text).at.date()

    def period(self, first: str, last: str) -> Period:
        """Return the vintage between two cells of days."""
        period = Period(self.day(first), self.day(last))
        if period.last < period.first:
            raise RowRefused(RowFault.CONTRADICTION, f"vintage ends {period.last}, before its start {period.first}")
        return period


def _effective(parts: dict[str, str | None]) -> Effective:
    day = (int(parts["y"] or 0), int(parts["m"] or 0), int(parts["d"] or 0))
    if not (hours := parts.get("H")):
        return Effective(datetime(*day, tzinfo=UTC), Precision.DATE)
    hour = int(hours)
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            raise ValueError("no hour of a twelve-hour clock")
        hour = hour % 12 + (12 if half == "PM" else 0)
    fraction = (parts.get("f") or "0").ljust(6, "0")
    at = datetime(*day, hour, int(parts["M"] or 0), int(parts["S"] or 0), int(fraction), tzinfo=UTC)
    if (zone := parts.get("z")) and zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        at = at - offset if zone[0] == "+" else at + offset
    return Effective(at, Precision.INSTANT)


@lru_cache(maxsize=_CACHED)
def read_year(text: str) -> Period:
    """Return the calendar year of a cell such as "2025" or "2025.0" as a period."""
    year = text.strip().removesuffix(".0")
    if not (len(year) == 4 and year.isdecimal() and year.isascii() and year >= "1990"):
        raise RowRefused(RowFault.BAD_DATE, f"{text[:40]!r} is not a vintage year")
    return Period(date(int(year), 1, 1), date(int(year), 12, 31))


@lru_cache(maxsize=_CACHED)
def read_project(text: str, prefix: str) -> str:
    """Return a project's number without the registry's prefix and leading zeros: ACR0885 and ACR885 are one."""
    number = text.strip().upper().removeprefix(prefix.upper()).lstrip("0")
    if not number:
        raise RowRefused(RowFault.MISSING, "has no project")
    return number


def read_host(alpha2: str) -> str:
    """Return the alpha-3 code of a two-letter country; empty for none or for a code of no country ("XZ")."""
    return ALPHA3_OF_ALPHA2.get(alpha2.strip().upper(), "")
