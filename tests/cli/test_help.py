"""Help teaches: every command explains itself with an example, and docs/cli.md says the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.registry import FILE_ADAPTERS
from cli.reference import format_reference, list_commands
from tests.cli.command_line import Keeling

COMMANDS = list(list_commands())
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


@pytest.mark.parametrize(("name", "text"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_has_an_example_of_itself(name: str, text: str) -> None:
    said, _, example = text.partition("\b\nExample:\n")
    assert said.strip().endswith((".", ":", "?"))
    assert f"  {name}" in example


@pytest.mark.parametrize("arguments", [(), ("account",), ("hold", "place"), ("import",), ("tx", "sign")])
def test_help_is_printed_for_the_whole_a_noun_and_a_command(keeling: Keeling, arguments: tuple[str, ...]) -> None:
    ended = keeling(*arguments, "--help")
    assert ended.code == 0
    assert ended.out.startswith("Usage: ")
    assert "keeling " + " ".join(arguments) in ended.out


def test_the_documentation_is_what_the_commands_say() -> None:
    assert DOCS.read_text() == format_reference(), "write it again: python -m cli.reference > docs/cli.md"


def test_the_help_of_import_names_every_registry_whose_files_are_read(keeling: Keeling) -> None:
    said = re.sub(r"\s+", " ", keeling("import", "--help").out)
    listed = re.search(r"--registry <str> ([a-z0-9_, ]+)\.", said)
    assert listed is not None, said
    assert set(listed[1].split(", ")) == set(FILE_ADAPTERS)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from cli.main import build_app; import typer; typer.main.get_command(build_app());"
        "print([m for m in ('grpc', 'google.protobuf', 'nacl', 'pydantic', 'node', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_command_is_a_usage_error(keeling: Keeling) -> None:
    ended = keeling("transfr")
    assert ended.code == 2
    assert "transfer" in ended.err
