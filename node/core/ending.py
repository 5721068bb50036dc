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
from keeling.units import UnitState
from node.core import tables as t
from node.core.authority import check_attestors, check_electorate, check_owner, check_registry
from node.core.context import Context
from node.core.fields import check_evidence, check_length, check_ranges, check_text, check_when
from node.core.lots import check_available, check_unrestricted, move, move_all, subtract, touch_lots
from node.core.programmes import batches_of, check_end
from node.core.records import Account, Claim, Piece
from node.core.refusal import Refused
from node.core.select import NO_SELECTION, check_selection, choose, count_asked, find_pieces
from node.core.twins import end_twins


def check_retire_fields(op: Retire) -> None:
    check_selection(op.selection)
    check_beneficiary(op.beneficiary)
    check_length(op.reason, "reason")
    check_when(op.effective, "effective")


def check_beneficiary(beneficiary: bytes) -> None:
    """Who is meant travels outside the ledger; only a salted hash of it is here (guarantee G11)."""
    if len(beneficiary) not in (0, 32):
        raise Refused(Reason.BAD_FIELD, "a beneficiary is a salted SHA-256: 32 bytes", field="beneficiary")


def check_use_fields(op: Use) -> None:
    check_selection(op.selection)
    check_purpose(op.use)
    check_when(op.effective, "effective")


def check_purpose(use: Purposeful | None) -> None:
    if use is None or use.kind not in (PurposefulKind.NDC, PurposefulKind.OIMP, PurposefulKind.COMPLIANCE):
        raise Refused(Reason.MISSING_FIELD, "a use is for NDC, OIMP or COMPLIANCE", field="use.kind")
    if use.kind == PurposefulKind.NDC and not use.year:
        raise Refused(Reason.MISSING_FIELD, "a use towards an NDC names its year", field="use.year")
    if use.kind == PurposefulKind.COMPLIANCE and not (use.scheme and use.year):
        raise Refused(Reason.MISSING_FIELD, "a compliance use names scheme and year", field="use.scheme")
    check_length(use.scheme, "use.scheme")
    check_length(use.entity, "use.entity")


def check_cancel_fields(op: Cancel) -> None:
    check_selection(op.selection)
    if op.kind not in list(CancelKind) or op.kind == CancelKind.KIND_UNSPECIFIED:
        raise Refused(Reason.MISSING_FIELD, "a cancellation says its kind", field="kind")
    check_length(op.reason, "reason")
    check_when(op.effective, "effective")


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
    check_owner(tx, account, op, count_asked(wanted))
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
    moves += move_all(tx, pieces, number, state, cause)
    claim = Claim(number, state, tuple(pieces), beneficiary, tx.time_ms, ())
    tx.state.put(t.CLAIMS, claim, cause.height, cause.ordinal)
    return tx.emit(kind, account.name, effective, moves, facts=facts)


# -- buffer


def check_buffer_fields(op: Buffer) -> None:
    check_selection(op.selection)
    if op.action not in (BufferAction.DEPOSIT, BufferAction.WITHDRAW, BufferAction.COMPENSATE):
        raise Refused(Reason.MISSING_FIELD, "a buffer operation says its action", field="action")
    if op.selection is None or not op.selection.ranges:
        raise Refused(Reason.MISSING_FIELD, "a registry names the ranges it means", field="selection.ranges")
    check_evidence(op.evidence)


def apply_buffer(tx: Context, op: Buffer) -> None:
    """The registry puts units into its buffer, takes them out, or cancels them for a reversal."""
    number, account = tx.account(op.account)
    pieces = find_pieces(tx, (op.selection or NO_SELECTION).ranges)
    for batch in batches_of(tx, pieces):
        programme = tx.programme(batch.programme)
        check_registry(tx, programme.registry if batch.native else batch.registry)
    facts = {"action": BufferAction(op.action).name}
    if op.action == BufferAction.DEPOSIT:
        check_available(tx, number, account.name, pieces)
    else:
        for piece in pieces:
            _check_in_buffer(tx, number, account, piece)
        check_unrestricted(tx, pieces)
    if op.action == BufferAction.COMPENSATE:
        end_units(tx, number, account, pieces, EventKind.BUFFERED, UnitState.CANCELLED, b"", None, facts)
        return
    target = UnitState.BUFFER if op.action == BufferAction.DEPOSIT else UnitState.FREE
    cause, moves = tx.next_ref, list[Move]()
    moves += move_all(tx, pieces, number, target, cause)
    tx.emit(EventKind.BUFFERED, account.name, None, moves, facts=facts)


