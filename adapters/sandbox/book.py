"""A registry's own books: who has which units in what state, and every event that changed it.

Ranges are kept by serial space and number. The books know no orders and no HTTP; orders are in `desk`. `effects` is
what proofs read: how often, and by which instruction, units really ended or moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from sortedcontainers import SortedDict

from adapters.contract import (
    ChangeKind,
    Holding,
    HoldingState,
)
from keeling.serials import SerialRange

LIVE: Final = (HoldingState.ACTIVE, HoldingState.BLOCKED, HoldingState.PENDING, HoldingState.BUFFER)


class BookRefusal(ValueError):
    """The books do not allow it; `code` is the registry's word for why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code: Final = code


class Entry(NamedTuple):
    """One event of the books."""

    number: int
    at_ms: int
    kind: ChangeKind
    serials: SerialRange
    account: str
    to_account: str
    reference: str
    key: str
    state: HoldingState
    before: HoldingState


class Book:
    """Units by space and number, and the events that led there."""

    def __init__(self) -> None:
        self._spaces: dict[str, SortedDict] = {}
        self.entries: list[Entry] = []
        self.version: int = 0
        """Counts what changed."""

    # -- what there is

    def rows(self, account: str = "", states: Sequence[HoldingState] = ()) -> list[Holding]:
        """All ranges in order of space and number, of an account and in these states if given."""
        found = [row for space in sorted(self._spaces) for row in self._spaces[space].values()]
        return [r for r in found if (not account or r.account == account) and (not states or r.state in states)]

    def touch(self, serials: SerialRange) -> list[Holding]:
        """The parts of what is on the books that lie in the range, cut to it."""
        space = self._spaces.get(serials.space)
        if space is None:
            return []
        start = max(space.bisect_right(serials.first) - 1, 0)
        found = []
        for place in range(start, len(space)):
            row: Holding = space.peekitem(place)[1]
            if row.serials.first > serials.last:
                break
            if row.serials.overlaps(serials):
                low, high = max(row.serials.first, serials.first), min(row.serials.last, serials.last)
                found.append(row._replace(serials=row.serials.part(low, high)))
        return found

    def units(self, account: str = "", states: Sequence[HoldingState] = ()) -> int:
        """How many units these are."""
        return sum(row.serials.units for row in self.rows(account, states))

    def choose(self, account: str, units: int, spaces: Iterable[str] = (), pieces: int = 1) -> list[SerialRange]:
        """Choose active units of the account, lowest numbers first; with `pieces` 2, a gap is left between two."""
        wanted = frozenset(spaces)
        rows = [r for r in self.rows(account, (HoldingState.ACTIVE,)) if not wanted or r.serials.space in wanted]
        if pieces == 2 and units > 1 and rows and rows[0].serials.units > units:
            first, half = rows[0].serials, units // 2
            low = first.part(first.first, first.first + half - 1)
            return [low, first.part(first.last - (units - half) + 1, first.last)]
        chosen = []
        for row in rows:
            if units:
                size = min(units, row.serials.units)
                chosen.append(row.serials.part(row.serials.first, row.serials.first + size - 1))
                units -= size
        if units:
            raise BookRefusal("INSUFFICIENT_QUANTITY", f"{units} units are missing in {account}")
        return chosen

    # -- what changes it

    def issue(self, at_ms: int, serials: SerialRange, account: str, state: HoldingState = HoldingState.ACTIVE) -> None:
        """Put new units on the books."""
        if self.touch(serials):
            raise BookRefusal("OVERLAP", f"some of {serials.first}..{serials.last} are on the books")
        self._put(Holding(serials, account, state))
        self._note(at_ms, ChangeKind.ISSUED, serials, "", account, f"ISS-{len(self.entries) + 1}", "", state, state)

    def check(self, account: str, ranges: Sequence[SerialRange], state: HoldingState = HoldingState.ACTIVE) -> None:
        """Refuse unless every unit is in the account and this state."""
        for item in ranges:
            rows = self.touch(item)
            if sum(row.serials.units for row in rows) != item.units:
                raise BookRefusal("UNKNOWN_UNITS", f"not all of {item.first}..{item.last} exist")
            for row in rows:
                if row.account != account:
                    raise BookRefusal("NOT_YOURS", f"{row.serials.first}..{row.serials.last} are not in {account}")
                if row.state != state:
                    raise BookRefusal("NOT_ACTIVE", f"{row.serials.first}..{row.serials.last} are {row.state}")

    def change(
        self,
        at_ms: int,
        kind: ChangeKind,
        account: str,
        ranges: Sequence[SerialRange],
        *,
        state: HoldingState,
        reference: str,
        key: str = "",
        to_account: str = "",
        before: HoldingState = HoldingState.ACTIVE,
    ) -> None:
        """Set the state, and with `to_account` the account, of units that are all in `account` and state `before`."""
        self.check(account, ranges, before)
        for item in ranges:
            for row in self.touch(item):
                self._cut(row.serials)
                self._put(Holding(row.serials, to_account or account, state, reference))
            self._note(at_ms, kind, item, account, to_account, reference, key, state, before)

    def set_aside(self, account: str, ranges: Sequence[SerialRange], *, back: bool = False) -> None:
        """Block active units while an order waits, or give them back: no event, it is the registry's own affair."""
        before, after = HoldingState.ACTIVE, HoldingState.BLOCKED
        if back:
            before, after = after, before
        self.check(account, ranges, before)
        for item in ranges:
            for row in self.touch(item):
                self._cut(row.serials)
                self._put(row._replace(state=after))
            if back:
                self._join(item)

    def undo(self, at_ms: int, reference: str) -> list[SerialRange]:
        """Take back everything that was done under `reference`; returns the ranges."""
        done = [e for e in self.entries if e.reference == reference and e.kind != ChangeKind.REVERSED]
        for entry in done:
            where = entry.to_account or entry.account
            self.check(where, [entry.serials], entry.state)
            for row in self.touch(entry.serials):
                self._cut(row.serials)
                self._put(Holding(row.serials, entry.account, entry.before))
            kind, back = ChangeKind.REVERSED, entry.account
            self._note(at_ms, kind, entry.serials, where, back, reference, entry.key, entry.before, entry.state)
        return [entry.serials for entry in done]

    def effects(self) -> dict[str, int]:
        """Units that really ended or moved by the key (or reference) that asked for it, reversals taken off."""
        found: dict[str, int] = {}
        for entry in self.entries:
            if entry.kind != ChangeKind.ISSUED:
                name = entry.key or entry.reference
                sign = -1 if entry.kind == ChangeKind.REVERSED else 1
                found[name] = found.get(name, 0) + sign * entry.serials.units
        return found

    def _put(self, row: Holding) -> None:
        self._spaces.setdefault(row.serials.space, SortedDict())[row.serials.first] = row
        self.version += 1

    def _cut(self, part: SerialRange) -> None:
        """Take exactly this part out of the one row that contains it; what is left stays."""
        space = self._spaces[part.space]
        row: Holding = space.peekitem(space.bisect_right(part.first) - 1)[1]
        del space[row.serials.first]
        if row.serials.first < part.first:
            self._put(row._replace(serials=row.serials.part(row.serials.first, part.first - 1)))
        if row.serials.last > part.last:
            self._put(row._replace(serials=row.serials.part(part.last + 1, row.serials.last)))

    def _join(self, part: SerialRange) -> None:
        """Make one row of those in and beside the part that were cut for nothing."""
        wider = part._replace(first=max(part.first - 1, 0), last=part.last + 1)
        space = self._spaces[part.space]
        rows = [space[space.keys()[space.bisect_right(row.serials.first) - 1]] for row in self.touch(wider)]
        for left, right in pairwise(rows):
            here = space[space.keys()[space.bisect_right(left.serials.first) - 1]]
            if here[1:] == right[1:] and here.serials.last + 1 == right.serials.first:
                del space[right.serials.first]
                self._put(here._replace(serials=here.serials._replace(last=right.serials.last)))

    def _note(
        self,
        at_ms: int,
        kind: ChangeKind,
        serials: SerialRange,
        account: str,
        to_account: str,
        reference: str,
        key: str,
        state: HoldingState,
        before: HoldingState,
    ) -> None:
        number = len(self.entries) + 1
        entry = Entry(number, at_ms, kind, serials, account, to_account, reference, key, state, before)
        self.entries.append(entry)
