"""Every step broken twice, it failed or it worked and the answer was lost, with the process going on or killed there.

The registry here does every message it gets, also the same one again, so that its books show each message sent: one
instruction must have one effect without its help.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from google.protobuf.message import Message

from adapters.sandbox.faults import Fault, FaultKind
from hub.dispatch.run import Dispatcher
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import Stage, play
from tests.hub.memory_ledger import Killed, kill_at, lose_answer


class Breakable:
    """An adapter whose process dies at the next call of a method, before or after the registry had it."""

    def __init__(self, stage: Stage, method: str, took_effect: bool) -> None:
        self._adapter, self._method, self._took_effect = stage.adapter, method, took_effect

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._adapter, name)
        if name != self._method:
            return real

        async def die(*arguments: Any) -> None:
            self._method = ""
            if self._took_effect:
                await real(*arguments)
            raise Killed

        return die


class Break(NamedTuple):
    """One step, and how it is broken."""

    name: str
    of: type[Message] | str
    """An operation handed in to the ledger, or a method of the adapter."""
    killed: bool
    desk: tuple[Fault, ...] = ()


REFUSED = (Fault(FaultKind.REFUSE, "DESK"),)
PARTLY = (Fault(FaultKind.PARTIAL, "DESK", value=900),)
BREAKS = [
    Break("dispatch, line lost", op.Dispatch, False),
    Break("dispatch, killed", op.Dispatch, True),
    Break("send, killed", "instruct", True),
    Break("ask, killed", "ask", True, (Fault(FaultKind.CUT_AFTER, "^POST"),)),
    Break("capture, line lost", op.Capture, False),
    Break("capture, killed", op.Capture, True),
    Break("capture of a part, killed", op.Capture, True, PARTLY),
    Break("release, line lost", op.Release, False, REFUSED),
    Break("release, killed", op.Release, True, REFUSED),
    Break("release of a part, killed", op.Release, True, PARTLY),
]


def forgetful(stage: Stage) -> None:
    """Let the registry do every message it gets."""
    stage.sandbox.desk.with_key = lambda key: None  # type: ignore[method-assign]


@pytest.mark.parametrize("took_effect", [False, True], ids=["failed", "answer lost"])
@pytest.mark.parametrize("broken", BREAKS, ids=lambda each: each.name)
def test_a_broken_step_ends_as_if_it_had_not_been_broken(broken: Break, took_effect: bool) -> None:
    async def story(stage: Stage) -> None:
        forgetful(stage)
        stage.sandbox.faults.add(*broken.desk)
        hold = stage.place(units=1_000)
        adapter: Any = None
        if isinstance(broken.of, str):
            adapter = Breakable(stage, broken.of, took_effect)
        else:
            breaks: Callable[..., None] = kill_at if broken.killed else lose_answer
            breaks(broken.of, stage.ledger, took_effect=took_effect)
        hub = stage.hub(adapter=adapter)
        if broken.killed:
            with pytest.raises(Killed):
                await stage.settle(hub, hold)
            hub = stage.hub()
        found = await stage.settle(hub, hold)
        done = 0 if broken.desk == REFUSED else 900 if broken.desk == PARTLY else 1_000
        assert (found.captured, found.released) == (done, 1_000 - done)
        assert sum(stage.effects.values()) == done
        assert stage.retired_units() == done
        assert found.phase == ("CAPTURED" if done else "RELEASED")

    play(story)


@pytest.mark.parametrize(
    "kind", [FaultKind.CUT_BEFORE, FaultKind.CUT_AFTER, FaultKind.HTML, FaultKind.HTML_AFTER, FaultKind.SERVER_ERROR]
)
@pytest.mark.parametrize("approval_ms", [0, 3_600_000])
def test_a_line_that_breaks_leads_to_one_effect(kind: FaultKind, approval_ms: int) -> None:
    async def story(stage: Stage) -> None:
        forgetful(stage)
        stage.sandbox.faults.add(Fault(kind, "^POST"), Fault(kind, "^GET"))
        hold = stage.place(units=1_000)
        found = await stage.settle(stage.hub(), hold)
        assert (found.phase, found.captured) == ("CAPTURED", 1_000)
        assert stage.effects == {hold.hex(): 1_000}

    play(story, approval_ms)


@pytest.mark.parametrize("arrived", [False, True])
def test_words_that_changed_while_a_hold_was_under_way_are_told_until_it_is_over(arrived: bool) -> None:
    async def story(stage: Stage) -> None:
        forgetful(stage)
        stage.sandbox.faults.add(Fault(FaultKind.CUT_AFTER if arrived else FaultKind.CUT_BEFORE, "^POST"))
        stage.sandbox.faults.add(Fault(FaultKind.SERVER_ERROR, "^GET", times=3))
        hold = stage.place()
        await stage.hub().step()
        other = stage.seat("hub")._replace(details=lambda _: {"beneficiary": "somebody else"})
        hub = Dispatcher(other)
        for _ in range(2):
            stage.later(max(await hub.step() - stage.world.now_ms, 1))
            (line,) = hub.backlog()
            assert line.alert.endswith("the words about the hold have changed")
        found = await stage.settle(hub, hold)
        assert (found.phase, found.attempt) == ("CAPTURED", 1 if arrived else 2)
        assert stage.effects == {hold.hex(): 100}

    play(story)


def test_restarting_in_every_round_changes_nothing() -> None:
    async def story(stage: Stage) -> None:
        forgetful(stage)
        stage.sandbox.faults.add(Fault(FaultKind.CUT_BEFORE, "^POST"), Fault(FaultKind.CUT_AFTER, "^POST"))
        hold = stage.place(units=1_000)
        for _ in range(20):
            await stage.hub().step()
            stage.later(30_000)
        found = await stage.hold(hold)
        assert (found.phase, found.captured, found.attempt) == ("CAPTURED", 1_000, 2)
        assert stage.effects == {hold.hex(): 1_000}

    play(story)
