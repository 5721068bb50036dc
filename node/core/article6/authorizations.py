"""`Authorize`, `AmendAuthorization`, `RevokeAuthorization`: a host Party's word on its mitigation outcomes (4/CMA.6).

What was first transferred keeps the terms of its version; a revocation spares it, restricts the rest and opens a
notice. Which units come under an authorization is in `coverage`.
"""

from __future__ import annotations

from typing import Final

from keeling.events import EventKind
from keeling.operations import (
    AmendAuthorization,
    AuthorizationTerms,
    Authorize,
    Evidence,
    RevokeAuthorization,
    When,
    WhenPrecision,
)
from keeling.reasons import Reason
from node.core import records as r
from node.core import tables as t
from node.core.article6.actions import cause_of, find_authorization, find_terms
from node.core.article6.coverage import cover_existing, first_transfer_covered, put_scopes
from node.core.article6.governed import check_active, check_authority, check_party, find_approach, find_party
from node.core.article6.records import Authorization
from node.core.article6.stretches import read_stretches
from node.core.article6.terms import First, Purpose, check_authorization_id, check_terms
from node.core.article6.words import check_words
from node.core.context import Context
from node.core.fields import check_evidence, check_text, check_when
from node.core.intervals import MarkKind, count_restrictions, name_ranges, paint
from node.core.limits import LOTS_MAX
from node.core.refusal import Refused

_SEPARATOR: Final = "; "


def check_authorize_fields(op: Authorize) -> None:
    check_authorization_id(op.authorization)
    check_party(op.party, "party")
    check_terms(op.terms)
    _check_document(op.date, op.evidence)


def check_amend_fields(op: AmendAuthorization) -> None:
    check_authorization_id(op.authorization)
    check_terms(op.terms)
    _check_document(op.date, op.evidence)


def check_revoke_fields(op: RevokeAuthorization) -> None:
    check_authorization_id(op.authorization)
    check_text(op.reason, "reason", "a revocation says why")
    check_when(op.due, "due")
    _check_document(op.date, op.evidence)


def _check_document(date: When | None, evidence: Evidence | None) -> None:
    if date is None:
        raise Refused(Reason.MISSING_FIELD, "the document has a date", field="date")
    check_when(date, "date")
    check_evidence(evidence, "an authorization, or a change of it,")


def apply_authorize(tx: Context, op: Authorize) -> None:
    """Version 1: the approach is active, the Party takes part in it, and its authority has signed."""
    terms, date = op.terms or AuthorizationTerms(), op.date or When()
    if tx.state.get(t.AUTHORIZATIONS, op.authorization) is not None:
        detail = f"an authorization is called {op.authorization}"
        raise Refused(Reason.AUTHORIZATION_EXISTS, detail, authorization=op.authorization)
    find_party(tx, op.party)
    approach = find_approach(tx, op.approach)
    check_authority(tx, op.party)
    if op.party not in approach.parties:
        detail = f"{op.party} is no Party of {op.approach}"
        raise Refused(Reason.PARTY_NOT_AUTHORIZED, detail, party=op.party, approach=op.approach)
    check_active(tx, op.approach)
    check_words(tx, terms)
    cause = cause_of(tx, tx.next_ref, date)
    authorization = Authorization(op.party, op.approach, 1, False, 0, 0, date)
    _put_version(tx, op.authorization, authorization, terms)
    facts = describe_terms(op.authorization, authorization, terms, op.evidence)
    tx.emit(EventKind.AUTHORIZED, op.authorization, date, facts=facts)
    cover_existing(tx, op.authorization, terms, cause)


def _put_version(tx: Context, name: str, authorization: Authorization, terms: AuthorizationTerms) -> None:
    tx.state.put(t.AUTHORIZATIONS, authorization, name)
    tx.state.put(t.TERMS, terms, name, authorization.version)
    put_scopes(tx, name, terms)


def apply_amend(tx: Context, op: AmendAuthorization) -> None:
    """The next version. Units that are under the authorization stay there; what was first transferred is untouched."""
    terms, date = op.terms or AuthorizationTerms(), op.date or When()
    known = find_authorization(tx, op.authorization)
    check_authority(tx, known.party)
    _check_not_revoked(op.authorization, known)
    if op.version != known.version + 1:
        detail = f"authorization {op.authorization} has version {known.version}; the next is {known.version + 1}"
        raise Refused(Reason.AUTHORIZATION_VERSION_NOT_NEXT, detail, authorization=op.authorization)
    check_active(tx, known.approach)
    check_words(tx, terms)
    if terms.cap and terms.cap < known.covered:
        detail = f"{known.covered} units are under {op.authorization}; the cap cannot be {terms.cap}"
        raise Refused(Reason.CAP_TOO_LOW, detail, covered=known.covered, cap=terms.cap)
    before = find_terms(tx, op.authorization, known.version)
    if terms.non_ghg_metric != before.non_ghg_metric:
        detail = "the metric of an authorization cannot change: its units are counted in it"
        raise Refused(Reason.BAD_FIELD, detail, field="terms.non_ghg_metric")
    cause = cause_of(tx, tx.next_ref, date)
    changed = known._replace(version=op.version, date=date)
    _put_version(tx, op.authorization, changed, terms)
    facts = describe_terms(op.authorization, changed, terms, op.evidence)
    tx.emit(EventKind.AUTHORIZATION_AMENDED, op.authorization, date, facts=facts)
    first_transfer_covered(tx, op.authorization, cause)
    cover_existing(tx, op.authorization, terms, cause)


