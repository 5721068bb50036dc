"""`keeling backup`, `keeling rebuild`: copies of a node folder, and state derived again. The work is the node's."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

_FOLDER = Annotated[Path, typer.Argument(help="The node folder.")]


@app.command("backup")
def backup(
    folder: _FOLDER,
    target: Annotated[Path, typer.Argument(help="Where the copy goes; must not exist.")],
) -> None:
    """Copy a node's ledger, consistent even while it runs. The vote journal and secret keys are never in it.

    A restored node observes and does not vote: a vote key whose journal is lost is replaced by governance.

    \b
    Example:
      keeling backup natreg /backups/natreg-2026-04-30
    """
    _hand_over("backup", str(folder), str(target))


@app.command("rebuild")
def rebuild(folder: _FOLDER) -> None:
    """Derive a node's state again from its log. The node must not be running.

    \b
    Example:
      keeling rebuild natreg
    """
    _hand_over("rebuild", str(folder))


def _hand_over(verb: str, *arguments: str) -> None:
    """Go on as the node's own program, whose exit code is then ours."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "node", verb, *arguments])
