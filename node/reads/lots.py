"""Lots in pages, by account or by batch, and the lots of a range."""

from __future__ import annotations

from collections.abc import Iterator

from keeling.reasons import Reason
from keeling.units import UnitState
from keeling.v1 import ledger_pb2 as pb
from node.core import tables as t
from node.core.records import Lot
from node.indexes import read_last_moved, read_last_touched
from node.reads.errors import BadRequest
from node.reads.messages import convert_lot
from node.reads.pages import Page, open_page, read_rows
from node.reads.view import ReadState
from node.store.contract import Reads

STATES = tuple(state for state in UnitState if state != UnitState.NONE)


def list_lots(view: Reads, request: pb.ListLotsRequest) -> pb.ListLotsResponse:
    """A page of lots of an account (by state, batch, position) or of a batch (by position).

    Reads about as many keys as it gives lots, however many there are. Raises `NotFound`, `BadRequest`.
    """
    state = ReadState(view)
    if not request.account and not request.batch:
        raise BadRequest(Reason.MISSING_FIELD, "name an account, a batch, or both", field="account, batch")
    wanted = parse_state(request.state)
    arguments = (request.account, request.batch, request.state)
    page = open_page(state.height, request.page_size, request.page_token, "lots", *arguments)
    response = pb.ListLotsResponse(height=state.height)
    if request.account:
        found, last = _lots_of_account(state, request, wanted, page)
        changed = read_last_touched(view, request.account)
    else:
        number = state.batch_named(request.batch)[0]
        keep = None if wanted is None else lambda _, lot: lot.state == wanted
        rows, last = read_rows(state, t.LOTS, [t.LOTS.key(number)], page, keep)
        found = [(number, t.LOTS.parts(key)[1], lot) for key, lot in rows]
        changed = read_last_moved(view, request.batch)
    for number, first, lot in found:
        response.lots.append(convert_lot(state.batch(number), first, lot, state.account(lot.account).name))
    response.next_page_token = page.token(last)
    response.changed = changed > page.since
    return response


def parse_state(name: str) -> UnitState | None:
    """The state of this name; None for the empty text. Raises `BadRequest`."""
    if not name:
        return None
    if name not in UnitState.__members__ or name == UnitState.NONE.name:
        detail = f"no units are in state {name!r}; states are {', '.join(state.name for state in STATES)}"
        raise BadRequest(Reason.BAD_FIELD, detail, field="state")
    return UnitState[name]


def _lots_of_account(
    state: ReadState, request: pb.ListLotsRequest, wanted: UnitState | None, page: Page
) -> tuple[list[tuple[int, int, Lot]], bytes | None]:
    account = state.account_named(request.account)[0]
    if request.batch:
        batch = state.batch_named(request.batch)[0]
        states = STATES if wanted is None else (wanted,)
        prefixes = [t.HOLDINGS.key(account, each, batch) for each in states]
    elif wanted is not None:
        prefixes = [t.HOLDINGS.key(account, wanted)]
    else:
        prefixes = [t.HOLDINGS.key(account)]
    rows, last = read_rows(state, t.HOLDINGS, prefixes, page)
    places = [t.HOLDINGS.parts(key) for key, _ in rows]
    reserved = [place for place in places if place[1] in (UnitState.HELD, UnitState.INSTRUCTED)]
    state.prefetch(t.LOTS, [t.LOTS.key(batch, first) for _, _, batch, first in reserved])
    found: list[tuple[int, int, Lot]] = []
    for (_, unit_state, batch, first), (_, holding) in zip(places, rows, strict=True):
        lot = Lot(holding.units, account, unit_state, holding.height, holding.ordinal, bytes(16))
        if unit_state in (UnitState.HELD, UnitState.INSTRUCTED):
            lot = state.get(t.LOTS, batch, first) or lot
        found.append((batch, first, lot))
    return found, last


def lots_between(
    state: ReadState, batch: int, first: int, units: int, most: int | None = None
) -> Iterator[tuple[int, Lot]]:
    """The lots that share a position with the range, in order, with their first positions; at most `most`."""
    low, high = t.LOTS.key(batch, first), t.LOTS.key(batch, first + units)
    given = 0
    for key, lot in state.scan_keys(t.LOTS, t.LOTS.key(batch), low, 1, reverse=True):
        at = t.LOTS.parts(key)[1]
        if at + lot.units > first:
            yield at, lot
            given = 1
    for key, lot in state.scan_keys(t.LOTS, low, high, None if most is None else max(most - given, 0)):
        yield t.LOTS.parts(key)[1], lot
