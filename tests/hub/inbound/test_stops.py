"""Units blocked at a registry, or moved away there: restricted once, freed by exactly what ends it, and by nothing that
is read again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.contract import Change, ChangeKind
from adapters.sandbox.puro import ACCOUNTS
from hub.inbound.intake import Desk, Intake
from hub.ledger_client import OutcomeUnknown, digest_of
from hub.restrictions import BLOCK, MOVED, UNKNOWN, Laid, find_alone, find_ended, make_stop, parse_stop, subtract
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import DAY_MS, SETTLING_MS, Stage, open_puro_world, play
from tests.hub.inbound.scene import WHOLE, change, open_hub, restricted, tell
from tests.hub.memory_ledger import MemoryLedger, lose_answer
from tests.node.reads.trading_world import hold_id

BLOCKED, UNBLOCKED, GONE = ChangeKind.BLOCKED, ChangeKind.UNBLOCKED, ChangeKind.TRANSFERRED
OURS, THEIRS = ACCOUNTS[0], "SOMEBODY"


def away(name: str, first: int, last: int, at_ms: int, **said: Any) -> Change:
    return change(name, GONE, first, last, at_ms=at_ms, account=OURS, to_account=THEIRS, **said)


def back(name: str, first: int, last: int, at_ms: int, **said: Any) -> Change:
    return change(name, GONE, first, last, at_ms=at_ms, account=THEIRS, to_account=OURS, **said)


def restrictions(stage: Stage) -> list[op.Restrict | op.Unrestrict]:
    return [each for each in stage.ledger.said if isinstance(each, op.Restrict | op.Unrestrict)]


STORIES: list[tuple[str, list[Change], list[str], list[tuple[int, int]]]] = [
    (
        "a block, and its end in two parts",
        [change("e1", BLOCKED, 10, 19, at_ms=1), change("e2", UNBLOCKED, 10, 14, at_ms=2)],
        ["contradicted", "lifted"],
        [(15, 19)],
    ),
    (
        "an end of more than was blocked",
        [change("e1", BLOCKED, 10, 19, at_ms=1), change("e2", UNBLOCKED, 1, 100, at_ms=2)],
        ["contradicted", "lifted"],
        [],
    ),
    (
        "another reference ends what lies alone",
        [change("e1", BLOCKED, 10, 19, at_ms=1), change("e2", UNBLOCKED, 10, 19, at_ms=2, reference="r2")],
        ["contradicted", "lifted"],
        [],
    ),
    (
        "no reference at all",
        [change("e1", BLOCKED, 1, 9, at_ms=1, reference=""), change("e2", UNBLOCKED, 1, 9, at_ms=2, reference="")],
        ["contradicted", "lifted"],
        [],
    ),
    (
        "two blocks end one by one",
        [
            change("e1", BLOCKED, 10, 19, at_ms=1),
            change("e2", BLOCKED, 10, 19, at_ms=2, reference="court"),
            change("e3", UNBLOCKED, 10, 19, at_ms=3),
        ],
        ["contradicted", "contradicted", "lifted"],
        [(10, 19)],
    ),
    (
        "a third reference ends neither of two",
        [
            change("e1", BLOCKED, 10, 19, at_ms=1),
            change("e2", BLOCKED, 10, 19, at_ms=2, reference="court"),
            change("e3", UNBLOCKED, 10, 19, at_ms=3, reference="r3"),
        ],
        ["contradicted", "contradicted", "known"],
        [(10, 19)],
    ),
    (
        "told twice under one reference",
        [change("e1", BLOCKED, 10, 19, at_ms=1), change("e2", BLOCKED, 15, 29, at_ms=2)],
        ["contradicted", "contradicted"],
        [(10, 19), (20, 29)],
    ),
    (
        "taken back",
        [change("e1", BLOCKED, 10, 19, at_ms=1), change("e2", ChangeKind.REVERSED, 10, 19, at_ms=2)],
        ["contradicted", "lifted"],
        [],
    ),
    (
        "away, and a part of it back under another reference",
        [away("e1", 10, 19, 1), back("e2", 10, 12, 2, reference="r2")],
        ["contradicted", "lifted"],
        [(13, 19)],
    ),
    (
        "away, and on from there",
        [away("e1", 10, 19, 1), change("e2", GONE, 10, 19, at_ms=2, account=THEIRS, to_account="A THIRD")],
        ["contradicted", "known"],
        [(10, 19)],
    ),
    (
        "the move taken back",
        [away("e1", 10, 19, 1), change("e2", ChangeKind.REVERSED, 10, 19, at_ms=2)],
        ["contradicted", "lifted"],
        [],
    ),
    (
        "blocked and away: each ends by itself",
        [change("e1", BLOCKED, 10, 19, at_ms=1), away("e2", 10, 19, 2, reference="r2"), back("e3", 10, 19, 3)],
        ["contradicted", "contradicted", "lifted"],
        [(10, 19)],
    ),
    ("an end of nothing", [change("e1", UNBLOCKED, 10, 19, at_ms=1), back("e2", 1, 9, 2)], ["known", "noted"], []),
]


@pytest.mark.parametrize("story", STORIES, ids=lambda each: each[0])
def test_what_is_stopped_and_what_ends_it_also_when_all_is_read_again(
    story: tuple[str, list[Change], list[str], list[tuple[int, int]]],
) -> None:
    _, events, outcomes, left = story

    async def play_it(stage: Stage) -> None:
        taken = []
        for event in events:
            taken += tell(await open_hub(stage).intake.take("puro", [event], "B"))
        assert taken == outcomes
        assert await restricted(stage) == left
        said = len(restrictions(stage))
        await open_hub(stage).intake.take("puro", events, "B")
        assert await restricted(stage) == left
        assert len(restrictions(stage)) == said, "nothing was said again"

    play(play_it)


def test_what_a_person_lifted_and_what_was_blocked_again_stay_as_they_are_when_all_is_read_again() -> None:
    async def story(stage: Stage) -> None:
        first, second = change("e1", BLOCKED, 10, 19, at_ms=1), change("e4", BLOCKED, 30, 39, at_ms=2, reference="r4")
        await open_hub(stage).intake.take("puro", [first, second], "B")
        laid = next(each for each in restrictions(stage) if each.reason.startswith("e4"))
        assert (laid.evidence.grade, laid.evidence.reference) == ("B", "r4")
        assert digest_of(stage.shelf[laid.evidence.digest]) == laid.evidence.digest
        lift = op.Unrestrict(restriction=laid.restriction, ranges=laid.ranges, reason="their letter")
        assert (await stage.ledger.submit(lift)).accepted
        over, again = change("e2", UNBLOCKED, 10, 19, at_ms=3), change("e3", BLOCKED, 10, 19, at_ms=4)
        await open_hub(stage).intake.take("puro", [over, again], "B")
        assert await restricted(stage) == [(10, 19)]
        for _ in range(2):
            taken = await open_hub(stage).intake.take("puro", [first, second, over, again], "B")
            assert tell(taken) == ["known", "known", "known", "contradicted"]
            assert await restricted(stage) == [(10, 19)], (
                "blocked once more under the same reference, and not by e2 freed"
            )

    play(story)


@pytest.mark.parametrize("name", ["session/IEX 2026-03-25", "authorization/r1"])
def test_what_a_restriction_of_ours_covers_is_not_restricted_twice_and_not_lifted(name: str) -> None:
    async def story(stage: Stage) -> None:
        ours = op.Restrict(restriction=name, ranges=[op.Range(batch="corc-1", first=10, units=5)], reason="ours")
        assert (await stage.ledger.submit(ours)).accepted
        events = [change("e1", BLOCKED, 10, 14, at_ms=1), change("e2", UNBLOCKED, 10, 14, at_ms=2)]
        assert tell(await open_hub(stage).intake.take("puro", events, "B")) == ["known", "known"]
        assert await restricted(stage) == [(10, 14)]
        wider = change("e3", BLOCKED, 8, 16, at_ms=3)
        assert tell(await open_hub(stage).intake.take("puro", [wider], "B")) == ["contradicted"]
        assert [(each.first, each.units) for each in restrictions(stage)[-1].ranges] == [(8, 2), (15, 2)]

    play(story)


def test_units_nobody_has_claimed_are_stopped_too_and_can_be_claimed_afterwards() -> None:
    async def story(stage: Stage) -> None:
        more = op.ExtendBatch(batch="corc-1", run="more", evidence=op.Evidence(digest=bytes(32), grade="C"))
        more.observations.add(first_number="10001", units=10, status=op.Observation.ACTIVE)
        assert (await stage.ledger.submit(more)).accepted
        claim = op.Link(
            account="alice/puro", registry="puro", registry_account=OURS, hub="hub", control=op.Link.CUSTODY
        )
        claim.claims.add(batch="corc-1", first=10_001, units=10)
        claim.evidence.CopyFrom(op.Evidence(digest=bytes(32), grade="C", reference="statement"))
        intake = open_hub(stage).intake
        await intake.take("puro", [change("e1", BLOCKED, 10_001, 10_010, at_ms=1)], "B")
        refusal = stage.world.run("alice", claim, approvals=("alice", "hub")).refusal
        assert refusal is not None
        assert refusal.reason.name == "UNITS_RESTRICTED"
        await intake.take("puro", [change("e2", UNBLOCKED, 10_001, 10_010, at_ms=2)], "B")
        stage.world.must("alice", claim, approvals=("alice", "hub"))

    play(story)


def sell(stage: Stage, first: int, units: int, effective_ms: int) -> None:
    """Units go to an account of bob's there, on our instruction; the registry confirms when it did it."""
    stage.world.must("bob", op.OpenAccount(account="bob/puro", owner="bob"))
    link = op.Link(
        account="bob/puro", registry="puro", registry_account=ACCOUNTS[1], hub="hub", control=op.Link.CUSTODY
    )
    stage.world.must("bob", link, approvals=("bob", "hub"))
    hold = op.Hold(
        hold=hold_id("sale"),
        account="alice/puro",
        selection=op.Selection(ranges=[op.Range(batch="corc-1", first=first, units=units)]),
        purpose=op.Hold.FOR_TRANSFER,
        expires_ms=stage.world.now_ms + DAY_MS,
        buyer="bob",
        to_account="bob/puro",
    )
    stage.world.must("alice", hold, approvals=("alice", "bob"))
    stage.world.must("hub", op.Dispatch(hold=hold_id("sale"), attempt=1, instruction=bytes(32)))
    capture = op.Capture(hold=hold_id("sale"), evidence=op.Evidence(digest=bytes(32), grade="B", reference="T-9"))
    capture.effective.ms, capture.effective.precision = effective_ms, op.When.INSTANT
    stage.world.must("hub", capture)


