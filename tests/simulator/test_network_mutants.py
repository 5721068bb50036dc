"""Nodes with one duty left out: the simulated network must catch each, or its silence would say nothing.

Mutants of the voting rules alone (quorum, fences, adoption) are in `test_finality_mutants`, where a run is cheap enough
for the rare storms they need; here are those that only a whole node can have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.overlay import Overlay
from node.store.contract import Batch
from tests.fakes.faulty_store import undo_of
from tests.simulator.network_checks import Violation
from tests.simulator.network_disk import SimulatedDisk
from tests.simulator.network_run import Run
from tests.simulator.network_weather import CALM

STORM = replace(CALM, crashes=0.03, delay_s=0.05, engine_lies=0.1, engine_losses=0.1, loss=0.05)
SEEDS = 25
Patch = pytest.MonkeyPatch


def fsync_skipped(patch: Patch) -> None:
    """What was committed last is gone after a crash."""
    commit, unplug = SimulatedDisk.commit, SimulatedDisk.unplug

    def remember(self: Any, batch: Batch) -> None:
        undo = undo_of(self.inner, batch)
        commit(self, batch)
        self.undo = [*getattr(self, "undo", []), undo][-5:]

    def forget(self: Any) -> None:
        unplug(self)
        for undo in reversed(getattr(self, "undo", [])):
            self.inner.commit(undo)
        self.undo = []

    patch.setattr(SimulatedDisk, "commit", remember)
    patch.setattr(SimulatedDisk, "unplug", forget)


def overlay_not_dropped(patch: Patch) -> None:
    """Blocks executed upon what did not become final stay."""
    patch.setattr(Overlay, "drop", lambda self: None)


MUTANTS: list[Callable[[Patch], None]] = [
    fsync_skipped,
    overlay_not_dropped,
]


@pytest.mark.parametrize("mutate", MUTANTS, ids=[mutate.__name__ for mutate in MUTANTS])
def test_the_simulator_catches(mutate: Callable[[Patch], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        mutate(patch)
        for seed in range(SEEDS):
            try:
                Run(seed, STORM, 4).play()
            except Violation:
                return
    pytest.fail(f"{mutate.__name__} went unnoticed through {SEEDS} seeds")
