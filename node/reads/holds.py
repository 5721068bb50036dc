"""Holds: one by its id, and those of an account in pages."""

from __future__ import annotations

from keeling.operations import HoldPurpose
from keeling.reasons import Reason
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.holds import LIVE, HoldPhase
from node.core.records import NO_HOLD, Hold
from node.core.tables import after
from node.indexes import hold_key
from node.reads.errors import BadRequest, NotFound
from node.reads.messages import convert_place
from node.reads.pages import LOOKED_AT_MAX, Page, open_page, read_rows
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
        rows, last = _holds_of(state, request.account, request.open_only, page)
    else:
        keep = (lambda _, hold: hold.phase in LIVE) if request.open_only else None
        found, last = read_rows(state, t.HOLDS, [t.HOLDS.key()], page, keep)
        rows = [(t.HOLDS.parts(key)[0], hold) for key, hold in found]
    response.holds.extend(convert_hold(state, hold_id, hold) for hold_id, hold in rows)
    response.next_page_token = page.token(last)
    return response


def _holds_of(
    state: ReadState, account: str, open_only: bool, page: Page
) -> tuple[list[tuple[bytes, Hold]], bytes | None]:
    """A page of one account's holds: their ids from the index, the holds in one read."""
    prefix = hold_key(account)
    low = max(prefix, page.after + b"\0" if page.after else b"")
    most = LOOKED_AT_MAX if open_only else page.size + 1
    keys = [key for key, _ in state.view.scan(Family.INDEX, low, after(prefix), limit=most)]
    ids = [key[len(prefix) :] for key in keys]
    state.prefetch(t.HOLDS, [t.HOLDS.key(hold_id) for hold_id in ids])
    rows: list[tuple[bytes, Hold]] = []
    last = b""
    for key, hold_id in zip(keys, ids, strict=True):
        if len(rows) == page.size:
            return rows, last
        last = key
        hold = state.get(t.HOLDS, hold_id)
        if hold is not None and (not open_only or hold.phase in LIVE):
            rows.append((hold_id, hold))
    return rows, last if len(keys) == most and open_only else None


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
