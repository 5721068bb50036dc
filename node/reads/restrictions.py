"""What restricts units now, and when restrictions began and ended: of one by its name, and of all called alike."""

from __future__ import annotations

from keeling.reasons import Reason
from keeling.units import UnitState
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.intervals import MarkKind
from node.core.records import Mark
from node.indexes import Change, scan_restrictions_placed
from node.reads.errors import NotFound
from node.reads.lots import lots_between
from node.reads.messages import convert_place
from node.reads.pages import open_page, read_rows
from node.reads.serials import print_serials
from node.reads.view import ReadState
from node.store.contract import Reads


def get_restriction(view: Reads, request: pb.GetRestrictionRequest) -> pb.RestrictionHistory:
    """The history of restrictions on one batch: reads all that ever restricted the batch. Raises `NotFound`."""
    state = ReadState(view)
    _, batch = state.batch_named(request.batch)
    history = pb.RestrictionHistory(height=state.height)
    for height, change in scan_restrictions_placed(view, batch.name, state.height):
        name = change.restriction
        asked = name.startswith(request.restriction) if request.prefix else name == request.restriction
        if asked and change.change != Change.RENUMBERED:
            units = op.Range(batch=batch.name, first=change.first, units=change.units)
            history.changes.add(height=height, began=change.change == Change.BEGUN, range=units, restriction=name)
    if not history.changes:
        detail = f"nothing called {request.restriction!r} ever restricted units of {batch.name}"
        values = {"restriction": request.restriction, "batch": batch.name}
        raise NotFound(Reason.RESTRICTION_NOT_FOUND, detail, **values)
    return history


def read_ends(view: Reads, batch: str, prefix: str, height: int) -> dict[str, int]:
    """By name, the height at which each restriction so called last ended on a batch: reads all of the batch's."""
    return {
        change.restriction: at
        for at, change in scan_restrictions_placed(view, batch, height)
        if change.change == Change.ENDED and change.restriction.startswith(prefix)
    }


def list_restrictions(view: Reads, request: pb.ListRestrictionsRequest) -> pb.ListRestrictionsResponse:
    """What restricts units of an account, cut at its lots. Reads the restrictions of the batches it has units of."""
    state = ReadState(view)
    number, _ = state.account_named(request.account)
    page = open_page(
        state.height, request.page_size, request.page_token, "restrictions", request.account, request.prefix
    )
    held = sorted({t.TOTALS.parts(key)[2] for key, _ in state.scan_prefix(t.TOTALS, number)})
    prefixes = [t.MARKS.key(batch, MarkKind.RESTRICTION) for batch in held if state.batch(batch).restrictions]

    def keep(key: bytes, _: Mark) -> bool:
        return bool(t.MARKS.parts(key)[2].startswith(request.prefix))

    rows, last = read_rows(state, t.MARKS, prefixes, page, keep)
    response = pb.ListRestrictionsResponse(next_page_token=page.token(last), height=state.height)
    for key, mark in rows:
        place, _, name, low = t.MARKS.parts(key)
        batch = state.batch(place)
        for first, lot in lots_between(state, place, low, mark.units):
            if lot.account != number:
                continue
            start = max(first, low)
            units = min(first + lot.units, low + mark.units) - start
            response.restrictions.add(
                restriction=name,
                reason=mark.value,
                range=op.Range(batch=batch.name, first=start, units=units),
                state=UnitState(lot.state).name,
                serials=print_serials(batch, start, units),
                began=convert_place(mark.cause),
            )
    return response
