"""A second look at every difference: the ledger as it is now, since when, and what explains it.

Lists of many pages are not of one moment. What the ledger no longer shows is dropped, what it changed after the
registry's books were read is told as in flight, and units of other accounts are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from hub.dispatch.memory import Pending
from hub.ledger_client import LedgerRefusal, NotOnLedger
from hub.reconcile.classes import (
    AGREED,
    INSTRUCTED,
    LIVE_HERE,
    USABLE,
    Difference,
    Kind,
    classify,
    describe_free,
    is_unasked_end,
)
from hub.reconcile.join import TWICE, Row, join
from hub.reconcile.rules import is_freed_there
from hub.restrictions import parse_stop
from keeling.units import unassigned_account
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

RESTRICTED_BY: Final = "reconciliation/"


def is_for_difference(restriction: str) -> bool:
    """Whether a restriction of this name was laid because a registry and the ledger differ."""
    return restriction.startswith((RESTRICTED_BY, "discrepancy/")) or parse_stop(restriction) is not None


class Looker(Protocol):
    """What of a ledger client is needed."""

    async def find_lots(self, space: str, first: int, last: int) -> pb.FindLotsResponse: ...

    async def hold(self, hold: bytes) -> pb.HoldInfo: ...


class Looked(NamedTuple):
    """A difference as it is now; `range`: the units by their positions, None where no batch here has them."""

    difference: Difference
    range: op.Range | None
    restricted: bool
    """A reconciliation or an open discrepancy restricts them already."""


class Surroundings(NamedTuple):
    """What differences are explained by."""

    registry: str
    as_of_ms: int
    """When the registry's books were read; what the ledger changed later cannot be in them."""
    ours: frozenset[str]
    """What linked accounts are called."""
    pools: Mapping[str, str]
    """What each linked account of the ledger is called, alone or with those it shares a registry account with."""
    backlog: Mapping[str, Pending]
    """Pending instructions, by hold in hex."""
    unread: bool = False
    """Some rows of the registry's list could not be read: what it does not show may be in them."""


class _Part(NamedTuple):
    row: Row
    range: op.Range
    since_ms: int
    restricted: bool


async def look_again(ledger: Looker, found: Difference, around: Surroundings) -> tuple[list[Looked], int]:
    """What is left of a difference, part by part, and how many of its units agree by now."""
    parts = await _read_parts(ledger, found.space, found.first, found.last, around.pools)
    there = [] if found.there is None else [found.there._replace(first=found.first, last=found.last)]
    by_first = {part.row.first: part for part in parts}
    joined = join(there, sorted(part.row for part in parts), AGREED)
    looked: list[Looked] = []
    agreed = joined.agreed_units
    for segment in joined.segments:
        part = by_first.get(segment.here.first) if segment.here is not None else None
        ranged = None
        if part is not None:
            skipped = segment.first - part.row.first
            ranged = op.Range(batch=part.range.batch, first=part.range.first + skipped, units=segment.units)
        usable = part is not None and part.row.state in USABLE and not part.restricted
        if is_unasked_end(found) and found.confirms and segment.there is not None and usable:
            told: Difference | None = found._replace(first=segment.first, last=segment.last)
        else:
            told = _tell(found, segment.first, segment.last, segment.there, part, around)
        if told is None:
            agreed += segment.units
            continue
        told = told._replace(since_ms=part.since_ms if part is not None else 0)
        told = await _explain(ledger, told, around)
        looked.append(Looked(told, ranged, part is not None and part.restricted))
    return looked, agreed


def _tell(
    found: Difference, first: int, last: int, there: Row | None, part: _Part | None, around: Surroundings
) -> Difference | None:
    """The class of a part with the ledger as it is now; None: it is no difference any more."""
    here = part.row if part is not None else None
    if here is not None and here.account not in around.ours:
        return _tell_foreign(found, first, last, there, here, around)
    kind = classify(there, here, around.ours)
    if kind is None:
        return None
    if kind is Kind.MISSING_HERE and found.kind is Kind.QUANTITY:
        kind = Kind.QUANTITY
    if kind is Kind.MISSING_THERE and around.unread:
        kind = Kind.UNREAD
    confirms = kind is Kind.IN_FLIGHT and found.confirms
    told = Difference(found.space, first, last, kind, there, here, confirms, found.why)
    if is_freed_there(told):
        return told._replace(why="restricted here for a block that the registry no longer shows: lift it if it is over")
    if kind in (Kind.IN_FLIGHT, Kind.OVERLAP) or part is None:
        return told
    if 0 < around.as_of_ms < part.since_ms:
        why = "the ledger changed after the registry's books were read"
        return told._replace(kind=Kind.IN_FLIGHT, why=why)
    return told


