"""What an authorization lets happen: the last checks before units go to another Party or are used.

They refuse what is asked here. What happened outside, and is news, is recorded without them.
"""

from __future__ import annotations

from keeling.operations import AuthorizationTerms, Purposeful, PurposefulKind
from keeling.reasons import Reason
from node.core.article6.actions import find_authorization, terms_of
from node.core.article6.calendar import year_of
from node.core.article6.governed import check_active, check_year
from node.core.article6.stretches import Stretch
from node.core.article6.terms import allows_ndc, allows_oimp
from node.core.context import Context
from node.core.records import Batch
from node.core.refusal import Refused


def check_known(tx: Context, account: int, party: str) -> None:
    """Authorized units stay where it is known in which Party they are."""
    if not party:
        taker = tx.account_number(account)
        detail = f"{taker.owner} ({taker.name}) is in no Party; units under an authorization cannot go there"
        raise Refused(Reason.PARTY_UNKNOWN, detail, participant=taker.owner)


def check_transfer_abroad(tx: Context, stretch: Stretch, to_account: int, to_party: str, effective_ms: int) -> None:
    """Units under an authorization may go to this Party and its participant, now."""
    authorization, terms = find_authorization(tx, stretch.authorization), terms_of(tx, stretch)
    check_active(tx, authorization.approach)
    if authorization.revoked and not stretch.version:
        detail = f"authorization {stretch.authorization} was revoked"
        raise Refused(Reason.AUTHORIZATION_REVOKED, detail, authorization=stretch.authorization)
    _check_conditions(stretch, terms)
    if terms.parties and to_party not in (*terms.parties, authorization.party):
        detail = f"authorization {stretch.authorization} is for {', '.join(terms.parties)}, not {to_party}"
        raise Refused(Reason.PARTY_NOT_AUTHORIZED, detail, authorization=stretch.authorization, party=to_party)
    owner = tx.account_number(to_account).owner
    named = [entity.participant for entity in terms.entities if entity.participant]
    if named and owner not in named and to_party != authorization.party:
        detail = f"authorization {stretch.authorization} names {', '.join(named)}, not {owner}"
        raise Refused(Reason.ENTITY_NOT_AUTHORIZED, detail, authorization=stretch.authorization, entity=owner)
    if not stretch.version:
        _check_time_frame(stretch, terms, year_of(effective_ms))


def check_use(tx: Context, stretch: Stretch, use: Purposeful, effective_ms: int) -> None:
    """Units under an authorization may be used for this."""
    authorization, terms = find_authorization(tx, stretch.authorization), terms_of(tx, stretch)
    if authorization.revoked and not stretch.version:
        detail = f"authorization {stretch.authorization} was revoked"
        raise Refused(Reason.AUTHORIZATION_REVOKED, detail, authorization=stretch.authorization)
    _check_conditions(stretch, terms)
    allowed = allows_ndc(terms) if use.kind == PurposefulKind.NDC else allows_oimp(terms)
    if not allowed:
        detail = f"authorization {stretch.authorization} is not for {PurposefulKind(use.kind).name}"
        raise Refused(Reason.PURPOSE_NOT_AUTHORIZED, detail, authorization=stretch.authorization)
    if use.kind == PurposefulKind.OIMP and terms.oimp and use.scheme != terms.oimp:
        detail = (
            f"authorization {stretch.authorization} is for {terms.oimp}, the use for {use.scheme or 'nothing named'}"
        )
        raise Refused(Reason.PURPOSE_NOT_AUTHORIZED, detail, authorization=stretch.authorization)
    if use.kind == PurposefulKind.NDC:
        check_year(use.year, "use.year")
    _check_time_frame(stretch, terms, use.year if use.kind == PurposefulKind.NDC else year_of(effective_ms))


def check_use_without_authorization(batch: Batch, party: str, alpha2: str) -> None:
    """Units without an authorization count for their host: no other Party's NDC may use them."""
    if batch.host and batch.host not in (party, alpha2):
        detail = f"{batch.name} of {batch.host} is under no authorization; {party} cannot use it towards its NDC"
        raise Refused(Reason.NOT_AUTHORIZED, detail, batch=batch.name, party=party)


def _check_conditions(stretch: Stretch, terms: AuthorizationTerms) -> None:
    if terms.conditional and not stretch.version:
        detail = f"authorization {stretch.authorization} is conditional: {terms.conditions or 'see its document'}"
        raise Refused(Reason.AUTHORIZATION_CONDITIONAL, detail, authorization=stretch.authorization)


def _check_time_frame(stretch: Stretch, terms: AuthorizationTerms, year: int) -> None:
    if terms.first_year and not terms.first_year <= year <= terms.last_year:
        frame = f"{terms.first_year} - {terms.last_year}"
        detail = f"{year} is outside the time frame {frame} of authorization {stretch.authorization}"
        raise Refused(Reason.OUTSIDE_TIME_FRAME, detail, authorization=stretch.authorization, frame=frame)
