"""`keeling project`: what units are issued for."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.command import writes
from cli.session import Session
from cli.writing import Change

app = typer.Typer(help="Projects and activities that units are issued for.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Projects and activities that units are issued for."""


@writes(app, "register")
def register_project(
    session: Session,
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Its id here, such as verra:1340.")],
    programme: Annotated[str, typer.Option("--programme", help="Under whose rules: keeling record list.")],
    name: Annotated[str, typer.Option("--name", help="Its name, as the programme publishes it.")],
    host: Annotated[str, typer.Option("--host", metavar="CODE", help="Host Party, ISO 3166-1: ETH or ET.")] = "",
) -> Change:
    """Register a project. Approved by the programme's registry, or for an outside one by an importer of it.

    \b
    Example:
      keeling project register A64:0007 --programme A64 --name "Clean cooking, Yangon" --host MMR
    """
    from keeling.v1 import operations_pb2 as op

    operation = op.RegisterProject(project=project, programme=programme, name=name, host=host)
    return Change([operation], lambda _: [f"project {project} is registered"])
