"""The decision, as a table in the order of its rules."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.capabilities import Action
from adapters.contract import Instruction, Refused, Report
from hub.dispatch.decide import ASK_LATEST_MS, ASK_SOONEST_MS, compute_backoff, compute_pause, decide
from hub.dispatch.sight import (
    Ask,
    Capture,
    Dispatch,
    Message,
    Release,
    Send,
    Sight,
    Standing,
    Step,
    Stuck,
    Wait,
)
from keeling.serials import parse

NOW = 1_000_000
LOT = parse("40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d_1-100")
M = Message(Instruction("k", Action.RETIRE, "A", (LOT,)))
DONE = Report("R", (LOT,), 0)
ALL_OPEN = Report("R", (), 100)
PART = Report("R", (LOT.part(1, 90),), 0, refused_units=10)
NO = Refused("no", final=True)
NOTHING = M._replace(standing=Standing.NOTHING, nothing=b"n", nothing_ms=NOW)


def sight(*messages: Message, **changed: Any) -> Sight:
    base = Sight(
        now_ms=NOW,
        instructed=True,
        attempt=1,
        dispatched_ms=NOW - 10_000,
        expires_ms=NOW + 1_000_000,
        captured_units=0,
        released_units=0,
        held_units=100,
        link_stopped="",
        link_stopped_until_ms=0,
        settling_ms=60_000,
        messages=messages,
        mine=1,
        send_until_ms=NOW + 20_000,
    )
    return base._replace(**changed)


def answered(answer: Report | Refused, **changed: Any) -> Message:
    return M._replace(standing=Standing.ANSWERED, answer=answer, **changed)


READY = M._replace(standing=Standing.READY)
OPEN = {"instructed": False, "attempt": 0, "mine": 0}
SETTLED = {"dispatched_ms": NOW - 60_000}

CASES: list[tuple[str, Sight, Step]] = [
    ("what the ledger refused is a person's", sight(READY, stuck="no"), Stuck("no")),
    (
        "what was refused when it was sent again, and was not found since, is given back",
        sight(NOTHING._replace(answer=NO), attempt=2, mine=2, **SETTLED),
        Release(100, 0),
    ),
    (
        "and not before the registry has settled",
        sight(NOTHING._replace(answer=NO), attempt=2, mine=2),
        Wait(NOW + 50_000, "nothing found yet; the registry may still be at it"),
    ),
    ("an open hold is dispatched", sight(M, **OPEN), Dispatch(1, b"")),
    (
        "an expired one is left to the ledger",
        sight(M, **OPEN, expires_ms=NOW),
        Wait(0, "expired: the ledger releases it"),
    ),
    ("an unsendable one is not dispatched", sight(M, **OPEN, unsendable="no words"), Stuck("no words")),
    ("nor one whose link is stopped", sight(M, **OPEN, link_stopped="x", link_stopped_until_ms=7), Wait(7, "x")),
    ("nor while the registry wants quiet", sight(M, **OPEN, quiet="hush", quiet_until_ms=8), Wait(8, "hush")),
    (
        "nor two of an account that goes in order",
        sight(M, **OPEN, busy=True),
        Wait(0, "another instruction of this account is under way"),
    ),
    ("an instructed one without words is a person's", sight(unsendable="no words"), Stuck("no words")),
    ("what was done is captured", sight(answered(DONE)), Capture(0)),
    ("also before another is asked about", sight(M, answered(DONE)), Capture(1)),
    ("but not twice", sight(answered(DONE, recorded_units=100), M), Ask(1)),
    ("what this process dispatched is sent", sight(READY), Send(0)),
    ("not after its window", sight(READY, send_until_ms=NOW), Ask(0)),
    ("not what another attempt replaced", sight(READY, attempt=2), Ask(0)),
    ("not while the link is stopped", sight(READY, link_stopped="x", link_stopped_until_ms=9), Wait(9, "x")),
    ("not before its time", sight(READY._replace(not_before_ms=NOW + 5, why="throttled")), Wait(NOW + 5, "throttled")),
    ("what may have had effect is asked about", sight(M), Ask(0)),
    ("also while the link is stopped", sight(M, link_stopped="x"), Ask(0)),
    ("what is pending is asked about", sight(answered(ALL_OPEN)), Ask(0)),
    ("when its time comes", sight(answered(ALL_OPEN, not_before_ms=NOW + 1)), Wait(NOW + 1, "waiting to ask again")),
    (
        "nothing found is not believed before it settled",
        sight(NOTHING),
        Wait(NOW + 50_000, "nothing found yet; the registry may still be at it"),
    ),
    ("nor when it was looked up before", sight(NOTHING._replace(nothing_ms=NOW - 1), **SETTLED), Ask(0)),
    ("then it is attempted again", sight(NOTHING, **SETTLED), Dispatch(2, hashlib.sha256(b"n").digest())),
    ("unless the link is stopped", sight(NOTHING, **SETTLED, link_stopped="x"), Wait(0, "x")),
    ("or wants quiet", sight(NOTHING, **SETTLED, quiet="hush", quiet_until_ms=8), Wait(8, "hush")),
    (
        "or another message is open",
        sight(NOTHING, answered(ALL_OPEN, not_before_ms=NOW + 3), **SETTLED),
        Wait(NOW + 3, "waiting to ask again"),
    ),
    ("a no is released", sight(answered(NO)), Release(100, 0)),
    ("but not while another is open", sight(answered(NO), M), Ask(1)),
    (
        "part refused is released once captured",
        sight(answered(PART, recorded_units=90), captured_units=90, held_units=10),
        Release(10, 0),
    ),
    (
        "but not again",
        sight(answered(PART, recorded_units=90), captured_units=90, released_units=10, held_units=0),
        Stuck("the registry has answered everything and 0 units are still held"),
    ),
    ("taken back before it was captured is released", sight(answered(DONE._replace(undone=True))), Release(100, 0)),
    (
        "taken back after is a person's",
        sight(answered(DONE._replace(undone=True)), captured_units=90, held_units=10),
        Stuck("the registry took back what was captured: a reversal is due, and the rest needs a person"),
    ),
]


@pytest.mark.parametrize(("name", "seen", "step"), CASES, ids=[case[0] for case in CASES])
def test_the_next_step(name: str, seen: Sight, step: Step) -> None:
    assert decide(seen) == step, name


def test_a_record_that_settles_too_soon_is_refused() -> None:
    """Else a call under way could arrive after another hub's next attempt."""
    step = decide(sight(M, **OPEN, settling_ms=39_999))
    assert isinstance(step, Stuck)
    assert "at least twice" in step.why