def test_what_happened_before_the_registry_confirmed_a_transfer_of_ours_stops_nothing_when_it_is_read_again() -> None:
    async def story(stage: Stage) -> None:
        begun = stage.world.now_ms
        history = [
            back("came", 1, 100, begun, reference="r1"),
            change("stopped", BLOCKED, 1, 100, at_ms=begun + 1, reference="r2"),
            change("freed", UNBLOCKED, 1, 100, at_ms=begun + 2, reference="r2"),
        ]
        sell(stage, 1, 50, begun + 3)
        said = len(stage.ledger.said)
        sold = [each._replace(serials=WHOLE._replace(first=1, last=50)) for each in history]
        assert tell(await open_hub(stage).intake.take("puro", sold, "B")) == ["noted", "known", "known"]
        assert len(stage.ledger.said) == said
        late = away("gone", 1, 50, begun + 4)
        assert tell(await open_hub(stage).intake.take("puro", [late], "B")) == ["contradicted"]

    play(story)


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("kind", [op.Restrict, op.Unrestrict])
def test_an_answer_that_was_lost_changes_nothing_in_the_end(kind: type[Any], took_effect: bool) -> None:
    async def story(stage: Stage) -> None:
        events = [change("e1", BLOCKED, 10, 19, at_ms=1), change("e2", UNBLOCKED, 10, 14, at_ms=2)]
        lose_answer(kind, stage.ledger, took_effect=took_effect)
        with pytest.raises(OutcomeUnknown):
            await open_hub(stage).intake.take("puro", events, "B")
        await open_hub(stage).intake.take("puro", events, "B")
        assert await restricted(stage) == [(15, 19)]

    play(story)


