"""docs/disclosure.md gives every field of every operation, event and fact exactly one disclosure class (G11)."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from keeling import events, operations

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "disclosure.md").read_text(encoding="utf-8")
CLASSES = ["public", "words", "digest", "salted"]
"""In the order of the columns; of what has no class here there is no field."""
RECORDS: dict[str, tuple[str, ...]] = {
    name: found._fields
    for name, found in [
        *vars(operations).items(),
        *((name, getattr(events, name)) for name in ("Event", "Move", "CashMove")),
    ]
    if inspect.isclass(found) and hasattr(found, "_fields")
}
HASHES_MADE_FOR_NOBODY_TO_GUESS = {"Hold.beneficiary", "Retire.beneficiary", "Dispatch.instruction"}


def read_rows() -> Iterator[tuple[str, list[list[str]]]]:
    """The rows on records, each with the fields of each class."""
    for name, cells in re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE, re.MULTILINE):
        yield name, [re.findall(r"`(\w+)`", cell) for cell in cells.split("|")]


ROWS = dict(read_rows())


@pytest.mark.parametrize("record", RECORDS)
def test_every_field_has_one_class(record: str) -> None:
    classed = ROWS[record]
    assert len(classed) == len(CLASSES)
    assert Counter(field for fields in classed for field in fields) == Counter(RECORDS[record])


def test_the_page_names_nothing_else() -> None:
    assert sorted(name for name, _ in read_rows()) == sorted(RECORDS)
    assert re.findall(r"^\| \| (.*) \|$", PAGE, re.MULTILINE) == [" | ".join(CLASSES)] * 3


def test_what_is_said_to_be_salted_is_32_bytes_and_nothing_else_is() -> None:
    salted = {f"{record}.{field}" for record, classed in ROWS.items() for field in classed[CLASSES.index("salted")]}
    assert salted == HASHES_MADE_FOR_NOBODY_TO_GUESS
    for each in salted:
        record, _, field = each.partition(".")
        assert getattr(operations, record)._field_defaults[field] == b""


def find_facts() -> Iterator[str]:
    """Every name that the rules put into a dictionary: facts of events, and values that explain a refusal."""
    for path in sorted((ROOT / "node" / "core").rglob("*.py")):
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Dict):
                yield from (name for key in node.keys if (name := _name_of(key, module)))
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                yield from filter(None, [_name_of(node.slice, module)])


def _name_of(key: ast.expr | None, module: object) -> str | None:
    """A text, the text that a constant stands for, or the beginning of one that is made."""
    if isinstance(key, ast.JoinedStr):
        first = key.values[0]
        assert isinstance(first, ast.Constant), "a fact's name begins with something fixed"
        return f"{first.value!s}…"
    found = getattr(module, key.id, None) if isinstance(key, ast.Name) else getattr(key, "value", None)
    return found if isinstance(found, str) else None


def test_every_fact_has_one_class() -> None:
    said = [re.findall(rf"^\| {name} \| (`.*`) \|$", PAGE, re.MULTILINE) for name in CLASSES]
    assert all(len(found) == 1 for found in said)
    classed = [name for (cell,) in said for name in re.findall(r"`([^`]+)`", cell)]
    assert Counter(classed) == Counter(set(find_facts()))


def test_commands_of_the_page_exist() -> None:
    from cli.reference import list_commands

    known = {name for name, _ in list_commands()}
    for line in re.findall(r"^keeling .*$", PAGE, re.MULTILINE):
        assert " ".join(line.split()[:3]) in known, line
