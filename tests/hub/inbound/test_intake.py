"""What becomes of news: each kind, each contradiction, and everything that is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.contract import Change, ChangeKind, Moment
from adapters.sandbox.puro import ACCOUNTS
from hub.inbound.refusals import Why
from keeling.serials import parse
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import DAY_MS, UNITS, Stage, play
from tests.hub.inbound.scene import WHOLE, change, open_hub, restricted, states, tell

# -- what becomes of news


@pytest.mark.parametrize(
    "odd",
    [
        {"name": "e\ud800"},
        {"name": ""},
        {"reference": "r\udfff"},
        {"effective": Moment(2**63)},
        {"effective": Moment(-(2**80))},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [ChangeKind.RETIRED, ChangeKind.BLOCKED, ChangeKind.REVERSED, ChangeKind.TRANSFERRED])
def test_what_no_ledger_can_write_down_stops_nothing_that_comes_with_it(odd: dict[str, Any], kind: ChangeKind) -> None:
    async def story(stage: Stage) -> None:
        said = {"name": "e1", **odd}
        bad = change(kind=kind, first=10, last=19, **said)
        good = change("e9", ChangeKind.RETIRED, 30, 39, at_ms=9)
        assert tell(await open_hub(stage).intake.take("puro", [bad, good], "B")) == ["wrong-shape", "contradicted"]
        assert await restricted(stage) == [(30, 39)]

    play(story)


def test_a_retirement_nobody_asked_for_is_recorded_and_taken_back_two_days_later() -> None:
    async def story(stage: Stage) -> None:
        intake = open_hub(stage).intake
        gone = change("e1", ChangeKind.RETIRED, 10, 19, effective=Moment(stage.world.now_ms), evidence=b"page")
        assert tell(await intake.take("puro", [gone], "B")) == ["contradicted"]
        assert await restricted(stage) == [(10, 19)]
        (found,) = await stage.ledger.discrepancies()
        assert (found.ledger, found.claimed, found.source) == ("FREE in alice/puro", "RETIRED", "e1")
        stage.later(2 * DAY_MS)
        back = change("e2", ChangeKind.REVERSED, 10, 19, at_ms=2)
        assert tell(await intake.take("puro", [back], "B")) == ["lifted"]
        assert await restricted(stage) == []
        assert len(await stage.ledger.discrepancies(open_only=False)) == 1, "history is kept"
        assert tell(await intake.take("puro", [gone], "B")) == ["contradicted"], "told again, and known by its id"
        assert await restricted(stage) == []
        again = change("e3", ChangeKind.RETIRED, 10, 19, at_ms=3, reference="r3")
        assert tell(await intake.take("puro", [again], "B")) == ["contradicted"]
        assert await restricted(stage) == [(10, 19)], "it changed its mind once more"
        await intake.take("puro", [gone, back, again], "B")
        assert await restricted(stage) == [(10, 19)], "what is read again undoes nothing that came later"

    play(story)


def test_an_end_of_ours_that_the_registry_takes_back_is_reversed() -> None:
    async def story(stage: Stage) -> None:
        hub = open_hub(stage)
        hold = stage.place(units=100, first=1)
        await stage.settle(hub.dispatch, hold)
        mine = stage.sandbox.book.entries[-1].reference
        back = change("e9", ChangeKind.REVERSED, 1, 40, at_ms=stage.world.now_ms, reference=mine)
        assert tell(await hub.intake.take("puro", [back], "B")) == ["reversed"]
        assert await states(stage, 1, 40) == {"FREE"}
        assert await states(stage, 41, 100) == {"RETIRED"}
        assert tell(await hub.intake.take("puro", [back], "B")) == ["known"]
        done = change("e7", ChangeKind.RETIRED, 1, 40, reference=mine)
        assert tell(await hub.intake.take("puro", [done], "B")) == ["known"], "the retirement that was taken back"
        assert tell(await hub.intake.take("puro", [change("e8", ChangeKind.RETIRED, 41, 100)], "B")) == ["known"]

    play(story)


def test_a_hub_that_reads_everything_again_neither_undoes_nor_disputes_what_came_later() -> None:
    """Its folder was deleted: issuance, a reversal, and a second retirement of the same units are told once more."""

    async def story(stage: Stage) -> None:
        hub = open_hub(stage)
        begun = stage.world.now_ms
        history = [
            change("e0", ChangeKind.ISSUED, 1, UNITS, at_ms=begun - 1),
            change("e2", ChangeKind.UNBLOCKED, 1, 40, at_ms=begun - 1),
            change("e3", ChangeKind.REVERSED, 1, 40, at_ms=begun - 1),
        ]
        stage.later(600_000)
        hold = stage.place(units=100, first=1)
        await stage.settle(hub.dispatch, hold)
        said = len(stage.ledger.said)
        assert tell(await open_hub(stage).intake.take("puro", history, "B")) == ["known", "known", "known"]
        assert await states(stage, 1, 100) == {"RETIRED"}
        assert len(stage.ledger.said) == said
        assert await stage.ledger.discrepancies() == []
        day = begun // DAY_MS * DAY_MS
        mine = stage.sandbox.book.entries[-1].reference
        later = [
            change("e4", ChangeKind.ACTIVE, 41, 100, at_ms=stage.world.now_ms + 1),
            change("e5", ChangeKind.REVERSED, 1, 40, at_ms=day, reference=mine, effective=Moment(day, exact=False)),
        ]
        taken = await open_hub(stage).intake.take("puro", later, "B")
        assert sorted(tell(taken)) == ["contradicted", "reversed"], "of the same day it is no history"

    play(story)


DATED = {"effective": Moment(0, exact=False)}
TAKEN_BACK = [
    ("minutes before", -120_000, {}, "nothing-to-reverse"),
    ("by a clock that is ahead", 120_000, {}, "nothing-to-reverse"),
    ("the same day, or the one before", -DAY_MS, DATED, "nothing-to-reverse"),
    ("later, under a number of its own", 600_000, {}, "reversed"),
    ("another instruction's", 120_000, {"reference": "mine", "key": "ab" * 16}, "nothing-to-reverse"),
    ("our instruction's, of several rows", -120_000, {"key": "hold"}, "reversed"),
    ("ours", -120_000, {"reference": "mine"}, "reversed"),
    ("without a reference", 120_000, {"reference": ""}, "reversed"),
]


@pytest.mark.parametrize("case", TAKEN_BACK, ids=lambda each: each[0])
def test_another_end_that_was_taken_back_before_ours_undoes_nothing(case: tuple[str, int, dict[str, Any], str]) -> None:
    """What the owner retired and took back itself, shortly before it was sold, is told again or late."""
    _, shift, said, outcome = case

    async def story(stage: Stage) -> None:
        hub = open_hub(stage)
        hold = stage.place(units=100, first=1)
        await stage.settle(hub.dispatch, hold)
        names = {"mine": stage.sandbox.book.entries[-1].reference, "hold": hold.hex()}
        about = {name: names.get(value, value) if isinstance(value, str) else value for name, value in said.items()}
        back = change("e1", ChangeKind.REVERSED, 1, 40, at_ms=stage.world.now_ms + shift, **about)
        assert tell(await hub.intake.take("puro", [back], "B")) == [outcome]
        assert await states(stage, 1, 40) == {"FREE" if outcome == "reversed" else "RETIRED"}

    play(story)


def test_news_about_a_hold_goes_to_the_dispatcher_and_is_not_attested() -> None:
    async def story(stage: Stage) -> None:
        hub = open_hub(stage)
        hold = stage.place(units=100, first=1)
        await hub.dispatch.step()
        stage.later(60_000)
        assert (await stage.hold(hold)).phase == "INSTRUCTED"
        news = change("e1", ChangeKind.RETIRED, 1, 100, key=hold.hex())
        assert tell(await open_hub(stage).intake.take("puro", [news], "B")) == ["dispatched"]
        assert (await stage.hold(hold)).phase == "CAPTURED"
        assert not [each for each in stage.ledger.said if isinstance(each, op.Attest)]

    play(story, approval_ms=60_000)


FOREIGN = parse("9-1001-1100-VCS-VCU-1491-VER-RW-3-4150-01102024-31122024-1")
UNHEARD_OF = WHOLE._replace(first=1, last=5, space="puro:x")
BAD = [
    ("of another registry", [change("e", ChangeKind.RETIRED, 0, 0, serials=FOREIGN)], [Why.FOREIGN_SERIALS]),
    (
        "unknown issuance",
        [change("e", ChangeKind.RETIRED, 1, 5, serials=WHOLE._replace(space="puro:x"))],
        [Why.UNKNOWN_UNITS],
    ),
    ("beyond what was issued", [change("e", ChangeKind.RETIRED, UNITS + 1, UNITS + 2)], [Why.UNKNOWN_UNITS]),
    ("quantity", [change("e", ChangeKind.RETIRED, 1, 10, details={"units": "11"})], [Why.QUANTITY_DISAGREES]),
    (
        "overlapping ranges",
        [change("a", ChangeKind.RETIRED, 1, 10), change("b", ChangeKind.RETIRED, 10, 12)],
        [Why.OVERLAPPING_RANGES, Why.OVERLAPPING_RANGES],
    ),
    ("taken back before it was done", [change("e", ChangeKind.REVERSED, 1, 10)], [Why.NOTHING_TO_REVERSE]),
]


@pytest.mark.parametrize("case", BAD, ids=lambda each: each[0])
def test_bad_news_is_refused_by_name_and_the_rest_of_the_message_is_taken(
    case: tuple[str, list[Change], list[Why]],
) -> None:
    _, changes, reasons = case

    async def story(stage: Stage) -> None:
        good = change("good", ChangeKind.RETIRED, 500, 509, at_ms=9)
        taken = await open_hub(stage).intake.take("puro", [*changes, good], "B")
        assert tell(taken) == [*(str(each) for each in reasons), "contradicted"]
        assert await restricted(stage) == [(500, 509)]

    play(story)


OTHERS = [
    (ChangeKind.BLOCKED, {}, "contradicted", [(1, 10)]),
    (ChangeKind.TRANSFERRED, {"account": ACCOUNTS[0], "to_account": "SOMEBODY"}, "contradicted", [(1, 10)]),
    (ChangeKind.TRANSFERRED, {"account": "SOMEBODY", "to_account": ACCOUNTS[0]}, "noted", []),
    (ChangeKind.CONVERTED, {}, "contradicted", [(1, 10)]),
    (ChangeKind.ACTIVE, {}, "known", []),
    (ChangeKind.PROPOSED, {}, "noted", []),
    (ChangeKind.NOTICE, {}, "noted", []),
]


@pytest.mark.parametrize("case", OTHERS, ids=lambda each: f"{each[0]} {each[2]}")
def test_each_kind_of_news(case: tuple[ChangeKind, dict[str, str], str, list[tuple[int, int]]]) -> None:
    kind, said, outcome, frozen = case

    async def story(stage: Stage) -> None:
        for _ in range(2):
            assert tell(await open_hub(stage).intake.take("puro", [change("e", kind, 1, 10, **said)], "B")) == [outcome]
            assert await restricted(stage) == frozen

    play(story)
