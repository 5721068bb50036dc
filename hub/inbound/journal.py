"""Named rows that outlive the process in a file: what changes is appended, and now and then the whole is written anew.

So a change costs as much as it says, however much is kept. A file that a crash or a full disk cut short is read as far
as it goes; one that is gone, or that somebody else has written, is written anew. What the rows mean, their owner knows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

FORMAT: Final = 2
SLACK: Final = 1_000
"""So many lines beyond twice the rows that are kept, and the file is written anew."""
_HEAD: Final = json.dumps({"format": FORMAT}).encode() + b"\n"

Rows = dict[str, Mapping[str, Any]]


class Journal:
    """One file of one process. A line is a row, or the name of one that is kept no more."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._size = -1
        """Bytes of the file as this process left it; below 0: it must be written anew."""
        self._lines = 0

    def read(self) -> Rows:
        """The rows by name; of a file that is damaged, those of the lines that are whole."""
        rows: Rows = {}
        self._size = -1
        try:
            raw = self._path.read_bytes()
        except OSError:
            return rows
        if not raw.startswith(_HEAD):
            return _read_first_format(raw)
        *lines, rest = raw[len(_HEAD) :].split(b"\n")
        whole = not rest
        for line in lines:
            try:
                _take_line(rows, line)
            except (ValueError, KeyError, TypeError, RecursionError):
                whole = False
        if whole:
            self._size, self._lines = len(raw), len(lines)
        return rows

    def write(self, changes: Mapping[str, Mapping[str, Any] | None], rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep changes, None for a row that is gone; `rows` is everything after them. Raises `OSError`; what was to be
        kept is then written by the next call that succeeds, as part of `rows`."""
        if self._is_ours() and self._lines + len(changes) <= 2 * len(rows) + SLACK:
            said = b"".join(_format_line(name, row) for name, row in changes.items())
            size, self._size = self._size, -1
            with self._path.open("ab") as file:
                _put(file.fileno(), said)
            self._size, self._lines = size + len(said), self._lines + len(changes)
            return
        self._size = -1
        said = _HEAD + b"".join(_format_line(name, row) for name, row in rows.items())
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = self._path.with_suffix(f".{os.getpid()}")
        with partial.open("wb") as file:
            _put(file.fileno(), said)
        partial.replace(self._path)
        self._size, self._lines = len(said), len(rows)

    def _is_ours(self) -> bool:
        """Whether the file is there as this process left it."""
        try:
            return self._size >= 0 and self._path.stat().st_size == self._size
        except OSError:
            return False


def _put(file: int, said: bytes) -> None:
    left = memoryview(said)
    while left:
        left = left[os.write(file, left) :]
    os.fsync(file)


def _format_line(name: str, row: Mapping[str, Any] | None) -> bytes:
    return json.dumps({"gone": name} if row is None else {"name": name, "row": row}).encode() + b"\n"


def _take_line(rows: Rows, line: bytes) -> None:
    said = json.loads(line)
    if "gone" in said:
        rows.pop(said["gone"], None)
    else:
        rows[said["name"]] = said["row"]


def _read_first_format(raw: bytes) -> Rows:
    """One document with all rows, each with its name in it as `id`."""
    try:
        found = json.loads(raw)
        return {row["id"]: row for row in found["waiting"]} if found["format"] == 1 else {}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
