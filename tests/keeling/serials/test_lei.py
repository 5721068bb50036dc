"""Legal entity identifiers: real ones, wrong ones, and check digits that no other would fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.serials.lei import LeiError, check_lei, compute_check_digits

BASE = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=18, max_size=18)


def test_a_real_identifier() -> None:
    assert check_lei("529900T8BM49AURSDO55") == "529900T8BM49AURSDO55"
    assert compute_check_digits("529900T8BM49AURSDO") == "55"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("529900T8BM49AURSDO56", "wrong check digits, 55 would be right"),
        ("529900T8BM49AURSDO5", "is not 18 characters"),
        ("529900t8bm49aursdo55", "is not 18 characters"),
        ("529900T8BM49AURSDO55\n", "is not 18 characters"),
    ],
)
def test_wrong_identifiers(text: str, message: str) -> None:
    with pytest.raises(LeiError, match=message):
        check_lei(text)


@given(BASE, st.integers(0, 17), st.integers(1, 25))
def test_computed_digits_are_right_and_no_other_letter_or_digit_would_do(base: str, place: int, step: int) -> None:
    lei = check_lei(base + compute_check_digits(base))
    alphabet = "0123456789" if lei[place].isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    other = alphabet[(alphabet.index(lei[place]) + step) % len(alphabet)]
    changed = lei[:place] + other + lei[place + 1 :]
    if changed != lei:
        with pytest.raises(LeiError):
            check_lei(changed)
