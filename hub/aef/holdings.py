"""Table 4: the ITMOs a Party held at the end of 31 December, UTC, by the effective times of actions.

An outcome is an ITMO from its first transfer on. The table says no year; that is Table 1's. A snapshot that was
submitted is made again from the events up to its submission, never from later ones.
"""

from __future__ import annotations

from typing import NamedTuple

from hub.aef.actions import identity_cells
from hub.aef.layout import HOLDINGS, Edition, Row, make_row
from hub.aef.ledger import Action, Picture, to_moment

_ENDING = ("USE", "CANCEL", "LEVY_OMGE")


class Held(NamedTuple):
    """A range of ITMO numbers of one space that somebody holds, known by the action that first transferred it."""

    first: int
    units: int
    party: str
    origin: Action

    @property
    def authorization(self) -> str:
        return self.origin.authorization

    @property
    def version(self) -> int:
        return self.origin.version


def hold_at_year_end(picture: Picture, party: str, year: int) -> list[Held]:
    """What the Party holds when the year ends, by identifier; neighbours alike are one row."""
    spaces: dict[str, list[Held]] = {}
    for action in picture.actions:
        if to_moment(action.when).year <= year:
            head, _, vintage = action.facts["itmo"].rsplit("-", 2)
            key = f"{head}-{vintage}"
            spaces[key] = _apply(spaces.get(key, []), action)
    found: list[Held] = []
    for _, ranges in sorted(spaces.items()):
        for item in sorted(ranges, key=lambda held: held.first):
            if item.party != party:
                continue
            last = found[-1] if found else None
            if last is not None and _continues(last, item):
                found[-1] = last._replace(units=last.units + item.units)
            else:
                found.append(item)
    return found


def _continues(last: Held, item: Held) -> bool:
    alike = (last.authorization, last.version) == (item.authorization, item.version)
    same_space = last.origin.facts["itmo"].rsplit("-", 2)[::2] == item.origin.facts["itmo"].rsplit("-", 2)[::2]
    if not (alike and same_space and last.first + last.units == item.first):
        return False
    return _underlying_at(last.origin, item.first) == _underlying_at(item.origin, item.first)


def _underlying_at(action: Action, number: int) -> tuple[str, int]:
    """Which unit of which crediting programme an ITMO number is."""
    if "first_unit" not in action.facts:
        return "", 0
    return action.facts["underlying"], int(action.facts["first_unit"]) + number - int(action.facts["first_id"])


def _apply(ranges: list[Held], action: Action) -> list[Held]:
    """The ranges of one space after an action on some of them."""
    first, units = action.number("first_id"), action.units
    kept: list[Held] = []
    touched: list[Held] = []
    for item in ranges:
        start, stop = max(item.first, first), min(item.first + item.units, first + units)
        if start >= stop:
            kept.append(item)
            continue
        if item.first < start:
            kept.append(item._replace(units=start - item.first))
        if item.first + item.units > stop:
            kept.append(item._replace(first=stop, units=item.first + item.units - stop))
        touched.append(item._replace(first=start, units=stop - start))
    if action.kind in _ENDING:
        return kept
    holder = action.to_party if action.kind in ("TRANSFER", "LEVY_ADAPTATION", "ADAPTATION") else action.from_party
    if action.first_transfer:
        return [*kept, Held(first, units, holder, action)]
    return [*kept, *(item._replace(party=holder) for item in touched)]


def make_holding_row(picture: Picture, item: Held, registry: str, edition: Edition) -> Row:
    """The row of Table 4."""
    skip = item.first - int(item.origin.facts["first_id"])
    cells = identity_cells(picture, item.origin, skip, item.units, registry, edition)
    return make_row(HOLDINGS, **cells)
