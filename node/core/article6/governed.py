"""Parties and cooperative approaches: governed records, what may follow what in them, and who speaks for a Party.

Records are set by the electorate (`node.core.members`); here is what is checked of these two kinds, and how they are
read by rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from keeling.operations import (
    CooperativeApproach,
    CooperativeApproachState,
    LevyKind,
    Party,
    PartyMethod,
    Programme,
    SetRecord,
)
from keeling.reasons import Reason
from keeling.units import Purpose
from node.core import tables as t
from node.core.context import Context
from node.core.fields import check_length, check_name, check_when
from node.core.records import RecordVersion
from node.core.refusal import Refused

PARTY: Final = re.compile(r"[A-Z]{3}", re.ASCII)
ITMO_REGISTRY: Final = re.compile(r"[A-Z]{3}[0-9]{2}|UN01", re.ASCII)
"""A Party's registry; `UN01`, of the mechanism and the international registry, is the one exception to the pattern."""
APPROACH: Final = re.compile(r"CA[0-9]{4}", re.ASCII)
MEMBERS_MAX: Final = 1_000
"""Participants one Party's record may name."""

_State = CooperativeApproachState
_NEXT: Final = {
    _State.STATE_UNSPECIFIED: (_State.DRAFT, _State.ACTIVE),
    _State.DRAFT: (_State.DRAFT, _State.ACTIVE, _State.REVOKED),
    _State.ACTIVE: (_State.ACTIVE, _State.SUSPENDED, _State.COMPLETED, _State.REVOKED),
    _State.SUSPENDED: (_State.SUSPENDED, _State.ACTIVE, _State.COMPLETED, _State.REVOKED),
    _State.COMPLETED: (),
    _State.REVOKED: (),
}


def check_year(year: int, field: str) -> None:
    """A calendar year, or 0 where none is said."""
    if year and not 1900 <= year <= 9999:
        raise Refused(Reason.BAD_FIELD, f"{field} {year} is no calendar year", field=field)


def check_years(first: int, last: int, field: str) -> None:
    """Two calendar years in order, or neither."""
    check_year(first, field)
    check_year(last, field)
    if bool(first) != bool(last) or first > last:
        detail = f"{field} {first} - {last}: give the first and the last year, or neither"
        raise Refused(Reason.BAD_FIELD, detail, field=field)


def check_party(code: str, field: str) -> None:
    if not PARTY.fullmatch(code):
        raise Refused(Reason.BAD_FIELD, f"{code!r} is no Party: three letters such as GHA, or EUE", field=field)


def check_governed_fields(op: SetRecord) -> None:
    """What is wrong with a Party's or an approach's record whatever the state is."""
    if isinstance(op.body, Party):
        _check_party_fields(op.id, op.body)
    elif isinstance(op.body, CooperativeApproach):
        _check_approach_fields(op.id, op.body)
    elif isinstance(op.body, Programme):
        _check_programme_fields(op.body)


def _check_party_fields(record: str, party: Party) -> None:
    check_party(party.party, "party.party")
    if record != f"party:{party.party}":
        raise Refused(Reason.BAD_FIELD, f"the record of {party.party} is called party:{party.party}", field="id")
    if party.alpha2 and not re.fullmatch(r"[A-Z]{2}", party.alpha2, re.ASCII):
        raise Refused(Reason.BAD_FIELD, f"alpha2 {party.alpha2!r} is not two letters", field="party.alpha2")
    if not ITMO_REGISTRY.fullmatch(party.itmo_registry):
        detail = f"{party.itmo_registry!r} is no ITMO registry: GHA01, or UN01"
        raise Refused(Reason.BAD_FIELD, detail, field="party.itmo_registry")
    named = (*party.authorities, *party.participants)
    if len(named) > MEMBERS_MAX or len(set(named)) != len(named):
        detail = f"a Party has up to {MEMBERS_MAX} participants, each named once"
        raise Refused(Reason.BAD_FIELD, detail, field="party.participants")
    for name in named:
        check_name(name, "party.participants")
    check_years(party.ndc_first_year, party.ndc_last_year, "party.ndc_first_year")
    if party.method not in list(PartyMethod):
        raise Refused(Reason.BAD_FIELD, f"no method has the number {party.method}", field="party.method")


def _check_approach_fields(record: str, approach: CooperativeApproach) -> None:
    if not APPROACH.fullmatch(approach.approach) or record != f"approach:{approach.approach}":
        raise Refused(Reason.BAD_FIELD, "the record of CA0004 is called approach:CA0004", field="id")
    if not approach.parties or len(set(approach.parties)) != len(approach.parties) or len(approach.parties) > 250:
        raise Refused(Reason.BAD_FIELD, "an approach has Parties, each named once", field="approach.parties")
    for party in approach.parties:
        check_party(party, "approach.parties")
    if approach.state not in list(_State) or approach.state == _State.STATE_UNSPECIFIED:
        raise Refused(Reason.MISSING_FIELD, "an approach says its state", field="approach.state")
    for report in approach.initial_reports:
        if report.party not in approach.parties or len(report.digest) != 32:
            detail = "an initial report is of a Party of the approach, and named by its SHA-256"
            raise Refused(Reason.BAD_FIELD, detail, field="approach.initial_reports")
        check_length(report.reference, "approach.initial_reports.reference")
        check_when(report.submitted, "approach.initial_reports.submitted")


