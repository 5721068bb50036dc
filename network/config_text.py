"""The text of configuration files: in which line a key stands, and how a commented file is written.

TOML's reader in the standard library gives values without lines, and there is no writer; what is needed of both is
here. What the settings are and mean lives in `network.config`.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

Place = tuple[str | int, ...]

_PART: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_DOTTED: Final = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE: Final = re.compile(rf"\s*\[\s*({_DOTTED})\s*\]\s*(?:#.*)?")
_LISTED: Final = re.compile(rf"\s*\[\[\s*({_DOTTED})\s*\]\]\s*(?:#.*)?")
_KEY: Final = re.compile(rf"\s*({_DOTTED})\s*=")
COLUMNS: Final = 110
"""How wide comments are written, in characters."""


def locate_keys(text: str) -> dict[Place, int]:
    """Return the line, from 1, of every key and table in TOML `text`. Keys in inline tables are not found.

    A list of tables has the ordinal of the table in the place: `("peers", 0, "address")`; without it, it is where the
    first begins. For messages only: a line inside a multi-line string that looks like a key is taken for one.
    """
    lines: dict[Place, int] = {}
    seen: Counter[Place] = Counter()
    table: Place = ()
    for number, line in enumerate(text.splitlines(), 1):
        if match := _LISTED.fullmatch(line):
            name = _split(match[1])
            table = (*name, seen[name])
            seen[name] += 1
            lines[table] = number
            lines.setdefault(name, number)
        elif match := _TABLE.fullmatch(line):
            table = _split(match[1])
            for size in range(1, len(table) + 1):
                lines.setdefault(table[:size], number)
        elif match := _KEY.match(line):
            lines.setdefault((*table, *_split(match[1])), number)
    return lines


def format_commented(config: BaseModel, heading: str) -> str:
    """Write `config` as TOML that explains itself: every setting with its reason.

    Settings at their default are written as comments, so that the file shows them all and a later default still
    applies. Sub-models become tables, a tuple of models a list of tables. Reading the text gives `config` again.
    """
    blocks = [_comment(heading)]
    tables: list[str] = []
    for key, field in type(config).model_fields.items():
        value, about = getattr(config, key), field.description or ""
        if isinstance(value, BaseModel):
            tables.append(f"{_comment(about)}\n[{key}]\n" + "\n".join(_format_settings(value)))
        elif isinstance(value, tuple):
            items = "".join(f"\n[[{key}]]\n{_format_bare(item)}" for item in value)
            tables.append(f"{_comment(about)}\n{_format_example(key, field.annotation)}\n{items}")
        else:
            blocks.append(_format_setting(key, value, field.default, about))
    return "\n\n".join(block.rstrip("\n") for block in [*blocks, *tables]) + "\n"


def format_tables(tables: Mapping[str, Mapping[str, Any]], bare: Mapping[str, Any], heading: str) -> str:
    """Write top-level settings and tables as TOML under a comment. Values are text, paths, numbers, truth values."""
    lines = [_comment(heading), *(f"{key} = {format_value(value)}" for key, value in bare.items())]
    for name, values in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {format_value(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def format_value(value: object) -> str:
    """Write a scalar as TOML. A JSON string is a TOML basic string but for DEL, which is escaped here."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    raise TypeError(f"no TOML form for a {type(value).__name__} here")


def _format_settings(section: BaseModel) -> Sequence[str]:
    fields = type(section).model_fields
    return [
        _format_setting(key, getattr(section, key), field.default, field.description or "")
        for key, field in fields.items()
    ]


def _format_setting(key: str, value: object, default: object, about: str) -> str:
    mark = "# " if default is not PydanticUndefined and value == default else ""
    return f"{_comment(about)}\n{mark}{key} = {format_value(value)}"


def _format_example(key: str, kind: Any) -> str:
    """Show how a further table of a list of tables is written: all of it in comments."""
    (item, _) = get_args(kind)
    fields = (f"#   {name} = ...   {field.description}" for name, field in item.model_fields.items())
    return "\n".join([f"# [[{key}]]", *fields])


def _format_bare(section: BaseModel) -> str:
    return "".join(f"{key} = {format_value(getattr(section, key))}\n" for key in type(section).model_fields)


def _comment(text: str) -> str:
    wrapped = textwrap.wrap(" ".join(text.split()), COLUMNS - 2, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"# {line}" for line in wrapped)


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))
