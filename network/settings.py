"""A TOML file as one frozen model, or every problem in it at once, each with its line and key.

Which settings there are is said by the models: the node's in `network.config`, a network's in `network.plan`. A key
nobody reads is an error, because a mistyped one would otherwise silently be the default.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from network.config_text import Place, locate_keys

M = TypeVar("M", bound=BaseModel)


class ConfigError(ValueError):
    """The configuration is refused. `problems` has one line each, naming file, line and key, or the variable."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Section(BaseModel):
    """A table of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def read_text(path: Path, advice: str) -> str:
    """The text of a configuration file; `ConfigError` if there is none (then with `advice`) or it is no text."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"there is no configuration {path}: {advice}") from error
    except OSError as error:
        raise ConfigError(f"the configuration {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the configuration {path} is not UTF-8 text (byte {error.start})") from error


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """The values in `text`; raise `ConfigError` that calls the file `name`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is not TOML: {error}") from error


def build_model(
    model: type[M], values: Mapping[str, Any], text: str, name: str, overridden: Mapping[tuple[str, ...], str]
) -> M:
    """The values as `model`; `text` is where they stand, except those that the variables `overridden` set."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = locate_keys(text)
        details = sorted(error.errors(), key=lambda detail: _find_line(lines, detail["loc"]) or 0)
        raise ConfigError(*[_format_problem(model, name, lines, overridden, detail) for detail in details]) from error


def nearest(word: str, words: list[str]) -> str | None:
    """The word that was probably meant."""
    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=0.8)), None)


def _format_problem(
    model: type[BaseModel],
    name: str,
    lines: Mapping[Place, int],
    overridden: Mapping[tuple[str, ...], str],
    detail: ErrorDetails,
) -> str:
    place = detail["loc"]
    key = ".".join(str(part) for part in place)
    variable = next((variable for set_place, variable in overridden.items() if set_place == place), None)
    if variable is not None:
        return f"the variable {variable}: {_explain(detail)}"
    at = _find_line(lines, place)
    where = name if at is None else f"{name} line {at}"
    if detail["type"] == "missing":
        return f"{where}: {key} is missing"
    if detail["type"] == "extra_forbidden":
        close = nearest(str(place[-1]), _keys_beside(model, place))
        return f"{where}: unknown key {key}" + (f": did you mean {close}?" if close else "")
    return f"{where}: {key}: {_explain(detail)}"


def _find_line(lines: Mapping[Place, int], place: Place) -> int | None:
    """The line of the key, or of the innermost table around it that is written out."""
    return next((lines[place[:size]] for size in range(len(place), 0, -1) if place[:size] in lines), None)


def _explain(detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    if detail["type"] == "model_type":
        return f"this is a table, found {detail['input']!r}"
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    return f"{message}, found {detail['input']!r}"


def _keys_beside(model: type[BaseModel], place: Place) -> list[str]:
    for part in place[:-1]:
        if isinstance(part, str):
            model = _model_of(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_of(kind: Any) -> type[BaseModel] | None:
    """The model that a field holds, or a list of which it holds."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next((found for inner in get_args(kind) if (found := _model_of(inner)) is not None), None)
