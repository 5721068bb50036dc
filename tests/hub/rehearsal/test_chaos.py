"""Chaos on a real node and four sandboxes: a hundred instructions with every run, ten thousand on demand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hub.rehearsal.chaos import run_chaos


def prove(folder: Path, instructions: int, seed: int) -> None:
    chaos = asyncio.run(run_chaos(folder, instructions, 4, seed))
    assert chaos.verdict.kept, chaos.verdict
    assert chaos.verdict.instructions == instructions
    assert chaos.verdict.captured_units > chaos.verdict.released_units > 0
    assert set(chaos.registries) == {"puro", "verra", "uk_ets", "unfccc"}
    assert chaos.deaths > 10
    assert {words.partition(", ")[2] for words in chaos.crashes} == {"not done", "answer lost"}
    assert len(chaos.faults) > 8
    assert not chaos.backlog
    assert not chaos.discrepancies


def test_nothing_is_doubled_invented_or_lost(tmp_path: Path) -> None:
    prove(tmp_path, 100, 7)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_ten_thousand_instructions(tmp_path: Path) -> None:
    prove(tmp_path, 10_000, 7)
