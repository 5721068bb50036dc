"""Whole networks of real nodes, whatever engine, network, disks, clocks and one liar do: G1, G5 to G8, G10.

A failure names its seed; `Run(seed).play()` repeats it exactly. Seeds that once failed are in `KEPT` for ever.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from random import Random

import pytest

from keeling.epochs import SignedReport
from keeling.votes import EVIDENCE, SignedVote, sign_vote
from node.incidents import VOTE_EVIDENCE, scan_evidence
from node.store.contract import Family
from tests.simulator import network_run
from tests.simulator.finality_liar import Liar
from tests.simulator.network_checks import Violation
from tests.simulator.network_run import Run
from tests.simulator.network_weather import CALM, Weather
from tests.simulator.network_world import make_member

SEEDS_PER_TEST = 5
KEPT: dict[int, str] = {
    17: "an observer stayed behind: the peer it followed had died and the stream never ended",
    47: "a network of one stood still after its engine had lost entries",
    84: "a validator that came back did not hear how far the others were",
    672: "the simulator started a machine twice that was lost while it was down",
}
"""Seeds that failed while the network was built, and what was wrong."""


def play(seed: int) -> None:
    try:
        Run(seed).play()
    except Violation as violation:
        raise Violation(f"seed {seed}: {violation}") from violation


@pytest.mark.parametrize("first", range(1_000, 1_150, SEEDS_PER_TEST))
def test_seeds(first: int) -> None:
    for seed in range(first, first + SEEDS_PER_TEST):
        play(seed)


@pytest.mark.parametrize("seed", KEPT)
def test_seeds_that_once_failed(seed: int) -> None:
    play(seed)


def play_two_liars(seed: int) -> None:
    """As many lie as may, two of seven, in the weather of the seed."""
    weather = replace(Weather.draw(Random(seed)), liar=True)
    try:
        Run(seed, weather, 7, (2, 5)).play()
    except Violation as violation:
        raise Violation(f"seed {seed}, two liars: {violation}") from violation


@pytest.mark.parametrize("seed", range(6))
def test_two_of_seven_may_lie(seed: int) -> None:
    play_two_liars(seed)


@pytest.mark.parametrize("seed", range(3))
def test_one_of_seven_lies_and_another_comes_back_from_a_backup(seed: int) -> None:
    Run(seed, replace(Weather.draw(Random(seed)), liar=True, restores=True), 7).play()


@pytest.mark.soak
@pytest.mark.parametrize("first", range(20_000, 21_000, 100))
def test_two_of_seven_may_lie_in_many_seeds(first: int) -> None:
    for seed in range(first, first + 100):
        play_two_liars(seed)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(10_000, 13_000, 100))
def test_many_seeds(first: int) -> None:
    for seed in range(first, first + 100):
        play(seed)


def test_a_seed_repeats_exactly() -> None:
    seen = []
    for _ in range(2):
        run = Run(29)
        run.play()
        blocks = [list(node.disk.scan(Family.BLOCKS)) for node in run.nodes.values()]
        seen.append((run.loop.time(), hashlib.sha256(repr(blocks).encode()).hexdigest()))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("validators", [1, 2, 4, 7])
def test_in_calm_weather_every_wish_is_answered_in_the_first_epoch(validators: int) -> None:
    run = Run(1, CALM, validators)
    run.play()
    assert set(run.answered) == set(run.asked)
    assert {node.replica.chain.outlook.log.epoch for node in run.nodes.values() if node.replica} == {0}


def accused(run: Run) -> list[set[bytes]]:
    """Whom each node has evidence against."""
    proofs = [scan_evidence(node.disk, VOTE_EVIDENCE) for node in run.nodes.values()]
    return [{EVIDENCE.decode(raw).first.key for raw in found} for found in proofs]


@pytest.mark.parametrize("seed", range(4))
def test_a_liar_is_heard_while_the_others_go_on(seed: int) -> None:
    run = Run(seed, replace(CALM, liar=True, delay_s=0.4), 4)
    run.play()
    assert set(run.answered) == set(run.asked)
    assert run.lies > 100
    assert run.stops == [], "nothing that is said stops a node"
    assert set().union(*accused(run)) <= {make_member("m2").vote.public}, "nobody else, and a clever one perhaps not"


class Brazen(Liar):
    """Says something else of every block as well, to whoever hears it."""

    def messages(self) -> list[SignedVote | SignedReport]:
        votes = [said for said in super().messages() if isinstance(said, SignedVote)]
        return [*votes, *(sign_vote(said.vote._replace(root=b"\x01" * 32), self.key, self._sign) for said in votes)]


@pytest.mark.parametrize("seed", range(4))
def test_a_brazen_liar_is_caught_by_everybody(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_run, "Liar", Brazen)
    run = Run(seed, replace(CALM, liar=True, delay_s=0.4), 4)
    run.play()
    assert set(run.answered) == set(run.asked)
    assert all(found == {make_member("m2").vote.public} for found in accused(run)), "the liar, and nobody else"


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_a_liar_speaks_on_when_the_engine_goes_down_under_it(seed: int) -> None:
    """It fell silent with its first append that found nobody, and with it what the rest of the run could show."""
    Run(seed, replace(CALM, liar=True, engine_outages=0.8, engine_delay_s=0.4), 4).play()


def test_a_trouble_that_fails_breaks_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the sky would be clearer than it looks."""

    def fail(self: Liar) -> list[SignedVote | SignedReport]:
        raise RuntimeError("planted")

    monkeypatch.setattr(Liar, "messages", fail)
    with pytest.raises(Violation, match="planted"):
        Run(1, replace(CALM, liar=True), 4).play()
