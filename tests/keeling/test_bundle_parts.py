"""Moments as people read them, made of whole numbers alone, against the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.bundle_parts import format_time

LAST_MS = 253_402_300_799_999


@given(st.integers(0, LAST_MS))
def test_a_moment_reads_as_the_standard_library_writes_it(ms: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    assert format_time(ms) == at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        (LAST_MS, "9999-12-31T23:59:59.999Z"),
        (LAST_MS + 1, "10000-01-01T00:00:00.000Z"),
    ],
)
def test_at_the_edges(ms: int, text: str) -> None:
    assert format_time(ms) == text
