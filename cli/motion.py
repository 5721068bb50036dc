"""`keeling motion`: what is put to the vote of the validators on the ledger, and voting on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cli.command import reads, writes
from cli.exits import ExitCode, Failed, misused
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_moment, parse_duration
from cli.session import Session
from cli.telling import format_place
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

app = typer.Typer(help="Motions: what the validators decide one by one, on the ledger.", no_args_is_help=True)

MOTION = Annotated[str, typer.Argument(metavar="MOTION", help="Its name.")]
AS_MOTION = Annotated[
    str,
    typer.Option("--motion", metavar="NAME", help="Put it to the vote under this name; else decide it at once."),
]
BECAUSE = Annotated[str, typer.Option("--because", metavar="TEXT", help="With --motion: why. Everybody reads it.")]
DURING = Annotated[
    int,
    typer.Option("--during", parser=parse_duration, metavar="TIME", help="How long one may vote; 35d at most."),
]
LONG_ENOUGH: Any = "7d"


class Put(NamedTuple):
    """How operations of governance are handed in: to the vote under a name, or at once where it is empty."""

    motion: str
    because: str
    during_ms: int


def decide(session: Session, put: Put, operations: Sequence[Any], done: str) -> Change:
    """The change that decides operations: by motion, or at once with the approvals of a quorum."""
    if not put.motion:
        return Change(operations, lambda _: [done])
    from cli.transactions import add_operation
    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1 import operations_pb2 as op
    from keeling.v1 import transaction_pb2 as tx

    if not put.because:
        raise misused("a motion says why", "give --because")
    message = tx.Transaction()
    for operation in operations:
        add_operation(message, operation)
    now_ms = session.ask(session.ledger.GetStatus, pb.GetStatusRequest()).clock_ms
    proposed = op.Propose(
        motion=put.motion,
        transaction=message.SerializeToString(deterministic=True),
        until_ms=now_ms + put.during_ms,
        because=put.because,
    )
    advice = f"the others vote: keeling motion approve {put.motion}"
    return Change([proposed], lambda result: [_tell(result, done, advice)])


def _tell(result: pb.TransactionResult, done: str, advice: str) -> str:
    """Whether a vote was the last that was needed."""
    for event in result.events:
        facts = {value.name: value.value for value in event.facts}
        if event.kind == "MOTION_APPROVED":
            return done if facts.get("decided") else f"{facts['have']} of {facts['need']} votes; {advice}"
    return advice


@reads(app, "list")
def list_motions(
    session: Session,
    everything: Annotated[bool, typer.Option("--all", help="Those that were decided or ended, too.")] = False,
) -> Answer:
    """List what can be voted on.

    \b
    Example:
      keeling motion list
      keeling motion list --all
    """
    found = _find_all(session, open_only=not everything)
    rows = [
        (
            each.motion,
            each.status,
            f"{each.have} of {each.need}",
            format_moment(each.until_ms, False),
            each.by,
            each.because,
        )
        for each in found
    ]
    grid = Grid(("motion", "", "votes", "until", "by", "because"), rows, "nothing to vote on")
    return Answer({"motions": [facts_of_motion(each) for each in found]}, [grid])


@reads(app, "show")
def show_motion(session: Session, motion: MOTION) -> Answer:
    """Show one motion: exactly what would be done, why, and who has voted for it.

    \b
    Example:
      keeling motion show admit-acme
    """
    import json

    each = _find(session, motion)
    facts = facts_of_motion(each)
    rows = [
        ("motion", each.motion),
        ("by", each.by),
        ("because", each.because),
        ("opened at", format_place(each.opened)),
        ("until", format_moment(each.until_ms, False)),
        ("votes", f"{each.have} of {each.need}: {', '.join(each.approvals) or 'nobody'}"),
        ("status", each.status + (f" at {each.decided_height}" if each.decided_height else "")),
        ("digest", each.digest.hex()),
    ]
    told = json.dumps(facts["operations"], indent=2, ensure_ascii=False) if each.transaction else ""
    return Answer(facts, [Grid(("", ""), rows), told])


@writes(app, "approve")
def approve(session: Session, motion: MOTION) -> Change:
    """Vote for a motion, with a governing key of your participant, which is a validator. The last vote executes it.

    Read it first: keeling motion show.

    \b
    Example:
      keeling motion approve admit-acme
    """
    from keeling.v1 import operations_pb2 as op

    done = f"{motion} is decided"
    return Change([op.Approve(motion=motion)], lambda result: [_tell(result, done, "the others vote")])


@writes(app, "propose")
def propose(
    session: Session,
    motion: MOTION,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The operations, as keeling tx build reads them.")],
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Why. Everybody reads it.")],
    during: DURING = LONG_ENOUGH,
) -> Change:
    """Put any operations of governance to the vote: SetPolicy, ActivateVersion, SetRecord and all others.

    \b
    Example:
      echo '{"operations": [{"activate_version": {"version": 2, "height": 5000}}]}' > rules.json
      keeling motion propose rules-2 rules.json --because "release 2.0 is on every node"
    """
    from cli.transactions import parse_description

    operations = parse_description(file.read_bytes(), str(file))
    return decide(session, Put(motion, because, during), operations, f"{motion} is decided")


def _find_all(session: Session, *, open_only: bool) -> list[pb.MotionInfo]:
    from keeling.v1 import ledger_pb2 as pb

    pages = session.ask_pages(session.ledger.ListMotions, pb.ListRequest(open_only=open_only))
    return [each for page in pages for each in page.motions]


def _find(session: Session, name: str) -> pb.MotionInfo:
    for each in _find_all(session, open_only=False):
        if each.motion == name:
            return each
    text = f"no motion is called {name!r}"
    raise Failed(ExitCode.NOT_FOUND, text, reason="MOTION_NOT_FOUND", advice="see: keeling motion list --all")


def facts_of_motion(each: pb.MotionInfo) -> dict[str, Any]:
    """A motion as facts, with its operations in the open."""
    from cli.transactions import show_transaction

    facts = facts_of(each) | {"opened": format_place(each.opened)}
    facts["operations"] = show_transaction(each.transaction)["operations"] if each.transaction else []
    return facts
