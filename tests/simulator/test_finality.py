"""Whatever engine, network and one liar do: one block per height, honest keys keep their word, and it goes on after.

A failure names its seed; `Run(seed).play()` repeats it exactly.
"""

from __future__ import annotations

import pytest

from tests.simulator.finality_run import Run, Violation, Weather

SEEDS_PER_TEST = 50
CALM = Weather(loss=0, duplicates=0, delay_ms=5, crashes=0, lies=0, liar=False, set_changes=0)


def play_seeds(first: int, seeds: int) -> None:
    for seed in range(first, first + seeds):
        try:
            Run(seed).play()
        except Violation as violation:
            raise Violation(f"seed {seed}: {violation}") from violation


@pytest.mark.parametrize("first", range(0, 2_000, SEEDS_PER_TEST))
def test_seeds(first: int) -> None:
    play_seeds(first, SEEDS_PER_TEST)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(10_000, 30_000, 500))
def test_many_seeds(first: int) -> None:
    play_seeds(first, 500)


def test_a_seed_repeats_exactly() -> None:
    one, other = Run(7), Run(7)
    one.play()
    other.play()
    assert (one.now, one.decided) == (other.now, other.decided)


@pytest.mark.parametrize("members", [1, 2, 3, 4, 7])
def test_in_calm_weather_no_epoch_ever_changes(members: int) -> None:
    run = Run(1, weather=CALM, members=members)
    run.play()
    assert {node.epoch for node in run.nodes.values()} == {0}
    assert len(run.decided) > 30
