"""The ends of units: `Retire`, `Use`, `Cancel`, `Buffer`, and `Reverse`, the only way back (guarantee G2).

MIRRORED units do not end here on their owner's word: they are held, dispatched and captured. `end_units` is shared with
captures.
"""

from __future__ import annotations

from collections.abc import Sequence

from keeling.encoding import Ref
from keeling.events import EventKind, Move
from keeling.operations import (
    Buffer,
    BufferAction,
    Cancel,
    CancelKind,
    Purposeful,
    PurposefulKind,
    Retire,
    Reverse,
    Selection,
    Use,
    When,
)
from keeling.reasons import Reason
from keeling.units import TERMINAL, UnitState
from node.core import tables as t
from node.core.authority import check_attestors, check_electorate, check_owner, check_registry
from node.core.context import Context
from node.core.lots import check_unrestricted, find_lots, move
from node.core.programmes import batches_of, check_end
from node.core.records import Account, Claim, Piece
from node.core.refusal import Refused
from node.core.select import NO_SELECTION, check_selection, choose


def check_retire_fields(op: Retire) -> None:
    check_selection(op.selection)


def check_use_fields(op: Use) -> None:
    check_selection(op.selection)
    check_purpose(op.use)


def check_purpose(use: Purposeful | None) -> None:
    if use is None or use.kind not in (PurposefulKind.NDC, PurposefulKind.OIMP, PurposefulKind.COMPLIANCE):
        raise Refused(Reason.MISSING_FIELD, "a use is for NDC, OIMP or COMPLIANCE", field="use.kind")
    if use.kind == PurposefulKind.NDC and not use.year:
        raise Refused(Reason.MISSING_FIELD, "a use towards an NDC names its year", field="use.year")
    if use.kind == PurposefulKind.COMPLIANCE and not (use.scheme and use.year):
        raise Refused(Reason.MISSING_FIELD, "a compliance use names scheme and year", field="use.scheme")


def check_cancel_fields(op: Cancel) -> None:
    check_selection(op.selection)
    if op.kind not in list(CancelKind) or op.kind == CancelKind.KIND_UNSPECIFIED:
        raise Refused(Reason.MISSING_FIELD, "a cancellation says its kind", field="kind")


def apply_retire(tx: Context, op: Retire) -> None:
    """NATIVE units are retired for a beneficiary."""
    facts = {"reason": op.reason, "beneficiary": op.beneficiary.hex()}
    _end_own(
        tx, op, op.account, op.selection, EventKind.RETIRED, UnitState.RETIRED, op.beneficiary, op.effective, facts
    )


def apply_use(tx: Context, op: Use) -> None:
    """NATIVE units are used towards an NDC, another mitigation purpose or a compliance obligation."""
    use = op.use or Purposeful()
    facts = describe_purpose(use)
    _end_own(tx, op, op.account, op.selection, EventKind.USED, UnitState.USED, b"", op.effective, facts)


def describe_purpose(use: Purposeful) -> dict[str, str]:
    """The facts of a use as events carry them."""
    year = str(use.year) if use.year else ""
    return {"use": PurposefulKind(use.kind).name, "year": year, "scheme": use.scheme, "entity": use.entity}


def apply_cancel(tx: Context, op: Cancel) -> None:
    """NATIVE units are cancelled."""
    facts = {"kind": CancelKind(op.kind).name, "reason": op.reason}
    state = UnitState.CANCELLED
    _end_own(tx, op, op.account, op.selection, EventKind.CANCELLED, state, b"", op.effective, facts)


def _end_own(
    tx: Context,
    op: Retire | Use | Cancel,
    name: str,
    selection: Selection | None,
    kind: EventKind,
    state: UnitState,
    beneficiary: bytes,
    effective: When | None,
    facts: dict[str, str],
) -> None:
    number, account = tx.account(name)
    wanted = selection or NO_SELECTION
    check_owner(tx, account, op, wanted.units or sum(item.units for item in wanted.ranges))
    pieces = choose(tx, number, account, wanted)
    check_end(tx, batches_of(tx, pieces), account)
    end_units(tx, number, account, pieces, kind, state, beneficiary, effective, facts)


def end_units(
    tx: Context,
    number: int,
    account: Account,
    pieces: Sequence[Piece],
    kind: EventKind,
    state: UnitState,
    beneficiary: bytes,
    effective: When | None,
    facts: dict[str, str],
) -> Ref:
    """Move the pieces into a terminal state and record the claim that is made on them."""
    cause, moves = tx.next_ref, list[Move]()
    for piece in pieces:
        moves += move(tx, piece, number, state, cause)
    ended_ms = effective.ms if effective else tx.time_ms
    claim = Claim(number, state, tuple(pieces), beneficiary, ended_ms, ())
    tx.state.put(t.CLAIMS, claim, cause.height, cause.ordinal)
    return tx.emit(kind, account.name, effective, moves, facts=facts)


# -- buffer


