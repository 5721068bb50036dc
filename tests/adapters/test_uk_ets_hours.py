"""When the UK registry executes a transfer, by the examples of its own guidance."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.uk_ets.hours import CALENDAR, DELAY_MINUTES, compute_execution, compute_next_minute, print_time

LONDON = ZoneInfo("Europe/London")
MINUTE_MS = 60_000


def at(day: str, time: str) -> int:
    return int(datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=LONDON).timestamp() * 1000)


# Where the guidance has a row for one of the two columns only, the other is computed by hand.
NORMAL = ("2026-03-20", "2026-03-23", "2026-03-24")
"""A Friday, the Monday and the Tuesday after it."""
MAY_DAY = ("2026-05-01", "2026-05-05", "2026-05-06")
"""A Friday, and after a holiday on Monday the Tuesday and the Wednesday."""
EASTER = ("2026-04-02", "2026-04-07", "2026-04-08")
"""The Thursday before Good Friday, and after Easter Monday the Tuesday and the Wednesday."""


@pytest.mark.parametrize(
    ("approved", "trusted", "outside"),
    [
        ((NORMAL[0], "09:50"), (NORMAL[0], "10:00"), (NORMAL[1], "10:00")),
        ((NORMAL[0], "15:59"), (NORMAL[0], "15:59"), (NORMAL[1], "15:59")),
        ((NORMAL[0], "16:01"), (NORMAL[1], "10:00"), (NORMAL[2], "10:00")),
        (("2026-03-21", "12:00"), (NORMAL[1], "10:00"), (NORMAL[2], "10:00")),
        ((MAY_DAY[0], "09:50"), (MAY_DAY[0], "10:00"), (MAY_DAY[1], "10:00")),
        ((MAY_DAY[0], "16:01"), (MAY_DAY[1], "10:00"), (MAY_DAY[2], "10:00")),
        (("2026-05-02", "12:00"), (MAY_DAY[1], "10:00"), (MAY_DAY[2], "10:00")),
        ((EASTER[0], "16:01"), (EASTER[1], "10:00"), (EASTER[2], "10:00")),
        (("2026-04-03", "15:00"), (EASTER[1], "10:00"), (EASTER[2], "10:00")),
        ((EASTER[1], "10:00"), (EASTER[1], "10:00"), (EASTER[2], "10:00")),
        ((EASTER[1], "16:01"), (EASTER[2], "10:00"), ("2026-04-09", "10:00")),
        ((EASTER[0], "15:59"), (EASTER[0], "15:59"), (EASTER[1], "15:59")),
    ],
)
def test_the_examples_of_the_guidance(
    approved: tuple[str, str], trusted: tuple[str, str], outside: tuple[str, str]
) -> None:
    """The registry adds the minute it rounds up to; its examples do not show it."""
    moment = at(*approved)
    assert compute_execution(moment, trusted=True) == at(*trusted) + MINUTE_MS
    assert compute_execution(moment, trusted=False) == at(*outside) + MINUTE_MS


def test_outside_the_list_at_half_past_twelve_on_a_friday_before_a_bank_holiday() -> None:
    due = compute_execution(at("2026-05-01", "12:30"), trusted=False)
    assert print_time(due) == "Tuesday 5 May 2026 12:31 (Europe/London)"
    assert due == at("2026-05-05", "12:31")


def test_a_day_of_working_time_is_one_hour_shorter_where_clocks_go_forward() -> None:
    before, after = at("2026-03-27", "11:00"), at("2026-03-30", "11:01")
    assert compute_execution(before, trusted=False) == after
    assert after - before == (3 * 24 - 1) * 3_600_000 + MINUTE_MS


def test_minutes_beyond_whole_days_may_pass_the_end_of_the_window() -> None:
    due = compute_execution(at("2026-03-20", "15:30"), trusted=False, delay_minutes=DELAY_MINUTES + 60)
    assert due == at("2026-03-24", "10:01")


def test_minutes_into_a_day_off_keep_their_time_of_day() -> None:
    calendar = CALENDAR._replace(opens_minute=0, closes_minute=23 * 60 + 59)
    due = compute_execution(at("2026-03-20", "20:00"), trusted=False, calendar=calendar, delay_minutes=600)
    assert due == at("2026-03-23", "06:01")


@pytest.mark.parametrize(
    ("day", "off"),
    [
        (date(2026, 4, 3), True),
        (date(2026, 5, 4), True),
        (date(2026, 12, 28), True),
        (date(2022, 9, 19), True),
        (date(2026, 3, 17), False),
        (date(2026, 8, 3), False),
    ],
)
def test_holidays_are_those_of_england_and_wales(day: date, off: bool) -> None:
    """The last two are Saint Patrick's Day and Scotland's summer holiday."""
    assert (day in CALENDAR.holidays) is off


def test_what_has_no_delay_is_done_at_the_next_minute() -> None:
    sunday = at("2026-03-22", "03:00")
    assert compute_next_minute(sunday) == sunday + MINUTE_MS


@given(st.integers(at("2021-01-01", "00:00"), at("2034-12-01", "00:00")), st.booleans())
def test_execution_is_in_working_time_never_early_and_in_order(approved: int, trusted: bool) -> None:
    due = compute_execution(approved, trusted=trusted)
    there = datetime.fromtimestamp(due / 1000, LONDON)
    minute = there.hour * 60 + there.minute
    assert CALENDAR.opens_minute < minute <= CALENDAR.closes_minute + 1
    assert there.weekday() in CALENDAR.weekdays
    assert there.date() not in CALENDAR.holidays
    assert due > approved
    assert due <= compute_execution(approved, trusted=False)
    assert due <= compute_execution(approved + 3_600_000, trusted=trusted)
