"""The chain of custody: from where units are now, event by event, back to where they were issued.

Every move in an event names the event that had put the units where it took them from, so the chain is walked without
an index. Events come from the archive.
"""

from __future__ import annotations

import heapq
import math
from typing import Final

from keeling.encoding import Ref
from keeling.events import EVENT, NOWHERE, Event, EventKind, Move, decode_event_of
from keeling.reasons import Reason
from keeling.v1 import ledger_pb2 as pb
from node.archive import read_archive
from node.core.records import Batch
from node.indexes import archived_event_bytes
from node.reads.errors import NotKept
from node.reads.messages import convert_event
from node.reads.serials import print_serials
from node.store.contract import Reads

CUSTODY_MAX: Final = 100
"""Events shown of one chain."""
BLOCKS_READ_MAX: Final = 200
"""Blocks read for all chains of one request: a full one takes some milliseconds."""
BLOCKS_KEPT: Final = 8
"""Blocks whose events stay decoded: neighbours in a chain, and chains of neighbouring lots, share them."""


class Archive:
    """Events by place, for one request."""

    def __init__(self, view: Reads, endless: bool = False) -> None:
        """Reads `BLOCKS_READ_MAX` blocks at most, or as many as it takes."""
        self._view = view
        self._blocks: dict[int, tuple[int, list[bytes]]] = {}
        self._left: float = math.inf if endless else BLOCKS_READ_MAX

    def has_room(self, height: int) -> bool:
        """Whether this request may still read the block."""
        return self._left > 0 or height in self._blocks

    def read(self, place: Ref) -> tuple[Event, int]:
        """The event at a place and the ledger time of its block. Raises `NotKept`."""
        time_ms, events = self._block(place.height)
        return EVENT.decode(events[place.ordinal]), time_ms

    def find(self, height: int, kind: EventKind, subject: str) -> pb.Event | None:
        """The last event of a block that is of this kind and subject, without its moves. Raises `NotKept`."""
        time_ms, events = self._block(height)
        for ordinal in range(len(events) - 1, -1, -1):
            event = EVENT.decode(events[ordinal])
            if (event.kind, event.subject) == (kind, subject):
                return convert_event(event._replace(moves=()), Ref(height, ordinal), time_ms)
        return None

    def read_of(self, place: Ref, batch: str, first: int, stop: int) -> tuple[Event, int]:
        """The same without moves that touch no position `first` .. `stop` - 1 of a batch. Raises `NotKept`."""
        time_ms, events = self._block(place.height)
        return decode_event_of(events[place.ordinal], batch, first, stop), time_ms

    def _block(self, height: int) -> tuple[int, list[bytes]]:
        found = self._blocks.pop(height, None)
        if found is None:
            self._left -= 1
            block = read_archive(self._view, height)
            if block is None:
                detail = f"the events of block {height} are not kept here; ask a node that keeps them"
                raise NotKept(Reason.NOT_KEPT, detail, height=height)
            found = block.time_ms, list(archived_event_bytes(block))
        self._blocks[height] = found
        if len(self._blocks) > BLOCKS_KEPT:
            del self._blocks[next(iter(self._blocks))]
        return found


def trace_custody(archive: Archive, batch: Batch, first: int, units: int, cause: Ref) -> tuple[list[pb.Event], bool]:
    """The events that brought these positions where they are, newest first, and whether older ones were left out.

    `cause` is the event that put all of them there. Of each event only the moves of these positions are shown, cut to
    them. Where units came together from different places the chain has branches; each event is shown once. The last is
    the batch's issuance, even where it showed no units itself (AT_LEAST).
    """
    pending: dict[Ref, list[tuple[int, int]]] = {cause: [(first, first + units)]}
    places = [(-cause.height, -cause.ordinal)]
    events: list[pb.Event] = []
    while places:
        if len(events) == CUSTODY_MAX or not archive.has_room(-places[0][0]):
            return events, True
        height, ordinal = heapq.heappop(places)
        place = Ref(-height, -ordinal)
        ranges = pending.pop(place)
        low, stop = min((first for first, _ in ranges), default=0), max((stop for _, stop in ranges), default=0)
        event, time_ms = archive.read_of(place, batch.name, low, stop)
        moves = _moves_of(event, batch.name, ranges)
        for move in moves:
            if move.cause in (NOWHERE, place):
                continue  # issued here, or handed on in the same event, whose moves are shown already
            if move.cause not in pending:
                pending[move.cause] = []
                heapq.heappush(places, (-move.cause.height, -move.cause.ordinal))
            pending[move.cause].append((move.first, move.first + move.units))
        if not places and place > batch.issued:
            pending[batch.issued] = []
            places.append((-batch.issued.height, -batch.issued.ordinal))
        shown = event._replace(moves=tuple(moves))
        events.append(convert_event(shown, place, time_ms, lambda _, at, size: print_serials(batch, at, size)))
    return events, False


def _moves_of(event: Event, batch: str, ranges: list[tuple[int, int]]) -> list[Move]:
    """The event's moves of these (first, stop) ranges, cut to them, in order of position."""
    found: list[Move] = []
    for move in event.moves:
        if move.batch != batch:
            continue
        for first, stop in ranges:
            low, high = max(first, move.first), min(stop, move.first + move.units)
            if low < high:
                found.append(move._replace(first=low, units=high - low))
    return sorted(found, key=lambda move: move.first)
