"""Every rule of voting and of epochs is needed, and together they suffice: explored, not argued.

`EXPLORED` are the rules as they are: within a shape that is small enough all states, of others the nearest ones, and
random walks in deeper ones. `BROKEN` takes one rule away each; two blocks must then be decided at one height. Where
that takes too many steps to be met by chance, waypoints lead there, each step between them being an allowed one.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.model.finality_model import Goal, Model, Outcome, Rules, Shape, State, explore, explore_by, walk

EXPLORED = [
    (Shape(epochs=1, heights=2), 5_000, True),
    (Shape(epochs=2, heights=1), 60_000, True),
    (Shape(epochs=2, heights=2, entries=1), 60_000, False),
    (Shape(epochs=3, heights=1, entries=1), 60_000, False),
]
BEYOND = [
    Shape(epochs=2, heights=2),
    Shape(epochs=3, heights=1),
    Shape(epochs=3, heights=2),
    Shape(epochs=4, heights=3),
]


@pytest.mark.parametrize(("shape", "states_max", "complete"), EXPLORED, ids=str)
def test_the_rules_never_decide_two_blocks(shape: Shape, states_max: int, complete: bool) -> None:
    outcome = explore(Model(shape), states_max)
    assert outcome.trace is None, outcome.trace
    assert outcome.complete == complete


@pytest.mark.parametrize("shape", BEYOND, ids=str)
def test_the_rules_hold_on_random_walks(shape: Shape) -> None:
    outcome = walk(Model(shape), seed=1, walks=400, steps=40)
    assert outcome.trace is None, outcome.trace


@pytest.mark.soak
@pytest.mark.parametrize("shape", BEYOND, ids=str)
def test_the_rules_hold_far_out(shape: Shape) -> None:
    near = explore(Model(shape), 400_000)
    assert near.trace is None, near.trace
    for seed in range(20):
        far = walk(Model(shape), seed, walks=2_000, steps=60)
        assert far.trace is None, (seed, far.trace)


def test_something_is_decided_and_carried() -> None:
    """Rules that never decide anything would be safe too: block 1 is carried into epoch 1, and block 2 follows it."""
    model = Model(Shape(epochs=3, heights=2, entries=1))

    def carried_and_followed(state: State) -> bool:
        """A block read in epoch 0 is voted in epoch 1, and one of epoch 1 is decided above it."""
        first, second = model.decided(state)[1:]
        return first == 1 and second == 2 and any(v.bound == 1 and v.epoch == 1 for v in state)

    waypoints: list[Goal] = [
        lambda state: locked(state, epoch=0, block=1, validators=1, heights=2),
        lambda state: any(v.bound == 1 for v in state),
        lambda state: model.decided(state)[1] == 1,
    ]
    state = model.first()
    for goal in (*waypoints, carried_and_followed):
        outcome = explore(model, 100_000, state, goal)
        assert outcome.trace is not None
        state = outcome.trace[-1]


def locked(state: State, epoch: int, block: int, validators: int, heights: int = 1) -> bool:
    return sum(v.locks[epoch * heights] == block for v in state) == validators


def at_once(shape: Shape) -> Callable[[Rules], Outcome]:
    return lambda rules: explore(Model(shape, rules), 60_000)


def over(shape: Shape, *waypoints: Callable[[Model, State], bool]) -> Callable[[Rules], Outcome]:
    def search(rules: Rules) -> Outcome:
        model = Model(shape, rules)
        goals = [lambda state, goal=goal: goal(model, state) for goal in waypoints]
        return explore_by(model, 60_000, goals)

    return search


def one_lock(model: Model, state: State) -> bool:
    """X (bit 1), of epoch 0, is locked there by one honest validator. Y (bit 2) will be of epoch 1."""
    return locked(state, 0, 1, 1)


BROKEN: list[tuple[str, Rules, Callable[[Rules], Outcome]]] = [
    ("a report does not end older voting", Rules(report_ends_older_voting=False), at_once(Shape(2, 1))),
    ("a LOCK is not reported", Rules(lock_reported=False), at_once(Shape(2, 1))),
    ("two reports suffice", Rules(reports_needed=2), at_once(Shape(2, 1))),
    ("the start block does not bind", Rules(start_block_binding=False), at_once(Shape(2, 1))),
    ("reports show no certificates", Rules(certificates_reported=False), at_once(Shape(2, 1))),
    ("one validator forgets", Rules(all_remember=False), at_once(Shape(1, 1))),
    (
        "any LOCK instead of the highest epoch's",
        Rules(highest_lock_only=False),
        over(
            Shape(3, 1, 1),
            one_lock,
            lambda model, state: locked(state, 0, 1, 1) and model.decided(state)[1] == 2,
            lambda model, state: any(v.bound == 1 and v.epoch == 2 for v in state),
        ),
    ),
    (
        "VOTEs of two epochs are added",
        Rules(votes_per_epoch=False),
        over(
            Shape(3, 1, 1),
            lambda model, state: sum(v.votes[0] == 1 for v in state) == 2,
            lambda model, state: any(v.locks[1] == 1 and not v.bound for v in state),
            lambda model, state: model.decided(state)[1] == 1 and sum(v.votes[1] == 2 for v in state) == 2,
            lambda model, state: any(v.bound == 2 and v.epoch == 2 for v in state),
        ),
    ),
    (
        "LOCKs of two epochs are added",
        Rules(locks_per_epoch=False),
        over(
            Shape(4, 1, 1),
            one_lock,
            lambda model, state: any(v.votes[1] == 2 for v in state if not v.locks[0]),
            lambda model, state: locked(state, 0, 1, 1) and any(v.locks[1] == 2 and not v.locks[0] for v in state),
            lambda model, state: any(v.bound == 1 and v.epoch == 2 for v in state),
            lambda model, state: any(v.locks[2] == 1 and not v.locks[0] and not v.locks[1] for v in state),
        ),
    ),
]


@pytest.mark.parametrize(("rules", "search"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_no_rule_can_be_spared(rules: Rules, search: Callable[[Rules], Outcome]) -> None:
    outcome = search(rules)
    assert outcome.trace is not None, f"no two blocks decided within {outcome.states} states"
