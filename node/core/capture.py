"""`Capture`: a hold becomes what it was placed for, on the ranges that were really used (units and rules §3).

MIRRORED units are captured on the registry's word, which may name other serials than those held, free ones or those of
another hold: the ledger swaps them in the same block where it can (decision 12), else refuses and the hold stays. How
holds are placed, dispatched and released is in `node.core.holds`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

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

SWAPPED: Final = "swapped for the serials used"
_Reserved = dict[bytes, list[Piece]]
"""Positions by the hold that reserves them, in the order in which they were used."""


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
    reserved = _check_capturable(tx, op.hold, hold, used)
    rest = _swap(tx, op.hold, hold, used, reserved)
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


def _check_capturable(tx: Context, hold_id: bytes, hold: Hold, used: Sequence[Piece]) -> _Reserved:
    """Every position is in the account, and FREE or reserved; returns what of them other holds reserve.

    Units of another hold are taken on a registry's word alone: a holder of NATIVE units chooses them, and has its own.
    """
    reserved: _Reserved = {}
    for piece in used:
        batch, covered = tx.batch_number(piece.batch), 0
        for first, lot in touch_lots(tx, piece.batch, piece.first, piece.units):
            start, stop = max(first, piece.first), min(first + lot.units, piece.first + piece.units)
            held = lot.state in (UnitState.HELD, UnitState.INSTRUCTED)
            ours = held and (lot.hold == hold_id or hold.registry != NATIVE)
            if lot.account != hold.account or not (ours or lot.state == UnitState.FREE):
                state = UnitState(lot.state).name
                detail = f"the registry used {batch.name} from {batch.base + start}, {state} here"
                raise Refused(Reason.DISCREPANCY, detail, batch=batch.name, state=state)
            if held and lot.hold != hold_id:
                reserved.setdefault(lot.hold, []).append(Piece(piece.batch, start, stop - start))
            covered += stop - start
        if covered != piece.units:
            raise Refused(Reason.UNITS_UNSEEN, f"some units of {batch.name} the registry used were never shown here")
    check_unrestricted(tx, used)
    return reserved


def _exchange(
    tx: Context, hold_id: bytes, account: int, reserved: _Reserved, outside: Sequence[Piece]
) -> tuple[list[Piece], int]:
    """Give every hold whose units the registry used as many of `outside`, of the same batch; returns what is left of
    `outside`, and how many units were given. Whoever reserved units has as many as before, in the same state.
    """
    spare: dict[int, deque[Piece]] = {}
    for part in outside:
        spare.setdefault(part.batch, deque()).append(part)
    given_units = 0
    for other_id, taken in reserved.items():
        other = find_hold(tx, other_id)
        given = [part for piece in taken for part in _take(tx, spare, piece, other_id)]
        state = UnitState.INSTRUCTED if other.phase == HoldPhase.INSTRUCTED else UnitState.HELD
        moves = move_all(tx, given, account, state, tx.next_ref, other_id)
        kept = [part for piece in other.pieces for part in subtract(piece, sorted(taken))]
        keep_hold(tx, other_id, other._replace(pieces=tuple(sorted(kept + given))))
        facts = {"account": tx.account_name(account), "reason": f"{SWAPPED} by hold {hold_id.hex()}"}
        tx.emit(EventKind.HELD, other_id.hex(), None, moves, facts=facts)
        given_units += sum(piece.units for piece in given)
    return [part for parts in spare.values() for part in parts], given_units


def _take(tx: Context, spare: dict[int, deque[Piece]], used: Piece, other_id: bytes) -> list[Piece]:
    """The first spare units of the batch, as many as were used; refuses where there are too few."""
    parts, found, units = spare.get(used.batch, deque()), list[Piece](), used.units
    while units:
        if not parts:
            batch = tx.batch_number(used.batch)
            detail = (
                f"the registry used {batch.name} from {batch.base + used.first}, reserved by hold {other_id.hex()}, "
            )
            detail += "and too few units of the batch are left to give for them"
            raise Refused(Reason.DISCREPANCY, detail, batch=batch.name, hold=other_id.hex())
        part = parts.popleft()
        size = min(part.units, units)
        found.append(part._replace(units=size))
        units -= size
        if size < part.units:
            parts.appendleft(part._replace(first=part.first + size, units=part.units - size))
    return found


def _swap(tx: Context, hold_id: bytes, hold: Hold, used: Sequence[Piece], reserved: _Reserved) -> list[Piece]:
    """What stays held once `used` are taken: held positions outside `used`, as many as are still reserved.

    Where the registry used free positions instead of held ones, as many held ones become free in the same block; where
    it used those of other holds, as many go to these.
    """
    outside = [part for piece in hold.pieces for part in subtract(piece, used)]
    swapped = sum(p.units for p in used) - (sum(p.units for p in hold.pieces) - sum(p.units for p in outside))
    outside, given = _exchange(tx, hold_id, hold.account, reserved, outside)
    swapped -= given
    rest, moves, cause = list[Piece](), list[Move](), tx.next_ref
    for part in outside:
        freed = min(part.units, swapped)
        swapped -= freed
        if freed:
            moves += move(tx, part._replace(units=freed), hold.account, UnitState.FREE, cause)
        if part.units > freed:
            rest.append(part._replace(first=part.first + freed, units=part.units - freed))
    if moves:
        tx.emit(EventKind.RELEASED, hold_id.hex(), None, moves, facts={"reason": SWAPPED})
    return rest
