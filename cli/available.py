"""`keeling available`: what may be sold or retired now, at a height, or as of a date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import reads
from cli.exits import misused
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_quantity, format_time, format_units, parse_moment
from cli.session import Session

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

app = typer.Typer()

_COLUMNS = ("free", "held", "instructed", "restricted", "buffer", "pending", "immobilised", "ended")


@reads(app, "available")
def available(
    session: Session,
    account: Annotated[str, typer.Option("--account", help="Only this account.")] = "",
    batch: Annotated[str, typer.Option("--batch", help="Only this batch.")] = "",
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DATE", help="What was effective then: 2026-03-31 (its end).")
    ] = None,
    at_height: Annotated[int, typer.Option("--at-height", metavar="N", help="What was known at that height.")] = 0,
) -> Answer:
    """Show units by account and batch: free, held, instructed, restricted, buffer, pending, ended, unseen.

    Units of different grains are never added. --as-of answers what was effective on a date by its sources;
    --at-height, what this ledger knew then. The two differ when history was learned later.

    \b
    Example:
      keeling available --account A
      keeling available --as-of 2026-03-31
      keeling available --at-height 1200
    """
    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1 import operations_pb2 as op

    if as_of is not None and at_height:
        raise misused("--as-of and --at-height answer different questions", "ask one at a time")
    request = pb.GetAvailabilityRequest(account=account, batch=batch, at_height=at_height)
    if as_of is not None:
        try:
            moment = parse_moment(as_of)
        except ValueError as error:
            raise misused(str(error)) from error
        request.as_of.CopyFrom(op.When(ms=moment.ms, precision=op.When.DATE if moment.is_date else op.When.INSTANT))
    pages = list(session.ask_pages(session.ledger.GetAvailability, request))
    return _tell(pages[0], [line for page in pages for line in page.lines])


def _tell(first: pb.Availability, lines: Sequence[pb.AvailabilityLine]) -> Answer:
    rows = []
    for line in lines:
        figures = [format_units(getattr(line, name)) for name in _COLUMNS]
        control = f"{line.registry} {line.control}".strip().lower()
        rows.append((line.account, line.batch, line.grain, control, *figures))
    columns = ("account", "batch", "grain", "registry", *(f">{name}" for name in _COLUMNS))
    sums: dict[str, list[int]] = {}
    for line in lines:
        total = sums.setdefault(line.grain, [0] * len(_COLUMNS))
        sums[line.grain] = [a + getattr(line, name) for a, name in zip(total, _COLUMNS, strict=True)]
    totals = [("total", "", grain, "", *map(format_units, figures)) for grain, figures in sorted(sums.items())]
    unseen = [f"unseen: {format_quantity(item.units, item.grain)}, in no account" for item in first.unseen]
    facts = {
        "lines": [facts_of(line) for line in lines],
        "totals": {grain: dict(zip(_COLUMNS, figures, strict=True)) for grain, figures in sorted(sums.items())},
        "unseen": {item.grain: item.units for item in first.unseen},
        "height": first.height,
        "time": format_time(first.time_ms),
        "basis": first.basis,
    }
    return Answer(facts, [first.basis, Grid(columns, [*rows, *totals], "no units"), *unseen])
