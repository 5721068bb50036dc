"""What a command answers: facts for programs, and sections for people, printed one or the other way.

Facts are plain values under stable snake_case names; protobuf messages become facts here, in one way for all commands.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.quantities import format_moment

if TYPE_CHECKING:
    from google.protobuf.message import Message


class Grid(NamedTuple):
    """A table: columns named with a leading ">" hold numbers and are set to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str = "none"


class Answer(NamedTuple):
    """The facts, and for people lines of text and tables. `code` and `complaint` are for answers that are a no."""

    facts: dict[str, Any]
    sections: Sequence[str | Grid]
    code: int = 0
    complaint: str = ""
    """One line for standard error, whichever way the facts are printed."""


def print_answer(answer: Answer, as_json: bool) -> None:
    """Print facts as one JSON document, or the sections."""
    if as_json:
        print_json(answer.facts)
        return
    for section in answer.sections:
        if isinstance(section, Grid):
            _print_grid(section)
        elif section:
            sys.stdout.write(section + "\n")


def print_json(facts: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def _print_grid(grid: Grid) -> None:
    if not grid.rows:
        sys.stdout.write(grid.empty + "\n")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(grid.columns))
    for name in grid.columns:
        table.add_column(Text(name.removeprefix(">")), justify="right" if name.startswith(">") else "left")
    for row in grid.rows:
        table.add_row(*[Text(cell, overflow="fold") for cell in row])
    console = Console(soft_wrap=False, highlight=False)
    console.print(table) if console.is_terminal else Console(width=4096, highlight=False).print(table)


def facts_of(message: Message) -> dict[str, Any]:
    """A protobuf message as facts: bytes in hex, enumerations by name, moments as ISO text, absent messages as null."""
    from google.protobuf.descriptor import FieldDescriptor

    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            found[field.name] = [_fact(field, item) for item in value]
        elif field.type == FieldDescriptor.TYPE_MESSAGE and not message.HasField(field.name):
            if field.containing_oneof is None:
                found[field.name] = None
        else:
            found[field.name] = _fact(field, value)
    return found


def _fact(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        if field.message_type.full_name == "keeling.v1.When":
            return format_moment(value.ms, value.precision == 1)
        if field.message_type.full_name == "keeling.v1.Value":
            return {value.name: value.value}
        return facts_of(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return value.hex() if isinstance(value, bytes) else value
