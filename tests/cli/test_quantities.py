"""What people type is read one way and printed back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.quantities import (
    format_amount,
    format_moment,
    format_quantity,
    format_units,
    parse_amount,
    parse_duration,
    parse_moment,
    parse_units,
)


@pytest.mark.parametrize(
    ("text", "units"), [("0", 0), ("500", 500), ("10,000", 10_000), ("1_000_000", 1_000_000), ("1 000", 1000)]
)
def test_units(text: str, units: int) -> None:
    assert parse_units(text) == units


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e3", "10,00", "0x10", "٣", "1,0000", "five"])
def test_no_units(text: str) -> None:
    with pytest.raises(ValueError, match="no whole number of units"):
        parse_units(text)


@given(st.integers(0, 10**24 - 1))
def test_units_are_read_as_they_are_printed(units: int) -> None:
    assert parse_units(format_units(units)) == units


@pytest.mark.parametrize(
    ("text", "ms"), [("1ms", 1), ("5s", 5000), ("30m", 1_800_000), ("48h", 172_800_000), ("7d", 604_800_000)]
)
def test_durations(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize("text", ["", "5", "s", "1.5s", "-1s", "5 s", "1w"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "ms", "is_date"),
    [
        ("1970-01-02", 86_400_000, True),
        ("2026-03-31", 1_774_915_200_000, True),
        ("1970-01-01T00:00:00.001Z", 1, False),
        ("1970-01-01T05:30:00+05:30", 0, False),
    ],
)
def test_moments(text: str, ms: int, is_date: bool) -> None:
    assert parse_moment(text) == (ms, is_date)


@pytest.mark.parametrize("text", ["", "31.03.2026", "2026-02-30", "2026-03-31T12:00:00", "yesterday"])
def test_no_moments(text: str) -> None:
    with pytest.raises(ValueError, match=r"no date|no time zone"):
        parse_moment(text)


@given(st.integers(0, 4_102_444_800_000))
def test_an_instant_is_read_as_it_is_printed(ms: int) -> None:
    assert parse_moment(format_moment(ms, False)) == (ms, False)


@pytest.mark.parametrize(
    ("text", "scale", "minor"),
    [("850,000.00", 2, 85_000_000), ("849999.99", 2, 84_999_999), ("7", 0, 7), ("0.001", 3, 1), ("1.50", 1, 15)],
)
def test_amounts(text: str, scale: int, minor: int) -> None:
    assert parse_amount(text, scale) == minor


@pytest.mark.parametrize("text", ["0.001", "-1", "NaN", "Infinity", "ten", ""])
def test_no_amounts(text: str) -> None:
    with pytest.raises(ValueError, match="no amount"):
        parse_amount(text, 2)


@given(st.integers(0, 10**20), st.integers(0, 8))
def test_an_amount_is_read_as_it_is_printed(minor: int, scale: int) -> None:
    assert parse_amount(format_amount(minor, scale), scale) == minor


@pytest.mark.parametrize(
    ("units", "grain", "text"),
    [
        (1_796_810, "T_CO2E", "1,796,810 t"),
        (36_681_380, "KG_CO2E", "36,681,380 kg (36,681.380 t)"),
        (2, "KG_CO2E", "2 kg (0.002 t)"),
        (3, "NEW_GRAIN", "3 units of NEW_GRAIN"),
    ],
)
def test_quantities_say_their_grain(units: int, grain: str, text: str) -> None:
    assert format_quantity(units, grain) == text
