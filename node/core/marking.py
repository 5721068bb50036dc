"""`Mark`, `Unmark`, `Restrict`, `Unrestrict`, `Notice`: facts laid over positions. They move nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from keeling.encoding import Ref
from keeling.events import EventKind
from keeling.operations import Mark, Notice, Range, Restrict, Unmark, Unrestrict
from keeling.reasons import Reason
from keeling.units import Purpose
from node.core import records as r
from node.core import tables as t
from node.core.authority import check_registry
from node.core.context import Context
from node.core.fields import check_evidence, check_length, check_ranges, check_text, check_when
from node.core.intervals import MarkKind, count_restrictions, erase, name_ranges, paint, read_layer
from node.core.lots import check_available
from node.core.observe import DISCREPANCY_RESTRICTION
from node.core.proposals import PROPOSAL_KIND, apply_decline
from node.core.records import Batch, Piece
from node.core.refusal import Refused

_DISCREPANCY: Final = re.compile(rf"{DISCREPANCY_RESTRICTION}(0|[1-9][0-9]{{0,18}})\.(0|[1-9][0-9]{{0,8}})", re.ASCII)


def _check_marked(ranges: Sequence[Range]) -> None:
    if not ranges:
        raise Refused(Reason.UNITS_MUST_BE_POSITIVE, "no units are named", field="ranges")
    check_ranges(ranges, "ranges")


def check_mark_fields(op: Mark) -> None:
    check_text(op.label, "label", "a label has a name")
    _check_marked(op.ranges)
    check_length(op.value, "value")
    check_evidence(op.evidence)


def check_unmark_fields(op: Unmark) -> None:
    check_text(op.label, "label", "a label has a name")
    _check_marked(op.ranges)


def check_restrict_fields(op: Restrict | Unrestrict) -> None:
    check_text(op.restriction, "restriction", "a restriction has a name")
    check_text(op.reason, "reason", "a restriction, and its end, say why")
    check_evidence(op.evidence)
    _check_marked(op.ranges)
    if isinstance(op, Restrict) and op.restriction.startswith(DISCREPANCY_RESTRICTION):
        detail = f"{DISCREPANCY_RESTRICTION} is for what the ledger itself restricts"
        raise Refused(Reason.BAD_FIELD, detail, field="restriction")


def check_notice_fields(op: Notice) -> None:
    check_text(op.notice, "notice", "a notice has a name")
    if not op.kind and not op.close:
        raise Refused(Reason.MISSING_FIELD, "a notice says its kind", field="kind")
    check_length(op.kind, "kind")
    check_ranges(op.ranges, "ranges")
    check_evidence(op.evidence)
    check_when(op.due, "due")


def _pieces(tx: Context, ranges: Sequence[Range]) -> list[tuple[Batch, Piece]]:
    """The ranges as pieces inside their batches' extents."""
    found = []
    for item in sorted(ranges):
        number, batch = tx.batch(item.batch)
        if item.first < batch.low or item.first + item.units - 1 > batch.high:
            detail = f"{batch.name} has positions {batch.low}..{batch.high}"
            raise Refused(Reason.OUTSIDE_EXTENT, detail, batch=batch.name)
        found.append((batch, Piece(number, item.first, item.units)))
    return found


def _check_issuing_registry(tx: Context, batches: Sequence[Batch]) -> None:
    for batch in {batch.name: batch for batch in batches}.values():
        if batch.native:
            check_registry(tx, tx.programme(batch.programme).registry)
        else:
            policy = tx.registry(batch.registry)
            check_registry(tx, batch.registry, (*policy.importers, *policy.attestors))


def apply_mark(tx: Context, op: Mark) -> None:
    """Lay a label over ranges: seen or not, whoever holds them."""
    pieces = _pieces(tx, op.ranges)
    _check_issuing_registry(tx, [batch for batch, _ in pieces])
    for _, piece in pieces:
        paint(tx.state, piece.batch, MarkKind.LABEL, op.label, piece.first, piece.units, op.value, tx.next_ref)
    tx.emit(EventKind.MARKED, op.label, facts={"value": op.value}, ranges=name_ranges(pieces))


def apply_unmark(tx: Context, op: Unmark) -> None:
    """Take a label off ranges."""
    pieces = _pieces(tx, op.ranges)
    _check_issuing_registry(tx, [batch for batch, _ in pieces])
    for _, piece in pieces:
        erase(tx.state, piece.batch, MarkKind.LABEL, op.label, piece.first, piece.units)
    tx.emit(EventKind.UNMARKED, op.label, ranges=name_ranges(pieces))


def _check_restrictor(tx: Context, batches: Sequence[Batch]) -> None:
    """A national authority, or the registry of the units."""
    for signer in tx.signers:
        if signer.purposes & Purpose.APPROVE and "authority" in tx.member(signer.participant).roles:
            return
    _check_issuing_registry(tx, batches)


def _recount(tx: Context, pieces: Sequence[tuple[Batch, Piece]]) -> None:
    for number in sorted({piece.batch for _, piece in pieces}):
        batch = tx.batch_number(number)
        tx.state.put(t.BATCHES, batch._replace(restrictions=count_restrictions(tx.state, number)), number)


def _describe(op: Restrict | Unrestrict) -> dict[str, str]:
    """What the event of a restriction, or of its end, states."""
    if op.evidence is None:
        return {"reason": op.reason}
    evidence = op.evidence
    return {
        "reason": op.reason,
        "grade": evidence.grade,
        "reference": evidence.reference,
        "digest": evidence.digest.hex(),
    }


