"""`keeling lot`: ranges of units in one account and state, and the way they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.choices import parse_positions
from cli.command import reads
from cli.exits import misused
from cli.identifiers import format_id
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_time, format_units
from cli.session import Session
from cli.telling import facts_of_event, format_place, format_range, format_when
from keeling.serials import Widest, parse_widest

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

app = typer.Typer(help="Lots: units side by side in one account and one state.", no_args_is_help=True)


@reads(app, "list")
def list_lots(
    session: Session,
    account: Annotated[str, typer.Option("--account", help="Only lots of this account.")] = "",
    batch: Annotated[str, typer.Option("--batch", help="Only lots of this batch.")] = "",
    state: Annotated[str, typer.Option("--state", help="FREE, HELD, RETIRED, ENDED …")] = "",
) -> Answer:
    """List lots of an account or a batch, in order of batch and position.

    \b
    Example:
      keeling lot list --account A
      keeling lot list --batch verra:19298 --state ENDED
    """
    from keeling.v1 import ledger_pb2 as pb

    request = pb.ListLotsRequest(account=account, batch=batch, state=state.upper())
    found = [lot for page in session.ask_pages(session.ledger.ListLots, request) for lot in page.lots]
    rows = [
        (lot.range.batch, lot.serials or f"{lot.first_number}-{lot.last_number}", *_where(lot), format_place(lot.cause))
        for lot in found
    ]
    columns = ("batch", "serials", ">units", "state", "account", "since")
    return Answer({"lots": [facts_of_lot(lot) for lot in found]}, [Grid(columns, rows, "no lots")])


@reads(app, "find")
def find_lot(
    session: Session,
    serial: Annotated[str | None, typer.Argument(metavar="[SERIAL]", help="A range as its registry prints it.")] = None,
    positions: Annotated[
        str | None, typer.Option("--positions", metavar="BATCH:FIRST-LAST", help="These positions instead.")
    ] = None,
) -> Answer:
    """Find the lots that contain a serial range: state, owner, marks, and the chain of custody with heights.

    Any part of a range finds the lots it is in. Where the registry prints the numbers in other columns (Cercarbono),
    write SERIAL for all of them or SERIAL#FIRST-LAST.

    \b
    Example:
      keeling lot find "19309-936487628-936491271-VCS-VCU-1491-VER-RW-3-4150-01102024-31122024-1"
      keeling lot find --positions A64:0007-2024:500-599
    """
    from keeling.v1 import ledger_pb2 as pb

    asked = _read_range(session, serial, positions)
    request = pb.FindLotsRequest(space=asked.space, first_number=str(asked.first), last_number=str(asked.last))
    found = session.ask(session.ledger.FindLots, request)
    first, last, unknown = asked.first, asked.last, [(int(n.first_number), int(n.last_number)) for n in found.unknown]
    if not asked.sure:  # numbers at the ends that no batch has are not missing
        if unknown and unknown[0][0] == first:
            first = unknown.pop(0)[1] + 1
        if unknown and unknown[-1][1] == last:
            last = unknown.pop()[0] - 1
    facts = {
        "space": asked.space,
        "first_number": str(first),
        "last_number": str(last),
        "units": last - first + 1,
        "lots": [_facts_of_found(item) for item in found.lots],
        "unseen": [facts_of(item) for item in found.unseen],
        "unknown": [{"first_number": str(low), "last_number": str(high)} for low, high in unknown],
        "height": found.height,
    }
    sections: list[str | Grid] = []
    for item in found.lots:
        sections += [*_tell_found(item), ""]
    sections += [f"unseen: {format_range(item)}, {format_units(item.units)} units" for item in found.unseen]
    sections += [f"in no batch here: {low} to {high}" for low, high in unknown]
    return Answer(facts, sections)


def _read_range(session: Session, serial: str | None, positions: str | None) -> Widest:
    """The numbers that are looked for, by either way of naming them."""
    from keeling.v1 import ledger_pb2 as pb

    if serial is not None and positions is None:
        return parse_widest(serial)
    if serial is not None or positions is None:
        raise misused("name one range", "give a serial, or --positions BATCH:FIRST-LAST")
    named = parse_positions(positions)
    batch = session.ask(session.ledger.GetBatch, pb.GetBatchRequest(batch=named.batch))
    first = int(batch.base_number) + named.first
    return Widest(batch.space, first, first + named.units - 1, sure=True)


def _where(lot: pb.Lot) -> tuple[str, str, str]:
    return format_units(lot.range.units), lot.state, lot.account


def facts_of_lot(lot: pb.Lot) -> dict[str, object]:
    """A lot as facts: its cause as one text, its hold as an id or nothing."""
    return facts_of(lot) | {
        "cause": format_place(lot.cause),
        "hold": format_id(lot.hold) if any(lot.hold) else None,
    }


def _facts_of_found(item: pb.FoundLot) -> dict[str, object]:
    return {
        "lot": facts_of_lot(item.lot),
        "marks": [facts_of(mark) for mark in item.marks],
        "custody": [facts_of_event(event) for event in item.custody],
        "batch_registry": item.batch_registry,
    }


def _tell_found(item: pb.FoundLot) -> list[str | Grid]:
    lot = item.lot
    since = next((format_when(event.effective) for event in item.custody), "")
    units, state, account = _where(lot)
    when = f" since {since}" if since else ""
    sections: list[str | Grid] = [
        lot.serials or f"{lot.range.batch} {lot.first_number} to {lot.last_number}",
        f"  {units} units of {lot.range.batch}, {state}{when}, in {account} (registry {item.batch_registry})",
    ]
    if any(lot.hold):
        sections.append(f"  hold {format_id(lot.hold)}")
    marks = [" ".join(filter(None, (mark.kind.lower(), mark.name, mark.value))) for mark in item.marks]
    if marks:
        sections.append(f"  marks: {', '.join(marks)}")
    steps = [
        (format_place(event.place), format_time(event.time_ms), event.kind, format_when(event.effective), event.subject)
        for event in item.custody
    ]
    return [*sections, Grid(("  custody", "known", "event", "effective", "of"), [("  " + s[0], *s[1:]) for s in steps])]
