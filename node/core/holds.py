"""Holds: a reservation is OPEN until captured, released or expired; once instructed no clock ends it (guarantee G3).

`Dispatch` makes the ledger the outbox: it is final before the first byte leaves for a registry. Expiry is a sweep at
the start of a block. How a hold is captured is in `node.core.capture`.
"""

from __future__ import annotations

from enum import IntEnum

from keeling.bundle_parts import format_time
from keeling.events import EventKind, Move
from keeling.operations import (
    NUMBERS,
    Cancel,
    Dispatch,
    HoldPurpose,
    Release,
    Retire,
    Transfer,
    Use,
)
from keeling.operations import Hold as PlaceHold
from keeling.reasons import Reason
from keeling.units import NATIVE, Purpose, UnitState
from node.core import tables as t
from node.core.authority import check_attestors, check_incoming, check_mandate, check_owner, check_participant
from node.core.context import Context
from node.core.ending import check_purpose
from node.core.fields import check_evidence, check_instant, check_length
from node.core.lots import check_unrestricted, move, move_all
from node.core.programmes import (
    batches_of,
    check_link_works,
    check_retirable,
    check_transfer,
    check_transfer_rule,
    find_link,
)
from node.core.records import NO_HOLD, Account, Hold, Piece
from node.core.records import Use as UseRecord
from node.core.refusal import Refused
from node.core.select import NO_SELECTION, check_selection, choose, count_asked, find_programmes


class HoldPhase(IntEnum):
    """Where a hold is in its two lives (units and rules §3)."""

    OPEN = 1
    INSTRUCTED = 2
    CAPTURED = 3
    RELEASED = 4
    EXPIRED = 5


LIVE = (HoldPhase.OPEN, HoldPhase.INSTRUCTED)
_LEADS_TO = {
    HoldPurpose.FOR_TRANSFER: NUMBERS[Transfer],
    HoldPurpose.FOR_RETIREMENT: NUMBERS[Retire],
    HoldPurpose.FOR_USE: NUMBERS[Use],
    HoldPurpose.FOR_CANCELLATION: NUMBERS[Cancel],
}
"""A hold needs the approvals of what it will become: nobody looks at them again when it is captured."""


def check_hold_id(hold: bytes) -> None:
    if len(hold) != 16 or hold == NO_HOLD:
        raise Refused(Reason.BAD_FIELD, "a hold's id has 16 bytes, not all zero", field="hold")


def check_hold_fields(op: PlaceHold) -> None:
    check_hold_id(op.hold)
    check_selection(op.selection)
    if op.purpose not in list(HoldPurpose) or op.purpose == HoldPurpose.PURPOSE_UNSPECIFIED:
        raise Refused(Reason.MISSING_FIELD, "a hold says its purpose", field="purpose")
    if op.expires_ms <= 0:
        raise Refused(Reason.MISSING_FIELD, "a hold says when it expires", field="expires_ms")
    check_instant(op.expires_ms, "expires_ms")
    if op.purpose == HoldPurpose.FOR_TRANSFER and not op.to_account:
        raise Refused(Reason.MISSING_FIELD, "a hold for a transfer says to which account", field="to_account")
    if op.purpose != HoldPurpose.FOR_TRANSFER and op.to_account:
        raise Refused(Reason.BAD_FIELD, "only a hold for a transfer has a taker", field="to_account")
    if op.to_account and op.to_account == op.account:
        raise Refused(Reason.ACCOUNTS_MUST_DIFFER, f"a hold for a transfer from {op.account} to itself")
    if op.purpose == HoldPurpose.FOR_USE:
        check_purpose(op.use)
    if len(op.beneficiary) not in (0, 32):
        raise Refused(Reason.BAD_FIELD, "a beneficiary is a salted SHA-256: 32 bytes", field="beneficiary")


def apply_hold(tx: Context, op: PlaceHold) -> None:
    """Reserve units: from this height on nobody else can have them."""
    number, account = tx.account(op.account)
    if tx.state.get(t.HOLDS, op.hold) is not None:
        raise Refused(Reason.HOLD_EXISTS, f"hold {op.hold.hex()} exists", hold=op.hold.hex())
    taker = tx.account(op.to_account) if op.to_account else None
    if op.buyer:
        tx.member(op.buyer)
    selection = op.selection or NO_SELECTION
    asked, programmes = count_asked(selection), find_programmes(tx, selection)
    if op.mandate:
        check_mandate(tx, number, account, op, asked, op.mandate, programmes)
    else:
        check_owner(tx, account, op, asked, (_LEADS_TO[HoldPurpose(op.purpose)],))
    if taker is not None:
        check_incoming(tx, account, taker[1])
    if op.expires_ms <= tx.time_ms:
        detail = f"the expiry {format_time(op.expires_ms)} is not after {format_time(tx.time_ms)}"
        raise Refused(Reason.HOLD_EXPIRED, detail)
    pieces = choose(tx, number, account, selection)
    registry = _check_holdable(tx, op, account, taker[1] if taker else None, pieces)
    cause, moves = tx.next_ref, list[Move]()
    moves += move_all(tx, pieces, number, UnitState.HELD, cause, op.hold)
    use = None if op.use is None else UseRecord(op.use.kind, op.use.year, op.use.scheme, op.use.entity)
    hold = Hold(
        account=number,
        registry=registry,
        holder=tx.participant,
        buyer=op.buyer,
        purpose=op.purpose,
        phase=HoldPhase.OPEN,
        pieces=tuple(pieces),
        units=asked,
        captured=0,
        released=0,
        expires_ms=op.expires_ms,
        to_account=taker[0] if taker else 0,
        beneficiary=op.beneficiary,
        use=use,
        attempt=0,
        instruction=b"",
        dispatched_ms=0,
        hub="",
        mandate=op.mandate,
        opened=cause,
    )
    tx.state.put(t.HOLDS, hold, op.hold)
    tx.state.put(t.EXPIRIES, b"", op.expires_ms, op.hold)
    facts = {"account": account.name, "purpose": HoldPurpose(op.purpose).name, "expires_ms": op.expires_ms}
    tx.emit(EventKind.HELD, op.hold.hex(), None, moves, facts=facts)


