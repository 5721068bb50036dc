"""`keeling proposal`: moves to other identities that exports propose, decided here with evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.choices import (
    EVIDENCE,
    GRADE,
    REFERENCE,
    Grade,
    build_evidence,
    find_positions,
    parse_positions,
    require_evidence,
)
from cli.command import reads, writes
from cli.exits import ExitCode, Failed, misused
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_units
from cli.session import Session
from cli.telling import format_place
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

app = typer.Typer(help="Proposals: tonnes that seem to live on under another identity.", no_args_is_help=True)

PROPOSAL = Annotated[str, typer.Argument(metavar="PROPOSAL", help="Its name, such as gold_standard:…@110.")]


@reads(app, "list")
def list_proposals(
    session: Session,
    everything: Annotated[bool, typer.Option("--all", help="Those that were decided, too.")] = False,
) -> Answer:
    """List what waits for a decision: units whose registry says that they moved to another one.

    A person accepts or declines each. Moves that the record rule:twin.auto names, such as "car>arb", decide themselves
    where nobody has claimed the units (keeling record set); they are among --all.

    \b
    Example:
      keeling proposal list
      keeling proposal list --all
    """
    found = _find_all(session, open_only=not everything)
    rows = [(each.proposal, format_units(each.range.units), each.destination, each.status.lower()) for each in found]
    facts = {"proposals": [facts_of_proposal(each) for each in found]}
    return Answer(facts, [Grid(("proposal", ">units", "seem to live on at", "status"), rows, "nothing to decide")])


@reads(app, "show")
def show_proposal(session: Session, proposal: PROPOSAL) -> Answer:
    """Show one proposal: units, destination, the source's own words, and how it was decided.

    \b
    Example:
      keeling proposal show gold_standard:11236-16-2024-30307@110
    """
    each = _find(session, proposal)
    rows = [
        ("proposal", each.proposal),
        ("units", f"{format_units(each.range.units)}, numbers {each.first_number} to {each.last_number}"),
        ("serials", each.serials),
        ("registry", each.registry),
        ("seem to live on at", each.destination),
        ("because it says", each.because),
        ("brought by run", each.run),
        ("opened at", format_place(each.opened)),
        ("status", each.status.lower() + (f" at {format_place(each.decided)}" if each.decided.height else "")),
    ]
    return Answer(facts_of_proposal(each), [Grid(("", ""), [row for row in rows if row[1]])])


@writes(app, "accept")
def accept_proposal(
    session: Session,
    proposal: PROPOSAL,
    identifier: Annotated[str, typer.Option("--identifier", help="Full identifier of the tonnes where they are.")] = "",
    into: Annotated[
        str | None, typer.Option("--into", metavar="SERIALS", help="The units they are, if a batch here has them.")
    ] = None,
    into_positions: Annotated[
        str | None, typer.Option("--into-positions", metavar="BATCH:FIRST-LAST", help="The same by positions.")
    ] = None,
    evidence: EVIDENCE = None,
    grade: GRADE = Grade.C,
    reference: REFERENCE = "",
    their_evidence: Annotated[
        str | None, typer.Option("--their-evidence", metavar="FILE|SHA256", help="The word of the other registry.")
    ] = None,
    their_grade: Annotated[Grade, typer.Option("--their-grade", help="How well that is proved.")] = Grade.C,
    their_reference: Annotated[str, typer.Option("--their-reference", help="The other registry's reference.")] = "",
) -> Change:
    """Confirm that the tonnes live on elsewhere: the units are CONVERTED, and keep the identity they have there.

    Takes the word of both registries: --evidence of the one that shows the units, --their-evidence of the other.

    \b
    Example:
      keeling proposal accept car:…@1 --identifier "CAFR6543 1-5000" --evidence car.pdf --their-evidence arb.pdf
    """
    from keeling.v1 import operations_pb2 as op

    each = _find(session, proposal)
    theirs = [parse_positions(into_positions)] if into_positions else find_positions(session, into) if into else []
    if len(theirs) > 1:
        raise misused(f"{into} is in {len(theirs)} batches", "name units of one batch")
    other = build_evidence(their_evidence, their_grade, their_reference)
    if other is None:
        raise misused("no word of the other registry is given", "name a file or a SHA-256 with --their-evidence")
    if not theirs and not identifier:
        raise misused("where the tonnes are is not said", "give --identifier, or --into for units of a batch here")
    operation = op.Twin(
        form=op.Twin.CONVERT,
        ours=each.range,
        theirs=theirs[0] if theirs else None,
        evidence=require_evidence(evidence, grade, reference),
        their_evidence=other,
        destination="" if theirs else each.destination,
        identifier=identifier,
        proposal=proposal,
    )
    told = f"{format_units(each.range.units)} units of {each.range.batch} are converted"
    return Change([operation], lambda _: [f"{told}: {identifier or into or into_positions}"])


@writes(app, "decline")
def decline_proposal(
    session: Session, proposal: PROPOSAL, evidence: EVIDENCE = None, grade: GRADE = Grade.C, reference: REFERENCE = ""
) -> Change:
    """Say that it is not so: the units stay as their registry shows them, and no later export asks again.

    \b
    Example:
      keeling proposal decline car:…@1 --evidence letter.pdf
    """
    from keeling.v1 import operations_pb2 as op

    proof = require_evidence(evidence, grade, reference)
    operation = op.Notice(notice=proposal, kind="twin-proposal", close=True, evidence=proof)
    return Change([operation], lambda _: [f"proposal {proposal} is declined"])


def _find_all(session: Session, *, open_only: bool) -> list[pb.ProposalInfo]:
    from keeling.v1 import ledger_pb2 as pb

    pages = session.ask_pages(session.ledger.ListProposals, pb.ListRequest(open_only=open_only))
    return [each for page in pages for each in page.proposals]


def _find(session: Session, name: str) -> pb.ProposalInfo:
    for each in _find_all(session, open_only=False):
        if each.proposal == name:
            return each
    text = f"no proposal is called {name!r}"
    raise Failed(ExitCode.NOT_FOUND, text, reason="NOTICE_NOT_FOUND", advice="see: keeling proposal list --all")


def facts_of_proposal(each: pb.ProposalInfo) -> dict[str, object]:
    """A proposal as facts: its places as texts."""
    decided = format_place(each.decided) if each.decided.height else None
    return facts_of(each) | {"opened": format_place(each.opened), "decided": decided}
