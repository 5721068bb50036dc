"""The clock that is moved by hand: seen by whoever looks at the file, never backwards, never in a network at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from network.folders import FolderRefused
from network.rehearsal import RehearsalClock, check_rehearsal, create_clock


def test_whoever_looks_at_the_clock_sees_it_move(tmp_path: Path) -> None:
    here = create_clock(tmp_path / "clock", 1_795_000_000_000)
    there = RehearsalClock(tmp_path / "clock")
    here.advance(86_400_000)
    assert there.now_ms() == 1_795_086_400_000
    with pytest.raises(ValueError, match="does not go back"):
        here.advance(-1)


def test_only_a_rehearsal_has_such_a_clock() -> None:
    check_rehearsal("rehearsal.example/ledger")
    with pytest.raises(FolderRefused, match="no rehearsal"):
        check_rehearsal("ledger.example/rehearsal.")