def apply_restrict(tx: Context, op: Restrict) -> None:
    """Freeze ranges: nothing moves in or out until the restriction is lifted; states stay as they are.

    What names an account reserves: nobody else may have or want these units, or it is refused.
    """
    pieces = _pieces(tx, op.ranges)
    reserving = tx.account(op.account)[0] if op.account else 0
    _check_restrictor(tx, [batch for batch, _ in pieces])
    if op.account:
        check_available(tx, reserving, op.account, [piece for _, piece in pieces])
    for _, piece in pieces:
        kind = MarkKind.RESTRICTION
        paint(tx.state, piece.batch, kind, op.restriction, piece.first, piece.units, op.reason, tx.next_ref)
    _recount(tx, pieces)
    facts = _describe(op) | {"account": op.account}
    tx.emit(EventKind.RESTRICTED, op.restriction, facts=facts, ranges=name_ranges(pieces))


def apply_unrestrict(tx: Context, op: Unrestrict) -> None:
    """Lift a restriction from ranges it lies on. Of a discrepancy's name: resolve it there, restricted or not."""
    pieces = _pieces(tx, op.ranges)
    place = _read_place(op.restriction)
    if place is None:
        _check_restrictor(tx, [batch for batch, _ in pieces])
    else:
        _check_resolvers(tx, [batch for batch, _ in pieces])
    lifted = 0
    for _, piece in pieces:
        lifted += erase(tx.state, piece.batch, MarkKind.RESTRICTION, op.restriction, piece.first, piece.units)
        if place is not None:
            lifted += _resolve(tx, op.restriction, place, piece)
    if not lifted:
        detail = f"no restriction {op.restriction!r} on these units"
        raise Refused(Reason.RESTRICTION_NOT_FOUND, detail, restriction=op.restriction)
    _recount(tx, pieces)
    tx.emit(EventKind.UNRESTRICTED, op.restriction, facts=_describe(op), ranges=name_ranges(pieces))


def _read_place(restriction: str) -> Ref | None:
    """The place of the discrepancy that a restriction is named by; None: it is none of the ledger's own."""
    found = _DISCREPANCY.fullmatch(restriction)
    return Ref(int(found[1]), int(found[2])) if found else None


def _resolve(tx: Context, name: str, place: Ref, piece: Piece) -> int:
    """Take off what a discrepancy left on a range, and return on how many units that was.

    Should the registry say the same again, that is a new contradiction.
    """
    found = tx.state.get(t.DISCREPANCIES, place.height, place.ordinal)
    if found is None or found.piece.batch != piece.batch:
        return 0
    low = max(found.piece.first, piece.first)
    units = min(found.piece.first + found.piece.units, piece.first + piece.units) - low
    if units <= 0:
        return 0
    said = read_layer(tx.state, piece.batch, MarkKind.REGISTRY_STATE, "", low, units)
    ours = any(mark.value == found.registry for _, mark in said)
    resolved = erase(tx.state, piece.batch, MarkKind.REGISTRY_STATE, "", low, units) if ours else 0
    return resolved + erase(tx.state, piece.batch, MarkKind.CLAIM, name, low, units)


def _check_resolvers(tx: Context, batches: Sequence[Batch]) -> None:
    """Who may say which side is right: as many people as the registry's record asks attestors for a capture."""
    _check_restrictor(tx, batches)
    if any("authority" in tx.member(s.participant).roles for s in tx.signers if s.purposes & Purpose.APPROVE):
        return
    for name in sorted({batch.registry for batch in batches if not batch.native}):
        policy = tx.registry(name)
        signers = sorted({name, *policy.importers, *policy.attestors})
        people = {(who, person) for who in signers for person in tx.people(who, Purpose.APPROVE | Purpose.ATTEST)}
        if len(people) < policy.attestors_needed and not tx.signed_by(name, Purpose.ATTEST):
            detail = f"{len(people)} of {policy.attestors_needed} people who may speak for {name} have signed"
            raise Refused(Reason.NEEDS_APPROVAL, detail, have=len(people), need=policy.attestors_needed)


def apply_notice(tx: Context, op: Notice) -> None:
    """Open a notice with a due date, or close one. A notice informs; only restrictions stop anything."""
    if op.kind == PROPOSAL_KIND:
        apply_decline(tx, op)
        return
    pieces = _pieces(tx, op.ranges)
    allowed = [
        s.participant
        for s in tx.signers
        if s.purposes & Purpose.APPROVE and {"registry", "authority"} & set(tx.member(s.participant).roles)
    ]
    if not allowed:
        raise Refused(Reason.NOT_PERMITTED, "notices come from a registry or an authority")
    known = tx.state.get(t.NOTICES, op.notice)
    if op.close:
        if known is None or not known.open:
            raise Refused(Reason.NOTICE_NOT_FOUND, f"no open notice {op.notice!r}", notice=op.notice)
        tx.state.put(t.NOTICES, known._replace(open=False), op.notice)
    else:
        tx.state.put(t.NOTICES, r.Notice(op.kind, allowed[0], op.due, True), op.notice)
    facts = {"kind": op.kind, "closed": "yes" if op.close else ""}
    due = {"due_ms": op.due.ms} if op.due else {}
    tx.emit(EventKind.NOTICE, op.notice, facts={**facts, **due}, ranges=name_ranges(pieces))
