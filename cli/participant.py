"""`keeling participant`: who is a member of the network, and admitting more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import reads, writes
from cli.keys import describe_purposes, grant_of
from cli.output import Answer, Grid, facts_of
from cli.session import Session
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

app = typer.Typer(help="Organisations that are members of the network.", no_args_is_help=True)


@writes(app, "admit")
def admit(
    session: Session,
    participant: Annotated[str, typer.Argument(metavar="PARTICIPANT", help="Its id: lower-case letters and digits.")],
    name: Annotated[str, typer.Option("--name", help="Its name, as people know it.")],
    role: Annotated[
        list[str],
        typer.Option("--role", help="registry, authority, exchange, group, bank, verifier, auditor; may be repeated."),
    ],
    key: Annotated[
        list[Path], typer.Option("--key", metavar="KEYFILE", help="Its first keys (only public parts are read).")
    ],
) -> Change:
    """Admit a participant with its first keys; it manages all others itself. Needs the electorate's approval.

    \b
    Example:
      keeling key new kenya-ops.key --participant kenya --person ops
      keeling participant admit kenya --name "Kenya" --role authority --key kenya-ops.key
    """
    from keeling.v1 import operations_pb2 as op

    grants = [grant_of(path, None, None) for path in key]
    operation = op.Admit(participant=participant, name=name, roles=role, keys=grants)
    return Change([operation], lambda _: [f"{participant} is admitted"])


@reads(app, "list")
def list_participants(session: Session) -> Answer:
    """List all participants with their roles.

    \b
    Example:
      keeling participant list
    """
    from keeling.v1 import ledger_pb2 as pb

    pages = session.ask_pages(session.ledger.ListParticipants, pb.ListRequest())
    found = [participant for page in pages for participant in page.participants]
    rows = [
        (
            p.participant,
            p.name,
            ", ".join(p.roles),
            str(sum(1 for key in p.keys if not key.retired_height)),
            " ".join(word for word, on in (("validator", p.validator), ("suspended", p.suspended)) if on),
        )
        for p in found
    ]
    return Answer(
        {"participants": [facts_of(p) | {"keys": [_key_facts(key) for key in p.keys]} for p in found]},
        [Grid(("participant", "name", "roles", ">active keys", ""), rows)],
    )


def _key_facts(key: pb.KeyInfo) -> dict[str, object]:
    return facts_of(key) | {"purposes": describe_purposes(key.purposes)}
