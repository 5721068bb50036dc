"""`keeling run`: what an import brought, from the ledger's own events, and its report as it was on the day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command import reads
from cli.exits import ExitCode, Failed
from cli.imports import add_findings, write_page
from cli.output import Answer, Grid
from cli.quantities import format_time, format_units
from cli.session import Session

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

app = typer.Typer(help="Imports: what each one brought, and its report.", no_args_is_help=True)


@reads(app, "list")
def list_imports(session: Session) -> Answer:
    """List imports that changed the ledger: run, when, units brought and changed, contradictions.

    \b
    Example:
      keeling run list
    """
    found = _collect(_watch(session))
    rows = [
        (
            run,
            format_time(each["time_ms"]),
            f"{each['heights'][0]} to {each['heights'][1]}",
            format_units(each["created"]),
            format_units(sum(each["changed"].values())),
            format_units(each["discrepancies"]),
            format_units(each["proposals"]),
        )
        for run, each in found.items()
    ]
    columns = ("run", "first at", "heights", ">units new", ">changed", ">disagreements", ">proposals")
    return Answer({"runs": [{"run": run, **each} for run, each in found.items()]}, [Grid(columns, rows, "no imports")])


@reads(app, "show")
def show_import(
    session: Session,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or its beginning.")],
    page: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Print the report of the day as a page again.")
    ] = None,
) -> Answer:
    """Show an import again: what its events say, and the report kept here, proved by its digest on the ledger.

    \b
    Example:
      keeling run show 1f7a90c2
      keeling run show 1f7a90c2 --html march.html
    """
    from cli.importing.shelved import read_kept

    found = _collect(_watch(session))
    matching = [each for each in found if each.startswith(run)]
    if len(matching) != 1:
        text = f"{len(matching)} imports on this ledger begin with {run!r}"
        raise Failed(ExitCode.NOT_FOUND, text, reason="RUN_NOT_FOUND", advice="see: keeling run list")
    facts = {"run": matching[0], **found[matching[0]]}
    kept = read_kept(matching[0])
    anchored = set(facts["anchors"])
    proved = [each for each in kept if each.digest.hex() in anchored]
    facts |= {"report": proved[-1].facts if proved else None, "reports_kept": [str(each.path) for each in kept]}
    answer = Answer(facts, _tell(facts, len(proved)))
    if proved:
        answer = add_findings(answer, proved[-1].facts)
        if page is not None:
            write_page(page, proved[-1].facts)
    elif page is not None:
        text = "the report of this import is not kept on this machine"
        raise Failed(ExitCode.NOT_FOUND, text, reason="REPORT_NOT_KEPT", advice="look where the import was run")
    return answer


def _tell(facts: dict[str, Any], proved: int) -> list[str | Grid]:
    changed = ", ".join(f"{format_units(units)} {state}" for state, units in sorted(facts["changed"].items()))
    lines: list[str | Grid] = [
        f"run {facts['run']}, heights {facts['heights'][0]} to {facts['heights'][1]}, {format_time(facts['time_ms'])}",
        f"{format_units(facts['created'])} units new in {format_units(len(facts['batches']))} batches",
        f"{format_units(sum(facts['changed'].values()))} units changed state" + (f": {changed}" if changed else ""),
        f"{format_units(facts['discrepancies'])} disagreements, {format_units(facts['proposals'])} proposals",
    ]
    known = (
        f"{proved} reports kept here are proved by their digest on the ledger" if proved else "no report is kept here"
    )
    return [*lines, known]


def _watch(session: Session) -> Iterator[pb.Event]:
    from keeling.v1 import ledger_pb2 as pb

    for answer in session.ask_stream(session.ledger.Watch, pb.WatchRequest(until_now=True)):
        yield from answer.events


def _collect(events: Iterable[pb.Event]) -> dict[str, dict[str, Any]]:
    """What events say of each run, in order of its first event."""
    from cli.importing.identity import names_run

    found: dict[str, dict[str, Any]] = {}
    for event in events:
        facts = {fact.name: fact.value for fact in event.facts}
        source = facts.get("source", "") if event.kind == "DISCREPANCY" else ""
        run = facts.get("run") or (source if names_run(source) else "")
        if event.kind == "ANCHORED" and event.subject.startswith("import/"):
            run = event.subject.removeprefix("import/")
        if run:
            _add(found, run, event, facts)
    for each in found.values():
        each["batches"] = sorted(each["batches"])
    return found


def _add(found: dict[str, dict[str, Any]], run: str, event: pb.Event, facts: dict[str, str]) -> None:
    height = event.place.height
    empty: dict[str, Any] = {"created": 0, "changed": {}, "discrepancies": 0, "proposals": 0, "batches": []}
    each = found.setdefault(run, {"heights": [height, height], "time_ms": event.time_ms, "anchors": [], **empty})
    each["heights"][1] = height
    units = sum(move.range.units for move in event.moves)
    if event.kind == "EXTENDED":
        each["created"] += units
    elif event.kind == "ATTESTED":
        state = facts.get("status", "")
        each["changed"][state] = each["changed"].get(state, 0) + units
    elif event.kind == "DISCREPANCY":
        each["discrepancies"] += 1
    elif event.kind == "PROPOSED":
        each["proposals"] += 1
    elif event.kind == "ANCHORED":
        each["anchors"].append(facts.get("digest", ""))
    if event.kind in ("EXTENDED", "ATTESTED") and event.subject not in each["batches"]:
        each["batches"].append(event.subject)
