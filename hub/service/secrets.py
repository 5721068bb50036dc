"""Where credentials come from: a folder with a file for each, or the environment. Read at every call, kept nowhere.

Replacing a file replaces the credential for the next call; nothing restarts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

SECRET_BYTES_MAX: Final = 64 * 1024
PREFIX: Final = "KEELING_SECRET_"


def open_secrets(
    registry: str, folder: Path | None, environment: Mapping[str, str] = os.environ
) -> Callable[[str], str]:
    """A function from a credential's name to it; empty where there is none.

    From `folder/NAME`, else from `KEELING_SECRET_REGISTRY_NAME` in upper case with _ for everything else.
    """

    def read(name: str) -> str:
        if folder is not None:
            return read_secret(folder / name) if Path(name).name == name else ""
        return environment.get(name_variable(registry, name), "")

    return read


def name_variable(registry: str, name: str) -> str:
    """The environment variable of a credential."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in f"{registry}_{name}")
    return PREFIX + plain.upper()


def read_secret(path: Path) -> str:
    """The text of a file without the line end; empty if there is none that can be read."""
    try:
        with path.open("rb") as file:
            return file.read(SECRET_BYTES_MAX).decode("utf-8").strip()
    except (OSError, ValueError):  # no file, no name of one, or no text in it
        return ""
