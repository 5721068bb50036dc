"""An exhaustive small model of the voting and epoch rules of architecture 4.5 and 4.7: four validators, one lies.

It is written apart from `node.finality` on purpose, and knows no messages: the liar's signature is available on
anything at any time, so a quorum of three is possible wherever two honest validators signed; messages may be
arbitrarily late, so whatever was signed may be used at any time by anybody, or by nobody; the engine shows anybody
anything. Execution, disks and sets that change are not modelled. A state is the three honest validators, sorted: they
are interchangeable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from random import Random
from typing import NamedTuple

HONEST_NEEDED = 2
"""Honest signatures that, with the liar's, make a quorum of three among four."""


class Shape(NamedTuple):
    """How much is explored: epochs, heights, and different entries the engine can show at one height of an epoch."""

    epochs: int
    heights: int
    entries: int = 2


class Rules(NamedTuple):
    """The rules; each can be taken away to see what it is for."""

    report_ends_older_voting: bool = True
    lock_reported: bool = True
    reports_needed: int = 3
    start_block_binding: bool = True
    highest_lock_only: bool = True
    votes_per_epoch: bool = True
    locks_per_epoch: bool = True
    certificates_reported: bool = True
    all_remember: bool = True


class Shown(NamedTuple):
    """A report: certificates up to `known`; and a LOCK at height `at`, of `epoch`, on `block` (a bit; 0 for none)."""

    known: int
    at: int
    epoch: int
    block: int


class Validator(NamedTuple):
    """An honest one. Blocks are bits; `votes` and `locks` hold, per epoch and height, the bits it ever signed."""

    epoch: int
    base: int
    bound: int
    fence: int
    known: int
    votes: tuple[int, ...]
    locks: tuple[int, ...]
    reports: tuple[Shown | None, ...]
    forgetful: bool


State = tuple[Validator, ...]


class Model:
    """What can happen under some rules, within some shape."""

    def __init__(self, shape: Shape, rules: Rules = Rules()) -> None:
        self.shape, self.rules = shape, rules
        self._blocks = [1 << i for i in range(shape.epochs * shape.entries)]

    def first(self) -> State:
        nothing = (0,) * (self.shape.epochs * self.shape.heights)
        reports = (None,) * self.shape.epochs
        return tuple(
            Validator(0, 0, 0, 0, 0, nothing, nothing, reports, not self.rules.all_remember and i == 2)
            for i in range(3)
        )

    def _at(self, epoch: int, height: int) -> int:
        return epoch * self.shape.heights + height - 1

    def decided(self, state: State) -> list[int]:
        """Per height, the bits of all blocks somebody may hold a certificate for."""
        found = [0] * (self.shape.heights + 1)
        for height in range(1, self.shape.heights + 1):
            columns = [[v.locks[self._at(epoch, height)] for v in state] for epoch in range(self.shape.epochs)]
            if not self.rules.locks_per_epoch:
                columns = [[_any(column[i] for column in columns) for i in range(3)]]
            for a, b, c in columns:
                found[height] |= a & b | a & c | b & c
        return found

    def is_safe(self, state: State) -> bool:
        return all(bits & (bits - 1) == 0 for bits in self.decided(state))

    def _justified(self, state: State, epoch: int, height: int) -> int:
        """The blocks that may be locked there."""
        a, b, c = (v.votes[self._at(epoch, height)] for v in state)
        if not self.rules.votes_per_epoch:
            a, b, c = (_any(v.votes[self._at(e, height)] for e in range(self.shape.epochs)) for v in state)
        return a & b | a & c | b & c

    def next(self, state: State) -> Iterator[State]:
        """Every state one action of one validator away."""
        decided = self.decided(state)
        for i, validator in enumerate(state):
            if i and validator == state[i - 1]:
                continue  # interchangeable with its neighbour
            others = state[:i] + state[i + 1 :]
            for changed in self._actions(state, validator, decided):
                yield tuple(sorted((*others, changed), key=_order))

    def _actions(self, state: State, v: Validator, decided: list[int]) -> Iterator[Validator]:
        height = v.known + 1
        if height <= self.shape.heights:
            if v.epoch >= v.fence or not self.rules.report_ends_older_voting:
                yield from self._sign(state, v, height)
            if decided[height]:
                yield v._replace(known=height)
        for epoch in range(v.epoch + 1, self.shape.epochs):
            if epoch > v.fence:
                yield self._report(v, epoch)
            for base, bound in self._starts(state, epoch, decided):
                yield v._replace(epoch=epoch, base=base, bound=bound, known=max(v.known, base))

    def _sign(self, state: State, v: Validator, height: int) -> Iterator[Validator]:
        at = self._at(v.epoch, height)
        if not v.votes[at] or v.forgetful:
            for block in self._votable(state, v, height):
                if not v.votes[at] & block:
                    yield v._replace(votes=_with(v.votes, at, block))
        if not v.locks[at] or v.forgetful:
            for block in _bits(self._justified(state, v.epoch, height)):
                if not v.locks[at] & block:
                    yield v._replace(locks=_with(v.locks, at, block))

    def _votable(self, state: State, v: Validator, height: int) -> list[int]:
        if v.bound and v.base + 1 == height and self.rules.start_block_binding:
            return [v.bound]
        blocks = self._blocks[v.epoch * self.shape.entries : (v.epoch + 1) * self.shape.entries]
        seen = _any(other.votes[self._at(v.epoch, height)] for other in state)
        unseen = [block for block in blocks if not block & seen]
        # Blocks nobody has seen yet differ in name only: one of them stands for all.
        return [block for block in blocks if block & seen] + unseen[:1]

    def _report(self, v: Validator, epoch: int) -> Validator:
        lock_epoch = lock = 0
        if self.rules.lock_reported and v.known < self.shape.heights:
            for older in range(epoch):
                given = v.locks[self._at(older, v.known + 1)]
                lock_epoch, lock = (older, given) if given else (lock_epoch, lock)
        shown = Shown(v.known if self.rules.certificates_reported else 0, v.known + 1, lock_epoch, lock)
        return v._replace(fence=epoch, reports=(*v.reports[:epoch], shown, *v.reports[epoch + 1 :]))

    def _starts(self, state: State, epoch: int, decided: list[int]) -> set[tuple[int, int]]:
        """Every (base, bound block) that some quorum of reports, the liar's among them or not, leads to."""
        honest = [v.reports[epoch] for v in state]
        shown = [report for report in honest if report is not None]
        starts: set[tuple[int, int]] = set()
        for chosen in combinations(shown, self.rules.reports_needed - 1):
            for known in range(self._highest(decided) + 1 if self.rules.certificates_reported else 1):
                base = max(known, *(report.known for report in chosen))
                starts |= self._bounds(base, chosen, 0, 0)
                for older in range(epoch):
                    if base < self.shape.heights:
                        for block in _bits(self._justified(state, older, base + 1)):
                            starts |= self._bounds(base, chosen, older, block)
        for chosen in combinations(shown, self.rules.reports_needed):
            starts |= self._bounds(max(report.known for report in chosen), chosen, 0, 0)
        return starts

    def _bounds(self, base: int, chosen: tuple[Shown, ...], liar_epoch: int, liar_lock: int) -> set[tuple[int, int]]:
        locks = [(report.epoch, report.block) for report in chosen if report.block and report.at == base + 1]
        locks += [(liar_epoch, liar_lock)] if liar_lock else []
        if not locks:
            return {(base, 0)}
        return {(base, max(locks)[1])} if self.rules.highest_lock_only else {(base, block) for _, block in locks}

    def _highest(self, decided: list[int]) -> int:
        return max((height for height, bits in enumerate(decided) if bits), default=0)


