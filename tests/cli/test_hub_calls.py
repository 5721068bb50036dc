"""What the commands of `keeling hub` make of what a hub says."""

from __future__ import annotations

import pytest

from cli.hub_calls import WHY_SHOWN, shorten_why

ANOTHER = (
    "attempt 1 was dispatched at 2026-11-22T14:11:46.123Z by another process of natreg, or by this one before it lost "
    "track: this process asks about it and does not send it"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("throttled", "throttled"),
        ("x" * WHY_SHOWN, "x" * WHY_SHOWN),
        (ANOTHER, "attempt 1 was dispatched at 2026-11-22T14:11:46.123Z by another process of natreg…"),
        ("word " * 40, ("word " * 16).strip() + "…"),
    ],
)
def test_a_long_reason_is_shown_by_its_first_words(text: str, shown: str) -> None:
    assert shorten_why(text) == shown
    assert len(shown) <= WHY_SHOWN
