"""What each answer changes in what is known of a message, to a sending and to a question."""

from __future__ import annotations

import pytest

from adapters.capabilities import Action, LookUp
from adapters.contract import (
    Answer,
    Found,
    Instruction,
    NothingFound,
    Refused,
    Report,
    Throttled,
    Unauthorised,
    Unavailable,
    Unknown,
    WrongShape,
)
from adapters.puro.basis import CAPABILITIES
from hub.dispatch.absorb import LONG_MS, RIGHTS_PAUSE_MS, Call, absorb
from hub.dispatch.sight import Message, Standing
from keeling.serials import parse

LOT = parse("40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d_1-100")
NOW = 1_000_000
CALL = Call(began_ms=NOW - 100, ended_ms=NOW, dispatched_ms=NOW - 10_000, jitter=1000, throttled_lately=False)
SENT = Message(Instruction("k", Action.RETIRE, "A", (LOT,)), Standing.READY)
ASKED = SENT._replace(standing=Standing.UNSURE)
DONE = Report("R", (LOT,), 0)
EVERYWHERE = frozenset(LookUp)
R, U, A, N = Standing.READY, Standing.UNSURE, Standing.ANSWERED, Standing.NOTHING


@pytest.mark.parametrize(
    ("answer", "after_sending", "after_asking", "not_before"),
    [
        (DONE, A, A, NOW),
        (Report("R", (), 100), A, A, NOW + 2_000),
        (Refused("no", final=True), A, A, 0),
        (Refused("bad request", final=False), R, U, NOW + RIGHTS_PAUSE_MS),
        (Throttled(5_000), R, U, NOW + 5_000),
        (Throttled(None), R, U, NOW + 500),
        (Unauthorised("401"), R, U, NOW + RIGHTS_PAUSE_MS),
        (Unavailable("down"), R, U, NOW + 500),
        (Unavailable("closed", 7_000), R, U, NOW + 7_000),
    ],
)
def test_answers_that_leave_no_doubt(
    answer: Answer, after_sending: Standing, after_asking: Standing, not_before: int
) -> None:
    sent = absorb(SENT, answer, CALL, CAPABILITIES, sent=True).message
    asked = absorb(ASKED, answer, CALL, CAPABILITIES, sent=False).message
    assert (sent.standing, sent.not_before_ms) == (after_sending, not_before)
    assert (asked.standing, asked.not_before_ms) == (after_asking, not_before)


@pytest.mark.parametrize(
    "answer",
    [
        Report("R", (), 0),
        Report("R", (LOT,), 1),
        Report("R", (LOT.part(1, 40),), 0, refused_units=100),
        Report("R", (LOT.part(1, 40),), -40, refused_units=100),
    ],
)
def test_a_report_that_does_not_add_up_is_not_believed(answer: Report) -> None:
    for message, sent in ((SENT, True), (ASKED, False)):
        taken = absorb(message, answer, CALL, CAPABILITIES, sent=sent)
        assert (taken.message.standing, taken.message.answer) == (U, None)
        assert "does not add up" in taken.alert


def test_what_was_shown_before_and_is_not_found_now_is_a_persons() -> None:
    taken = absorb(ASKED, NothingFound(EVERYWHERE, b"looked"), CALL._replace(shown=True), CAPABILITIES, sent=False)
    assert (taken.message.standing, taken.message.not_before_ms) == (U, NOW + 500)
    assert "showed it before" in taken.alert


def test_a_no_to_what_was_sent_again_is_looked_into() -> None:
    again = CALL._replace(again=True)
    sent = absorb(SENT, Refused("not active", final=True), again, CAPABILITIES, sent=True).message
    assert (sent.standing, sent.answer) == (U, Refused("not active", final=True))
    assert absorb(sent, Refused("x", final=True), again, CAPABILITIES, sent=False).message.standing is A
    found = absorb(sent, NothingFound(EVERYWHERE, b"looked"), again, CAPABILITIES, sent=False).message
    assert (found.standing, found.refused_again) == (N, True)
    assert absorb(sent, DONE, again, CAPABILITIES, sent=False).message.answer == DONE