def _any(masks: Iterable[int]) -> int:
    bits = 0
    for mask in masks:
        bits |= mask
    return bits


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low
        mask ^= low


def _with(table: tuple[int, ...], at: int, bit: int) -> tuple[int, ...]:
    return (*table[:at], table[at] | bit, *table[at + 1 :])


def _order(v: Validator) -> tuple[object, ...]:
    return (v.forgetful, v.epoch, v.base, v.bound, v.fence, v.known, v.votes, v.locks,
            tuple(report or () for report in v.reports))  # fmt: skip


class Outcome(NamedTuple):
    """`trace` leads to what was looked for, None if that was not met; `complete`: nothing was left out."""

    states: int
    complete: bool
    trace: list[State] | None


Goal = Callable[[State], bool]


def explore(model: Model, states_max: int, start: State | None = None, goal: Goal | None = None) -> Outcome:
    """Breadth first, so that a trace is a shortest one; looks for two decided blocks at one height, or for `goal`."""
    first = start or model.first()
    came_from: dict[State, State | None] = {first: None}
    queue = deque([first])
    while queue:
        state = queue.popleft()
        for after in model.next(state):
            if after in came_from:
                continue
            came_from[after] = state
            if goal(after) if goal else not model.is_safe(after):
                return Outcome(len(came_from), False, _trace(after, came_from))
            if len(came_from) >= states_max:
                return Outcome(len(came_from), False, None)
            queue.append(after)
    return Outcome(len(came_from), True, None)


def explore_by(model: Model, states_max: int, waypoints: Sequence[Goal]) -> Outcome:
    """Breadth first from waypoint to waypoint, for runs too long to be met by chance; then for two decided blocks."""
    state = model.first()
    path = [state]
    states = 0
    for goal in (*waypoints, lambda state: not model.is_safe(state)):
        outcome = explore(model, states_max, state, goal)
        states += outcome.states
        if outcome.trace is None:
            return Outcome(states, False, None)
        path += outcome.trace[1:]
        state = path[-1]
    return Outcome(states, False, path)


def walk(model: Model, seed: int, walks: int, steps: int) -> Outcome:
    """At random, many times, deep."""
    random = Random(seed)
    seen = 0
    for _ in range(walks):
        trace = [model.first()]
        for _ in range(steps):
            options = list(model.next(trace[-1]))
            if not options:
                break
            trace.append(random.choice(options))
            seen += 1
            if not model.is_safe(trace[-1]):
                return Outcome(seen, False, trace)
    return Outcome(seen, False, None)


def _trace(state: State, came_from: dict[State, State | None]) -> list[State]:
    path: list[State] = []
    at: State | None = state
    while at is not None:
        path.append(at)
        at = came_from[at]
    return path[::-1]
