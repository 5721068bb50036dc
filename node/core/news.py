"""`Attest`, `LinkState`, `Anchor`: what registries, hubs and anybody put on record."""

from __future__ import annotations

from keeling.events import EventKind
from keeling.operations import Anchor, Attest, LinkState, LinkStateState
from keeling.reasons import Reason
from keeling.units import Purpose
from node.core import tables as t
from node.core.authority import check_owner, check_participant, check_registry
from node.core.context import Context
from node.core.fields import check_evidence, check_instant, check_length, check_ranges, check_text, check_when
from node.core.observe import STATES, Seen, apply_news
from node.core.records import Anchored, Attested, Condition
from node.core.refusal import Refused


def check_attest_fields(op: Attest) -> None:
    check_text(op.attestation, "attestation", "an attestation has an id, unique for its registry")
    if op.range is None:
        raise Refused(Reason.MISSING_FIELD, "an attestation names its range", field="range")
    check_ranges((op.range,), "range")
    if op.status not in STATES:
        raise Refused(Reason.MISSING_FIELD, "an attestation says a status", field="status")
    check_evidence(op.evidence, "an attestation")
    if op.evidence is None or not op.evidence.grade:
        raise Refused(Reason.MISSING_FIELD, "its evidence has a grade A to D", field="evidence.grade")
    check_when(op.effective, "effective")


def apply_attest(tx: Context, op: Attest) -> None:
    """News is recorded whoever brings it; it has an effect when the registry or one it trusts has signed.

    The same attestation again changes nothing; a stranger's does not stand in the way of the real one.
    """
    item = op.range
    if item is None or op.evidence is None:
        raise LookupError("check_attest_fields runs first")
    number, batch = tx.batch(item.batch)
    policy = tx.registry(op.registry)
    check_participant(tx, tx.participant)
    trusted = sorted({op.registry, *policy.attestors, *policy.importers})
    voucher = next((name for name in trusted if tx.signed_by(name, Purpose.ATTEST)), "")
    known = tx.state.get(t.ATTESTATIONS, op.registry, op.attestation)
    if known is not None and (known.by in trusted or not voucher):
        facts = {"registry": op.registry, "known": f"{known.at.height}.{known.at.ordinal}"}
        tx.emit(EventKind.ATTESTED, op.attestation, op.effective, facts=facts)
        return
    if item.first < batch.low or item.first + item.units - 1 > batch.high:
        detail = f"{batch.name} has positions {batch.low}..{batch.high}"
        raise Refused(Reason.OUTSIDE_EXTENT, detail, batch=batch.name)
    said = STATES[op.status]  # type: ignore[index]
    facts = {"registry": op.registry, "grade": op.evidence.grade, "reference": op.evidence.reference}
    facts["status"] = said.name
    place = tx.emit(EventKind.ATTESTED, op.attestation, op.effective, facts=facts, ranges=[item])
    by = voucher or tx.participant
    tx.state.put(t.ATTESTATIONS, Attested(by, op.evidence.digest, place), op.registry, op.attestation)
    if op.registry == batch.registry and voucher:
        seen = Seen(item.first, item.units, said, op.effective, None, ())
        apply_news(tx, number, [seen], op.evidence.grade, op.attestation)


def check_link_state_fields(op: LinkState) -> None:
    if op.state not in list(LinkStateState) or op.state == LinkStateState.STATE_UNSPECIFIED:
        raise Refused(Reason.MISSING_FIELD, "say the state of the link", field="state")
    if bool(op.account) == bool(op.registry):
        raise Refused(Reason.BAD_FIELD, "name an account, or a whole registry", field="account, registry")
    check_instant(op.from_ms, "from_ms")
    check_instant(op.until_ms, "until_ms")
    check_length(op.reason, "reason")
    if op.until_ms and op.until_ms <= op.from_ms:
        raise Refused(Reason.BAD_FIELD, "the window ends before it begins", field="until_ms")


def apply_link_state(tx: Context, op: LinkState) -> None:
    """One link is stopped by its hub or owner; a whole registry only by the registry's own key.

    Each state has its own window, so that maintenance announced for tomorrow does not end today's suspension. NORMAL
    ends all windows that have begun.
    """
    if op.account:
        _, account = tx.account(op.account)
        if account.link is None or not tx.signed_by(account.link.hub, Purpose.APPROVE):
            check_owner(tx, account, op)
        if account.link is None:
            raise Refused(Reason.NO_LINK, f"account {account.name} has no link", account=account.name)
        subject = f"account:{op.account}"
    else:
        tx.registry(op.registry)
        check_registry(tx, op.registry)
        subject = f"registry:{op.registry}"
    if op.state == LinkStateState.NORMAL:
        for key, found in list(tx.state.scan(t.CONDITIONS, subject)):
            if found.from_ms <= tx.time_ms:
                tx.state.put_key(t.CONDITIONS, key, None)
    else:
        tx.state.put(t.CONDITIONS, Condition(op.from_ms, op.until_ms, op.reason), subject, op.state)
    facts = {
        "state": LinkStateState(op.state).name,
        "reason": op.reason,
        "from_ms": op.from_ms,
        "until_ms": op.until_ms,
    }
    tx.emit(EventKind.LINK_STATE, subject, facts=facts)


def check_anchor_fields(op: Anchor) -> None:
    if len(op.digest) != 32:
        raise Refused(Reason.BAD_FIELD, "an anchor is a SHA-256: 32 bytes", field="digest")
    if op.kind not in ("evidence", "reconciliation", "checkpoint"):
        raise Refused(Reason.BAD_FIELD, "an anchor is of evidence, reconciliation or checkpoint", field="kind")
    check_text(op.name, "name", "an anchor has a name")


def apply_anchor(tx: Context, op: Anchor) -> None:
    """A digest on record, with the time it was known here."""
    check_participant(tx, tx.participant)
    place = tx.emit(EventKind.ANCHORED, op.name, facts={"kind": op.kind, "digest": op.digest.hex()})
    tx.state.put(t.ANCHORS, Anchored(op.digest, tx.participant, place), op.kind, op.name)
