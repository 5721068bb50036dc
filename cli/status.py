"""`keeling status`: who the node is, how far it is, and why finality stands still if it does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import typer

from cli.command import reads
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_time, format_units
from cli.session import Session

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

app = typer.Typer()

CLOCK_OFF_MAX_MS: Final = 5_000
"""More than a slow answer can explain. It makes expiries surprising; 60 s of it stop a validator's votes."""
_STEPS: Final = ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes"), (1_000, "seconds"))


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

    before = time.time_ns()
    found = session.ask(session.ledger.GetStatus, pb.GetStatusRequest())
    here_ms = (before + time.time_ns()) // 2_000_000
    rows = [
        ("network", f"{found.origin} ({found.network.hex()[:16]}…)"),
        ("node of", f"{found.participant}, version {found.version}, rules {found.rules}"),
        ("height", f"{format_units(found.height)}, ledger time {format_time(found.time_ms)}"),
        ("health", found.health),
        ("quorum", f"{found.quorum}/{found.validators}" + _tamper_note(found.validators)),
        ("waiting for", ", ".join(found.waiting_for) or "nobody"),
        ("pending", f"{format_units(found.pending)} transactions"),
        ("ordering", f"epoch {found.epoch}, log {found.ordering_log}"),
        ("links", describe_links(found)),
        ("log", f"{format_units(found.tree_size)} leaves, root {found.root.hex()[:16]}…"),
    ]
    off_ms = found.clock_ms - here_ms
    rows.append(("clock", describe_clock(off_ms)))
    if found.certificate_ends_ms:
        rows.append(("certificate", f"until {format_time(found.certificate_ends_ms)}"))
    warnings = list(found.warnings)
    if abs(off_ms) > CLOCK_OFF_MAX_MS:
        warnings.append(f"{describe_clock(off_ms)}: set the clock that is wrong; ids and deadlines are made with yours")
    facts = facts_of(found) | {"time": format_time(found.time_ms), "clock_off_ms": off_ms, "warnings": warnings}
    return Answer(facts, [Grid(("", ""), rows), *(f"warning: {text}" for text in warnings)])


def describe_links(found: pb.Status) -> str:
    """With which members' nodes this one speaks, and why not with the others."""
    down = [f"{link.participant} ({link.problem})" for link in found.links if not link.connected]
    up = len(found.links) - len(down)
    return f"{up} of {len(found.links)}" + (f"; not {', '.join(down)}" if down else "")


def describe_clock(off_ms: int) -> str:
    """The difference between the node's clock and this machine's, in the unit that shows it."""
    if abs(off_ms) < 1_000:
        return "the node's and this machine's agree to the second"
    step, unit = next(item for item in _STEPS if abs(off_ms) >= item[0])
    whole, tenth = divmod(abs(off_ms) * 10 // step, 10)
    return f"the node's is {whole}.{tenth} {unit} {'ahead of' if off_ms > 0 else 'behind'} this machine's"


def _tamper_note(validators: int) -> str:
    return " (1 validator: tamper-evident, not tamper-proof)" if validators == 1 else ""
