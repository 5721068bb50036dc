"""Availability: every height answers what was said then, every date what events by then add up to, in whole pages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from keeling.events import EventKind
from keeling.reasons import Reason
from keeling.units import UnitState
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.reads import get_availability, past
from node.reads.availability import _FIELDS
from node.reads.errors import BeyondFinal, NotFound, NotKept, ReadRefused
from node.store.contract import Batch, Family
from tests.node.reads.histories import (
    DAYS,
    LONG_LIFE,
    STEPS,
    Step,
    events_of,
    long_life,
    play,
    start,
    sum_units,
    unseen_and_restricted,
)
from tests.node.reads.trading_world import (
    DAY_MS,
    IndexedWorld,
    issue,
    open_world,
    opened,
    place_hold,
    ranges,
    transfer,
    when,
)

Table = dict[tuple[str, str], dict[str, int]]
NUMBERS = ("free", "held", "instructed", "restricted", "buffer", "pending", "immobilised", "ended")


def ask(world: IndexedWorld, **request: Any) -> pb.Availability:
    with world.store.snapshot() as view:
        return get_availability(view, pb.GetAvailabilityRequest(**request))


def table(answer: pb.Availability) -> Table:
    """The lines with their numbers that are not zero."""
    return {
        (line.account, line.batch): {name: getattr(line, name) for name in NUMBERS if getattr(line, name)}
        for line in answer.lines
    }


def unrestricted(answer: pb.Availability) -> Table:
    """The same where what is restricted counts as free."""
    found = table(answer)
    for numbers in found.values():
        numbers["free"] = numbers.get("free", 0) + numbers.pop("restricted", 0)
    return {key: {name: n for name, n in numbers.items() if n} for key, numbers in found.items()}


def said(answer: pb.Availability) -> tuple[Table, dict[str, int]]:
    """All that an answer says of units."""
    return table(answer), {total.grain: total.units for total in answer.unseen}


def expected(world: IndexedWorld, height: int, until_ms: int | None) -> Table:
    sums: Table = {}
    for (account, batch, state), count in sum_units(world, height, until_ms).items():
        numbers = sums.setdefault((account, batch), {})
        field = _FIELDS[UnitState(state)]
        numbers[field] = numbers.get(field, 0) + count
    return {key: {name: n for name, n in numbers.items() if n} for key, numbers in sums.items()}


QUESTIONS: list[dict[str, str]] = [{}, {"account": "alice"}, {"account": "alice/verra"}, {"batch": "out-1"}]


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_every_height_answers_what_was_said_then(steps: list[Step]) -> None:
    world = start()
    answers = {world.tip.height: [said(ask(world, **asked)) for asked in QUESTIONS]}
    for _ in play(world, steps):
        answers[world.tip.height] = [said(ask(world, **asked)) for asked in QUESTIONS]
    for height, known in answers.items():
        assert [said(ask(world, at_height=height, **asked)) for asked in QUESTIONS] == known


def test_a_long_life_is_told_of_every_height(monkeypatch: pytest.MonkeyPatch) -> None:
    """With restrictions of every kind in it, and ways walked a few lots at a time."""
    monkeypatch.setattr(past, "LOTS_AT_ONCE", 3)
    world = start()
    answers = {}
    for _ in play(world, LONG_LIFE):
        answers[world.tip.height] = said(ask(world))
    for height, known in answers.items():
        assert said(ask(world, at_height=height)) == known
    kinds = {event.kind for _, _, event in events_of(world)}
    assert {EventKind.RESTRICTED, EventKind.UNRESTRICTED, EventKind.DISCREPANCY, EventKind.EXTENDED} <= kinds
    assert sum("restricted" in numbers for lines, _ in answers.values() for numbers in lines.values()) > 100


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_every_date_answers_what_was_effective_by_its_end(steps: list[Step]) -> None:
    world = start()
    for _ in play(world, steps):
        continue
    for day in (0, 19_900, 20_000, *DAYS[::5], 30_000):
        answer = ask(world, as_of=when(day))
        assert unrestricted(answer) == expected(world, world.tip.height, (day + 1) * DAY_MS - 1)
        check_restricted(world, answer, (day + 1) * DAY_MS - 1)
        known = sum(sum(numbers.values()) for numbers in table(answer).values())
        assert known == sum(sum_units(world, world.tip.height, (day + 1) * DAY_MS - 1).values())
    assert said(ask(world, as_of=when(30_000))) == said(ask(world))
    half = world.tip.height // 2 + 5
    then = ask(world, as_of=when(DAYS[3]), at_height=half)
    assert unrestricted(then) == expected(world, half, (DAYS[3] + 1) * DAY_MS - 1)
    for block in world.blocks[:: len(world.blocks) // 3]:
        instant = op.When(ms=block.header.time_ms, precision=op.When.INSTANT)
        check_restricted(world, ask(world, as_of=instant), instant.ms)


def check_restricted(world: IndexedWorld, answer: pb.Availability, until_ms: int) -> None:
    unseen, restricted = unseen_and_restricted(world, world.tip.height, until_ms)
    assert sum(total.units for total in answer.unseen) == unseen
    assert {(line.account, line.batch): line.restricted for line in answer.lines if line.restricted} == restricted


def test_a_day_counts_whole_and_an_instant_from_its_millisecond() -> None:
    world = open_world()
    noon = op.When(ms=DAYS[0] * DAY_MS + DAY_MS // 2, precision=op.When.INSTANT)
    world.must("reg", issue("dated", 50_001, 10, "carol", when(DAYS[0])))
    world.must("reg", issue("timed", 60_001, 10, "carol", noon))
    instants = [
        (when(DAYS[0] - 1), set()),
        (op.When(ms=DAYS[0] * DAY_MS - 1, precision=op.When.INSTANT), set()),
        (op.When(ms=DAYS[0] * DAY_MS, precision=op.When.INSTANT), {"dated"}),
        (op.When(ms=noon.ms - 1, precision=op.When.INSTANT), {"dated"}),
        (noon, {"dated", "timed"}),
        (when(DAYS[0]), {"dated", "timed"}),
    ]
    for moment, batches in instants:
        assert {line.batch for line in ask(world, as_of=moment, account="carol").lines} == batches, moment


def test_a_source_that_says_units_left_before_they_came_is_shown_as_it_is() -> None:
    world = open_world()
    everyone = ("alice", "bob", "carol")
    world.must("alice", transfer("alice", "bob", ranges("nat-1", (1, 10)), when(DAYS[8])), approvals=everyone)
    world.must("bob", transfer("bob", "carol", ranges("nat-1", (1, 10)), when(DAYS[4])), approvals=everyone)
    between = table(ask(world, as_of=when(DAYS[5]), batch="nat-1"))
    assert between[("bob", "nat-1")] == {"free": -10}
    assert between[("carol", "nat-1")] == {"free": 10}


def test_now_tells_restricted_from_free_unseen_by_grain_and_who_controls() -> None:
    world = open_world()
    hold = place_hold("h", "alice", ranges("nat-1", (980, 7)), world.now_ms + 60_000)
    world.must("alice", hold, approvals=("alice",))
    for name, part in (("q", (985, 8)), ("r", (990, 10))):
        world.must("reg", op.Restrict(restriction=name, ranges=ranges("nat-1", part).ranges, reason="asked"))
    answer = ask(world)
    assert table(answer)[("alice", "nat-1")] == {"free": 980, "held": 7, "restricted": 13}
    assert table(answer)[("unassigned@verra", "out-1")] == {"free": 10, "ended": 20}
    assert [(total.grain, total.units) for total in answer.unseen] == [("T_CO2E", 40)]
    assert {line.account: line.control for line in answer.lines} == {
        "alice": "",
        "alice/verra": "OWNER",
        "unassigned@verra": "",
    }
    assert answer.time_ms == world.now_ms
    assert (answer.height, answer.basis) == (
        world.tip.height,
        f"known at height {world.tip.height}: all that this ledger has recorded",
    )
    assert not ask(world, account="alice").unseen
    assert [total.units for total in ask(world, account="alice/verra").unseen] == [40]
    assert [total.units for total in ask(world, batch="out-1").unseen] == [40]


def test_the_two_clocks_explain_themselves() -> None:
    world = long_life()
    height = world.tip.height - 10
    assert ask(world, at_height=height).basis == (
        f"known at height {height}: what this ledger had recorded by then, whenever it took effect"
    )
    assert ask(world, as_of=when(20_543)).basis == (
        "effective by the end of 2026-03-31 UTC by the dates of those who reported it, "
        f"as known at height {world.tip.height}"
    )
    assert ask(world, at_height=height).time_ms == world.blocks[height - 1].header.time_ms


@pytest.mark.parametrize(
    "request_of",
    [
        {},
        {"at_height": 40},
        {"as_of": when(30_000)},
        {"account": "alice"},
        {"batch": "nat-1"},
        {"batch": "nat-1", "at_height": 60},
    ],
    ids=str,
)
def test_pages_of_whole_accounts_add_up_to_the_answer(request_of: dict[str, object]) -> None:
    world = long_life()
    whole = ask(world, page_size=1_000, **request_of)
    for size in (1, 3):
        lines: list[pb.AvailabilityLine] = []
        token, pages = "", 0
        while True:
            page = ask(world, page_size=size, page_token=token, **request_of)
            lines += page.lines
            token, pages = page.next_page_token, pages + 1
            assert (len(page.unseen) > 0) == (pages == 1 and len(whole.unseen) > 0)
            if not token:
                break
        assert lines == list(whole.lines)
        assert len(lines) > 0


def test_heights_and_names_that_are_not_there() -> None:
    world = opened()
    cases: list[tuple[dict[str, object], type[ReadRefused], object]] = [
        ({"account": "nobody"}, NotFound, Reason.ACCOUNT_NOT_FOUND),
        ({"batch": "nothing"}, NotFound, Reason.BATCH_NOT_FOUND),
        ({"at_height": world.tip.height + 1}, BeyondFinal, Reason.BEYOND_FINAL),
    ]
    for request, error, reason in cases:
        with pytest.raises(error) as caught:
            ask(world, **request)
        assert caught.value.reason == reason


def test_what_was_dropped_is_refused_and_now_is_still_told() -> None:
    """A node that joined late, or dropped its first blocks, does not add up half a history."""
    world = start()
    for _ in play(world, [Step("give", 0, 1, 5, 0)] * 2):
        continue
    batch = Batch()
    batch.delete(Family.EVENTS, (1).to_bytes(8, "big"))
    world.store.commit(batch)
    for request in ({"at_height": world.tip.height}, {"as_of": when(20_000)}):
        with pytest.raises(NotKept, match="keeps what happened from height 2 on"):
            ask(world, **request)
    assert table(ask(world, account="alice"))