def _check_holdable(tx: Context, op: PlaceHold, account: Account, taker: Account | None, pieces: list[Piece]) -> str:
    """What the units' programmes and registry let this hold become; returns the one registry of record."""
    batches = batches_of(tx, pieces)
    registries = sorted({batch.registry for batch in batches})
    if len(registries) > 1:
        detail = f"one hold is for one registry; these units are of {' and '.join(registries)}"
        raise Refused(Reason.BAD_FIELD, detail, field="selection")
    for batch in batches:
        if not batch.native:
            check_link_works(tx, account, find_link(account, batch.registry))
            if taker is not None:
                find_link(taker, batch.registry)
    for batch in batches:
        if taker is None:
            check_retirable(tx, batch)
        elif batch.native:
            check_transfer(tx, batch, account, taker, op.hold.hex())
        else:
            check_transfer_rule(tx, batch, account, taker, op.hold.hex())
    return registries[0]


# -- dispatch


def check_dispatch_fields(op: Dispatch) -> None:
    check_hold_id(op.hold)
    if not op.attempt:
        raise Refused(Reason.MISSING_FIELD, "attempts count from 1", field="attempt")
    if len(op.instruction) != 32:
        raise Refused(Reason.BAD_FIELD, "instruction is the SHA-256 of what will be sent", field="instruction")
    if op.attempt > 1 and len(op.lookup) != 32:
        detail = "a further attempt needs the SHA-256 of the look-up that found nothing"
        raise Refused(Reason.MISSING_FIELD, detail, field="lookup")


def find_hold(tx: Context, hold_id: bytes) -> Hold:
    hold = tx.state.get(t.HOLDS, hold_id)
    if hold is None:
        raise Refused(Reason.HOLD_NOT_FOUND, f"no hold {hold_id.hex()}", hold=hold_id.hex())
    return hold


def check_live(tx: Context, hold: Hold, hold_id: bytes) -> None:
    if hold.phase not in LIVE:
        phase = HoldPhase(hold.phase).name
        raise Refused(Reason.HOLD_ENDED, f"hold {hold_id.hex()} is {phase}", hold=hold_id.hex(), phase=phase)
    if hold.phase == HoldPhase.OPEN and tx.time_ms >= hold.expires_ms:
        detail = f"hold {hold_id.hex()} expired at {format_time(hold.expires_ms)}"
        raise Refused(Reason.HOLD_EXPIRED, detail, hold=hold_id.hex())


def apply_dispatch(tx: Context, op: Dispatch) -> None:
    """The hub is about to instruct the registry. The first dispatch of an attempt wins; nobody else may send it."""
    hold = find_hold(tx, op.hold)
    account = tx.account_number(hold.account)
    if hold.registry == NATIVE:
        raise Refused(Reason.BAD_FIELD, "nothing is sent for NATIVE units: capture the hold", field="hold")
    link = find_link(account, hold.registry)
    check_participant(tx, link.hub)
    check_live(tx, hold, op.hold)
    if op.attempt <= hold.attempt:
        detail = f"attempt {op.attempt} was dispatched by {hold.hub}"
        raise Refused(Reason.ATTEMPT_TAKEN, detail, hold=op.hold.hex(), attempt=op.attempt, hub=hold.hub)
    if op.attempt != hold.attempt + 1:
        raise Refused(Reason.BAD_FIELD, f"the next attempt is {hold.attempt + 1}", field="attempt")
    if hold.attempt:
        settled = hold.dispatched_ms + tx.registry(link.registry).settling_ms
        if tx.time_ms < settled:
            detail = f"{link.registry} may still answer attempt {hold.attempt} until {format_time(settled)}"
            raise Refused(Reason.NOT_SETTLED_YET, detail, until_ms=settled)
    check_link_works(tx, account, link)
    check_unrestricted(tx, hold.pieces)
    cause, moves = tx.next_ref, list[Move]()
    if hold.phase == HoldPhase.OPEN:
        moves += move_all(tx, hold.pieces, hold.account, UnitState.INSTRUCTED, cause, op.hold)
        tx.state.delete(t.EXPIRIES, hold.expires_ms, op.hold)
    changed = hold._replace(
        phase=HoldPhase.INSTRUCTED,
        attempt=op.attempt,
        instruction=op.instruction,
        dispatched_ms=tx.time_ms,
        hub=link.hub,
    )
    tx.state.put(t.HOLDS, changed, op.hold)
    facts = {"attempt": op.attempt, "hub": link.hub, "registry": link.registry}
    tx.emit(EventKind.DISPATCHED, op.hold.hex(), None, moves, facts={**facts, "instruction": op.instruction.hex()})


