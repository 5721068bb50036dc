"""`keeling discrepancy`: where ledger and registry, two exports or two claims disagree; both sides are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.choices import EVIDENCE, GRADE, REFERENCE, Grade, build_evidence
from cli.command import reads, writes
from cli.exits import ExitCode, Failed, misused
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_time, format_units
from cli.session import Session
from cli.telling import facts_of_event, format_place, format_when
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

_EVENTS = ("since", "found", "closed")
app = typer.Typer(help="Discrepancies: two sides that say different things of units.", no_args_is_help=True)


@reads(app, "list")
def list_discrepancies(
    session: Session,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that still stand.")] = False,
) -> Answer:
    """List disagreements, oldest first, with both sides.

    \b
    Example:
      keeling discrepancy list --open
    """
    found = _find_all(session, open_only)
    rows = [
        (
            format_place(each.place),
            each.serials or f"{each.range.batch} {each.first_number}-{each.last_number}",
            format_units(each.range.units),
            each.ledger,
            each.claimed,
            "open" if each.open else _describe_end(each),
        )
        for each in found
    ]
    columns = ("discrepancy", "serials", ">units", "the ledger has", "the other side says", "")
    facts = {"discrepancies": [facts_of_discrepancy(each) for each in found]}
    return Answer(facts, [Grid(columns, rows, "no disagreements")])


@reads(app, "show")
def show_discrepancy(
    session: Session,
    place: Annotated[str, typer.Argument(metavar="HEIGHT.ORDINAL", help="Its place, as the list gives it.")],
) -> Answer:
    """Show one disagreement: each side with who said it, when, on what evidence, and how to end it.

    \b
    Example:
      keeling discrepancy show 17.3
    """
    found = _find_one(session, place)
    return Answer(facts_of_discrepancy(found), _tell(found))


@writes(app, "close")
def close_discrepancy(
    session: Session,
    place: Annotated[str, typer.Argument(metavar="HEIGHT.ORDINAL", help="Its place, as the list gives it.")],
    reason: Annotated[str, typer.Option("--reason", help="Which side is right, and how that is known.")],
    evidence: EVIDENCE = None,
    grade: GRADE = Grade.D,
    reference: REFERENCE = "",
) -> Change:
    """Close a disagreement that was looked into: the ledger's side stands, and its restriction is lifted.

    For the registry, whom its record lets speak for it, or an authority; by as many people as that record asks
    attestors: --build, then `keeling tx sign`. Where the other side is right, attest, import or reverse that instead. A
    registry that says the same once more opens a new one.

    \b
    Example:
      keeling discrepancy close 17.3 --reason "their letter of 3 May: booked to the wrong block" --evidence letter.pdf
    """
    from keeling.v1 import operations_pb2 as op

    found = _find_one(session, place)
    if not found.open:
        raise Failed(ExitCode.REFUSED, f"discrepancy {place} is over: {_describe_end(found)}", reason="NOT_OPEN")
    proof = build_evidence(evidence, grade, reference)
    if proof is None or not proof.digest:
        raise misused("a disagreement is closed on evidence", "give --evidence FILE")
    said = op.Unrestrict(restriction=_name(found), ranges=[found.range], reason=reason, evidence=proof)
    units = format_units(found.range.units)
    return Change([said], lambda _: [f"discrepancy {place} is closed: {units} units stay {found.ledger}"])


def _name(each: pb.DiscrepancyInfo) -> str:
    """What restricts the units, where something does."""
    return f"discrepancy/{format_place(each.place)}"


def _describe_end(each: pb.DiscrepancyInfo) -> str:
    """How it ended: by somebody's word, or because both sides came to say the same."""
    if not each.HasField("closed"):
        return "over"
    reason = next((fact.value for fact in each.closed.facts if fact.name == "reason"), "")
    return f"closed {format_time(each.closed.time_ms)}: {reason}"


def _tell(each: pb.DiscrepancyInfo) -> list[str | Grid]:
    rows = [
        ("units", f"{format_units(each.range.units)} of {each.range.batch}, {each.first_number} to {each.last_number}"),
        ("serials", each.serials),
        ("one side", f"the ledger had them {each.ledger}"),
        ("", _describe(each.since) if each.HasField("since") else "its event is not kept here"),
        ("the other side", each.claimed),
        ("", _describe(each.found) if each.HasField("found") else "its event is not kept here"),
        ("source of it", each.source),
        ("now", _describe_now(each)),
        ("", _describe(each.closed) if each.HasField("closed") else ""),
    ]
    lines: list[str | Grid] = [Grid(("", ""), [row for row in rows if row[1]])]
    if each.open:
        lines += [
            "where it was looked into and the ledger is right:",
            f'  keeling discrepancy close {format_place(each.place)} --reason "…" --evidence FILE',
        ]
    return lines


def _describe(event: pb.Event) -> str:
    facts = {fact.name: fact.value for fact in event.facts}
    said = ", ".join(
        f"{name} {facts[name]}" for name in ("run", "grade", "reference", "source", "reason") if facts.get(name)
    )
    when = format_when(event.effective)
    return f"{event.kind} at {format_place(event.place)}, known {format_time(event.time_ms)}, effective {when}" + (
        f" ({said})" if said else ""
    )


def _describe_now(each: pb.DiscrepancyInfo) -> str:
    if not each.open:
        return _describe_end(each)
    return "open, the units are restricted" if each.restricted else "open; the units had ended, nothing is restricted"


def _find_one(session: Session, place: str) -> pb.DiscrepancyInfo:
    for each in _find_all(session, False):
        if format_place(each.place) == place:
            return each
    text = f"no discrepancy has the place {place!r}"
    raise Failed(ExitCode.NOT_FOUND, text, reason="DISCREPANCY_NOT_FOUND", advice="see: keeling discrepancy list")


def _find_all(session: Session, open_only: bool) -> list[pb.DiscrepancyInfo]:
    from keeling.v1 import ledger_pb2 as pb

    pages = session.ask_pages(session.ledger.ListDiscrepancies, pb.ListRequest(open_only=open_only))
    return [each for page in pages for each in page.discrepancies]


def facts_of_discrepancy(each: pb.DiscrepancyInfo) -> dict[str, object]:
    """A disagreement as facts: its place as one text, its events in full."""
    known = {field.name: event for field, event in each.ListFields()}
    sides = {name: facts_of_event(known[name]) if name in known else None for name in _EVENTS}
    return facts_of(each) | {"place": format_place(each.place), **sides}
