"""`keeling authorize`: authorizations under Article 6.2. First transfers are derived by the ledger, never submitted.

The ledgers of Parties are in `adjust`, reports in `aef`; all three groups of commands are found here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.adjust import adjust_app
from cli.aef import aef_app
from cli.authorizing import (
    ACTIVITIES,
    APPROACH,
    BATCHES,
    CAP,
    CONDITIONAL,
    CONDITIONS,
    DATE,
    DOCUMENT,
    ENTITIES,
    FIRST_TRANSFER,
    FOR_PARTIES,
    MITIGATION,
    NON_GHG,
    NOTES,
    OIMP,
    PARTY,
    PROGRAMMES,
    PROJECTS,
    PURPOSE,
    SECTORS,
    TIMEFRAME,
    VINTAGES,
    Given,
    build_terms,
    describe_terms,
)
from cli.choices import Grade, build_when, require_evidence
from cli.command import reads, writes
from cli.identifiers import parse_cursor
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_units
from cli.session import Session
from cli.telling import format_when
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

__all__ = ["adjust_app", "aef_app", "authorize_app"]

authorize_app = typer.Typer(help="Authorizations of mitigation outcomes under Article 6.2.", no_args_is_help=True)

_ID = Annotated[str, typer.Argument(metavar="ID", help="The authorization's id: letters, digits, spaces, hyphens.")]


@writes(authorize_app, "create")
def create(
    session: Session,
    authorization: _ID,
    party: PARTY,
    approach: APPROACH,
    date: DATE,
    document: DOCUMENT,
    purpose: PURPOSE = None,
    first_transfer: FIRST_TRANSFER = None,
    batch: BATCHES = None,
    project: PROJECTS = None,
    programme: PROGRAMMES = None,
    vintages: VINTAGES = None,
    timeframe: TIMEFRAME = None,
    cap: CAP = None,
    for_party: FOR_PARTIES = None,
    entity: ENTITIES = None,
    conditional: CONDITIONAL = None,
    conditions: CONDITIONS = None,
    oimp: OIMP = None,
    non_ghg_metric: NON_GHG = None,
    sector: SECTORS = None,
    activity: ACTIVITIES = None,
    mitigation_type: MITIGATION = None,
    notes: NOTES = None,
) -> Change:
    """Authorize outcomes of a host Party: units in scope come under it now, or when they are issued.

    For NDC use the first international transfer is the first transfer. For OIMP say which: authorization, issuance, or
    use-or-cancellation.

    \b
    Example:
      keeling authorize create GHA-CHE-2026-001 --party GHA --approach CA0004 --date 2026-03-05 --document loa.pdf \\
        --purpose ndc --project ghana-1 --for-party CHE --cap 100,000 --timeframe 2021-2030 \\
        --sector "Waste management" --mitigation-type "Emission reductions"
    """
    from keeling.v1 import operations_pb2 as op

    given = Given(
        *(purpose, first_transfer, batch, project, programme, vintages, timeframe, cap, for_party, entity),
        *(conditional, conditions, oimp, non_ghg_metric, sector, activity, mitigation_type, notes),
    )
    operation = op.Authorize(
        authorization=authorization,
        party=party,
        approach=approach,
        terms=build_terms(authorization, op.AuthorizationTerms(), given),
        date=build_when(date),
        evidence=require_evidence(document, Grade.A),
    )
    return Change([operation], lambda result: [f"{authorization} version 1", *_tell_actions(result)])


@writes(authorize_app, "amend")
def amend(
    session: Session,
    authorization: _ID,
    date: DATE,
    document: DOCUMENT,
    purpose: PURPOSE = None,
    first_transfer: FIRST_TRANSFER = None,
    batch: BATCHES = None,
    project: PROJECTS = None,
    programme: PROGRAMMES = None,
    vintages: VINTAGES = None,
    timeframe: TIMEFRAME = None,
    cap: CAP = None,
    for_party: FOR_PARTIES = None,
    entity: ENTITIES = None,
    conditional: CONDITIONAL = None,
    conditions: CONDITIONS = None,
    oimp: OIMP = None,
    non_ghg_metric: NON_GHG = None,
    sector: SECTORS = None,
    activity: ACTIVITIES = None,
    mitigation_type: MITIGATION = None,
    notes: NOTES = None,
) -> Change:
    """Make the next version: what is named changes, the rest stays. First-transferred units keep the old terms.

    \b
    Example:
      keeling authorize amend GHA-CHE-2026-001 --cap 200,000 --date 2026-06-01 --document amendment.pdf
    """
    from keeling.v1 import operations_pb2 as op

    known = _ask_authorization(session, authorization)
    given = Given(
        *(purpose, first_transfer, batch, project, programme, vintages, timeframe, cap, for_party, entity),
        *(conditional, conditions, oimp, non_ghg_metric, sector, activity, mitigation_type, notes),
    )
    operation = op.AmendAuthorization(
        authorization=authorization,
        version=known.version + 1,
        terms=build_terms(authorization, known.terms[-1], given),
        date=build_when(date),
        evidence=require_evidence(document, Grade.A),
    )
    return Change([operation], lambda result: [f"{authorization} version {known.version + 1}", *_tell_actions(result)])


def _tell_actions(result: pb.TransactionResult) -> list[str]:
    """What units came under the authorization, and what was first transferred at once."""
    actions = [{fact.name: fact.value for fact in e.facts} for e in result.events if e.kind == "ITMO_ACTION"]
    first = sum(int(facts["units"]) for facts in actions if facts.get("first_transfer"))
    covered = sum(int(facts["units"]) for facts in actions)
    told = [f"units under it: {format_units(covered)}"]
    return [*told, f"first transferred at once: {format_units(first)}"] if first else told


@writes(authorize_app, "revoke")
def revoke(
    session: Session,
    authorization: _ID,
    reason: Annotated[str, typer.Option("--reason", help="Why; public.")],
    date: DATE,
    document: DOCUMENT,
    due: Annotated[str | None, typer.Option("--due", metavar="DATE", help="When the notice is due.")] = None,
) -> Change:
    """Revoke an authorization: first-transferred units are spared, the rest is restricted, a notice opens.

    \b
    Example:
      keeling authorize revoke GHA-CHE-2026-001 --reason "baseline withdrawn" --date 2026-09-01 --document letter.pdf
    """
    from keeling.v1 import operations_pb2 as op

    operation = op.RevokeAuthorization(
        authorization=authorization,
        reason=reason,
        date=build_when(date),
        due=build_when(due),
        evidence=require_evidence(document, Grade.A),
    )

    def tell(result: pb.TransactionResult) -> list[str]:
        facts = {f.name: f.value for e in result.events if e.kind == "AUTHORIZATION_REVOKED" for f in e.facts}
        spared, restricted = (format_units(int(facts.get(name, "0"))) for name in ("spared", "restricted"))
        return [f"spared, first transferred: {spared}", f"restricted: {restricted}", f"notice: {facts.get('notice')}"]

    return Change([operation], tell)


def _ask_authorization(session: Session, authorization: str) -> pb.AuthorizationInfo:
    from keeling.v1 import ledger_pb2 as pb

    request = pb.GetAuthorizationRequest(authorization=authorization)
    return session.ask(session.ledger.GetAuthorization, request)


@reads(authorize_app, "list")
def list_all(session: Session) -> Answer:
    """List authorizations with what came under them and what was first transferred.

    \b
    Example:
      keeling authorize list
    """
    from keeling.v1 import ledger_pb2 as pb

    pages = session.ask_pages(session.ledger.ListAuthorizations, pb.ListRequest())
    found = [item for page in pages for item in page.authorizations]
    columns = ("authorization", "party", "approach", "version", "status", ">cap", ">under it", ">first transferred")
    rows = [
        (
            item.authorization,
            item.party,
            item.approach,
            str(item.version),
            item.status,
            format_units(item.terms[0].cap) if item.terms[0].cap else "",
            format_units(item.covered),
            format_units(item.transferred),
        )
        for item in found
    ]
    return Answer({"authorizations": [facts_of(item) for item in found]}, [Grid(columns, rows, "no authorizations")])


@reads(authorize_app, "show")
def show(session: Session, authorization: _ID) -> Answer:
    """Show one authorization with the terms of every version.

    \b
    Example:
      keeling authorize show GHA-CHE-2026-001
    """
    found = _ask_authorization(session, authorization)
    rows = [
        ("authorization", found.authorization),
        ("of", f"{found.party}, approach {found.approach}"),
        ("status", f"{found.status}, version {found.version} of {format_when(found.date)}"),
        ("units under it", format_units(found.covered)),
        ("first transferred", format_units(found.transferred)),
    ]
    if found.status == "REVOKED":
        rest = format_units(found.covered - found.transferred)
        rows.append(("revoked", f"what was first transferred is spared, {rest} are restricted; see its notice"))
        rows.append(("notice", f"revocation/{found.authorization}"))
    versions = [Grid((f"version {i}", ""), describe_terms(terms)) for i, terms in enumerate(found.terms, 1)]
    return Answer(facts_of(found), [Grid(("", ""), rows), *versions])


@writes(authorize_app, "recognise")
def recognise(
    session: Session,
    authorization: _ID,
    action: Annotated[str, typer.Argument(metavar="H.I", help="The transfer, by its place on the ledger.")],
    party: PARTY,
    at: Annotated[str, typer.Option("--at", metavar="DATE", help="When this Party recognised it.")],
    document: DOCUMENT,
) -> Change:
    """Recognise an international transfer for one Party, at its own time; the other does the same for itself.

    \b
    Example:
      keeling authorize recognise GHA-CHE-2026-001 1200.4 --party CHE --at 2026-04-02 --document statement.pdf
    """
    from keeling.v1 import operations_pb2 as op

    height, ordinal = parse_cursor(action)
    operation = op.Recognise(
        authorization=authorization,
        height=height,
        ordinal=ordinal,
        party=party,
        at=build_when(at),
        evidence=require_evidence(document, Grade.A),
    )
    return Change([operation], lambda _: [f"{party} recognised {action}"])
