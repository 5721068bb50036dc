"""Proposals as events tell them: whole before anybody decides, and no more remembered than is of use."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from adapters.contract import Change, ChangeKind
from hub.inbound.intake import Desk, Intake, Outcome
from hub.inbound.proposals import ENDED_KEPT, RUN_OUT_KEPT_MS, Proposals
from tests.hub.inbound.scene import change

HOUR_MS = 3_600_000


def proposed(reference: str, first: int = 1, last: int = 10, **said: Any) -> Change:
    return change(f"{reference}-{first}", ChangeKind.PROPOSED, first, last, reference=reference, **said)


def ended(reference: str) -> Change:
    return change(f"{reference}-end", ChangeKind.TRANSFERRED, 1, 10, reference=reference)


def test_only_the_newest_that_ended_are_remembered() -> None:
    proposals = Proposals()
    proposals.take_all("puro", [ended(f"R{number}") for number in range(ENDED_KEPT + 2)])
    proposals.take("puro", ended("R2"))
    proposals.take("puro", ended("new"))
    names = ("R2", "new", f"R{ENDED_KEPT + 1}", "R0", "R3")
    assert [proposals.take("puro", proposed(name)) for name in names] == [False, False, False, True, True]


def test_what_ran_out_is_forgotten_a_day_later() -> None:
    proposals = Proposals()
    assert proposals.take("puro", proposed("R1", due_ms=HOUR_MS))
    assert proposals.take("puro", proposed("R2"))
    for now_ms, listed, known in (
        (HOUR_MS - 1, ["R1", "R2"], True),
        (HOUR_MS, ["R2"], True),
        (HOUR_MS + RUN_OUT_KEPT_MS, ["R2"], False),
    ):
        assert [each.reference for each in proposals.list_open(now_ms)] == listed
        assert (proposals.find("puro", "R1") is not None) is known


def test_a_proposal_of_several_parts_is_whole_before_anything_else_happens() -> None:
    """A rule looks while the news of a message are still being taken in."""
    proposals = Proposals()
    seen: list[int] = []

    class Hearer:
        async def hear(self, registry: str, change: Change) -> bool:
            seen.append(proposals.list_open(0)[0].units)
            return False

    intake = Intake(Desk(cast(Any, None), {}, Hearer(), lambda _: b"", proposals))
    taken = asyncio.run(intake.take("puro", [proposed("R1"), proposed("R1", 21, 60)], "B"))
    assert seen == [50, 50]
    assert [each.outcome for each in taken] == [Outcome.PROPOSED, Outcome.NOTED]
