"""`keeling discrepancy`: where ledger and registry, two exports or two claims disagree; both sides are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import reads
from cli.exits import ExitCode, Failed
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_time, format_units
from cli.session import Session
from cli.telling import facts_of_event, format_place, format_when

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

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
            "open" if each.open else "over",
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
    for each in _find_all(session, False):
        if format_place(each.place) == place:
            return Answer(facts_of_discrepancy(each), _tell(each))
    text = f"no discrepancy has the place {place!r}"
    raise Failed(ExitCode.NOT_FOUND, text, reason="DISCREPANCY_NOT_FOUND", advice="see: keeling discrepancy list")


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
    ]
    lines: list[str | Grid] = [Grid(("", ""), [row for row in rows if row[1]])]
    if each.restricted:
        name = f"discrepancy/{format_place(each.place)}"
        last = each.range.first + each.range.units - 1
        positions = f"{each.range.batch}:{each.range.first}-{last}"
        lines += [
            "once one side is proved, its registry lifts the restriction:",
            f'  keeling restrict {name} --lift --reason "…" --positions {positions}',
        ]
    return lines


def _describe(event: pb.Event) -> str:
    facts = {fact.name: fact.value for fact in event.facts}
    said = ", ".join(f"{name} {facts[name]}" for name in ("run", "grade", "reference", "source") if facts.get(name))
    when = format_when(event.effective)
    return f"{event.kind} at {format_place(event.place)}, known {format_time(event.time_ms)}, effective {when}" + (
        f" ({said})" if said else ""
    )


def _describe_now(each: pb.DiscrepancyInfo) -> str:
    if not each.open:
        return "over"
    return "open, the units are restricted" if each.restricted else "open; the units had ended, nothing is restricted"


def _find_all(session: Session, open_only: bool) -> list[pb.DiscrepancyInfo]:
    from keeling.v1 import ledger_pb2 as pb

    pages = session.ask_pages(session.ledger.ListDiscrepancies, pb.ListRequest(open_only=open_only))
    return [each for page in pages for each in page.discrepancies]


def facts_of_discrepancy(each: pb.DiscrepancyInfo) -> dict[str, object]:
    """A disagreement as facts: its place as one text, both events in full."""
    sides = {name: facts_of_event(getattr(each, name)) if each.HasField(name) else None for name in ("since", "found")}
    return facts_of(each) | {"place": format_place(each.place), **sides}
