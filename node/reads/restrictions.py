"""When restrictions began and ended: of one by its name, and of all that are called alike."""

from __future__ import annotations

from keeling.reasons import Reason
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.indexes import Change, scan_restrictions_placed
from node.reads.errors import NotFound
from node.reads.view import ReadState
from node.store.contract import Reads


def get_restriction(view: Reads, request: pb.GetRestrictionRequest) -> pb.RestrictionHistory:
    """The history of one restriction on one batch: reads all that ever restricted the batch. Raises `NotFound`."""
    state = ReadState(view)
    _, batch = state.batch_named(request.batch)
    history = pb.RestrictionHistory(height=state.height)
    for height, change in scan_restrictions_placed(view, batch.name, state.height):
        if change.restriction == request.restriction and change.change != Change.RENUMBERED:
            units = op.Range(batch=batch.name, first=change.first, units=change.units)
            history.changes.add(height=height, began=change.change == Change.BEGUN, range=units)
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
