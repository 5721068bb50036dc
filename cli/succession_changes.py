"""What a successor network changes of who does what: participants of the ledger before beside those of its file.

Compares and says; nothing is refused for it. The file decides the roles of those it names, and a role that it leaves
out is gone, so people see it before they sign anything. How the state is taken over is decided in the node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.output import Grid

if TYPE_CHECKING:
    from keeling.genesis import Genesis
    from network.plan import NetworkPlan


class Part(NamedTuple):
    """What a participant is and does on a network."""

    participant: str
    name: str
    roles: tuple[str, ...]
    validator: bool
    suspended: bool


class Change(NamedTuple):
    """What becomes of one participant, in words; `gains` and `loses` are roles."""

    participant: str
    gains: tuple[str, ...]
    loses: tuple[str, ...]
    text: str


def parse_parts(listed: Sequence[Mapping[str, Any]]) -> list[Part]:
    """The participants of a ledger as `python -m node stock` lists them."""
    return [
        Part(each["participant"], each["name"], tuple(each["roles"]), each["validator"], each["suspended"])
        for each in listed
    ]


def list_planned(plan: NetworkPlan) -> list[Part]:
    """Those whom a network file names."""
    return [Part(each.id, each.name or each.id, each.roles, each.validator, False) for each in plan.organisations]


def list_founded(genesis: Genesis) -> list[Part]:
    """Those whom a genesis file names."""
    validators = {each.participant for each in genesis.validators}
    return [
        Part(each.participant, each.name, each.roles, each.participant in validators, False)
        for each in genesis.founders
    ]


def compare_parts(before: Sequence[Part], after: Sequence[Part]) -> list[Change]:
    """A line for everybody of either network: first those whom the new one names, in its order, then the others."""
    known, named = {each.participant: each for each in before}, {each.participant for each in after}
    lines = [_compare(known.get(each.participant), each) for each in after]
    return lines + [_describe_left(each) for each in before if each.participant not in named]


def _compare(old: Part | None, new: Part) -> Change:
    does = "its node validates" if new.validator else "its node observes"
    if old is None:
        return Change(new.participant, new.roles, (), f"is new, as {', '.join(new.roles) or 'nothing'}; {does}")
    gains = tuple(role for role in new.roles if role not in old.roles)
    loses = tuple(role for role in old.roles if role not in new.roles)
    said = [
        f"LOSES {', '.join(loses)}" if loses else "",
        f"gains {', '.join(gains)}" if gains else "",
        "" if gains or loses else f"stays {', '.join(new.roles) or 'without a role'}",
        f"is called {new.name!r} instead of {old.name!r}" if new.name != old.name else "",
        "is no longer suspended" if old.suspended else "",
        does if new.validator == old.validator else f"{does}, as it did not before",
    ]
    return Change(new.participant, gains, loses, "; ".join(text for text in said if text))


def _describe_left(old: Part) -> Change:
    """A participant that the file does not name goes on as it is, but for its node."""
    said = [
        f"is not named: stays {', '.join(old.roles) or 'without a role'}, with its units and its people's keys",
        "its node validates no more" if old.validator else "",
        "stays suspended" if old.suspended else "",
    ]
    return Change(old.participant, (), (), "; ".join(text for text in said if text))


def format_changes(changes: Sequence[Change]) -> Grid:
    """Who does what in the successor, beside what it did."""
    return Grid(("participant", "in the successor"), [(each.participant, each.text) for each in changes])


def warn_of_losses(changes: Sequence[Change]) -> list[str]:
    """What to look at twice, in a line each."""
    lost = [f"{each.participant} {', '.join(each.loses)}" for each in changes if each.loses]
    if not lost:
        return []
    return [
        f"warning: roles are taken from participants: {'; '.join(lost)}. What the network file says replaces what the "
        "ledger had; write the roles into the file where that is not meant"
    ]
