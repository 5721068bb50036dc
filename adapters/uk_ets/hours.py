"""When the UK registry executes a transfer: working hours, weekends, bank holidays, the delay outside the trusted list.

Pure arithmetic over a `Calendar`; times are milliseconds since 1970. The steps and their order are those of the
registry's public code (TransactionDelayService): a start clock inside working time, a stop clock that adds the delay
(every 24 hours of it one working day), and the execution, again inside working time, at the next full minute.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import holidays

from adapters.capabilities import Calendar

DELAY_MINUTES: Final = 1_440
"""Outside the trusted list; 24 hours by the registry's guidance. The value it runs with is a setting of its own."""
_YEARS: Final = range(2021, 2036)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MINUTES: Final = 1_440


def bank_holidays() -> tuple[date, ...]:
    """The bank holidays of England and Wales, from the first year of the scheme on, as far as they can be computed."""
    return tuple(sorted(holidays.country_holidays("GB", subdiv="ENG", years=_YEARS)))


CALENDAR: Final = Calendar("Europe/London", 10 * 60, 16 * 60, (0, 1, 2, 3, 4), bank_holidays())
"""Monday to Friday 10:00 to 16:00 UK time, without bank holidays in England and Wales."""


def compute_execution(
    approved_ms: int, *, trusted: bool, calendar: Calendar = CALENDAR, delay_minutes: int = DELAY_MINUTES
) -> int:
    """When a transfer approved at this time is executed, to the full minute after the stop clock."""
    zone = ZoneInfo(calendar.zone)
    approved = (_EPOCH + timedelta(milliseconds=approved_ms)).astimezone(zone).replace(tzinfo=None)
    started = _shift(approved, calendar, keep_time=False)
    days, minutes = divmod(0 if trusted else delay_minutes, _DAY_MINUTES)
    day = started.date()
    for _ in range(days):
        day = _next_working_day(day, calendar)
    stopped = datetime.combine(day, started.time()) + timedelta(minutes=minutes)
    executed = _shift(stopped, calendar, keep_time=True).replace(second=0, microsecond=0) + timedelta(minutes=1)
    return _to_ms(executed.replace(tzinfo=zone))


def compute_next_minute(at_ms: int) -> int:
    """When what has no delay is executed: a surrender or deletion, at any hour."""
    return (at_ms // 60_000 + 1) * 60_000


def print_time(at_ms: int, calendar: Calendar = CALENDAR) -> str:
    """`Tuesday 5 May 2026 12:31 (Europe/London)`."""
    at = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(calendar.zone))
    return f"{_WEEKDAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} {at.year} {at:%H:%M} ({calendar.zone})"


def _shift(at: datetime, calendar: Calendar, *, keep_time: bool) -> datetime:
    """Into working time. `keep_time`: a day off moves the day alone, not the time of day."""
    opens, closes = _clock(calendar.opens_minute), _clock(calendar.closes_minute)
    if at.time() < opens:
        at = datetime.combine(at.date(), opens)
    elif at.time() > closes:
        at = datetime.combine(_next_working_day(at.date(), calendar), opens)
    if _works(at.date(), calendar):
        return at
    day = _next_working_day(at.date(), calendar)
    return datetime.combine(day, at.time() if keep_time else opens)


def _next_working_day(day: date, calendar: Calendar) -> date:
    day += timedelta(days=1)
    while not _works(day, calendar):
        day += timedelta(days=1)
    return day


def _works(day: date, calendar: Calendar) -> bool:
    return day.weekday() in calendar.weekdays and day not in _days_off(calendar)


@lru_cache(maxsize=4)
def _days_off(calendar: Calendar) -> frozenset[date]:
    return frozenset(calendar.holidays)


def _clock(minute: int) -> time:
    return time(minute // 60, minute % 60)


def _to_ms(at: datetime) -> int:
    whole = at.astimezone(UTC) - _EPOCH
    return (whole.days * 86_400 + whole.seconds) * 1000


_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