@pytest.mark.parametrize("answer", [Unknown("cut"), WrongShape("html")])
def test_after_sending_doubt_is_asked_about_at_once(answer: Answer) -> None:
    sent = absorb(SENT, answer, CALL, CAPABILITIES, sent=True).message
    assert (sent.standing, sent.not_before_ms) == (U, 0)


def test_an_answer_that_says_neither_yes_nor_no_is_asked_about_and_told_a_person() -> None:
    conflict = Unknown("409: CONFLICT: another order", answered=True)
    taken = absorb(SENT, conflict, CALL, CAPABILITIES, sent=True)
    assert (taken.message.standing, taken.alert) == (U, "409: CONFLICT: another order")
    assert absorb(SENT, Unknown("cut"), CALL, CAPABILITIES, sent=True).alert == ""


def test_a_question_without_an_answer_is_asked_later_and_later() -> None:
    message, pauses = ASKED, []
    for _ in range(12):
        message = absorb(message, WrongShape("html"), CALL, CAPABILITIES, sent=False).message
        pauses.append(message.not_before_ms - NOW)
    assert message.standing is U
    assert pauses == [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000]


@pytest.mark.parametrize(
    ("by", "standing"),
    [
        (EVERYWHERE, N),
        (EVERYWHERE - {LookUp.REFERENCE}, N),
        (EVERYWHERE - {LookUp.KEY}, U),
        (EVERYWHERE - {LookUp.SERIAL}, U),
        (frozenset[LookUp](), U),
    ],
)
def test_nothing_found_counts_only_when_everything_was_looked_up(by: frozenset[LookUp], standing: Standing) -> None:
    found = absorb(ASKED, NothingFound(by, b"looked"), CALL, CAPABILITIES, sent=False).message
    assert found.standing is standing
    if standing is N:
        assert found.nothing_ms == CALL.began_ms, "what happened during the look-up may have been missed"
        assert len(found.nothing) == 32


@pytest.mark.parametrize(
    ("as_of_ms", "counts_ms", "again_ms"),
    [(0, CALL.began_ms, 0), (CALL.began_ms + 9, CALL.began_ms, 0), (NOW - 5_000, NOW - 5_000, NOW + 2_000)],
)
def test_books_of_an_earlier_time_prove_nothing_of_what_came_after(
    as_of_ms: int, counts_ms: int, again_ms: int
) -> None:
    found = absorb(ASKED, NothingFound(EVERYWHERE, b"looked", as_of_ms), CALL, CAPABILITIES, sent=False).message
    assert (found.standing, found.nothing_ms, found.not_before_ms) == (N, counts_ms, again_ms)


def test_a_401_among_429s_keeps_the_registry_quiet_and_alone_alerts() -> None:
    alone = absorb(SENT, Unauthorised("Invalid API Key"), CALL, CAPABILITIES, sent=True)
    assert (alone.quiet_until_ms, "Invalid API Key" in alone.alert) == (0, True)
    among = absorb(SENT, Unauthorised("Invalid API Key"), CALL._replace(throttled_lately=True), CAPABILITIES, sent=True)
    assert (among.quiet_until_ms, among.alert) == (NOW + 500, "")


@pytest.mark.parametrize("answer", [DONE, Throttled(1), Unavailable("x"), Unknown("x"), Refused("no", final=True)])
def test_words_of_the_last_wait_do_not_stay(answer: Answer | Found) -> None:
    taken = absorb(SENT._replace(why="old"), answer, CALL, CAPABILITIES, sent=True)
    assert taken.message.why != "old"


@pytest.mark.parametrize(
    ("told_ms", "alerts"), [(None, False), (3_600_000, False), (LONG_MS, False), (LONG_MS + 1, True)]
)
def test_a_registry_that_wants_to_be_left_alone_for_days_is_obeyed_and_a_person_is_told(
    told_ms: int | None, alerts: bool
) -> None:
    taken = absorb(SENT, Throttled(told_ms), CALL, CAPABILITIES, sent=True)
    assert taken.quiet_until_ms == NOW + (told_ms or 500)
    assert bool(taken.alert) is alerts
