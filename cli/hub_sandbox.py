"""`keeling hub sandbox`: sandboxes of registries as one process of this machine, and their clock.

They are not the registries, and every line says so. What they do is in `adapters.sandbox`; what an admin lets them do
and sees of them, in `hub_sandbox_admin`.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer

from cli.command import works
from cli.exits import ExitCode, Failed, misused
from cli.hub_sandbox_admin import app as admin_app
from cli.output import Answer, Grid
from cli.quantities import format_time, parse_duration, parse_moment
from cli.sandboxes import ask_sandbox, find_sandboxes
from cli.session import find_state_folder

app = typer.Typer(help="Sandboxes of registries on this machine.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(admin_app)

START_S: Final = 30.0
STOP_S: Final = 10.0
_NAMES = Annotated[list[str] | None, typer.Argument(metavar="[REGISTRY]...", help="Which; none: all there are.")]


@works(app, "up")
def up(
    names: _NAMES = None,
    port: Annotated[int, typer.Option("--port", help="The first of the ports; 0: free ones.")] = 0,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Time stands, and moves only with `clock`; else it runs along.")
    ] = False,
) -> Answer:
    """Start sandboxes of registries, filled with units, and print where they are.

    They are not the registries: what is assumed of each is listed by `keeling hub registries --json`.

    \b
    Example:
      keeling hub sandbox up
      keeling hub sandbox up puro verra --port 7490
    """
    from adapters.sandbox.catalogue import SANDBOXES

    wanted = list(names or SANDBOXES)
    unknown = [name for name in wanted if name not in SANDBOXES]
    if unknown:
        raise misused(f"there is no sandbox of {unknown[0]!r}", f"there are {', '.join(SANDBOXES)}")
    folder = find_state_folder() / "sandboxes"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("a+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = "sandboxes run already"
            raise Failed(ExitCode.REFUSED, text, reason="RUNNING", advice="keeling hub sandbox down") from error
        found = _start(folder, lock, wanted, port, frozen)
    rows = [(name, url, f"{url}/_admin/") for name, url in found["sandboxes"].items()]
    grid = Grid(("registry", "address", "admin"), rows)
    advice = "next: keeling hub registries; keeling hub sandbox clock --advance 24h"
    return Answer(found, ["not the registries: sandboxes", grid, advice])


def _start(folder: Path, lock: IO[bytes], names: list[str], port: int, frozen: bool) -> dict[str, Any]:
    """The process inherits the lock and holds it for as long as it lives."""
    command = [sys.executable, "-m", "adapters.sandbox", *names, "--port", str(port), *([] if frozen else ["--follow"])]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
            bufsize=0,  # a line that was read ahead would never make the pipe readable again
        )
    said = process.stdout
    assert said is not None, "the process was started with a pipe"
    sandboxes: dict[str, str] = {}
    deadline = time.monotonic() + START_S
    with said, selectors.DefaultSelector() as selector:
        selector.register(said, selectors.EVENT_READ)
        while len(sandboxes) < len(names):
            line = said.readline().decode() if selector.select(max(0.0, deadline - time.monotonic())) else ""
            words = line.split()
            if len(words) < 4 or words[0] != "sandbox":
                process.kill()
                process.wait()
                text = f"a sandbox did not start: see {folder / 'log'}"
                raise Failed(ExitCode.REFUSED, text, reason="NOT_STARTED")
            sandboxes[words[1]] = words[3]
    facts = {"process": process.pid, "sandboxes": sandboxes}
    (folder / "running.json").write_text(json.dumps(facts))
    return facts


@works(app, "down")
def down() -> Answer:
    """Stop the sandboxes. Their books are in memory and end with them.

    \b
    Example:
      keeling hub sandbox down
    """
    found = find_sandboxes()
    if not found:
        return Answer({"stopped": []}, ["none ran"])
    os.kill(found["process"], signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while find_sandboxes():
        if time.monotonic() > deadline:
            raise Failed(ExitCode.REFUSED, f"process {found['process']} does not stop", reason="STILL_RUNNING")
        time.sleep(0.05)
    names = list(found["sandboxes"])
    return Answer({"stopped": names}, [f"stopped: {', '.join(names)}"])


@works(app, "clock")
def clock(
    advance: Annotated[
        int | None,
        typer.Option("--advance", parser=parse_duration, metavar="TIME", help="Move on by this, such as 24h."),
    ] = None,
    to: Annotated[str, typer.Option("--to", metavar="MOMENT", help="Move on to this, such as 2027-04-30T12:30Z.")] = "",
) -> Answer:
    """Show the clock of the sandboxes, or move it on. It never goes back.

    \b
    Example:
      keeling hub sandbox clock
      keeling hub sandbox clock --advance 24h
      keeling hub sandbox clock --to 2027-04-30T12:30Z
    """
    if advance is not None and to:
        raise misused("either --advance or --to")
    body = None if advance is None else {"advance_ms": advance}
    if to:
        try:
            body = {"now_ms": parse_moment(to).ms}
        except ValueError as error:
            raise misused(str(error)) from error
    now_ms = int(ask_sandbox("", "clock", "", body)["now_ms"])
    return Answer({"now_ms": now_ms}, [f"the sandboxes' clock: {format_time(now_ms)}"])
