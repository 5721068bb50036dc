"""Ends nobody asked for that their registry takes back: what is lifted, what is not, and that nothing is undone."""

from __future__ import annotations

import pytest

from adapters.contract import Change, ChangeKind, Moment
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import DAY_MS, Stage, play
from tests.hub.inbound.scene import change, open_hub, restricted, tell

RETIRED, REVERSED = ChangeKind.RETIRED, ChangeKind.REVERSED
DAY = 20_000 * DAY_MS


def gone(name: str, first: int, last: int, day: int, reference: str = "") -> Change:
    """As Verra tells it: the day alone, and a reference that nothing else has."""
    at = DAY + day * DAY_MS
    return change(name, RETIRED, first, last, at_ms=at, reference=reference or name, effective=Moment(at, exact=False))


def back(name: str, first: int, last: int, day: int, reference: str = "") -> Change:
    at = DAY + day * DAY_MS
    return change(name, REVERSED, first, last, at_ms=at, reference=reference or name, effective=Moment(at, exact=False))


STORIES: list[tuple[str, list[Change], list[str], list[tuple[int, int]]]] = [
    ("by its reference", [gone("e1", 1, 9, 0, "r"), back("e2", 1, 9, 2, "r")], ["contradicted", "lifted"], []),
    ("by its units alone", [gone("e1", 1, 9, 0), back("e2", 1, 9, 2)], ["contradicted", "lifted"], []),
    ("on the same day", [gone("e1", 1, 9, 0), back("e2", 1, 9, 0)], ["contradicted", "lifted"], []),
    ("a part of it", [gone("e1", 1, 9, 0), back("e2", 3, 4, 2)], ["contradicted", "lifted"], [(1, 2), (5, 9)]),
    (
        "and contradicted once more",
        [gone("e1", 1, 9, 0), back("e2", 1, 9, 0), gone("e3", 1, 9, 0)],
        ["contradicted", "lifted", "contradicted"],
        [(1, 9)],
    ),
    (
        "neither of two that are neighbours",
        [gone("e1", 1, 5, 0), gone("e2", 6, 9, 0), back("e3", 1, 9, 2)],
        ["contradicted", "contradicted", "nothing-to-reverse"],
        [(1, 5), (6, 9)],
    ),
    (
        "not what came later",
        [gone("e1", 1, 9, 3), back("e2", 1, 9, 2)],
        ["contradicted", "nothing-to-reverse"],
        [(1, 9)],
    ),
]


@pytest.mark.parametrize("story", STORIES, ids=lambda each: each[0])
def test_what_is_taken_back_is_lifted_and_stays_so_when_all_is_read_again(
    story: tuple[str, list[Change], list[str], list[tuple[int, int]]],
) -> None:
    _, events, outcomes, left = story

    async def play_it(stage: Stage) -> None:
        taken = []
        for event in events:
            taken += tell(await open_hub(stage).intake.take("puro", [event], "B"))
        assert taken == outcomes
        assert await restricted(stage) == left
        before = [each.open for each in await stage.ledger.discrepancies(open_only=False)]
        for event in events:
            await open_hub(stage).intake.take("puro", [event], "B")
        assert await restricted(stage) == left
        assert [each.open for each in await stage.ledger.discrepancies(open_only=False)] == before

    play(play_it)


def test_what_a_person_closed_is_over_and_the_evidence_of_a_lift_is_on_record() -> None:
    async def story(stage: Stage) -> None:
        hub = open_hub(stage)
        await hub.intake.take("puro", [gone("e1", 1, 9, 0, "r"), gone("e2", 20, 29, 0, "s")], "B")
        first, _ = await stage.ledger.discrepancies()
        name = f"discrepancy/{first.place.height}.{first.place.ordinal}"
        said = op.Unrestrict(restriction=name, ranges=[first.range], reason="their letter")
        assert (await stage.ledger.submit(said)).accepted
        late = [back("e3", 1, 9, 2, "r"), back("e4", 20, 29, 2, "s")]
        assert tell(await hub.intake.take("puro", late, "B")) == ["known", "lifted"]
        _, other = await stage.ledger.discrepancies(open_only=False)
        facts = {fact.name: fact.value for fact in other.closed.facts}
        assert (facts["grade"], facts["reference"], len(facts["digest"])) == ("B", "s", 64)

    play(story)
