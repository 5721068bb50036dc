"""What the tests of inbound share: a hub at Puro's stage, news of its units, and looks at what they came to."""

from __future__ import annotations

from typing import Any, NamedTuple

from adapters.contract import Change, ChangeKind, HoldingState
from adapters.sandbox.puro import ACCOUNTS
from hub.inbound.intake import Desk, Intake, Taken
from hub.inbound.keys import parse_key
from keeling.serials import parse
from tests.hub.dispatch.stage import SERIAL, UNITS, Stage

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = parse_key("one", SECRET)
WHOLE = parse(SERIAL)


def change(name: str, kind: ChangeKind, first: int, last: int, **said: Any) -> Change:
    serials = said.pop("serials", WHOLE._replace(first=first, last=last))
    return Change(name, kind, said.pop("at_ms", 1), serials, reference=said.pop("reference", "r1"), **said)


class Hub(NamedTuple):
    """A dispatcher and an intake of one process."""

    intake: Intake
    dispatch: Any


def open_hub(stage: Stage) -> Hub:
    dispatch = stage.hub()
    return Hub(Intake(Desk(stage.ledger, {"puro": stage.adapter}, dispatch, stage.keep)), dispatch)


def tell(taken: list[Taken]) -> list[str]:
    return [each.refusal.why.value if each.refusal else each.outcome.value for each in taken]


async def restricted(stage: Stage) -> list[tuple[int, int]]:
    """(first, last) of what a restriction lies on."""
    found = await stage.ledger.find_lots(WHOLE.space, 1, UNITS)
    return sorted(
        {
            (mark.range.first, mark.range.first + mark.range.units - 1)
            for lot in found.lots
            for mark in lot.marks
            if mark.kind == "RESTRICTION"
        }
    )


async def states(stage: Stage, first: int, last: int) -> set[str]:
    return {lot.lot.state for lot in (await stage.ledger.find_lots(WHOLE.space, first, last)).lots}


async def retire_there(stage: Stage, first: int, last: int) -> None:
    """Somebody retires units of ours at the registry, without us."""
    serials = WHOLE._replace(first=first, last=last)
    stage.sandbox.book.change(
        stage.world.now_ms,
        ChangeKind.RETIRED,
        ACCOUNTS[0],
        [serials],
        state=HoldingState.RETIRED,
        reference=f"own-{first}",
    )
