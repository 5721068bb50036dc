"""`keeling network succeed`: the genesis file of a network that goes on where one without a quorum ended.

What it says of the ledger before is read by the node's own program; checking such a file is `cli.audit`.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command import works
from cli.exits import ExitCode, Failed, misused
from cli.output import Answer, Grid

if TYPE_CHECKING:
    from cli.succession_changes import Part
    from keeling.genesis import Succession

app = typer.Typer()


@works(app, "succeed")
def succeed(
    file: Annotated[Path, typer.Argument(metavar="NETWORK.TOML", help="The network file of the successor.")],
    before: Annotated[
        Path, typer.Option("--before", metavar="FOLDER", help="A node folder of the network that cannot go on.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the genesis file goes.")] = Path("genesis"),
) -> Answer:
    """Make the genesis file of a network that takes over the last state of another, whose quorum is gone for good.

    Nothing that was final is lost. The network file names a new origin and new nodes (keeling node prepare); all units,
    accounts, records, holds, ids and people's keys go on. Names and roles are what the network file says, for those it
    names: what that changes is shown (keeling network plan --before shows it first). The old node must not be running.
    It is another decision to trust: everybody checks the file (keeling audit succession) before using it.

    \b
    Example:
      keeling network succeed second.toml --before acme -o second-genesis
    """
    from cli.succession_changes import compare_parts, format_changes, list_planned, warn_of_losses
    from network.founding import found_from_cards
    from network.plan import compute_tolerance, load_plan

    plan = load_plan(file)
    if output.exists():
        raise _exists(output)
    origin, succeeds, parts = _take_stock(before)
    changes = compare_parts(parts, list_planned(plan))
    if origin == plan.origin:
        text = f"the network before is called {origin} as well: its log ended, and a log of that name would begin anew"
        raise misused(text, "give the successor another origin, and prepare its nodes for that one")
    founded = found_from_cards(plan, datetime.now(UTC), succeeds)
    write_new(output, founded.genesis)
    number = hashlib.sha256(founded.genesis).hexdigest()
    facts = {
        "origin": plan.origin,
        "network": number,
        "genesis": str(output),
        "before": succeeds.network.hex(),
        "height": succeeds.height,
        "digest": succeeds.digest.hex(),
        "changes": [each._asdict() for each in changes],
    }
    lines: list[str | Grid] = [
        f"network {plan.origin} succeeds {origin} at height {succeeds.height}",
        f"network id {number} (SHA-256 of {output})",
        f"state taken over: {succeeds.digest.hex()}, in {before / 'data' / 'snapshots' / str(succeeds.height)}",
        compute_tolerance(len(plan.validators)).describe(),
        format_changes(changes),
        "each organisation that is named also gets the submission key of its new node, which may do all its people may",
        *warn_of_losses(changes),
        "everybody who kept the old ledger checks it: "
        f"keeling audit succession {output} --before {before} --before-genesis {before / 'genesis'}",
        f"then each node: keeling node join NEW --genesis {output}; keeling node succeed NEW --before {before}",
    ]
    return Answer(facts, lines)


def _take_stock(folder: Path) -> tuple[str, Succession, list[Part]]:
    """The name of the network in a node folder, what its successor's genesis file says of it, and who takes part."""
    from cli.succession_changes import parse_parts
    from keeling.genesis import parse_succession

    found = _ask_node(folder)
    origin, parts = found.pop("origin"), parse_parts(found.pop("participants"))
    return origin, parse_succession(found), parts


def read_parts(folder: Path) -> list[Part]:
    """Who takes part in the network of a node folder, also while its node runs. Changes nothing."""
    from cli.succession_changes import parse_parts

    return parse_parts(_ask_node(folder, "--dry-run")["participants"])


def _ask_node(folder: Path, *option: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "node", "stock", str(folder), *option]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2]
        raise Failed(ExitCode.REFUSED, said or f"the ledger in {folder} cannot be read", reason="NOT_TAKEN_OVER")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet; refused, with nothing changed, where it is."""
    from network.files import write_new_file

    try:
        write_new_file(path, data, 0o644)
    except FileExistsError as error:
        raise _exists(path) from error


def _exists(path: Path) -> Failed:
    text = f"{path} exists already; nothing was overwritten"
    return Failed(ExitCode.REFUSED, text, reason="FILE_EXISTS", advice="choose another name")