def _check_in_buffer(tx: Context, number: int, account: Account, piece: Piece) -> None:
    batch = tx.batch_number(piece.batch)
    found = touch_lots(tx, piece.batch, piece.first, piece.units)
    here = sum(
        min(first + lot.units, piece.first + piece.units) - max(first, piece.first)
        for first, lot in found
        if lot.account == number and lot.state == UnitState.BUFFER
    )
    if here != piece.units:
        detail = f"{here} of {piece.units} units of {batch.name} are in the buffer in {account.name}"
        raise Refused(Reason.UNITS_NOT_FREE, detail, batch=batch.name, state=UnitState.BUFFER.name)


# -- reversal


def check_reverse_fields(op: Reverse) -> None:
    if not op.height:
        raise Refused(Reason.MISSING_FIELD, "name the event that ended the units", field="height")
    check_text(op.reason, "reason", "a reversal says why")
    check_evidence(op.evidence, "a reversal")
    check_ranges(op.ranges, "ranges")
    check_when(op.effective, "effective")


def apply_reverse(tx: Context, op: Reverse) -> None:
    """On the registry's own word, units that ended are free again; the claim made on them is marked withdrawn."""
    claim = tx.state.get(t.CLAIMS, op.height, op.ordinal)
    if claim is None:
        raise Refused(Reason.EVENT_NOT_FOUND, f"no event {op.height}.{op.ordinal} ended units here")
    account = tx.account_number(claim.account)
    named = find_pieces(tx, op.ranges)
    batches = batches_of(tx, claim.pieces)
    for batch in batches:
        if batch.native:
            check_electorate(tx)
        else:
            grade = op.evidence.grade if op.evidence else ""
            policy = tx.registry(batch.registry)
            check_attestors(tx, policy, grade, (account.owner,), policy.capture_grade)
    pieces = _pieces_to_reverse(tx, op, claim, named)
    for batch in batches:
        window = tx.programme(batch.programme).reversal_window_ms
        if window and tx.time_ms > claim.ended_ms + window:
            detail = f"the window of {batch.programme} ended {claim.ended_ms + window}"
            raise Refused(Reason.OUTSIDE_REVERSAL_WINDOW, detail, programme=batch.programme)
    lived_as = end_twins(tx, pieces, op, op.evidence)
    cause, moves = tx.next_ref, list[Move]()
    moves += move_all(tx, pieces, claim.account, UnitState.FREE, cause)
    for piece, holder in lived_as:
        moves += move(tx, piece, holder, UnitState.CONVERTED, cause)
    withdrawn = tuple(sorted((*claim.withdrawn, *pieces)))
    tx.state.put(t.CLAIMS, claim._replace(withdrawn=withdrawn), op.height, op.ordinal)
    reference = op.evidence.reference if op.evidence else ""
    original = f"{op.height}.{op.ordinal}"
    facts = {"reverses": original, "reason": op.reason, "reference": reference}
    tx.emit(EventKind.REVERSED, account.name, op.effective, moves, facts=facts)


def _pieces_to_reverse(tx: Context, op: Reverse, claim: Claim, named: list[Piece]) -> list[Piece]:
    """The named ranges, or all that still stands; each position must have been ended by exactly this event."""
    event = f"{op.height}.{op.ordinal}"
    standing = [part for piece in claim.pieces for part in subtract(piece, claim.withdrawn)]
    for piece in named:
        if subtract(piece, sorted(claim.pieces)):
            detail = f"event {event} did not end all of {tx.batch_number(piece.batch).name} that is named"
            raise Refused(Reason.NOT_REVERSIBLE, detail, event=event)
    if not standing or any(subtract(piece, sorted(standing)) for piece in named):
        raise Refused(Reason.ALREADY_REVERSED, f"event {event} was reversed before", event=event)
    return named or standing
