"""The clock of a sandbox: what falls due happens in order and at its own time, also while the clock runs along."""

from __future__ import annotations

import pytest

from adapters.sandbox.clock import START_MS, SandboxClock

HOUR_MS = 3_600_000


@pytest.mark.parametrize("follows", [False, True])
def test_what_falls_due_on_the_way_sees_that_its_time_has_come(follows: bool) -> None:
    clock = SandboxClock(START_MS, follows)
    seen: list[tuple[str, bool]] = []
    for name, due_ms in (("second", START_MS + 2 * HOUR_MS), ("first", START_MS + HOUR_MS)):
        clock.at(due_ms, lambda name=name, due_ms=due_ms: seen.append((name, clock.now_ms >= due_ms)))  # type: ignore[misc]
    clock.at(START_MS + 48 * HOUR_MS, lambda: seen.append(("too early", False)))
    clock.advance(24 * HOUR_MS)
    assert seen == [("first", True), ("second", True)]
    assert 24 * HOUR_MS <= clock.now_ms - START_MS < 25 * HOUR_MS
    with pytest.raises(ValueError, match="no clock goes back"):
        clock.move_to(START_MS)