messages = st.builds(
    Message,
    st.just(M.instruction),
    st.sampled_from(Standing),
    st.sampled_from([None, DONE, ALL_OPEN, PART, NO, DONE._replace(undone=True)]),
    st.sampled_from([0, 90, 100]),
    st.just(b"n"),
    st.integers(NOW - 70_000, NOW + 10),
    st.integers(NOW - 10, NOW + 10),
)
sights = st.builds(
    sight,
    messages,
    messages,
    instructed=st.just(True),
    attempt=st.integers(1, 3),
    mine=st.integers(0, 3),
    dispatched_ms=st.integers(NOW - 130_000, NOW),
    send_until_ms=st.integers(NOW - 10, NOW + 10),
    link_stopped=st.sampled_from(["", "stopped"]),
    captured_units=st.sampled_from([0, 90]),
    held_units=st.integers(1, 200),
)


@given(sights)
def test_nothing_is_ever_sent_that_may_have_been_sent(seen: Sight) -> None:
    step = decide(seen)
    if isinstance(step, Send):
        assert seen.messages[step.place].standing is Standing.READY
        assert seen.mine == seen.attempt
        assert seen.now_ms < seen.send_until_ms
        assert not seen.link_stopped
    if isinstance(step, Dispatch):
        assert seen.now_ms >= seen.dispatched_ms + seen.settling_ms
        for message in seen.messages:
            looked_up = message.standing is Standing.NOTHING and message.nothing_ms >= seen.dispatched_ms + 60_000
            assert looked_up or (message.standing is Standing.ANSWERED and not message.pending_units)
    if isinstance(step, Release):
        for message in seen.messages:
            settled = message.standing is Standing.NOTHING and message.nothing_ms >= seen.dispatched_ms + 60_000
            refused_again = settled and message.answer is NO
            assert refused_again or (message.standing is Standing.ANSWERED and not message.pending_units)
            assert message.done_units <= message.recorded_units


@given(st.integers(0, 10_000), st.integers(0, 1000))
def test_back_off_is_bounded_and_never_none(failures: int, jitter: int) -> None:
    assert 50 <= compute_backoff(failures, jitter) <= 300_000


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_the_pause_grows_with_the_age(dispatched: int, now: int) -> None:
    assert ASK_SOONEST_MS <= compute_pause(dispatched, now) <= ASK_LATEST_MS
