"""What restrictions and extents were like at a height or as of a date, and who had the restricted units then.

Restrictions are replayed from the rows that `node.indexes` keeps of their beginnings and ends. Who had a position is
read from the end: from where it is now, back along the events that moved it, leaving out what came after the moment
asked for. So the cost is that of the moves of restricted positions, and nothing is kept for it on the way. How the
answer is laid out is in `node.reads.availability`.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from keeling.encoding import Ref
from keeling.events import NOWHERE, Event
from keeling.units import UnitState
from node.core.records import Batch, Lot
from node.indexes import Change, Limited, scan_extents, scan_restrictions, since_ms
from node.reads.custody import Archive
from node.reads.lots import lots_between
from node.reads.view import ReadState
from node.store.contract import Reads

LOTS_AT_ONCE: Final = 20_000
"""Lots whose ways are walked together: some megabytes, and each event that moved several of them is read once."""

Span = tuple[int, int]
"""Positions from the first up to, not including, the second."""


class Moment(NamedTuple):
    """What was known at `height`, and of that only what was effective by `until_ms`, if it is given."""

    height: int
    until_ms: int | None

    def covers(self, since: int) -> bool:
        """Whether what is effective since then counts."""
        return self.until_ms is None or since <= self.until_ms

    def includes(self, height: int, event: Event) -> bool:
        """Whether an event of a block counts."""
        return height <= self.height and self.covers(since_ms(event))


# -- restrictions


def find_restricted(view: Reads, batch: str, moment: Moment) -> list[Span]:
    """Where a batch was restricted, by whatever: in order, none touching the next."""
    changes = (change for change in scan_restrictions(view, batch, moment.height) if moment.covers(change.since_ms))
    return replay_restrictions(changes)


def replay_restrictions(changes: Iterable[Limited]) -> list[Span]:
    """What is restricted after these beginnings and ends, in their order; memory is what is restricted at once."""
    layers: dict[str, list[Span]] = {}
    for change in changes:
        if change.change == Change.RENUMBERED:
            for layer in layers.values():
                if any(_overlaps(layer, change.first, change.first + 1)):
                    _put(layer, change.first, change.first + 1, False)
                    _put(layer, change.to, change.to + 1, True)
            continue
        layer = layers.setdefault(change.restriction, [])
        _put(layer, change.first, change.first + change.units, change.change == Change.BEGUN)
        if not layer:
            del layers[change.restriction]
    return _merge(span for layer in layers.values() for span in layer)


def _put(layer: list[Span], first: int, stop: int, begins: bool) -> None:
    """Add positions to ordered spans that do not touch, or take them away."""
    low = bisect_right(layer, (first, 0))
    if low and layer[low - 1][1] >= first:
        low -= 1
    high = low
    while high < len(layer) and layer[high][0] <= stop:
        high += 1
    known = layer[low:high]
    if begins:
        layer[low:high] = [(min([first, *(a for a, _ in known)]), max([stop, *(b for _, b in known)]))]
    else:
        rests = [rest for a, b in known for rest in ((a, min(b, first)), (max(a, stop), b))]
        layer[low:high] = [(a, b) for a, b in rests if a < b]


def _merge(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for first, stop in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((first, stop))
    return merged


def count_restricted_then(state: ReadState, number: int, batch: Batch, moment: Moment) -> dict[str, int]:
    """Units of a batch that would have been FREE had nothing restricted them, by account.

    Raises `NotKept` where the events that say so are not kept here.
    """
    found: dict[str, int] = {}
    archive = Archive(state.view, endless=True)
    lots = _lots_in(state, number, _renumber(batch, find_restricted(state.view, batch.name, moment)))
    while some := list(islice(lots, LOTS_AT_ONCE)):
        for first, stop, lot in some:
            if lot.state == UnitState.FREE:
                _add(found, state.account(lot.account).name, stop - first)
        _take_back(archive, batch.name, some, moment, found)
    return {account: units for account, units in found.items() if units}


def _renumber(batch: Batch, spans: list[Span]) -> list[Span]:
    """The spans as they are numbered now: the unit above the extent has turned out to be its first (`numbering`)."""
    above = batch.high + 1
    if not spans or spans[-1][1] <= above:
        return spans
    return _merge([*((first, min(stop, above)) for first, stop in spans if first < above), (batch.low, batch.low + 1)])


def _lots_in(state: ReadState, number: int, spans: Iterable[Span]) -> Iterator[tuple[int, int, Lot]]:
    """The lots of now, cut to the spans."""
    for low, high in spans:
        for first, lot in lots_between(state, number, low, high - low):
            yield max(first, low), min(first + lot.units, high), lot


def _take_back(
    archive: Archive, batch: str, lots: Iterable[tuple[int, int, Lot]], moment: Moment, found: dict[str, int]
) -> None:
    """Undo every move of these positions that the moment does not include, the newest first."""
    pending: dict[Ref, list[Span]] = {}
    places: list[tuple[int, int]] = []

    def follow(place: Ref, first: int, stop: int) -> None:
        if place == NOWHERE or (moment.until_ms is None and place.height <= moment.height):
            return  # whatever happened up to there is included
        if place not in pending:
            pending[place] = []
            heapq.heappush(places, (-place.height, -place.ordinal))
        pending[place].append((first, stop))

    for first, stop, lot in lots:
        follow(lot.cause, first, stop)
    while places:
        height, ordinal = heapq.heappop(places)
        place = Ref(-height, -ordinal)
        event, _ = archive.read(place)
        spans = sorted(pending.pop(place))
        included = moment.includes(place.height, event)
        for move in event.moves:
            if move.batch != batch:
                continue
            for first, stop in _overlaps(spans, move.first, move.first + move.units):
                if not included:
                    if move.to_state == UnitState.FREE:
                        _add(found, move.to_account, first - stop)
                    if move.from_state == UnitState.FREE:
                        _add(found, move.from_account, stop - first)
                if move.cause != place:  # else handed on within the event, which is being looked at
                    follow(move.cause, first, stop)


def _overlaps(spans: list[Span], first: int, stop: int) -> Iterator[Span]:
    """What the ordered spans share with first .. stop."""
    for low, high in islice(spans, max(bisect_right(spans, (first, 0)) - 1, 0), None):
        if low >= stop:
            return
        if high > first:
            yield max(low, first), min(high, stop)


def _add(found: dict[str, int], account: str, units: int) -> None:
    found[account] = found.get(account, 0) + units


# -- extents


def sum_unseen(view: Reads, moment: Moment, batch: str = "") -> Iterator[tuple[str, int]]:
    """By batch, the positions of its extent that nobody had shown; of one batch or of all."""
    current, extent, shown = "", 0, 0
    for name, grown in scan_extents(view, moment.height, batch):
        if name != current:
            if current:
                yield current, extent - shown
            current, extent, shown = name, 0, 0
        if moment.covers(grown.since_ms):
            extent = grown.extent
            shown += grown.shown
    if current:
        yield current, extent - shown