def _check_not_revoked(name: str, known: Authorization) -> None:
    if known.revoked:
        raise Refused(Reason.AUTHORIZATION_REVOKED, f"authorization {name} was revoked", authorization=name)


def apply_revoke(tx: Context, op: RevokeAuthorization) -> None:
    """No unit comes under it any more; live units that were not first transferred are restricted (4/CMA.6)."""
    known = find_authorization(tx, op.authorization)
    check_authority(tx, known.party)
    _check_not_revoked(op.authorization, known)
    cause = cause_of(tx, tx.next_ref, op.date or When(tx.time_ms, WhenPrecision.INSTANT))
    tx.state.put(t.AUTHORIZATIONS, known._replace(revoked=True), op.authorization)
    restricted = _restrict_rest(tx, op)
    notice = f"revocation/{op.authorization}"
    tx.state.put(t.NOTICES, r.Notice("AUTHORIZATION_REVOKED", tx.participant, op.due, True), notice)
    facts = {
        "party": known.party,
        "version": known.version,
        "reason": op.reason,
        "spared": known.transferred,
        "restricted": sum(piece.units for _, piece in restricted),
        "notice": notice,
        "document": op.evidence.digest.hex() if op.evidence else "",
    }
    tx.emit(EventKind.AUTHORIZATION_REVOKED, op.authorization, cause.effective, facts=facts)
    ranges, said = name_ranges(restricted), {"reason": op.reason}
    for at in range(0, len(ranges), LOTS_MAX):
        part = ranges[at : at + LOTS_MAX]
        tx.emit(EventKind.RESTRICTED, _restriction_of(op), cause.effective, facts=said, ranges=part)
    due = {"due_ms": op.due.ms} if op.due else {}
    tx.emit(EventKind.NOTICE, notice, facts={"kind": "AUTHORIZATION_REVOKED", "reason": op.reason, **due})


def _restriction_of(op: RevokeAuthorization) -> str:
    return f"authorization/{op.authorization}"


def _restrict_rest(tx: Context, op: RevokeAuthorization) -> list[tuple[r.Batch, r.Piece]]:
    """By positions, not lots: however the units were cut, a revocation is never too large. Returns what it took."""
    name, restricted = _restriction_of(op), list[tuple[r.Batch, r.Piece]]()
    for key, _ in list(tx.state.scan(t.COVERED, op.authorization)):
        number = t.COVERED.parts(key)[1]
        batch = tx.batch_number(number)
        for stretch in read_stretches(tx.state, number, batch.low, batch.high - batch.low + 1):
            if stretch.authorization == op.authorization and not stretch.version:
                layer = (MarkKind.RESTRICTION, name)
                paint(tx.state, number, *layer, stretch.first, stretch.units, op.reason, tx.next_ref)
                restricted.append((batch, r.Piece(number, stretch.first, stretch.units)))
        changed = tx.batch_number(number)._replace(restrictions=count_restrictions(tx.state, number))
        tx.state.put(t.BATCHES, changed, number)
    return restricted


def describe_terms(
    name: str, authorization: Authorization, terms: AuthorizationTerms, evidence: Evidence | None
) -> dict[str, object]:
    """A version of an authorization as its event states it: everything reports say about it."""
    definition = First(terms.first_transfer) or First.INTERNATIONAL_TRANSFER
    facts: dict[str, object] = {
        "party": authorization.party,
        "approach": authorization.approach,
        "version": authorization.version,
        "purpose": Purpose(terms.purpose).name,
        "first_transfer": definition.name,
        "cap": terms.cap or "",
        "timeframe": f"{terms.first_year} - {terms.last_year}" if terms.first_year else "",
        "vintages": f"{terms.vintage_from} - {terms.vintage_to}" if terms.vintage_from else "",
        "batches": " ".join(terms.batches),
        "projects": " ".join(terms.projects),
        "programmes": " ".join(terms.programmes),
        "parties": " ".join(terms.parties),
        "conditional": "yes" if terms.conditional else "no",
        "conditions": terms.conditions,
        "oimp": terms.oimp,
        "non_ghg_metric": terms.non_ghg_metric,
        "gwp": terms.gwp,
        "sectors": _SEPARATOR.join(terms.sectors),
        "activity_types": _SEPARATOR.join(terms.activity_types),
        "mitigation_type": terms.mitigation_type,
        "notes": terms.notes,
        "document": evidence.digest.hex() if evidence else "",
        "reference": evidence.reference if evidence else "",
    }
    for i, entity in enumerate(terms.entities, 1):
        for field, value in zip(entity._fields, entity, strict=True):
            facts[f"entity.{i}.{field}"] = value
    return facts
