"""The one door to the rules: `apply_transaction` executes a transaction whole or refuses it whole.

The order of the checks is the documented precedence (units and rules §6): id, static fields, then what each operation
checks itself (existence, authority, state, quantities, programme). A `Refusal` leaves state as it was, except that it
may pin the id. Signatures were verified before (`node.core.block`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from keeling import operations as o
from keeling.reasons import Reason, pins
from node.core import (
    accounts,
    capture,
    ending,
    holds,
    issuance,
    marking,
    members,
    news,
    tables,
    transfer,
    twins,
)
from node.core.article6 import adjustments, authorizations, recognition
from node.core.article6.following import follow
from node.core.context import Context
from node.core.governance import membership, motions, snapshots
from node.core.limits import ID_WINDOW_MS, OPERATIONS_MAX
from node.core.records import Decided, make
from node.core.refusal import Refusal, Refused

_ACCEPTED: Final = int(Reason.ACCEPTED)

Check = Callable[[Any], None]
Apply = Callable[[Context, Any], None]


def _nothing_static(op: Any) -> None:
    """Operations whose fields are only names that must exist."""


RULES: Final[dict[type, tuple[Check, Apply]]] = {
    **motions.GOVERNED,
    o.RotateKey: (members.check_rotate_fields, members.apply_rotate_key),
    o.Propose: (motions.check_propose_fields, motions.apply_propose),
    o.Approve: (motions.check_approve_fields, motions.apply_approve),
    o.OpenAccount: (accounts.check_open_fields, accounts.apply_open),
    o.SetAccountPolicy: (accounts.check_set_policy_fields, accounts.apply_set_policy),
    o.CloseAccount: (_nothing_static, accounts.apply_close),
    o.Link: (accounts.check_link_fields, accounts.apply_link),
    o.GrantMandate: (accounts.check_mandate_fields, accounts.apply_grant_mandate),
    o.RevokeMandate: (_nothing_static, accounts.apply_revoke_mandate),
    o.RegisterProject: (issuance.check_project_fields, issuance.apply_register_project),
    o.Issue: (issuance.check_issue_fields, issuance.apply_issue),
    o.ExtendBatch: (issuance.check_extend_fields, issuance.apply_extend),
    o.Mark: (marking.check_mark_fields, marking.apply_mark),
    o.Unmark: (marking.check_unmark_fields, marking.apply_unmark),
    o.Restrict: (marking.check_restrict_fields, marking.apply_restrict),
    o.Unrestrict: (marking.check_restrict_fields, marking.apply_unrestrict),
    o.Notice: (marking.check_notice_fields, marking.apply_notice),
    o.Transfer: (transfer.check_transfer_fields, transfer.apply_transfer),
    o.Hold: (holds.check_hold_fields, holds.apply_hold),
    o.Dispatch: (holds.check_dispatch_fields, holds.apply_dispatch),
    o.Capture: (capture.check_capture_fields, capture.apply_capture),
    o.Release: (holds.check_release_fields, holds.apply_release),
    o.Retire: (ending.check_retire_fields, ending.apply_retire),
    o.Use: (ending.check_use_fields, ending.apply_use),
    o.Cancel: (ending.check_cancel_fields, ending.apply_cancel),
    o.Twin: (twins.check_twin_fields, twins.apply_twin),
    o.Buffer: (ending.check_buffer_fields, ending.apply_buffer),
    o.Reverse: (ending.check_reverse_fields, ending.apply_reverse),
    o.Authorize: (authorizations.check_authorize_fields, authorizations.apply_authorize),
    o.AmendAuthorization: (authorizations.check_amend_fields, authorizations.apply_amend),
    o.RevokeAuthorization: (authorizations.check_revoke_fields, authorizations.apply_revoke),
    o.Recognise: (recognition.check_recognise_fields, recognition.apply_recognise),
    o.ReportAdjustment: (adjustments.check_report_fields, adjustments.apply_report),
    o.FinaliseAdjustment: (adjustments.check_finalise_fields, adjustments.apply_finalise),
    o.Attest: (news.check_attest_fields, news.apply_attest),
    o.LinkState: (news.check_link_state_fields, news.apply_link_state),
    o.Anchor: (news.check_anchor_fields, news.apply_anchor),
    o.IssueCash: (transfer.check_issue_cash_fields, transfer.apply_issue_cash),
    o.RedeemCash: (transfer.check_redeem_cash_fields, transfer.apply_redeem_cash),
    o.AttestState: (snapshots.check_attest_fields, snapshots.apply_attest_state),
    o.Ready: (membership.check_ready_fields, membership.apply_ready),
}
"""Each operation's static checks and its rule."""


