"""Numbers, money, times and durations as people type and read them. Pure; integers and decimals only, no floats.

Serials are read and printed by `keeling.serials`; tables are made in `output`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

_UNITS: Final = re.compile(r"[0-9]{1,3}(?:[,_' ][0-9]{3})+|[0-9]{1,24}", re.ASCII)
_DURATION: Final = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)", re.ASCII)
_STEP_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHORT: Final = {
    "T_CO2E": "t",
    "KG_CO2E": "kg",
    "MWH_CERTIFICATE": "MWh certificates",
    "WH": "Wh",
    "SHORT_TON": "short tons",
    "CCC": "CCC",
}


class Moment(NamedTuple):
    """Milliseconds since 1970 UTC, and whether only the day is meant."""

    ms: int
    is_date: bool


def parse_units(text: str) -> int:
    """Read a whole number of units, with or without thousands separators; raise `ValueError` otherwise."""
    if not _UNITS.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is no whole number of units, such as 500 or 10,000")
    return int(re.sub(r"[,_' ]", "", text.strip()))


def parse_duration(text: str) -> int:
    """Read "1ms", "5s", "30m", "48h" or "7d" as milliseconds; raise `ValueError` otherwise."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no duration: write a whole number and ms, s, m, h or d, such as 5s or 48h")
    return int(found[1]) * _STEP_MS[found[2]]


def parse_moment(text: str) -> Moment:
    """Read "2026-03-31" as a day or "2026-03-31T12:00:00Z" as an instant; raise `ValueError` otherwise."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no date: write 2026-03-31, or 2026-03-31T12:00:00Z for an instant") from error
    is_date = bool(_DATE.fullmatch(text))
    if at.tzinfo is None and not is_date:
        raise ValueError(f"{text!r} names no time zone: end it with Z for UTC, or with an offset such as +05:30")
    return Moment(milliseconds(at if at.tzinfo else at.replace(tzinfo=UTC)), is_date)


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970-01-01 UTC of an aware time, exactly."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def parse_amount(text: str, scale: int) -> int:
    """Read an amount of money as whole minor units; raise `ValueError` if it has more than `scale` decimals."""
    try:
        value = Decimal(text.replace(",", "").replace("_", "")).scaleb(scale)
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no amount, such as 850000.00") from error
    if not value.is_finite() or value != value.to_integral_value() or value < 0:
        raise ValueError(f"{text!r} is no amount with at most {scale} decimals")
    return int(value)


def format_amount(amount: int, scale: int) -> str:
    """Write minor units as a decimal: 85000000 at scale 2 is 850,000.00."""
    return f"{Decimal(amount).scaleb(-scale):,.{scale}f}"


def format_units(units: int) -> str:
    """Write a whole number with thousands separators."""
    return f"{units:,}"


def format_quantity(units: int, grain: str) -> str:
    """Write units with their grain; kilograms also as tonnes, because that is how people compare them."""
    said = f"{units:,} {_SHORT.get(grain, f'units of {grain}' if grain else 'units')}"
    return f"{said} ({Decimal(units).scaleb(-3):,.3f} t)" if grain == "KG_CO2E" else said


def format_time(ms: int) -> str:
    """Write an instant in UTC, to the millisecond only where it matters."""
    at = _EPOCH + timedelta(milliseconds=ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{ms % 1000:03}Z" if ms % 1000 else "Z")


def format_moment(ms: int, is_date: bool) -> str:
    """Write a day or an instant: the inverse of `parse_moment`."""
    return format_time(ms)[:10] if is_date else format_time(ms)
