"""`keeling events`: everything that happened, in order, from an exact place on."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from cli.command import reads
from cli.identifiers import parse_cursor
from cli.output import Answer
from cli.session import Session
from cli.telling import facts_of_event, tell_event

app = typer.Typer()


@reads(app, "events")
def events(
    session: Session,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for new ones instead of ending.")] = False,
    after: Annotated[
        str | None, typer.Option("--from", metavar="H.I", help="Continue after this one: the last you have seen.")
    ] = None,
    account: Annotated[str, typer.Option("--account", help="Only events that touch this account.")] = "",
    lines: Annotated[bool, typer.Option("--json-lines", help="One JSON document a line, for endless streams.")] = False,
) -> Answer | None:
    """Print every event from a place on: none twice, none left out. The last line's place is where to resume.

    With --follow it waits for more; a reader too slow to follow is ended with the place to resume from, never skipped.

    \b
    Example:
      keeling events
      keeling events --follow --from 1200.3
      keeling events --account A --json-lines --follow
    """
    from keeling.v1 import ledger_pb2 as pb

    request = pb.WatchRequest(account=account, until_now=not follow)
    if after is not None:
        height, ordinal = parse_cursor(after)
        request.after.CopyFrom(pb.Cursor(height=height, ordinal=ordinal))
    deadline_ms = None if follow else session.deadline_ms
    gathered, told = [], []
    for piece in session.ask_stream(session.ledger.Watch, request, deadline_ms):
        for event in piece.events:
            if lines:
                sys.stdout.write(json.dumps(facts_of_event(event), ensure_ascii=False) + "\n")
            elif follow:
                sys.stdout.write(tell_event(event) + "\n")
            else:
                gathered.append(facts_of_event(event))
                told.append(tell_event(event))
        sys.stdout.flush()
    if lines or follow:
        return None
    return Answer({"events": gathered}, told or ["no events"])
