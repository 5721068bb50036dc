"""`keeling status`: who the node is, how far it is, and why finality stands still if it does."""

from __future__ import annotations

import typer

from cli.command import reads
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_time, format_units
from cli.session import Session

app = typer.Typer()


@reads(app, "status")
def status(session: Session) -> Answer:
    """Show the node's height, finality, quorum and limits.

    Health "advancing" or "idle" is good; anything else says what stands still and who is waited for.

    \b
    Example:
      keeling status
      keeling status --json
    """
    from keeling.v1 import ledger_pb2 as pb

    found = session.ask(session.ledger.GetStatus, pb.GetStatusRequest())
    rows = [
        ("network", f"{found.origin} ({found.network.hex()[:16]}…)"),
        ("node of", f"{found.participant}, version {found.version}, rules {found.rules}"),
        ("height", f"{format_units(found.height)}, ledger time {format_time(found.time_ms)}"),
        ("health", found.health),
        ("quorum", f"{found.quorum}/{found.validators}" + _tamper_note(found.validators)),
        ("waiting for", ", ".join(found.waiting_for) or "nobody"),
        ("pending", f"{format_units(found.pending)} transactions"),
        ("log", f"{format_units(found.tree_size)} leaves, root {found.root.hex()[:16]}…"),
    ]
    facts = facts_of(found) | {"time": format_time(found.time_ms)}
    return Answer(facts, [Grid(("", ""), rows)])


def _tamper_note(validators: int) -> str:
    return " (1 validator: tamper-evident, not tamper-proof)" if validators == 1 else ""
