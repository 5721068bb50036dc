"""Cells that every registry has: quantities, dates, years, projects, countries, and what is none of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.countries import ALPHA3, ALPHA3_OF_ALPHA2
from adapters.exports import Precision, RowFault, RowRefused
from adapters.fields import DateForm, Dates, read_host, read_optional_units, read_project, read_units, read_year

ISO = Dates(DateForm.ISO)
BRITISH = Dates(DateForm.DAY_MONTH_YEAR)
AMERICAN = Dates(DateForm.MONTH_DAY_YEAR)


@pytest.mark.parametrize(
    ("text", "per_unit", "units"),
    [
        ("425", 1, 425),
        ("1,454,054", 1, 1_454_054),
        ("79565.0", 1, 79_565),
        (" 12 ", 1, 12),
        ("2765.37", 1000, 2_765_370),
        ("0.004", 1000, 4),
    ],
)
def test_quantities(text: str, per_unit: int, units: int) -> None:
    assert read_units(text, per_unit=per_unit) == units


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1e3", "1.5", "1,45", "1,2,00", "12,345,67", "nan", "٣", "9" * 25, "9" * 19, "0x1"]
)
def test_what_is_no_whole_quantity(text: str) -> None:
    with pytest.raises(RowRefused) as caught:
        read_units(text)
    assert caught.value.fault is RowFault.BAD_QUANTITY


@given(st.integers(0, 10**18))
def test_a_quantity_with_and_without_commas_is_one(units: int) -> None:
    assert read_units(f"{units:,}") == read_units(str(units)) == units


def test_missing_is_not_zero() -> None:
    assert read_optional_units(" ") is None
    assert read_optional_units("0") == 0


@pytest.mark.parametrize(
    ("dates", "text", "at", "precision"),
    [
        (ISO, "2026-04-10", datetime(2026, 4, 10, tzinfo=UTC), Precision.DATE),
        (ISO, "2026-04-14T16:50:41.621676Z", datetime(2026, 4, 14, 16, 50, 41, 621676, tzinfo=UTC), Precision.INSTANT),
        (ISO, "2026-04-13T12:35:58.84", datetime(2026, 4, 13, 12, 35, 58, 840000, tzinfo=UTC), Precision.INSTANT),
        (ISO, "2022-02-24 20:20:59", datetime(2022, 2, 24, 20, 20, 59, tzinfo=UTC), Precision.INSTANT),
        (ISO, "2022-02-24T20:20:59+05:30", datetime(2022, 2, 24, 14, 50, 59, tzinfo=UTC), Precision.INSTANT),
        (BRITISH, "03/04/2026", datetime(2026, 4, 3, tzinfo=UTC), Precision.DATE),
        (AMERICAN, "03/04/2026", datetime(2026, 3, 4, tzinfo=UTC), Precision.DATE),
        (AMERICAN, "3/9/2026 4:16:10 PM", datetime(2026, 3, 9, 16, 16, 10, tzinfo=UTC), Precision.INSTANT),
        (AMERICAN, "3/9/2026 12:16:10 AM", datetime(2026, 3, 9, 0, 16, 10, tzinfo=UTC), Precision.INSTANT),
        (AMERICAN, "3/9/2026 12:16:10 PM", datetime(2026, 3, 9, 12, 16, 10, tzinfo=UTC), Precision.INSTANT),
    ],
)
def test_dates(dates: Dates, text: str, at: datetime, precision: Precision) -> None:
    assert dates.effective(text) == (at, precision)


@pytest.mark.parametrize(
    ("dates", "text"),
    [
        (ISO, "2026-02-30"),
        (ISO, "20260410"),
        (ISO, "0001-01-01T00:00:00+05:00"),
        (BRITISH, "04/31/2026"),
        (AMERICAN, "31/04/2026"),
        (AMERICAN, "3/9/2026 13:16:10 PM"),
        (ISO, "yesterday"),
        (ISO, "2" * 100),
    ],
)
def test_what_is_no_date(dates: Dates, text: str) -> None:
    with pytest.raises(RowRefused) as caught:
        dates.effective(text)
    assert caught.value.fault is RowFault.BAD_DATE


def test_no_date_is_none_and_a_day_that_must_be_is_missing() -> None:
    assert ISO.effective(" ") is None
    with pytest.raises(RowRefused) as caught:
        ISO.day("")
    assert caught.value.fault is RowFault.MISSING


def test_a_vintage_may_not_end_before_it_starts() -> None:
    with pytest.raises(RowRefused, match="before its start"):
        ISO.period("2024-02-01", "2024-01-31")


@pytest.mark.parametrize("text", ["2025", "2025.0", " 2025 "])
def test_years(text: str) -> None:
    assert read_year(text).first.year == read_year(text).last.year == 2025


@pytest.mark.parametrize("text", ["", "25", "1889", "2025.5", "twenty"])
def test_what_is_no_year(text: str) -> None:
    with pytest.raises(RowRefused):
        read_year(text)


@pytest.mark.parametrize("text", ["ACR885", "ACR0885", "885", "acr885 "])
def test_one_project_under_four_names(text: str) -> None:
    assert read_project(text, "ACR") == "885"


def test_countries() -> None:
    assert len(ALPHA3_OF_ALPHA2) == len(ALPHA3) == 249
    assert [read_host(code) for code in ("NA", "ci", "GB", "XZ", "")] == ["NAM", "CIV", "GBR", "", ""]
