"""The days and hours of exchange sessions, in Indian time (UTC+05:30, no summer time). Pure arithmetic."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

EXCHANGES: Final = ("IEX", "PXIL", "HPX")
INDIA: Final = timezone(timedelta(hours=5, minutes=30))
REPORTED: Final = time(15, 30)
"""Until then exchanges report what sellers offer."""
CONFIRMED: Final = time(16, 0)
"""Then the registry has said what is available."""


def find_session(day: date) -> date:
    """The session of the day's month: its last Wednesday."""
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    last = following - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - 2) % 7)


def find_session_before(at_ms: int) -> date:
    """The newest session whose availability was confirmed at that time, on its day or in the month before."""
    day = day_of(at_ms)
    found = find_session(day)
    return found if instant(found, CONFIRMED) <= at_ms else find_session(day.replace(day=1) - timedelta(days=1))


def read_session(text: str) -> date:
    """The day of a session written `2026-03-25`; raises `ValueError` where there is none on that day."""
    day = date.fromisoformat(text)
    if find_session(day) != day:
        raise ValueError(f"no session on {day}; the one of that month is on {find_session(day)}")
    return day


def instant(day: date, at: time) -> int:
    """A time of an Indian day, in ms since 1970 UTC."""
    return int(datetime.combine(day, at, INDIA).timestamp()) * 1000


def day_of(at_ms: int) -> date:
    """The Indian day of an instant."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(INDIA).date()


def quarter_of(day: date) -> tuple[int, int]:
    """Year and quarter, 1 to 4."""
    return day.year, (day.month + 2) // 3


def add_months(day: date, months: int) -> date:
    """The same day so many months later, or the last of that month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    following = date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(day.day, (following - timedelta(days=1)).day))
