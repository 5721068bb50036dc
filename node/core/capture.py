"""`Capture`: a hold becomes what it was placed for, on the ranges that were really used (units and rules §3).

MIRRORED units are captured on the registry's word, which may name other serials than those held: the ledger swaps them
in the same block where it can, else refuses and the hold stays. Placing, dispatching and releasing: `node.core.holds`.
"""

from __future__ import annotations

from collections.abc import Sequence

from keeling.events import EventKind, Move
from keeling.operations import Capture, HoldPurpose, Purposeful
from keeling.reasons import Reason
from keeling.units import NATIVE, UnitState
from node.core.authority import check_attestors, check_participant
from node.core.context import Context
from node.core.ending import describe_purpose, end_units
from node.core.fields import check_evidence, check_ranges, check_when
from node.core.holds import HoldPhase, check_hold_id, check_live, find_hold, keep_hold
from node.core.lots import check_unrestricted, move, move_all, subtract, touch_lots
from node.core.programmes import batches_of
from node.core.records import Account, Hold, Piece
from node.core.refusal import Refused
from node.core.select import find_pieces

_ENDINGS = {
    HoldPurpose.FOR_RETIREMENT: (EventKind.RETIRED, UnitState.RETIRED),
    HoldPurpose.FOR_USE: (EventKind.USED, UnitState.USED),
    HoldPurpose.FOR_CANCELLATION: (EventKind.CANCELLED, UnitState.CANCELLED),
}


def check_capture_fields(op: Capture) -> None:
    check_hold_id(op.hold)
    check_ranges(op.ranges, "ranges")
    check_evidence(op.evidence)
    check_when(op.effective, "effective")


def apply_capture(tx: Context, op: Capture) -> None:
    """The held units go where the hold said, on the ranges that were really used (units and rules §3)."""
    hold = find_hold(tx, op.hold)
    account = tx.account_number(hold.account)
    batches = batches_of(tx, hold.pieces)
    used = find_pieces(tx, op.ranges) or list(hold.pieces)
    _check_capture_authority(tx, op, hold, account)
    check_live(tx, hold, op.hold)
    if hold.to_account:
        tx.account(tx.account_number(hold.to_account).name)
    if hold.registry != NATIVE and hold.phase == HoldPhase.OPEN:
        raise Refused(Reason.HOLD_NOT_INSTRUCTED, f"hold {op.hold.hex()} was not dispatched", hold=op.hold.hex())
    units, left = sum(p.units for p in used), sum(p.units for p in hold.pieces)
    if units > left:
        detail = f"{units} units captured of a hold that has {left}"
        raise Refused(Reason.CAPTURE_EXCEEDS_HOLD, detail, captured=units, held=left)
    classes = {(batch.programme, batch.project, batch.registry) for batch in batches}
    for batch in batches_of(tx, used):
        if (batch.programme, batch.project, batch.registry) not in classes:
            detail = f"{batch.name} is of another project than the held units"
            raise Refused(Reason.DISCREPANCY, detail, batch=batch.name)
    _check_capturable(tx, op.hold, hold, used)
    rest = _swap(tx, op.hold, hold, used)
    reference = op.evidence.reference if op.evidence else ""
    grade = op.evidence.grade if op.evidence else ""
    facts = {"hold": op.hold.hex(), "reference": reference, "grade": grade, "beneficiary": hold.beneficiary.hex()}
    if hold.purpose == HoldPurpose.FOR_TRANSFER:
        cause, moves = tx.next_ref, list[Move]()
        moves += move_all(tx, used, hold.to_account, UnitState.FREE, cause)
        tx.emit(EventKind.CAPTURED, op.hold.hex(), op.effective, moves, facts=facts)
    else:
        kind, state = _ENDINGS[HoldPurpose(hold.purpose)]
        if hold.use is not None:
            facts |= describe_purpose(Purposeful(*hold.use))
        end_units(tx, hold.account, account, used, kind, state, hold.beneficiary, op.effective, facts)
    phase = hold.phase if rest else HoldPhase.CAPTURED
    keep_hold(tx, op.hold, hold._replace(pieces=tuple(rest), captured=hold.captured + units, phase=phase))


def _check_capture_authority(tx: Context, op: Capture, hold: Hold, account: Account) -> None:
    """MIRRORED: the registry's word, from attestors who are no party. NATIVE: whoever placed the hold."""
    if hold.registry == NATIVE:
        check_participant(tx, hold.holder)
        return
    if op.evidence is None or not op.evidence.digest or not op.evidence.reference:
        detail = "a capture carries the digest of the registry's answer and its reference"
        raise Refused(Reason.MISSING_FIELD, detail, field="evidence")
    taker = tx.account_number(hold.to_account).owner if hold.to_account else ""
    policy = tx.registry(hold.registry)
    parties = [name for name in (account.owner, hold.buyer, taker) if name]
    check_attestors(tx, policy, op.evidence.grade, parties, policy.capture_grade)


def _check_capturable(tx: Context, hold_id: bytes, hold: Hold, used: Sequence[Piece]) -> None:
    """Every position is in the account, and FREE or reserved by exactly this hold."""
    for piece in used:
        batch, covered = tx.batch_number(piece.batch), 0
        for first, lot in touch_lots(tx, piece.batch, piece.first, piece.units):
            ours = lot.hold == hold_id and lot.state in (UnitState.HELD, UnitState.INSTRUCTED)
            if lot.account != hold.account or not (ours or lot.state == UnitState.FREE):
                state = UnitState(lot.state).name
                detail = f"the registry used {batch.name} from {batch.base + max(first, piece.first)}, {state} here"
                raise Refused(Reason.DISCREPANCY, detail, batch=batch.name, state=state)
            covered += min(first + lot.units, piece.first + piece.units) - max(first, piece.first)
        if covered != piece.units:
            raise Refused(Reason.UNITS_UNSEEN, f"some units of {batch.name} the registry used were never shown here")
    check_unrestricted(tx, used)


def _swap(tx: Context, hold_id: bytes, hold: Hold, used: Sequence[Piece]) -> list[Piece]:
    """What stays held once `used` are taken: held positions outside `used`, as many as are still reserved.

    Where the registry used free positions instead of held ones, as many held ones become free in the same block.
    """
    outside = [part for piece in hold.pieces for part in subtract(piece, used)]
    swapped = sum(p.units for p in used) - (sum(p.units for p in hold.pieces) - sum(p.units for p in outside))
    rest, moves, cause = list[Piece](), list[Move](), tx.next_ref
    for part in outside:
        freed = min(part.units, swapped)
        swapped -= freed
        if freed:
            moves += move(tx, part._replace(units=freed), hold.account, UnitState.FREE, cause)
        if part.units > freed:
            rest.append(part._replace(first=part.first + freed, units=part.units - freed))
    if moves:
        tx.emit(EventKind.RELEASED, hold_id.hex(), None, moves, facts={"reason": "swapped for the serials used"})
    return rest
