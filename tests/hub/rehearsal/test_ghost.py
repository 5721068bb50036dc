"""The founding story on a real node: what two common platforms would show, and that the ledger never differs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hub.rehearsal.ghost import DONE, STOCK, tell_story
from hub.rehearsal.platforms import Optimistic, Waiting


def test_the_ledger_never_differs_from_the_registry_and_the_others_do(tmp_path: Path) -> None:
    story = asyncio.run(tell_story(tmp_path))
    assert (story.ghosts, story.sold_twice, story.ledger_ghosts) == (STOCK, STOCK, 0)
    assert story.refusal.startswith("UNITS_INSTRUCTED")
    assert len(story.moments) == 6
    for moment in story.moments:
        assert ("retired" in moment.registry) == ("retired" in moment.ledger)
    flight = next(moment for moment in story.moments if "auditor" in moment.happened)
    assert flight.registry == "10,000 active"
    assert "10,000 instructed, in flight, expected within 14 h; no certificate yet" in flight.ledger
    done = next(moment for moment in story.moments if "desk has done" in moment.happened)
    assert done.ledger == "4,000 free, 6,000 retired"
    assert f"{STOCK - DONE:,} GHOSTS" in done.optimistic


def test_the_platforms_do_what_they_are_said_to_do() -> None:
    optimistic, waiting = Optimistic(10), Waiting(10)
    assert (optimistic.sell(7), optimistic.sell(4), optimistic.ghosts(5)) == (True, False, 2)
    assert (waiting.sell(7), waiting.sell(7), waiting.oversold(3, 7)) == (True, True, 4)
    waiting.refresh(3)
    assert not waiting.sell(4)