# -- any history


class Deaf:
    async def hear(self, registry: str, change: Change) -> bool:
        return False


UNITS = 12
STEPS = st.lists(
    st.tuples(st.sampled_from([BLOCKED, UNBLOCKED, GONE]), st.integers(1, UNITS), st.integers(1, UNITS), st.booleans()),
    max_size=8,
)


def tell_history(steps: Sequence[tuple[ChangeKind, int, int, bool]]) -> tuple[list[Change], set[int]]:
    """What a registry that follows its own rules tells, and which units are stopped in the end."""
    blocks: dict[int, str] = {}
    gone: set[int] = set()
    events: list[Change] = []
    for step, (kind, one, other, same) in enumerate(steps, start=1):
        first, last = min(one, other), max(one, other)
        units = set(range(first, last + 1))
        name, reference = f"e{step}", f"r{step}"
        if kind is BLOCKED and not units & blocks.keys():
            blocks |= dict.fromkeys(units, reference)
            events.append(change(name, BLOCKED, first, last, at_ms=step, reference=reference))
        elif kind is UNBLOCKED and units <= blocks.keys() and len({blocks[unit] for unit in units}) == 1:
            said = blocks[first] if same else reference
            events.append(change(name, UNBLOCKED, first, last, at_ms=step, reference=said))
            blocks = {unit: each for unit, each in blocks.items() if unit not in units}
        elif kind is GONE and (units <= gone or not units & gone):
            to_account = OURS if units <= gone else THEIRS
            gone ^= units
            events.append(change(name, GONE, first, last, at_ms=step, reference=reference, to_account=to_account))
    return events, set(blocks) | gone


