"""What is done about a difference: a table of class and evidence grade. Pure.

Only "the registry confirms what we asked" heals by itself, by asking the registry about exactly that hold. Everything
else is restricted, where the word is good enough to stop a sale, or put before a person. Nothing is ever resolved here.
Source: architecture §6.6, units and rules §8.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from hub.reconcile.classes import BLOCKED_HERE, Difference, Kind


class Action(StrEnum):
    """What is done by itself."""

    WAIT = "wait"
    """Nothing: it is under way."""
    HEAL = "heal"
    """The dispatcher asks about the hold and records what it is told."""
    RESTRICT = "restrict"
    """The units cannot be moved here until somebody resolves it."""
    ASK = "ask"
    """A person decides; nothing changes until then."""


GRADES: Final = ("A", "B", "C", "D")
_ASK_ALL: Final = dict.fromkeys(GRADES, Action.ASK)
_WAIT_ALL: Final = dict.fromkeys(GRADES, Action.WAIT)
_STOP: Final = {"A": Action.RESTRICT, "B": Action.RESTRICT, "C": Action.ASK, "D": Action.ASK}
"""The registry's own word, or an answer it gave us as its client, stops units; a public list is only a question."""

TABLE: Final = {
    Kind.IN_FLIGHT: _WAIT_ALL,
    Kind.LATE: _ASK_ALL,
    Kind.MISSING_HERE: _ASK_ALL,
    Kind.MISSING_THERE: _STOP,
    Kind.UNREAD: _ASK_ALL,
    Kind.STATE: _STOP,
    Kind.QUANTITY: _ASK_ALL,
    Kind.OWNER: _STOP,
    Kind.OVERLAP: _STOP,
    Kind.TWIN: _STOP,
    Kind.TO_LIFT: _ASK_ALL,
}


def choose_action(found: Difference, grade: str) -> Action:
    """The action for a difference told by a source of this grade. What the ledger does not have it cannot restrict."""
    if found.confirms and found.kind in (Kind.IN_FLIGHT, Kind.LATE):
        return Action.HEAL
    if is_freed_there(found):
        return Action.ASK
    action = TABLE[found.kind].get(grade, Action.ASK)
    return Action.ASK if action is Action.RESTRICT and found.here is None else action


def is_freed_there(found: Difference) -> bool:
    """Whether the registry blocks no more what is restricted here for its block: the event that says so is missing."""
    here, there = found.here, found.there
    blocked = found.kind is Kind.STATE and here is not None and here.state == BLOCKED_HERE
    return blocked and there is not None and there.state == "active"
