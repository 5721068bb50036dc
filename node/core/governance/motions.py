"""Motions: governance operations put to the vote on the ledger, approved by one validator after the other.

The same operations may also be approved at once, by approvals that travel with a transaction; a motion is for an
electorate whose people never meet, or that is larger than a transaction has room for. Who has a vote is asked when the
quorum is counted: the validators in force at that moment (protocol review O2).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from keeling.events import EventKind
from keeling.operations import (
    ActivateVersion,
    Admit,
    Approve,
    Propose,
    Replace,
    SetPolicy,
    SetRecord,
    Suspend,
    Transaction,
)
from keeling.policy import quorum
from keeling.reasons import Reason
from keeling.submission import SubmissionError, parse_transaction
from keeling.units import Purpose
from node.core import members
from node.core import tables as t
from node.core.context import Context, Signer
from node.core.fields import check_instant, check_name, check_text
from node.core.governance import membership, versions
from node.core.governance.records import Motion
from node.core.governance.validators import read_validators
from node.core.limits import OPERATIONS_MAX
from node.core.refusal import Refused

MOTION_BYTES_MAX: Final = 64 * 1024
MOTIONS_OPEN_MAX: Final = 64
MOTION_MS_MAX: Final = 35 * 86_400_000
"""The longest a motion may stay open."""

GOVERNED: Final[dict[type, tuple[Callable[[Any], None], Callable[[Context, Any], None]]]] = {
    Admit: (members.check_admit_fields, members.apply_admit),
    Suspend: (membership.check_suspend_fields, membership.apply_suspend),
    Replace: (members.check_replace_fields, members.apply_replace),
    SetPolicy: (membership.check_set_policy_fields, membership.apply_set_policy),
    SetRecord: (members.check_record_fields, members.apply_set_record),
    ActivateVersion: (versions.check_activate_fields, versions.apply_activate),
}
"""What the electorate decides: each operation's static checks and its rule."""


def check_propose_fields(op: Propose) -> None:
    check_name(op.motion, "motion")
    check_text(op.because, "because", "a motion says why")
    check_instant(op.until_ms, "until_ms")
    if len(op.transaction) > MOTION_BYTES_MAX:
        detail = f"the motion has {len(op.transaction)} bytes; {MOTION_BYTES_MAX} are allowed"
        raise Refused(Reason.BAD_FIELD, detail, field="transaction")
    for operation in _read(op.transaction).operations:
        GOVERNED[type(operation)][0](operation)


def _read(raw: bytes) -> Transaction:
    """What a motion asks for; refuses anything but governance operations."""
    try:
        transaction = parse_transaction(raw)
    except SubmissionError as error:
        raise Refused(Reason.BAD_FIELD, str(error), field="transaction") from error
    if transaction[:3] != (b"", "", 0) or not 0 < len(transaction.operations) <= OPERATIONS_MAX:
        detail = f"a motion is a transaction with nothing but 1 to {OPERATIONS_MAX} operations in it"
        raise Refused(Reason.BAD_FIELD, detail, field="transaction")
    for operation in transaction.operations:
        if type(operation) not in GOVERNED:
            detail = f"{type(operation).__name__} is not for the electorate to decide"
            raise Refused(Reason.BAD_FIELD, detail, field="transaction")
    return transaction


def apply_propose(tx: Context, op: Propose) -> None:
    """Open a motion; a validator that opens one has approved it."""
    if tx.state.get(t.MOTIONS, op.motion) is not None:
        raise Refused(Reason.MOTION_EXISTS, f"a motion was called {op.motion}", motion=op.motion)
    voting = _voting(tx)
    if not voting and not tx.signed_by(tx.participant, Purpose.ADMIN):
        detail = "a motion is opened by a governing key of a validator, or by an administrator of a participant"
        raise Refused(Reason.NOT_PERMITTED, detail)
    if not tx.time_ms < op.until_ms <= tx.time_ms + MOTION_MS_MAX:
        detail = f"a motion ends after {tx.time_ms} and within {MOTION_MS_MAX} ms of it, not at {op.until_ms}"
        raise Refused(Reason.MOTION_EXPIRED, detail, until_ms=op.until_ms)
    opened = sum(1 for _, row in tx.state.scan(t.MOTIONS) if not row.decided and tx.time_ms < row.until_ms)
    if opened >= MOTIONS_OPEN_MAX:
        raise Refused(Reason.TOO_MANY_MOTIONS, f"{opened} motions are open", motions=opened)
    digest = sha256(op.transaction).digest()
    motion = Motion(tx.participant, op.transaction, digest, op.because, op.until_ms, tx.next_ref, (), 0)
    names = " ".join(type(operation).__name__ for operation in _read(op.transaction).operations)
    facts = {"because": op.because, "until_ms": op.until_ms, "digest": digest.hex(), "operations": names}
    tx.emit(EventKind.MOTION_OPENED, op.motion, facts=facts)
    tx.state.put(t.MOTIONS, motion, op.motion)
    if voting:
        _approve(tx, op.motion, motion, voting)


def check_approve_fields(op: Approve) -> None:
    check_name(op.motion, "motion")


def apply_approve(tx: Context, op: Approve) -> None:
    """The votes of all validators whose governing keys signed this transaction."""
    motion = tx.state.get(t.MOTIONS, op.motion)
    if motion is None:
        raise Refused(Reason.MOTION_NOT_FOUND, f"no motion is called {op.motion!r}", motion=op.motion)
    voting = _voting(tx)
    if not voting:
        raise Refused(Reason.NOT_PERMITTED, "no governing key of the electorate has signed", motion=op.motion)
    if motion.decided:
        raise Refused(Reason.MOTION_DECIDED, f"{op.motion} was decided at {motion.decided}", height=motion.decided)
    if tx.time_ms >= motion.until_ms:
        raise Refused(Reason.MOTION_EXPIRED, f"{op.motion} ended at {motion.until_ms}", until_ms=motion.until_ms)
    fresh = [name for name in voting if name not in motion.approvals]
    if not fresh:
        raise Refused(Reason.APPROVED_ALREADY, f"{', '.join(voting)} approved {op.motion} before", motion=op.motion)
    _approve(tx, op.motion, motion, fresh)


def _voting(tx: Context) -> list[str]:
    """The validators in force that a governing key of has signed."""
    return [name for name, _ in read_validators(tx.state) if tx.signed_by(name, Purpose.GOVERN)]


def _approve(tx: Context, name: str, motion: Motion, fresh: list[str]) -> None:
    """Add votes; with a quorum of the validators in force, execute."""
    approvals = (*motion.approvals, *fresh)
    validators = [participant for participant, _ in read_validators(tx.state)]
    counted = [participant for participant in approvals if participant in validators]
    needed = quorum(len(validators))
    decided = len(counted) >= needed
    facts = {"by": " ".join(fresh), "have": len(counted), "need": needed, "decided": "yes" if decided else ""}
    tx.emit(EventKind.MOTION_APPROVED, name, facts=facts)
    if not decided:
        tx.state.put(t.MOTIONS, motion._replace(approvals=approvals), name)
        return
    tx.state.put(t.MOTIONS, motion._replace(approvals=approvals, decided=tx.height, transaction=b""), name)
    signers = tx.signers
    tx.signers = tuple(Signer(b"", participant, "", int(Purpose.GOVERN)) for participant in counted)
    for operation in _read(motion.transaction).operations:
        GOVERNED[type(operation)][1](tx, operation)
    tx.signers = signers
