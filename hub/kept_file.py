"""A short text that outlives the process in a file: written whole or not at all, and missed by nobody when it is gone.

What is kept so is in the hub's folder, which may be deleted at any time; what the text means, its owner knows.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

BYTES_MAX: Final = 1 << 20
"""A cursor may name a place in the events of each of some thousand organisations."""


class KeptFile:
    """One text in one file. For one process."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path

    def read(self) -> str:
        """The text; empty where there is none or it cannot be read as one."""
        try:
            raw = self._path.read_bytes()
            return raw.decode() if len(raw) <= BYTES_MAX else ""
        except (OSError, UnicodeDecodeError):
            return ""

    def write(self, text: str) -> None:
        """Keep the text; raises `OSError`, and `ValueError` for what would not be read again."""
        if len(text.encode()) > BYTES_MAX:
            raise ValueError(f"{len(text.encode())} bytes for {self._path.name}, more than are kept: {BYTES_MAX}")
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = self._path.with_suffix(f".{os.getpid()}")
        with partial.open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)
