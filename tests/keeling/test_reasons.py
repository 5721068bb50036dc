"""Reasons: each has a meaning and advice, stands in its group, and is on the page people read."""

import pytest

from keeling.meanings import MEANINGS
from keeling.reasons import Reason, pins
from tests.keeling.reasons_page import GROUPS, PAGE, render


@pytest.mark.parametrize("reason", Reason)
def test_reason_is_explained(reason: Reason) -> None:
    meaning = MEANINGS[reason]
    assert meaning.text
    assert meaning.advice or reason == Reason.ACCEPTED
    assert "|" not in meaning.text + meaning.advice, "it stands in a table"
    assert reason == Reason.ACCEPTED or reason // 100 in GROUPS


def test_page_is_what_the_vocabulary_says() -> None:
    """Run `python -m tests.keeling.reasons_page` after a change."""
    assert PAGE.read_text(encoding="utf-8") == render()


def test_numbers_rise_in_the_order_of_the_checks() -> None:
    assert [int(reason) for reason in Reason] == sorted(int(reason) for reason in Reason)


def test_what_was_not_decided_does_not_pin() -> None:
    open_ones = {reason.name for reason in Reason if 200 <= reason < 900 and not pins(reason)}
    assert open_ones == {
        "ID_OUT_OF_WINDOW",
        "ID_NOT_UUID7",
        "ID_USED_WITH_OTHER_CONTENT",
        "DUPLICATE",
        "NOT_PERMITTED",
        "NEEDS_APPROVAL",
        "SAME_PERSON",
        "ATTESTOR_IS_PARTY",
        "NEEDS_VERIFIER",
        "NEEDS_TWO_OPERATORS",
        "INCOMING_NOT_APPROVED",
        "BLOCK_IS_FULL",
    }
    assert not any(pins(reason) for reason in Reason if 0 < reason < 200 or reason >= 900)
    assert pins(Reason.ACCEPTED)
