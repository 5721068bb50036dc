"""A handful of machines whose messages a test carries by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from keeling.votes import SignedVote
from node.finality import events as ev
from node.finality.events import Block, Reign, Settings, Tip
from node.finality.journal import JournalRecord, Opened
from node.finality.machine import Finality
from tests.simulator.finality_world import (
    GENESIS_ROOT,
    NETWORK,
    Place,
    execute,
    fake_check,
    key_of,
    policy_of,
    signer_of,
)

T = TypeVar("T")
GENESIS = Tip(0, GENESIS_ROOT, None)
MESSAGES = (ev.Send, ev.Answer)


def settings(member: int | None, reseed_after_ms: int | None = None) -> Settings:
    return Settings(NETWORK, None if member is None else signer_of(member), fake_check, reseed_after_ms=reseed_after_ms)


def block(
    entry: str, on: Block | None = None, epoch: int = 0, time_ms: int = 0, next_members: tuple[int, ...] | None = None
) -> Block:
    """What executing `entry` gives, first or upon another block."""
    parent, height = (on.candidate.root, on.candidate.height + 1) if on else (GENESIS_ROOT, 1)
    made = execute(parent, height, entry.encode(), Place("first", height, epoch), [(0,)])
    next_policy = policy_of(next_members, height) if next_members else None
    return made._replace(time_ms=time_ms, next_policy=next_policy)


class Network:
    """`n` validators from genesis. `wire` holds what was sent and not carried yet, `done` all other outputs."""

    def __init__(self, n: int, reseed_after_ms: int | None = None, observers: int = 0) -> None:
        self.reign = Reign(policy_of(tuple(range(n)), 0), 0, 0)
        self.journals: list[list[JournalRecord]] = [[Opened(NETWORK, key_of(i), 0)] for i in range(n + observers)]
        self.machines = [Finality(settings(i, reseed_after_ms), self.reign, GENESIS) for i in range(n + observers)]
        self.wire: list[tuple[int, ev.Send | ev.Answer]] = []
        self.done: list[list[ev.Output]] = [[] for _ in self.machines]
        for i in range(len(self.machines)):
            self.step(i, ev.Restarted(tuple(self.journals[i]), 0))

    def step(self, at: int, event: ev.Input) -> list[ev.Output]:
        outputs = self.machines[at].step(event)
        for output in outputs:
            if isinstance(output, ev.Persist):
                self.journals[at] += output.records
            if isinstance(output, MESSAGES):
                self.wire.append((at, output))
            else:
                self.done[at].append(output)
        return outputs

    def execute(self, made: Block, *members: int) -> None:
        for at in members or range(len(self.machines)):
            self.step(at, ev.Executed(made))

    def carry(self, to: Iterable[int] | None = None, among: Iterable[int] | None = None) -> None:
        """Deliver everything, and what follows from it. Only to some, or between some; the rest is lost."""
        reached = set(range(len(self.machines)) if to is None else to)
        while self.wire:
            sender, output = self.wire.pop(0)
            if among is not None and sender not in among:
                continue
            for at in sorted(reached - {sender}):
                if among is not None and at not in among:
                    continue
                if isinstance(output, ev.Answer):
                    if output.to == key_of(at):
                        self.step(at, ev.NewEpochArrived(output.message))
                elif isinstance(output.message, SignedVote):
                    self.step(at, ev.VoteArrived(output.message))
                else:
                    self.step(at, ev.ReportArrived(output.message))

    def restart(self, at: int, journal: list[JournalRecord] | None = None) -> list[ev.Output]:
        """Lose everything but the journal and the store."""
        old = self.machines[at]
        self.machines[at] = Finality(old.settings, old.reign, old.tip)
        return self.step(at, ev.Restarted(tuple(self.journals[at] if journal is None else journal), old.now_ms))

    def take_votes(self) -> list[SignedVote]:
        """The votes on the wire, which a test carries itself from here."""
        votes = [output.message for _, output in self.wire if isinstance(output.message, SignedVote)]
        self.wire.clear()
        return votes

    def heights(self) -> list[int]:
        return [machine.tip.height for machine in self.machines]


def only(kind: type[T], outputs: Iterable[ev.Output]) -> list[T]:
    return [output for output in outputs if isinstance(output, kind)]
