"""`Attest`, `LinkState`, `Anchor`: what registries, hubs and anybody put on record."""

from __future__ import annotations

from keeling.events import EventKind
from keeling.operations import Anchor, Attest, LinkState, LinkStateState
from keeling.reasons import Reason
from keeling.units import Purpose
from node.core import tables as t
from node.core.authority import GRADES, check_owner, check_participant, check_registry
from node.core.context import Context
from node.core.limits import TEXT_MAX
from node.core.observe import STATES, Seen, apply_news
from node.core.records import Anchored, Attested, Condition
from node.core.refusal import Refused


def check_attest_fields(op: Attest) -> None:
    if not op.attestation or len(op.attestation) > TEXT_MAX:
        raise Refused(Reason.MISSING_FIELD, "an attestation has an id, unique for its registry", field="attestation")
    if op.range is None or not op.range.units:
        raise Refused(Reason.MISSING_FIELD, "an attestation names its range", field="range")
    if op.status not in STATES:
        raise Refused(Reason.MISSING_FIELD, "an attestation says a status", field="status")
    if op.evidence is None or len(op.evidence.digest) != 32 or op.evidence.grade not in tuple(GRADES):
        raise Refused(Reason.MISSING_FIELD, "an attestation has evidence with a grade A to D", field="evidence")


def apply_attest(tx: Context, op: Attest) -> None:
    """News is recorded whoever brings it; it has an effect when the registry or one it trusts has signed.

    The same attestation again changes nothing.
    """
    item = op.range
    if item is None or op.evidence is None:
        raise LookupError("check_attest_fields runs first")
    number, batch = tx.batch(item.batch)
    policy = tx.registry(op.registry)
    check_participant(tx, tx.participant)
    known = tx.state.get(t.ATTESTATIONS, op.registry, op.attestation)
    if known is not None:
        tx.emit(EventKind.ATTESTED, op.attestation, op.effective, facts={"registry": op.registry, "known": known.at})
        return
    if item.first < batch.low or item.first + item.units - 1 > batch.high:
        detail = f"{batch.name} has positions {batch.low}..{batch.high}"
        raise Refused(Reason.OUTSIDE_EXTENT, detail, batch=batch.name)
    facts = {"registry": op.registry, "grade": op.evidence.grade, "reference": op.evidence.reference}
    said = STATES[op.status]  # type: ignore[index]
    place = tx.emit(EventKind.ATTESTED, op.attestation, op.effective, facts={**facts, "status": said.name})
    tx.state.put(t.ATTESTATIONS, Attested(tx.participant, op.evidence.digest, place), op.registry, op.attestation)
    trusted = {op.registry, *policy.attestors, *policy.importers}
    if op.registry == batch.registry and any(tx.signed_by(name, Purpose.ATTEST) for name in sorted(trusted)):
        seen = Seen(item.first, item.units, said, op.effective, None, ())
        apply_news(tx, number, [seen], op.evidence.grade, op.attestation)


def check_link_state_fields(op: LinkState) -> None:
    if op.state not in list(LinkStateState) or op.state == LinkStateState.STATE_UNSPECIFIED:
        raise Refused(Reason.MISSING_FIELD, "say the state of the link", field="state")
    if bool(op.account) == bool(op.registry):
        raise Refused(Reason.BAD_FIELD, "name an account, or a whole registry", field="account, registry")
    if op.until_ms and op.until_ms <= op.from_ms:
        raise Refused(Reason.BAD_FIELD, "the window ends before it begins", field="until_ms")


def apply_link_state(tx: Context, op: LinkState) -> None:
    """One link is stopped by its hub or owner; a whole registry only by the registry's own key."""
    if op.account:
        _, account = tx.account(op.account)
        if account.link is None:
            raise Refused(Reason.NO_LINK, f"account {account.name} has no link", account=account.name)
        if not tx.signed_by(account.link.hub, Purpose.APPROVE):
            check_owner(tx, account, op)
        subject = f"account:{op.account}"
    else:
        tx.registry(op.registry)
        check_registry(tx, op.registry)
        subject = f"registry:{op.registry}"
    tx.state.put(t.CONDITIONS, Condition(op.state, op.from_ms, op.until_ms, op.reason), subject)
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
    if not op.name or len(op.name) > TEXT_MAX:
        raise Refused(Reason.MISSING_FIELD, "an anchor has a name", field="name")


def apply_anchor(tx: Context, op: Anchor) -> None:
    """A digest on record, with the time it was known here."""
    check_participant(tx, tx.participant)
    place = tx.emit(EventKind.ANCHORED, op.name, facts={"kind": op.kind, "digest": op.digest.hex()})
    tx.state.put(t.ANCHORS, Anchored(op.digest, tx.participant, place), op.kind, op.name)
