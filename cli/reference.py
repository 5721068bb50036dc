"""Writes docs/cli.md from the commands themselves: `python -m cli.reference > docs/cli.md`. A test keeps it true."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

HEADING = """# The `keeling` command

Written by `python -m cli.reference` from the commands' own help; every option is in `keeling COMMAND --help`.

Common to all commands that ask a node: `--profile NAME`, `--deadline TIME`, `--json`. Common to all that change the
ledger, besides: `--as KEYFILE` (who signs), `--id UUID`, `--dry-run`, and `--build FILE` (write a transaction file
instead of sending; `keeling tx sign` adds approvals offline, `keeling tx submit` sends it).

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | refused by a rule: the ledger is unchanged |
| 2 | the command line, or a file it names, cannot be understood |
| 3 | not found |
| 4 | verification failed |
| 5 | not permitted: the key or certificate may not do this |
| 69 | the node could not be reached; nothing was handed in |
| 75 | outcome unknown: ask `keeling tx get ID` |

Ids are made by the command and kept in `outbox` (in `KEELING_HOME`, or `~/.local/state/keeling`) until the node has
answered, so that a lost answer never leads to doing something twice: `keeling tx list` shows what is open.
"""


def list_commands() -> Iterator[tuple[str, str]]:
    """Every command's full name and help text, in the order of the help."""
    import typer

    from cli.main import build_app

    yield from _walk("keeling", typer.main.get_command(build_app()))


def _walk(name: str, command: Any) -> Iterator[tuple[str, str]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command.help or ""
        return
    for child, found in children.items():
        yield from _walk(f"{name} {child}", found)


def format_reference() -> str:
    """The text of docs/cli.md."""
    parts = [HEADING]
    for name, text in list_commands():
        said, _, example = text.partition("\b\nExample:\n")
        lines = [line.removeprefix("  ") for line in example.rstrip().splitlines()]
        parts.append(f"## `{name}`\n\n{said.strip()}\n\n```sh\n" + "\n".join(lines) + "\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(format_reference())
