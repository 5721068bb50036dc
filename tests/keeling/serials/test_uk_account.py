"""Numbers of UK registry accounts: real ones, wrong ones, and their check digits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.serials.uk_account import (
    AccountNumberError,
    UkAccount,
    compute_check_digits,
    format_account,
    parse_account,
)


@pytest.mark.parametrize(
    "text",
    [
        "UK-100-1010-0-47",
        "UK-100-1016-0-17",
        "UK-100-1011-0-42",
        "GB-100-12345-2-14",
        "GB-121-50031-2-60",
        "UK-100-10000025-0-33",
    ],
)
def test_real_numbers(text: str) -> None:
    assert str(parse_account(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("GB-100-12345-0-12", "wrong check digits 12"),
        ("GB-100-222-0-11", "wrong check digits 11"),
        ("GB-120-9999-2-99", "wrong check digits 99"),
        ("UK-100-1010-0-48", "wrong check digits 48"),
        ("UK-100-900000025-2-60", "more than 8 digits"),
        ("FR-100-1010-0-47", "is not like"),
        ("UK-100-1010", "is not like"),
        ("UK-100-1010-0-47\n", "is not like"),
    ],
)
def test_wrong_numbers(text: str, message: str) -> None:
    with pytest.raises(AccountNumberError, match=message):
        parse_account(text)


def test_the_length_limit_is_the_callers() -> None:
    assert parse_account("UK-100-900000025-2-60", identifier_digits_max=9).identifier == 900000025


@given(st.sampled_from(["UK", "GB"]), st.integers(0, 999), st.integers(0, 99_999_999), st.integers(0, 9))
def test_written_numbers_read_back_and_a_wrong_digit_does_not(
    registry: str, kind: int, ident: int, period: int
) -> None:
    assert parse_account(format_account(registry, kind, ident, period)) == UkAccount(registry, kind, ident, period)
    assert compute_check_digits(kind, ident, period) != compute_check_digits(kind, ident + 1, period)
