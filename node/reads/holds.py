"""Holds: one by its id, and those of an account in pages."""

from __future__ import annotations

from keeling.operations import HoldPurpose
from keeling.reasons import Reason
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.holds import HoldPhase
from node.core.records import NO_HOLD, Hold
from node.core.tables import after
from node.held import hold_key, live_key, live_of_key
from node.reads.errors import BadRequest, NotFound
from node.reads.messages import convert_place
from node.reads.pages import Page, open_page, read_rows
from node.reads.view import ReadState
from node.store.contract import Family, Reads


def get_hold(view: Reads, request: pb.GetHoldRequest) -> pb.HoldInfo:
    """A hold by its id, whatever became of it. Raises `NotFound`."""
    state = ReadState(view)
    if len(request.hold) != len(NO_HOLD):
        raise BadRequest(Reason.BAD_FIELD, "a hold's id has 16 bytes", field="hold")
    hold = state.get(t.HOLDS, request.hold)
    if hold is None:
        raise NotFound(Reason.HOLD_NOT_FOUND, f"no hold {request.hold.hex()}", hold=request.hold.hex())
    return convert_hold(state, request.hold, hold)


def list_holds(view: Reads, request: pb.ListRequest) -> pb.ListHoldsResponse:
    """Holds in order of id: of an account or of all, those that still hold units or all. Raises `NotFound`."""
    state = ReadState(view)
    arguments = (request.account, str(request.open_only))
    page = open_page(state.height, request.page_size, request.page_token, "holds", *arguments)
    response = pb.ListHoldsResponse(height=state.height)
    if request.account:
        state.account_named(request.account)
        prefix = live_of_key(request.account) if request.open_only else hold_key(request.account)
        rows, last = _indexed(state, prefix, page)
    elif request.open_only:
        rows, last = _indexed(state, live_key(), page)
    else:
        found, last = read_rows(state, t.HOLDS, [t.HOLDS.key()], page)
        rows = [(t.HOLDS.parts(key)[0], hold) for key, hold in found]
    response.holds.extend(convert_hold(state, hold_id, hold) for hold_id, hold in rows)
    response.next_page_token = page.token(last)
    return response


def _indexed(state: ReadState, prefix: bytes, page: Page) -> tuple[list[tuple[bytes, Hold]], bytes | None]:
    """A page of the holds whose ids follow `prefix` in the index: the ids from there, the holds in one read."""
    low = max(prefix, page.after + b"\0" if page.after else b"")
    keys = [key for key, _ in state.view.scan(Family.INDEX, low, after(prefix), limit=page.size + 1)]
    ids = [key[len(prefix) :] for key in keys[: page.size]]
    state.prefetch(t.HOLDS, [t.HOLDS.key(hold_id) for hold_id in ids])
    rows = [(hold_id, hold) for hold_id in ids if (hold := state.get(t.HOLDS, hold_id)) is not None]
    return rows, keys[page.size - 1] if len(keys) > page.size else None


def convert_hold(state: ReadState, hold_id: bytes, hold: Hold) -> pb.HoldInfo:
    """The hold with names; `ranges` are what it still holds."""
    ranges = [op.Range(batch=state.batch(p.batch).name, first=p.first, units=p.units) for p in hold.pieces]
    use = None if hold.use is None else op.Purposeful(**hold.use._asdict())
    return pb.HoldInfo(
        hold=hold_id,
        account=state.account(hold.account).name,
        holder=hold.holder,
        buyer=hold.buyer,
        purpose=HoldPurpose(hold.purpose).name,
        phase=HoldPhase(hold.phase).name,
        units=hold.units,
        captured=hold.captured,
        released=hold.released,
        ranges=ranges,
        expires_ms=hold.expires_ms,
        to_account=state.account(hold.to_account).name if hold.to_account else "",
        attempt=hold.attempt,
        hub=hold.hub,
        dispatched_ms=hold.dispatched_ms,
        opened=convert_place(hold.opened),
        height=state.height,
        instruction=hold.instruction,
        registry=hold.registry,
        beneficiary=hold.beneficiary,
        use=use,
    )
