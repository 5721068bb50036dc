"""The terms of an authorization: what is wrong with them whatever the state is, and what they allow.

`check_` functions refuse; `allows_` and `is_` only answer. Which units come under an authorization is in `coverage`.
"""

from __future__ import annotations

import re
from typing import Final

from keeling.operations import AuthorizationTerms, AuthorizationTermsFirstTransfer, AuthorizationTermsPurpose
from keeling.reasons import Reason
from node.core.article6.governed import check_party, check_years
from node.core.fields import check_length, check_name
from node.core.limits import UNITS_MAX
from node.core.refusal import Refused

Purpose = AuthorizationTermsPurpose
First = AuthorizationTermsFirstTransfer
AUTHORIZATION_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{0,63}", re.ASCII)
"""Column Authorization ID of the agreed electronic format (common nomenclatures of 17 February 2026, table 7)."""
LIST_MAX: Final = 100

_TOWARDS_NDC: Final = (Purpose.NDC, Purpose.NDC_AND_OIMP, Purpose.NDC_AND_IMP, Purpose.NDC_AND_OP)
_CHOICES: Final = (First.AUTHORIZATION, First.ISSUANCE, First.USE_OR_CANCELLATION)


def allows_ndc(terms: AuthorizationTerms) -> bool:
    """Authorized for use towards an NDC: then the first international transfer is a first transfer."""
    return terms.purpose in _TOWARDS_NDC


def allows_oimp(terms: AuthorizationTerms) -> bool:
    """Authorized for other international mitigation purposes, of one kind or both."""
    return terms.purpose != Purpose.NDC


def is_first_on(terms: AuthorizationTerms, definition: First) -> bool:
    """Whether this definition of first transfer was chosen for other international mitigation purposes."""
    return allows_oimp(terms) and terms.first_transfer == definition


def check_authorization_id(authorization: str) -> None:
    if not AUTHORIZATION_ID.fullmatch(authorization):
        detail = f"{authorization!r} is no authorization: 1 to 64 letters, digits, spaces and hyphens"
        raise Refused(Reason.BAD_FIELD, detail, field="authorization")


def check_terms(terms: AuthorizationTerms | None) -> None:
    if terms is None:
        raise Refused(Reason.MISSING_FIELD, "an authorization has terms", field="terms")
    _check_lists(terms)
    if not (terms.batches or terms.projects or terms.programmes):
        detail = "an authorization names the batches, projects or programmes it is for"
        raise Refused(Reason.MISSING_FIELD, detail, field="terms.batches")
    check_years(terms.vintage_from, terms.vintage_to, "terms.vintage_from")
    check_years(terms.first_year, terms.last_year, "terms.first_year")
    if terms.cap > UNITS_MAX:
        raise Refused(Reason.BAD_FIELD, f"a cap of {terms.cap}; {UNITS_MAX} at most", field="terms.cap")
    _check_definition(terms)
    for field in ("conditions", "oimp", "non_ghg_metric", "gwp", "mitigation_type", "notes"):
        check_length(getattr(terms, field), f"terms.{field}")


def _check_lists(terms: AuthorizationTerms) -> None:
    for field in ("batches", "projects", "programmes", "parties", "sectors", "activity_types", "entities"):
        items = getattr(terms, field)
        if len(items) > LIST_MAX or len(set(items)) != len(items):
            raise Refused(Reason.BAD_FIELD, f"{field}: {LIST_MAX} at most, each once", field=f"terms.{field}")
    for name in (*terms.batches, *terms.projects, *terms.programmes):
        check_name(name, "terms")
    for party in terms.parties:
        check_party(party, "terms.parties")
    for text in (*terms.sectors, *terms.activity_types):
        check_length(text, "terms.sectors")
    for entity in terms.entities:
        if entity.participant:
            check_name(entity.participant, "terms.entities.participant")
        if not entity.name or not entity.identification:
            detail = "an authorized entity has a name, and its number in its country"
            raise Refused(Reason.MISSING_FIELD, detail, field="terms.entities")
        check_party(entity.country, "terms.entities.country")
        for text in entity:
            check_length(text, "terms.entities")


def _check_definition(terms: AuthorizationTerms) -> None:
    """The definition fits the purpose: NDC leaves no choice, OIMP asks for one of three (2/CMA.3 annex para 2)."""
    if terms.purpose not in list(Purpose) or terms.purpose == Purpose.PURPOSE_UNSPECIFIED:
        raise Refused(Reason.MISSING_FIELD, "an authorization says its purpose", field="terms.purpose")
    if not allows_oimp(terms):
        if terms.first_transfer not in (First.FIRST_TRANSFER_UNSPECIFIED, First.INTERNATIONAL_TRANSFER):
            detail = "for NDC use the first transfer is the first international transfer; there is no choice"
            raise Refused(Reason.BAD_FIELD, detail, field="terms.first_transfer")
        if terms.oimp:
            raise Refused(Reason.BAD_FIELD, "an authorization for NDC only names no OIMP", field="terms.oimp")
    elif terms.first_transfer not in _CHOICES:
        detail = "for OIMP the first transfer is AUTHORIZATION, ISSUANCE or USE_OR_CANCELLATION"
        raise Refused(Reason.MISSING_FIELD, detail, field="terms.first_transfer")
    if terms.conditional and terms.first_transfer in (First.AUTHORIZATION, First.ISSUANCE) and allows_oimp(terms):
        detail = "this definition would first transfer at once what is still conditional"
        raise Refused(Reason.BAD_FIELD, detail, field="terms.conditional")
