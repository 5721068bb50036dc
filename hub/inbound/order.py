"""What of news is over by now, and what one message tells twice. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from adapters.contract import Change, ChangeKind
from hub.inbound.taken import Outcome
from hub.reconcile.classes import ENDED_HERE, LIVE_HERE
from hub.units import Part

_LIVES: Final = (ChangeKind.ACTIVE, ChangeKind.UNBLOCKED, ChangeKind.REVERSED)
"""News after which units are live."""
_DAY_MS: Final = 86_400_000
_SKEW_MS: Final = 300_000
"""What a registry's clock may differ by from the ledger's: news of one time is no history."""
WORDS: Final = (ChangeKind.PROPOSED, ChangeKind.NOTICE)
_ENDS: Final = (ChangeKind.RETIRED, ChangeKind.CANCELLED, ChangeKind.USED, ChangeKind.ENDED)


def is_history(part: Part, change: Change) -> bool:
    """Whether the ledger knows what came after this, so that whoever reads the registry's events again from the first
    one neither undoes it nor calls it a contradiction: units ended after they came into being, came back or were freed
    as this tells; or the very end that this tells was taken back since."""
    if change.kind in _ENDS and part.state in LIVE_HERE:
        return bool(change.reference) and change.reference in part.taken_back
    if part.state not in ENDED_HERE or change.kind not in _LIVES:
        return False
    dated = change.effective is not None and not change.effective.exact
    slack = _DAY_MS if dated else _SKEW_MS
    return 0 < change.at_ms < part.since_ms - slack


def is_outcome(change: Change) -> bool:
    """Whether an instruction may have asked for it."""
    return change.kind in _ENDS or change.kind is ChangeKind.TRANSFERRED


def is_unrecorded(parts: Sequence[Part], change: Change, outcome: Outcome) -> bool:
    """Whether the ledger does not show yet what this tells of units that are instructed."""
    if change.kind in _ENDS and outcome is not Outcome.CONTRADICTED:
        return any(part.state in LIVE_HERE for part in parts)
    waits = change.kind in _ENDS or (change.kind is ChangeKind.TRANSFERRED and outcome is not Outcome.CONTRADICTED)
    return waits and any(part.state == "INSTRUCTED" for part in parts)


def is_anothers(part: Part, change: Change) -> bool:
    """Whether what is taken back is another end than the one that ended the units here: by our key, else by the
    reference. A reversal that surely came later may have names of its own."""
    if change.key and part.captured_by:
        differs = change.key.partition("-")[0] != part.captured_by
    else:
        differs = bool(change.reference and part.reference) and change.reference != part.reference
    dated = change.effective is not None and not change.effective.exact
    return differs and change.at_ms <= part.since_ms + (_DAY_MS if dated else _SKEW_MS)


def find_named_twice(changes: Sequence[Change]) -> dict[str, str]:
    """Events of one kind, reference and time that share units, by id, each with the one it shares them with.

    Of what is no event of the units themselves (two Parties' words on one transfer), any number may name them; and so
    may what happened to them twice, with something else in between.
    """
    found: dict[str, str] = {}
    groups: dict[tuple[str, str, int, str], list[tuple[int, int, int]]] = {}
    for place, change in enumerate(changes):
        if change.serials is not None and change.reference and change.kind not in WORDS:
            about = (change.kind, change.reference, change.at_ms, change.serials.space)
            groups.setdefault(about, []).append((change.serials.first, change.serials.last, place))
    for group in groups.values():
        open_rows: list[tuple[int, int]] = []
        for first, last, place in sorted(group):
            open_rows = [row for row in open_rows if row[0] >= first]  # those that reach as far as this one begins
            for _, before in open_rows:
                one, other = changes[before], changes[place]
                if (one.id not in found or other.id not in found) and _is_twice(changes, *sorted((before, place))):
                    found |= {one.id: other.id, other.id: one.id}
            open_rows.append((last, place))
    return found


def _is_twice(changes: Sequence[Change], first: int, second: int) -> bool:
    """Whether two events that share units are one thing told twice: nothing else happened to them in between."""
    one, other = changes[first], changes[second]
    between = (each for each in changes[first + 1 : second] if each.kind not in (one.kind, *WORDS))
    return one.id != other.id and _share(one, other) and not any(_share(one, each) for each in between)


def _share(one: Change, other: Change) -> bool:
    return one.serials is not None and other.serials is not None and one.serials.overlaps(other.serials)
