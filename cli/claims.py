"""`keeling account claim`: an owner takes units out of unassigned@registry, with evidence.

It joins the commands of `cli.account`; `app` is theirs, with this one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.account import ACCOUNT, app
from cli.choices import (
    EVIDENCE,
    GRADE,
    POSITIONS,
    REFERENCE,
    SERIALS,
    Grade,
    find_positions,
    parse_positions,
    require_evidence,
)
from cli.command import writes
from cli.exits import ExitCode, Failed, misused
from cli.output import Grid
from cli.quantities import format_units
from cli.session import Session
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

__all__ = ["app", "claim_units"]


@writes(app, "claim")
def claim_units(
    session: Session,
    account: ACCOUNT,
    serials: SERIALS = None,
    positions: POSITIONS = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="A text file of serials, one range a line.")
    ] = None,
    evidence: EVIDENCE = None,
    grade: GRADE = Grade.C,
    reference: REFERENCE = "",
) -> Change:
    """Claim units that the registry shows in the account this one is linked to.

    An attestor or importer of the registry signs too. Where another account has the units already, that is a
    disagreement and no race: both claims are on record and the units restricted, until an attestor lifts that (the
    first keeps them) or signs this claim again with evidence as good as a capture's (they move here).

    \b
    Example:
      keeling account claim A --serials "19385-941467007-941467431-VCS-VCU-…-1" --evidence statement.pdf
      keeling account claim A --file holdings.txt --evidence statement.pdf --grade B --reference STMT-7
    """
    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1 import operations_pb2 as op

    known = session.ask(session.ledger.GetAccount, pb.GetAccountRequest(account=account))
    if not known.HasField("link"):
        text = f"account {account} is not linked to a registry account"
        raise Failed(ExitCode.REFUSED, text, reason="NO_LINK", advice="link it first: keeling account link")
    claims = [parse_positions(text) for text in positions or ()]
    claims += find_positions(session, [*(serials or ()), *(_read_serials(file) if file else ())])
    if not claims:
        raise misused("no units are named", "name them with --serials, --positions or --file")
    operation = op.Link(
        account=account,
        registry=known.link.registry,
        registry_account=known.link.registry_account,
        hub=known.link.hub,
        control=known.link.control,
        claims=claims,
        evidence=require_evidence(evidence, grade, reference),
    )
    return Change([operation], lambda result: _tell(account, result))


def _read_serials(path: Path) -> list[str]:
    """The lines of a file, without empty ones and those that begin with #."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _tell(account: str, result: pb.TransactionResult) -> list[str | Grid]:
    moved = sum(move.range.units for event in result.events for move in event.moves)
    lines: list[str | Grid] = [f"{format_units(moved)} units are in {account}"]
    for event in result.events:
        if event.kind == "DISCREPANCY":
            facts = {fact.name: fact.value for fact in event.facts}
            sides = f"{facts.get('ledger', '')}, also {facts.get('registry', '')}"
            units = f"{event.subject} {facts.get('serials', '')}"
            lines.append(f"disputed, restricted until an attestor decides: {units}: {sides}")
    return lines