def _check_programme_fields(programme: Programme) -> None:
    """What Article 6 says of a programme: its code in tables, and levies that are what their kind says."""
    check_length(programme.underlying, "programme.underlying")
    for levy in programme.levies:
        if levy.kind not in list(LevyKind):
            raise Refused(Reason.BAD_FIELD, f"no levy has the kind {levy.kind}", field="levies.kind")
        if levy.kind != LevyKind.KIND_UNSPECIFIED and levy.cancelled != (levy.kind == LevyKind.OMGE):
            detail = f"levy {levy.name!r}: what is for OMGE is cancelled, the adaptation share is not"
            raise Refused(Reason.BAD_FIELD, detail, field="levies.cancelled")
        for name in levy.exempt:
            check_name(name, "levies.exempt")


def keep_governed(tx: Context, op: SetRecord, before: Sequence[RecordVersion]) -> dict[str, object]:
    """Check a new version against the one before and take what it says; returns the facts its event states."""
    last = before[-1] if before else None
    if isinstance(op.body, Party):
        return _keep_party(tx, op.body, last.party if last else None)
    if isinstance(op.body, CooperativeApproach):
        return _keep_approach(op.body, last.approach if last else None)
    return {}


def _keep_party(tx: Context, party: Party, last: Party | None) -> dict[str, object]:
    for name in party.authorities:
        if "authority" not in tx.member(name).roles:
            raise Refused(Reason.NOT_PERMITTED, f"{name} does not have the role authority", participant=name)
    named = (*party.authorities, *party.participants)
    for name in named:
        tx.member(name)
        known = tx.state.get(t.PARTY_OF, name)
        if known is not None and known != party.party:
            raise Refused(Reason.PARTICIPANT_STAYS_IN_PARTY, f"{name} is in {known}", participant=name, party=known)
        tx.state.put(t.PARTY_OF, party.party, name)
    if last is not None:
        gone = sorted({*last.authorities, *last.participants} - set(named))
        if gone:
            raise Refused(Reason.PARTICIPANT_STAYS_IN_PARTY, f"{', '.join(gone)} would be in no Party", missing=gone[0])
        same_period = party.ndc_first_year <= last.ndc_last_year
        if last.method and last.ndc_last_year and same_period and party.method != last.method:
            method = PartyMethod(last.method).name
            detail = f"{party.party} applies {method} until {last.ndc_last_year}"
            raise Refused(Reason.METHOD_IS_FIXED, detail, method=method)
    return {
        "party": party.party,
        "itmo_registry": party.itmo_registry,
        "ndc_first_year": party.ndc_first_year or "",
        "ndc_last_year": party.ndc_last_year or "",
        "method": PartyMethod(party.method).name if party.method else "",
    }


def _keep_approach(approach: CooperativeApproach, last: CooperativeApproach | None) -> dict[str, object]:
    was = _State(last.state) if last else _State.STATE_UNSPECIFIED
    state = _State(approach.state)
    if state not in _NEXT[was]:
        detail = f"{approach.approach} is {was.name}; it cannot become {state.name}"
        raise Refused(Reason.APPROACH_STEP_OUT_OF_ORDER, detail, approach=approach.approach)
    reported = {report.party for report in approach.initial_reports}
    missing = [party for party in approach.parties if party not in reported]
    if state == _State.ACTIVE and missing:
        detail = f"{approach.approach} cannot be ACTIVE: no initial report of {', '.join(missing)}"
        raise Refused(Reason.INITIAL_REPORT_MISSING, detail, approach=approach.approach, party=missing[0])
    return {"approach": approach.approach, "state": state.name, "parties": " ".join(approach.parties)}


# -- reading


def find_party(tx: Context, code: str) -> Party:
    """The record of a Party in force at ledger time."""
    version = tx.version(f"party:{code}")
    if version is None or version.party is None:
        raise Refused(Reason.PARTY_NOT_FOUND, f"no Party {code!r} is on record", party=code)
    return version.party


def find_approach(tx: Context, code: str) -> CooperativeApproach:
    """The record of a cooperative approach in force at ledger time."""
    version = tx.version(f"approach:{code}")
    if version is None or version.approach is None:
        raise Refused(Reason.APPROACH_NOT_FOUND, f"no cooperative approach {code!r} is on record", approach=code)
    return version.approach


def is_active(tx: Context, code: str) -> bool:
    """Whether the approach, which exists, is ACTIVE now."""
    return find_approach(tx, code).state == _State.ACTIVE


def check_active(tx: Context, code: str) -> None:
    approach = find_approach(tx, code)
    if approach.state != _State.ACTIVE:
        state = _State(approach.state).name
        raise Refused(Reason.APPROACH_NOT_ACTIVE, f"{code} is {state}", approach=code, state=state)


def check_authority(tx: Context, code: str) -> None:
    """An authority of the Party has signed."""
    authorities = find_party(tx, code).authorities
    if not any(tx.signed_by(name, Purpose.APPROVE) for name in authorities):
        allowed = ", ".join(authorities) or "nobody"
        raise Refused(Reason.NOT_PERMITTED, f"no authority of {code} has signed; {allowed} may", party=code)


def party_of_account(tx: Context, account: int) -> str:
    """The Party of an account's owner; empty where the ledger does not know it."""
    return tx.state.get(t.PARTY_OF, tx.account_number(account).owner) or ""