def _tell_foreign(
    found: Difference, first: int, last: int, there: Row | None, here: Row, around: Surroundings
) -> Difference | None:
    """Units that are in no linked account of ours here."""
    if there is None:
        return None
    told = Difference(found.space, first, last, Kind.OWNER, there, here)
    if there.state == TWICE:
        return told._replace(kind=Kind.OVERLAP)
    if here.account == unassigned_account(around.registry):
        return told._replace(kind=Kind.MISSING_HERE, why="known here, and claimed by nobody")
    return told


async def _explain(ledger: Looker, told: Difference, around: Surroundings) -> Difference:
    """Age and reason of what is in flight: from the backlog, or from the hold where another hub has it."""
    hold = told.here.reference if told.here is not None else ""
    if told.kind is Kind.OWNER and await _is_where_it_was_to_go(ledger, told, around):
        told = told._replace(kind=Kind.IN_FLIGHT, why="it is where it was to go, and that is not recorded yet")
    if told.kind is not Kind.IN_FLIGHT or not hold:
        return told
    pending = around.backlog.get(hold)
    others = is_unasked_end(told)
    if pending is not None:
        kind = Kind.LATE if pending.late else Kind.IN_FLIGHT
        since = 0 if others else pending.since_ms  # as old as the first run that saw them ended
        return told._replace(kind=kind, since_ms=since, why=told.why or pending.alert or pending.why)
    try:
        info = await ledger.hold(bytes.fromhex(hold))
    except NotOnLedger:
        return told
    since = 0 if others else info.dispatched_ms
    return told._replace(since_ms=since, why=told.why or "another hub has the instruction")


async def _is_where_it_was_to_go(ledger: Looker, told: Difference, around: Surroundings) -> bool:
    """Whether the registry shows units in the account to which their hold moves them, whichever hub instructed it."""
    here, there = told.here, told.there
    if here is None or there is None or here.state != INSTRUCTED or not here.reference:
        return False
    try:
        info = await ledger.hold(bytes.fromhex(here.reference))
    except NotOnLedger:
        return False
    return info.purpose == "FOR_TRANSFER" and there.account == around.pools.get(info.to_account, info.to_account)


async def _read_parts(ledger: Looker, space: str, first: int, last: int, pools: Mapping[str, str]) -> list[_Part]:
    """The lots of a range, cut to it and where restrictions begin and end; halved where they are too many for one
    answer."""
    try:
        found = await ledger.find_lots(space, first, last)
    except NotOnLedger:
        return []
    except LedgerRefusal as error:
        if error.reason != "TOO_MANY_LOTS" or first == last:
            raise
        middle = (first + last) // 2
        below = await _read_parts(ledger, space, first, middle, pools)
        return below + await _read_parts(ledger, space, middle + 1, last, pools)
    return [part for each in found.lots for part in _cut(each, first, last, pools)]


def _cut(found: pb.FoundLot, first: int, last: int, pools: Mapping[str, str]) -> Iterator[_Part]:
    lot = found.lot
    shift = int(lot.first_number) - lot.range.first  # number = position + shift
    low, high = max(int(lot.first_number), first), min(int(lot.last_number), last)
    hold = lot.hold.hex() if any(lot.hold) else ""
    since = found.custody[0].time_ms if found.custody else 0
    laid = [
        (mark.name, mark.range.first + shift, mark.range.first + mark.range.units + shift)
        for mark in found.marks
        if mark.kind == "RESTRICTION"
    ]
    borders = {low, high + 1} | {at for _, *ends in laid for at in ends if low < at <= high}
    for at, stop in pairwise(sorted(borders)):
        names = [name for name, start, end in laid if start <= at and stop <= end]
        live = lot.state in LIVE_HERE
        stopped = any(is_for_difference(name) for name in names)
        state = describe_free(names) if lot.state == "FREE" else lot.state
        row = Row(at, stop - 1, pools.get(lot.account, lot.account), state, hold)
        ranged = op.Range(batch=lot.range.batch, first=at - shift, units=stop - at)
        yield _Part(row, ranged, since, live and stopped)