def keep_hold(tx: Context, hold_id: bytes, hold: Hold) -> None:
    """Keep the hold as it is now; one that ended leaves the expiry queue."""
    tx.state.put(t.HOLDS, hold, hold_id)
    if hold.phase not in LIVE:
        tx.state.delete(t.EXPIRIES, hold.expires_ms, hold_id)


# -- release


def check_release_fields(op: Release) -> None:
    check_hold_id(op.hold)
    check_length(op.reason, "reason")
    check_evidence(op.evidence)


def apply_release(tx: Context, op: Release) -> None:
    """Held units are free again. Once instructed, only on the registry's evidence or two operators' word."""
    hold = find_hold(tx, op.hold)
    if hold.phase == HoldPhase.INSTRUCTED:
        _check_release_instructed(tx, op, hold)
    else:
        check_participant(tx, hold.holder)
    check_live(tx, hold, op.hold)
    left = sum(piece.units for piece in hold.pieces)
    wanted = op.units or left
    if wanted > left:
        raise Refused(Reason.CAPTURE_EXCEEDS_HOLD, f"{wanted} units released of {left} held", held=left)
    _release(tx, op.hold, hold, wanted, EventKind.RELEASED, op.reason)


def _check_release_instructed(tx: Context, op: Release, hold: Hold) -> None:
    """Two people of the hub, whatever else their keys may say; or the registry's word, as good as its record asks."""
    evidence = op.evidence
    if evidence is None or not evidence.digest or not op.reason:
        detail = f"hold {op.hold.hex()}: instructed, outcome open since {format_time(hold.dispatched_ms)}"
        raise Refused(Reason.HOLD_INSTRUCTED, detail, hold=op.hold.hex(), since_ms=hold.dispatched_ms)
    people = tx.people(hold.hub, Purpose.APPROVE)
    if len(people) >= 2:
        return
    policy = tx.registry(hold.registry)
    owner = tx.account_number(hold.account).owner
    alone = f"one operator of {hold.hub} has signed; outcome open since {format_time(hold.dispatched_ms)}"
    if any(tx.signed_by(name, Purpose.ATTEST) and name not in (owner, hold.buyer) for name in policy.attestors):
        try:
            check_attestors(tx, policy, evidence.grade, (owner, hold.buyer), policy.capture_grade)
        except Refused as error:
            if not people or error.refusal.reason != Reason.GRADE_TOO_WEAK:
                raise
            detail = f"as the registry's word: {error.refusal.detail}; as operators: {alone}"
            raise Refused(Reason.NEEDS_TWO_OPERATORS, detail, have=1, need=2) from error
        return
    if not people:
        raise Refused(Reason.NOT_PERMITTED, f"neither {hold.registry} nor the hub {hold.hub} has signed", hub=hold.hub)
    raise Refused(Reason.NEEDS_TWO_OPERATORS, alone, have=1, need=2)


def _release(tx: Context, hold_id: bytes, hold: Hold, units: int, kind: EventKind, reason: str) -> None:
    """Free the first `units` held positions; the hold ends when none are left."""
    rest, moves, cause, wanted = list[Piece](), list[Move](), tx.next_ref, units
    for piece in hold.pieces:
        freed = min(piece.units, wanted)
        wanted -= freed
        if freed:
            moves += move(tx, piece._replace(units=freed), hold.account, UnitState.FREE, cause)
        if piece.units > freed:
            rest.append(piece._replace(first=piece.first + freed, units=piece.units - freed))
    ended = HoldPhase.EXPIRED if kind == EventKind.HOLD_EXPIRED else HoldPhase.RELEASED
    phase = hold.phase if rest else (HoldPhase.CAPTURED if hold.captured else ended)
    tx.emit(kind, hold_id.hex(), None, moves, facts={"reason": reason, "units": units})
    keep_hold(tx, hold_id, hold._replace(pieces=tuple(rest), released=hold.released + units, phase=phase))


def expire_holds(tx: Context, most: int) -> None:
    """Release open holds whose time has passed, in (expiry, id) order, `most` at most: the sweep of a block."""
    due: list[bytes] = []
    for key, _ in tx.state.scan(t.EXPIRIES):
        expires_ms, hold_id = t.EXPIRIES.parts(key)
        if expires_ms > tx.time_ms or len(due) >= most:
            break
        due.append(hold_id)
    for hold_id in due:
        hold = find_hold(tx, hold_id)
        _release(tx, hold_id, hold, sum(p.units for p in hold.pieces), EventKind.HOLD_EXPIRED, "expired")