@settings(max_examples=40, deadline=None)
@given(STEPS, st.integers(0, 8))
def test_after_any_history_exactly_what_is_stopped_there_is_stopped_here_however_often_it_is_read(
    steps: Sequence[tuple[ChangeKind, int, int, bool]], cut: int
) -> None:
    events, stopped = tell_history(steps)

    async def read() -> None:
        world = open_puro_world()
        ledger = MemoryLedger(world, "hub")

        def intake() -> Intake:
            return Intake(Desk(ledger, {}, Deaf(), digest_of))

        await intake().take("puro", events[:cut], "B")
        await intake().take("puro", events, "B")
        said = len(ledger.said)
        await intake().take("puro", events, "B")
        assert len(ledger.said) == said
        found = await ledger.find_lots(WHOLE.space, 1, UNITS)
        marks = [mark.range for lot in found.lots for mark in lot.marks if mark.kind == "RESTRICTION"]
        assert {unit for each in marks for unit in range(each.first, each.first + each.units)} == stopped

    asyncio.run(read())


# -- names


def test_a_name_says_what_it_is_for_and_nothing_else_is_taken_for_one() -> None:
    for kind in (BLOCK, MOVED):
        stop = make_stop(kind, "puro", SETTLING_MS, "r1", "e1")
        assert parse_stop(stop.name) == stop
    assert make_stop(BLOCK, "puro", -5, "", "e1").reference == UNKNOWN
    assert make_stop(BLOCK, "puro", 1, "r", "e").name != make_stop(BLOCK, "verra", 1, "r", "e").name
    for name in ("", "inbound/block/", "session/x", stop.name + "0", stop.name.replace("moved", "other")):
        assert parse_stop(name) is None


def test_an_end_ends_nothing_that_came_after_it() -> None:
    stops = [make_stop(BLOCK, "puro", at, "r", f"e{at}") for at in (1, 3)]
    laid = [Laid(stop.name, op.Range(batch="b", first=1, units=5)) for stop in stops]
    reference = stops[0].reference
    assert [each.name for each in find_ended(laid, BLOCK, 2, reference)] == [stops[0].name]
    assert find_ended(laid, BLOCK, 0, None) == []
    assert len(find_ended(laid, BLOCK, 3, None)) == 2
    assert (find_alone(laid, BLOCK, 2), find_alone(laid[:1], BLOCK, 2)) == ([], laid[:1])


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=6))
def test_what_is_subtracted_is_gone_and_everything_else_is_left(parts: list[tuple[int, int]]) -> None:
    whole = op.Range(batch="b", first=5, units=20)
    left = subtract(whole, [op.Range(batch="b", first=first, units=units) for first, units in parts])
    taken = {unit for first, units in parts for unit in range(first, first + units)}
    found = [unit for each in left for unit in range(each.first, each.first + each.units)]
    assert found == [unit for unit in range(5, 25) if unit not in taken]
    assert subtract(whole, [op.Range(batch="other", first=5, units=20)]) == [whole]
