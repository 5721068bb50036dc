"""Machines with one rule taken away: the simulator must catch each of them, or its silence would say nothing.

What needs many epochs to go wrong (the wrong LOCK carried, votes of two epochs added up) is left to tests/model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keeling.votes import Certificate, Step, Vote, VotePolicy, make_quorum, vote_slot
from node.finality import machine
from node.finality.events import Candidate, candidate_of
from node.finality.journal import GaveLock, Journal, JournalRecord, Voted
from node.finality.pen import Pen
from node.finality.standing import Standing
from node.finality.tally import VoteTally
from tests.simulator.finality_run import Run, Violation, Weather

STORM = Weather(loss=0.05, duplicates=0, delay_ms=60, crashes=0.05, lies=0.5, liar=True, set_changes=0)
SEEDS = 40
Patch = pytest.MonkeyPatch


def votes_not_persisted(patch: Patch) -> None:
    keep = Pen.keep

    def forgetful(self: Pen, item: JournalRecord) -> None:
        keep(self, item)
        if isinstance(item, Voted | GaveLock):
            self.records.remove(item)

    patch.setattr(Pen, "keep", forgetful)


def quorum_off_by_one(patch: Patch) -> None:
    patch.setattr(VotePolicy, "quorum", property(lambda policy: 2 * len(policy.vote_keys) // 3))


def voting_in_an_old_epoch(patch: Patch) -> None:
    def unfenced(self: Journal, vote: Vote) -> bool:
        return vote_slot(vote) not in self._given and vote.height > self.opened.height

    patch.setattr(Journal, "may_sign", unfenced)


def adoption_votes_again(patch: Patch) -> None:
    take = machine.Finality._take_block

    def forgiving(self: machine.Finality, block: Any, asked: Candidate | None) -> None:
        if asked is not None and self.pen.journal is not None:
            self.pen.journal._given.clear()
        take(self, block, asked)

    patch.setattr(machine.Finality, "_take_block", forgiving)


def lock_not_reported(patch: Patch) -> None:
    patch.setattr(Journal, "highest_lock", lambda self, policy, height: None)


def start_block_not_binding(patch: Patch) -> None:
    patch.setattr(Standing, "bound", property(lambda self: None))


def locks_of_two_epochs_added(patch: Patch) -> None:
    def summed(self: VoteTally, height: int) -> Certificate | None:
        sums: dict[Candidate, dict[bytes, bytes]] = {}
        for vote, signatures in self._signatures.items():
            if (vote.height, vote.step) == (height, Step.LOCK):
                sum_of = sums.setdefault(candidate_of(vote), {})
                sum_of.update(signatures)
                if len(sum_of) >= self._policy.quorum:
                    return Certificate(vote, make_quorum(sum_of, self._policy))
        return None

    patch.setattr(VoteTally, "certificate", summed)


MUTANTS: list[Callable[[Patch], None]] = [
    votes_not_persisted,
    quorum_off_by_one,
    voting_in_an_old_epoch,
    adoption_votes_again,
    lock_not_reported,
    start_block_not_binding,
    locks_of_two_epochs_added,
]


@pytest.mark.parametrize("mutate", MUTANTS, ids=[mutate.__name__ for mutate in MUTANTS])
def test_the_simulator_catches(mutate: Callable[[Patch], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        mutate(patch)
        for seed in range(SEEDS):
            try:
                Run(seed, weather=STORM, members=4).play()
            except Violation:
                return
    pytest.fail(f"{mutate.__name__} went unnoticed through {SEEDS} seeds")
