"""`keeling batch`: issuances, with what is known of them and what nobody has shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import reads
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_quantity, format_units
from cli.session import Session
from cli.telling import format_when

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

app = typer.Typer(help="Batches: one issuance each.", no_args_is_help=True)


@reads(app, "list")
def list_batches(session: Session) -> Answer:
    """List all batches with their extent: units seen, and unseen between the first and the last.

    \b
    Example:
      keeling batch list
    """
    from keeling.v1 import ledger_pb2 as pb

    pages = session.ask_pages(session.ledger.ListBatches, pb.ListRequest())
    found = [batch for page in pages for batch in page.batches]
    columns = ("batch", "registry", "project", "vintage", ">seen", ">unseen", "extent", "grain")
    rows = [
        (
            b.batch,
            b.registry,
            b.project,
            describe_vintage(b),
            format_units(b.seen),
            format_units(b.unseen),
            extent_of(b),
            b.grain,
        )
        for b in found
    ]
    return Answer({"batches": [facts_of(batch) for batch in found]}, [Grid(columns, rows)])


@reads(app, "show")
def show_batch(
    session: Session,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Its name, such as verra:19298.")],
) -> Answer:
    """Show one batch: serials, extent, units by state, and the gaps nobody has shown.

    An extent AT_LEAST means that some of its units were seen in exports; the rest belongs to no account here.

    \b
    Example:
      keeling batch show verra:19298
    """
    from keeling.v1 import ledger_pb2 as pb

    found = session.ask(session.ledger.GetBatch, pb.GetBatchRequest(batch=batch))
    rows = [
        ("batch", found.batch),
        ("programme", f"{found.programme}, registry of record {found.registry}"),
        ("project", f"{found.project}{', host ' + found.host if found.host else ''}"),
        ("vintage", describe_vintage(found)),
        ("serials", f"{found.first_number} to {found.last_number} of space {found.space} ({found.scheme})"),
        ("extent", extent_of(found)),
        ("seen", f"{format_quantity(found.seen, found.grain)} in {format_units(found.lots)} lots"),
        ("unseen", f"{format_quantity(found.unseen, found.grain)} between first and last"),
    ]
    totals = [(t.state, format_quantity(t.units, found.grain), format_units(t.lots)) for t in found.totals]
    gaps = [(gap.first_number, gap.last_number, format_units(gap.range.units)) for gap in found.gaps]
    sections: list[str | Grid] = [Grid(("", ""), rows), "", Grid(("state", ">units", ">lots"), totals, "no units seen")]
    if gaps:
        sections += ["", Grid(("unseen from", "to", ">units"), gaps)]
    return Answer(facts_of(found) | {"extent": extent_of(found)}, sections)


def extent_of(batch: pb.Batch) -> str:
    """Whether the issuance itself was seen, or only some of its units."""
    return "EXACT" if batch.exact else "AT_LEAST"


def describe_vintage(batch: pb.Batch) -> str:
    """First and last day, the NDC year, or what is known of them."""
    days = [format_when(batch.vintage_start), format_when(batch.vintage_end)]
    span = " to ".join(day for day in days if day) or "not stated"
    return f"{span}, NDC year {batch.ndc_year}" if batch.ndc_year else span