def apply_transaction(tx: Context, transaction: o.Transaction, digest: bytes) -> Refusal | None:
    """Execute all operations or none; returns why not, or None when accepted.

    A first authenticated result binds the id for ever (guarantee G5): the same bytes again are a DUPLICATE, other bytes
    under the id are refused, and an id that failed stays failed.
    """
    state = tx.state
    savepoint = state.savepoint()
    id_key = tables.IDS.whole_key(transaction.id, transaction.participant)
    try:
        _check_id(tx, transaction.id, id_key, digest)
        if transaction.not_after_ms and tx.time_ms > transaction.not_after_ms:
            detail = f"ledger time {tx.time_ms} is after {transaction.not_after_ms}"
            raise Refused(Reason.EXPIRED, detail, time_ms=tx.time_ms)
        check_static(transaction)
        for operation in transaction.operations:
            since = len(tx.events)
            RULES[type(operation)][1](tx, operation)
            follow(tx, since)
    except Refused as refused:
        state.rollback(savepoint)
        tx.events.clear()
        reason = refused.refusal.reason
        if pins(reason):
            state.put_key(tables.IDS, id_key, Decided(tx.height, tx.ordinal, digest, reason))
        return refused.refusal
    state.put_key(tables.IDS, id_key, make(Decided, (tx.height, tx.ordinal, digest, _ACCEPTED)))
    return None


def read_id_time(transaction_id: bytes) -> int:
    """Milliseconds since 1970 in the first 48 bits of a UUIDv7 (RFC 9562)."""
    return int.from_bytes(transaction_id[:6], "big")


def _check_id(tx: Context, number: bytes, key: bytes, digest: bytes) -> None:
    if len(number) != 16 or number[6] >> 4 != 7 or number[8] >> 6 != 2:
        raise Refused(Reason.ID_NOT_UUID7, f"{number.hex()!r} is not a UUIDv7", id=number.hex())
    decided = tx.state.get_key(tables.IDS, key)
    if decided is not None:
        place = f"{decided.height}.{decided.ordinal}"
        values = {"height": decided.height, "ordinal": decided.ordinal, "first": Reason(decided.reason).name}
        if decided.digest != digest:
            detail = f"id {number.hex()} was decided at {place} for other content"
            raise Refused(Reason.ID_USED_WITH_OTHER_CONTENT, detail, **values)
        raise Refused(Reason.DUPLICATE, f"decided at {place}: {Reason(decided.reason).name}", **values)
    if abs(tx.time_ms - read_id_time(number)) > ID_WINDOW_MS:
        detail = f"the id is from {read_id_time(number)}, ledger time is {tx.time_ms}"
        raise Refused(Reason.ID_OUT_OF_WINDOW, detail, time_ms=tx.time_ms)


def check_static(transaction: o.Transaction) -> None:
    """Everything that is wrong with a transaction whatever the state is; raises `Refused`."""
    if not transaction.operations:
        raise Refused(Reason.NO_OPERATIONS)
    if len(transaction.operations) > OPERATIONS_MAX:
        raise Refused(Reason.TOO_MANY_OPERATIONS, f"{len(transaction.operations)} operations; {OPERATIONS_MAX} at most")
    for operation in transaction.operations:
        if operation is None:
            raise Refused(Reason.MISSING_FIELD, "an operation is empty", field="operations")
        RULES[type(operation)][0](operation)


def forget_ids(tx: Context, most: int) -> list[tuple[bytes, Decided]]:
    """Take ids out of the window from the state, oldest first, `most` at most; returned for the index of old ids."""
    found: list[tuple[bytes, Decided]] = []
    for key, decided in tx.state.scan(tables.IDS):
        if len(found) >= most or read_id_time(tables.IDS.parts(key)[0]) + ID_WINDOW_MS >= tx.time_ms:
            break
        found.append((key, decided))
    for key, _ in found:
        tx.state.put_key(tables.IDS, key, None)
    return found