def check_buffer_fields(op: Buffer) -> None:
    check_selection(op.selection)
    if op.action not in (BufferAction.DEPOSIT, BufferAction.WITHDRAW, BufferAction.COMPENSATE):
        raise Refused(Reason.MISSING_FIELD, "a buffer operation says its action", field="action")
    if op.action != BufferAction.DEPOSIT and not (op.selection and op.selection.ranges):
        raise Refused(Reason.MISSING_FIELD, "name the ranges in the buffer", field="selection.ranges")


def apply_buffer(tx: Context, op: Buffer) -> None:
    """The registry puts units into its buffer, takes them out, or cancels them for a reversal."""
    number, account = tx.account(op.account)
    selection = op.selection or NO_SELECTION
    if op.action == BufferAction.DEPOSIT:
        pieces = choose(tx, number, account, selection)
        target = UnitState.BUFFER
    else:
        pieces = sorted(Piece(tx.batch(item.batch)[0], item.first, item.units) for item in selection.ranges)
        target = UnitState.FREE if op.action == BufferAction.WITHDRAW else UnitState.CANCELLED
    for batch in batches_of(tx, pieces):
        programme = tx.programme(batch.programme)
        check_registry(tx, programme.registry if batch.native else batch.registry)
    cause, moves = tx.next_ref, list[Move]()
    for piece in pieces:
        if op.action != BufferAction.DEPOSIT:
            _check_in_state(tx, number, account, piece, UnitState.BUFFER)
        moves += move(tx, piece, number, target, cause)
    tx.emit(EventKind.BUFFERED, account.name, None, moves, facts={"action": BufferAction(op.action).name})


def _check_in_state(tx: Context, number: int, account: Account, piece: Piece, state: UnitState) -> None:
    batch = tx.batch_number(piece.batch)
    found = find_lots(tx.state, piece.batch, piece.first, piece.units)
    here = sum(
        min(first + lot.units, piece.first + piece.units) - max(first, piece.first)
        for first, lot in found
        if lot.account == number and lot.state == state
    )
    if here != piece.units:
        detail = f"{here} of {piece.units} units of {batch.name} are {state.name} in {account.name}"
        raise Refused(Reason.UNITS_NOT_FREE, detail, batch=batch.name, state=state.name)
    check_unrestricted(tx, piece, batch)


# -- reversal


def check_reverse_fields(op: Reverse) -> None:
    if not op.height:
        raise Refused(Reason.MISSING_FIELD, "name the event that ended the units", field="height")
    if not op.reason or op.evidence is None or not op.evidence.digest:
        raise Refused(Reason.MISSING_FIELD, "a reversal gives its reason and evidence", field="reason, evidence")


def apply_reverse(tx: Context, op: Reverse) -> None:
    """On the registry's own word, units that ended are free again; the claim made on them is marked withdrawn."""
    claim = tx.state.get(t.CLAIMS, op.height, op.ordinal)
    if claim is None:
        raise Refused(Reason.EVENT_NOT_FOUND, f"no event {op.height}.{op.ordinal} ended units here")
    account = tx.account_number(claim.account)
    pieces = _pieces_to_reverse(tx, op, claim)
    for batch in batches_of(tx, pieces):
        if batch.native:
            check_electorate(tx)
        else:
            grade = op.evidence.grade if op.evidence else ""
            policy = tx.registry(batch.registry)
            check_attestors(tx, policy, grade, (account.owner,), policy.capture_grade)
        window = tx.programme(batch.programme).reversal_window_ms
        if window and tx.time_ms > claim.ended_ms + window:
            detail = f"the window of {batch.programme} ended {claim.ended_ms + window}"
            raise Refused(Reason.OUTSIDE_REVERSAL_WINDOW, detail, programme=batch.programme)
    cause, moves = tx.next_ref, list[Move]()
    for piece in pieces:
        moves += move(tx, piece, claim.account, UnitState.FREE, cause)
    withdrawn = tuple(sorted((*claim.withdrawn, *pieces)))
    tx.state.put(t.CLAIMS, claim._replace(withdrawn=withdrawn), op.height, op.ordinal)
    reference = op.evidence.reference if op.evidence else ""
    original = f"{op.height}.{op.ordinal}"
    facts = {"reverses": original, "reason": op.reason, "reference": reference}
    tx.emit(EventKind.REVERSED, account.name, op.effective, moves, facts=facts)


def _pieces_to_reverse(tx: Context, op: Reverse, claim: Claim) -> list[Piece]:
    """The named ranges, or all that still stands; each position must have been ended by exactly this event."""
    if op.ranges:
        pieces = sorted(Piece(tx.batch(item.batch)[0], item.first, item.units) for item in op.ranges)
    else:
        pieces = [piece for piece in claim.pieces if piece not in claim.withdrawn]
        if not pieces:
            raise Refused(Reason.ALREADY_REVERSED, f"event {op.height}.{op.ordinal} was reversed before")
    for piece in pieces:
        for _, lot in find_lots(tx.state, piece.batch, piece.first, piece.units):
            if (lot.height, lot.ordinal) != (op.height, op.ordinal) or lot.state not in TERMINAL:
                detail = f"event {op.height}.{op.ordinal} did not end all of {tx.batch_number(piece.batch).name}"
                raise Refused(Reason.NOT_REVERSIBLE, f"{detail} that is named")
    return pieces
