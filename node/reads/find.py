"""From serial numbers to lots: where a range of a space is now, its marks, and what nobody has shown of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from keeling.reasons import Reason
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.intervals import MarkKind
from node.core.records import Batch, Lot, Mark
from node.core.tables import after
from node.reads.custody import Archive, trace_custody
from node.reads.errors import BadRequest, NotFound
from node.reads.lots import lots_between
from node.reads.messages import convert_lot
from node.reads.view import ReadState
from node.store.contract import Reads

FOUND_MAX: Final = 100
"""Lots one call finds: each comes with its chain of custody."""
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,59}", re.ASCII)


def find_lots(view: Reads, request: pb.FindLotsRequest) -> pb.FindLotsResponse:
    """The lots of a range of serial numbers of a space, first and last number inclusive.

    Raises `NotFound` where no batch of the space has any of the numbers, and `BadRequest` where they are not numbers or
    the range touches more than `FOUND_MAX` lots.
    """
    first, last = _parse_numbers(request)
    state, archive = ReadState(view), Archive(view)
    response = pb.FindLotsResponse(height=state.height)
    at = first
    for number, batch, low, high in _batches_between(state, request.space, first, last):
        _add_unknown(response, at, low - 1)
        at = high + 1
        _add_found(state, archive, response, number, batch, low - batch.base, high - low + 1)
    if at == first:
        detail = f"no batch here has numbers of {first}..{last} in the space {request.space!r}"
        raise NotFound(Reason.SERIALS_NOT_FOUND, detail, space=request.space)
    _add_unknown(response, at, last)
    return response


def _parse_numbers(request: pb.FindLotsRequest) -> tuple[int, int]:
    for field in ("first_number", "last_number"):
        text = getattr(request, field)
        if not _DECIMAL.fullmatch(text):
            raise BadRequest(Reason.BAD_FIELD, f"{field} {text[:70]!r} is not a decimal number", field=field)
    first, last = int(request.first_number), int(request.last_number)
    if last < first:
        raise BadRequest(Reason.BAD_FIELD, f"the range ends at {last}, before its start {first}", field="last_number")
    return first, last


def _batches_between(state: ReadState, space: str, first: int, last: int) -> list[tuple[int, Batch, int, int]]:
    """The batches whose extents share a number with the range, in order, each with the first and last shared one."""
    found: list[tuple[int, Batch, int, int]] = []
    for key, row in state.scan_keys(t.SPACES, t.SPACES.key(space), t.SPACES.key(space, last + 1), reverse=True):
        if row.last < first:
            break
        if len(found) == FOUND_MAX:
            raise _too_many(first, last)
        start = t.SPACES.parts(key)[1]
        found.append((row.batch, state.batch(row.batch), max(start, first), min(row.last, last)))
    return found[::-1]


def _too_many(first: int, last: int) -> BadRequest:
    detail = f"{first}..{last} touches more than {FOUND_MAX} lots; ask for a part of it, or list the batch's lots"
    return BadRequest(Reason.TOO_MANY_LOTS, detail, limit=FOUND_MAX)


def _add_unknown(response: pb.FindLotsResponse, first: int, last: int) -> None:
    if first <= last:
        response.unknown.add(first_number=str(first), last_number=str(last))


def _add_found(
    state: ReadState, archive: Archive, response: pb.FindLotsResponse, number: int, batch: Batch, first: int, units: int
) -> None:
    """The lots and unseen ranges of one batch between two positions."""
    at, stop = first, first + units
    for start, lot in lots_between(state, number, first, units, FOUND_MAX + 1):
        if len(response.lots) == FOUND_MAX:
            raise _too_many(batch.base + first, batch.base + stop - 1)
        if start > at:
            response.unseen.append(op.Range(batch=batch.name, first=at, units=start - at))
        at = min(start + lot.units, stop)
        part = max(start, first)
        response.lots.append(_describe_lot(state, archive, number, batch, start, lot, part, at - part))
    if at < stop:
        response.unseen.append(op.Range(batch=batch.name, first=at, units=stop - at))


def _describe_lot(
    state: ReadState, archive: Archive, number: int, batch: Batch, start: int, lot: Lot, first: int, units: int
) -> pb.FoundLot:
    """The whole lot, with marks and custody of the part asked for."""
    found = pb.FoundLot(
        lot=convert_lot(batch, start, lot, state.account(lot.account).name), batch_registry=batch.registry
    )
    for kind, name, at, mark in marks_on(state, number, first, units):
        found.marks.add(
            kind=MarkKind(kind).name,
            name=name,
            value=mark.value,
            range=op.Range(batch=batch.name, first=at, units=mark.units),
        )
    events, cut = trace_custody(archive, batch, first, units, lot.cause)
    found.custody.extend(events)
    found.custody_cut = cut
    return found


def marks_on(state: ReadState, batch: int, first: int, units: int) -> Iterator[tuple[int, str, int, Mark]]:
    """Every mark that shares a position with the range: (kind, name, first position, mark), by kind and name.

    Marks of one kind and name do not overlap, so that each name costs two look-ups and what is found, however many
    marks the batch has.
    """
    at, end = t.MARKS.key(batch), after(t.MARKS.key(batch))
    while found := next(state.scan_keys(t.MARKS, at, end, most=1), None):
        _, kind, name, _ = t.MARKS.parts(found[0])
        low, high = t.MARKS.key(batch, kind, name), t.MARKS.key(batch, kind, name, first + units)
        touching: list[tuple[int, Mark]] = []
        for key, mark in state.scan_keys(t.MARKS, low, high, reverse=True):
            start = t.MARKS.parts(key)[3]
            if start + mark.units <= first:
                break
            touching.append((start, mark))
        yield from ((kind, name, start, mark) for start, mark in reversed(touching))
        at = after(low)
