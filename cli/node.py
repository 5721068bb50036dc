"""`keeling node`: run a node. The node itself lives in `node`; this only hands over to it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Run a node from its folder.", no_args_is_help=True, rich_markup_mode=None)


@app.command("run")
def run(
    folder: Annotated[Path, typer.Argument(help="The node folder that keeling init made.")],
) -> None:
    """Run the node of a folder until it is told to stop (Ctrl-C, or SIGTERM).

    A second node on the same folder is refused with "locked by pid N". Passphrases of its keys are read from
    KEELING_PASSPHRASE, or from the file that KEELING_PASSPHRASE_FILE names.

    \b
    Example:
      keeling node run natreg
    """
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "node", str(folder)])
