"""`keeling retire`, `use`, `cancel`, `reverse`: the end of units' lives, and the only way back."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cli.choices import (
    BENEFICIARY,
    EFFECTIVE,
    EVIDENCE,
    GRADE,
    OF_BATCH,
    OF_PROGRAMME,
    POSITIONS,
    REFERENCE,
    SERIALS,
    STRATEGY,
    UNITS,
    Choice,
    Grade,
    Strategy,
    build_selection,
    build_when,
    find_positions,
    hash_beneficiary,
    parse_positions,
    require_evidence,
)
from cli.command import writes
from cli.exits import misused
from cli.identifiers import parse_cursor
from cli.purposes import USE_ENTITY, USE_SCHEME, USE_YEAR, UseFor, build_use
from cli.session import Session
from cli.writing import Change

app = typer.Typer()

_FROM = Annotated[str, typer.Option("--from", metavar="ACCOUNT", help="Whose units.")]
_REASON = Annotated[str, typer.Option("--reason", help="Why; public.")]


class CancelKind(StrEnum):
    """Why units are cancelled."""

    VOLUNTARY = "voluntary"
    OMGE = "omge"
    ADMINISTRATIVE = "administrative"
    REVERSAL = "reversal"
    OTHER = "other"


@writes(app, "retire")
def retire(
    session: Session,
    units: UNITS = None,
    account: _FROM = "",
    beneficiary: BENEFICIARY = "",
    reason: _REASON = "",
    serials: SERIALS = None,
    positions: POSITIONS = None,
    batch: OF_BATCH = None,
    programme: OF_PROGRAMME = None,
    strategy: STRATEGY = Strategy.WHOLE_LOTS_FIRST,
    effective: EFFECTIVE = None,
) -> Change:
    """Retire native units for ever. Units of an outside registry are held, dispatched and captured instead.

    \b
    Example:
      keeling retire 10 --from B --beneficiary "Acme Ltd" --reason "2025 travel"
    """
    from keeling.v1 import operations_pb2 as op

    named = hash_beneficiary(beneficiary)
    selection = build_selection(session, Choice(units, serials, positions, batch, programme, strategy))
    operation = op.Retire(
        account=account, selection=selection, beneficiary=named.digest, reason=reason, effective=build_when(effective)
    )
    return Change([operation], lambda _: named.told, named.facts)


@writes(app, "use")
def use_units(
    session: Session,
    units: UNITS = None,
    account: _FROM = "",
    use: Annotated[UseFor, typer.Option("--for", help="ndc, oimp or compliance.")] = UseFor.NONE,
    year: USE_YEAR = 0,
    scheme: USE_SCHEME = "",
    entity: USE_ENTITY = "",
    serials: SERIALS = None,
    positions: POSITIONS = None,
    batch: OF_BATCH = None,
    programme: OF_PROGRAMME = None,
    strategy: STRATEGY = Strategy.WHOLE_LOTS_FIRST,
    effective: EFFECTIVE = None,
) -> Change:
    """Use native units towards an NDC, another international purpose, or a compliance scheme.

    \b
    Example:
      keeling use 400 --from B --for ndc --year 2030
      keeling use 100 --from B --for compliance --scheme CORSIA --year 2025 --entity airline-7
    """
    from keeling.v1 import operations_pb2 as op

    purpose = build_use(use, year, scheme, entity)
    if purpose is None:
        raise misused("what are the units used for?", "give --for ndc, oimp or compliance")
    selection = build_selection(session, Choice(units, serials, positions, batch, programme, strategy))
    return Change([op.Use(account=account, selection=selection, use=purpose, effective=build_when(effective))])


@writes(app, "cancel")
def cancel(
    session: Session,
    units: UNITS = None,
    account: _FROM = "",
    kind: Annotated[CancelKind, typer.Option("--kind", help="Why.")] = CancelKind.VOLUNTARY,
    reason: _REASON = "",
    serials: SERIALS = None,
    positions: POSITIONS = None,
    batch: OF_BATCH = None,
    programme: OF_PROGRAMME = None,
    strategy: STRATEGY = Strategy.WHOLE_LOTS_FIRST,
    effective: EFFECTIVE = None,
) -> Change:
    """Cancel native units, so that nobody can claim them.

    \b
    Example:
      keeling cancel 50 --from B --kind voluntary --reason "donated"
    """
    from keeling.v1 import operations_pb2 as op

    selection = build_selection(session, Choice(units, serials, positions, batch, programme, strategy))
    operation = op.Cancel(
        account=account,
        selection=selection,
        kind=op.Cancel.Kind.Value(kind.name),
        reason=reason,
        effective=build_when(effective),
    )
    return Change([operation])


@writes(app, "reverse")
def reverse(
    session: Session,
    event: Annotated[str, typer.Argument(metavar="HEIGHT.ORDINAL", help="The event that ended the units.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it is taken back.")],
    evidence: EVIDENCE = None,
    grade: GRADE = Grade.B,
    reference: REFERENCE = "",
    serials: SERIALS = None,
    positions: POSITIONS = None,
    effective: EFFECTIVE = None,
) -> Change:
    """Take back a retirement, use or cancellation on the registry's word. The original stays; its claim is withdrawn.

    \b
    Example:
      keeling reverse 1200.3 --reason "wrong account" --evidence letter.pdf --reference RET-118/R --as attestor.key
    """
    from keeling.v1 import operations_pb2 as op

    height, ordinal = parse_cursor(event)
    ranges = [parse_positions(text) for text in positions or ()]
    ranges += find_positions(session, serials or ())
    operation = op.Reverse(
        height=height,
        ordinal=ordinal,
        ranges=ranges,
        reason=reason,
        evidence=require_evidence(evidence, grade, reference),
        effective=build_when(effective),
    )
    return Change([operation], lambda _: [f"event {event} is reversed; claims made on it are withdrawn"])
