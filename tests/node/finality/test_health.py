"""Health names what finality waits for, and for whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.finality import events as ev
from node.finality.events import Reason
from node.finality.health import Cause, compute_health
from tests.node.finality.network import Network, block, only
from tests.simulator.finality_world import key_of

A, B = block("a"), block("b")
OTHER_RESULT = A._replace(candidate=A.candidate._replace(root=bytes(32)))


def with_votes(*shown: ev.Block | None) -> Network:
    network = Network(4)
    for i, made in enumerate(shown):
        if made is not None:
            network.execute(made, i)
    network.carry(to=(0,))
    return network


def waiting_for_locks() -> Network:
    return with_votes(A, A, A)


def stopped() -> Network:
    network = Network(4)
    network.restart(0, [])
    return network


def catching_up() -> Network:
    others = Network(4)
    others.execute(A)
    others.carry()
    network = Network(4)
    certificate = only(ev.Final, others.done[0])[0].certificate
    network.machines[0].pen.journal = None  # an observer until its journal is opened
    network.step(0, ev.CertificateArrived(certificate))
    return network


def after(*events: ev.Input) -> Callable[[], Network]:
    def make() -> Network:
        network = Network(4)
        for event in events:
            network.step(0, event)
        return network

    return make


CASES: list[tuple[Cause, Callable[[], Network], tuple[int, ...]]] = [
    (Cause.STOPPED, stopped, ()),
    (Cause.CATCHING_UP, catching_up, ()),
    (Cause.REPORTS, after(ev.Reseed()), (1, 2, 3)),
    (Cause.CLOCK, after(ev.Executed(block("a", time_ms=90_000))), ()),
    (Cause.SUSPENDED, after(ev.Suspended(Reason.POISON)), (0, 1, 2, 3)),
    (Cause.ENGINE_SPLIT, lambda: with_votes(A, A, B, B), ()),
    (Cause.EXECUTION_SPLIT, lambda: with_votes(A, A, OTHER_RESULT, OTHER_RESULT), ()),
    (Cause.LOCKS, waiting_for_locks, (1, 2, 3)),
    (Cause.VOTES, lambda: with_votes(A, None, A), (1, 3)),
    (Cause.IDLE, lambda: Network(4), ()),
]


@pytest.mark.parametrize(("cause", "make", "missing"), CASES, ids=[row[0].name for row in CASES])
def test_the_cause_and_who_is_missing(cause: Cause, make: Callable[[], Network], missing: tuple[int, ...]) -> None:
    health = compute_health(make().machines[0])
    assert (health.cause, health.missing) == (cause, tuple(key_of(i) for i in missing))
    assert (health.height, health.signs) == (1, cause not in (Cause.STOPPED, Cause.CATCHING_UP))


def test_every_cause_has_a_case() -> None:
    assert {row[0] for row in CASES} == set(Cause)
