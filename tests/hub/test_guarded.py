"""An adapter that raises is answered for: never believed, told without its words, and other links go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from adapters.capabilities import Action
from adapters.contract import Adapter, Instruction, Question, Unknown, UnsendableError, WrongShape
from adapters.sandbox.faults import Fault, FaultKind
from hub.guarded import NO_ANSWER, GuardedAdapter
from keeling.serials import parse
from tests.hub.dispatch.stage import SERIAL, Stage, play

INSTRUCTION = Instruction("key", Action.RETIRE, "A", (parse(SERIAL).part(1, 5),))


class Broken:
    """Raises wherever it is called, with words of a buyer in what it says."""

    def __init__(self, adapter: Adapter, *broken: str) -> None:
        self._adapter, self._broken = adapter, broken

    def __getattr__(self, name: str) -> Any:
        if name not in self._broken:
            return getattr(self._adapter, name)

        def fail(*_: Any) -> Any:
            raise KeyError("for Jane Doe")

        return fail


def guard(adapter: Adapter, *broken: str) -> tuple[GuardedAdapter, list[Mapping[str, Any]]]:
    told: list[Mapping[str, Any]] = []
    return GuardedAdapter(Broken(adapter, *broken), lambda _, about: told.append(about)), told


def test_every_call_that_raises_is_an_answer_and_is_told_without_its_words() -> None:
    async def story(stage: Stage) -> None:
        calls = ("compose", "expects", "instruct", "ask", "changes", "snapshot", "read_notice", "close")
        guarded, told = guard(stage.adapter, *calls)
        with pytest.raises(UnsendableError, match=r"^the adapter failed at compose: KeyError at test_guarded.py:\d+$"):
            guarded.compose(INSTRUCTION)
        assert guarded.expects(INSTRUCTION, 5) == 5
        assert isinstance(await guarded.instruct(INSTRUCTION), Unknown), "it may have arrived"
        answers = [await guarded.ask(Question(INSTRUCTION)), await guarded.changes(""), await guarded.snapshot()]
        assert all(isinstance(each, WrongShape) for each in [*answers, guarded.read_notice(b"{}")])
        await guarded.close()
        assert [each["call"] for each in told] == list(calls)
        assert "Jane" not in str(told)

    play(story)


def test_an_answer_that_is_none_of_the_contracts_is_never_believed() -> None:
    class Forgetful(Broken):
        def __getattr__(self, name: str) -> Any:
            async def answer(*_: Any) -> None:
                return None

            return answer if name in self._broken else getattr(self._adapter, name)

    async def story(stage: Stage) -> None:
        told: list[Mapping[str, Any]] = []
        calls = ("instruct", "ask", "changes", "snapshot")
        guarded = GuardedAdapter(Forgetful(stage.adapter, *calls), lambda _, about: told.append(about))
        assert isinstance(await guarded.instruct(INSTRUCTION), Unknown), "it may have arrived"
        answers = [await guarded.ask(Question(INSTRUCTION)), await guarded.changes(""), await guarded.snapshot()]
        assert all(isinstance(each, WrongShape) for each in answers)
        assert [(each["call"], each["error"]) for each in told] == [(each, f"{NO_ANSWER}: NoneType") for each in calls]

    play(story)


def test_what_the_adapter_says_it_cannot_send_stays_its_own_words() -> None:
    async def story(stage: Stage) -> None:
        guarded, told = guard(stage.adapter)
        with pytest.raises(UnsendableError, match=r"^(?!the adapter failed)"):
            guarded.compose(INSTRUCTION._replace(key="no key!"))
        assert guarded.capabilities == stage.adapter.capabilities
        assert (guarded.name, guarded.driver, told) == (stage.adapter.name, stage.adapter.driver, [])

    play(story)


@pytest.mark.parametrize(("call", "sent"), [("instruct", 0), ("ask", 100)])
def test_a_hold_of_a_broken_adapter_is_never_over_by_itself_and_ends_when_it_is_mended(call: str, sent: int) -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.CUT_AFTER, "^POST"))
        hold = stage.place("one")
        guarded, told = guard(stage.adapter, call)
        hub = stage.hub(adapter=guarded)
        for _ in range(5):
            due = await hub.step()
            stage.later(max(due - stage.world.now_ms, 1))
            assert (await stage.hold(hold)).phase == "INSTRUCTED"
        assert {each["call"] for each in told} == {call}
        assert sum(stage.effects.values()) == sent
        assert (await stage.settle(stage.hub(), hold)).phase == "CAPTURED"
        assert stage.effects == {hold.hex(): 100}

    play(story)
