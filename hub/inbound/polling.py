"""A registry's events read by cursor, in the registry's order. The cursor is all that the hub keeps in its folder.

Losing it costs time and nothing else: everything is read again from the beginning, and said again to a ledger that
knows it. When to read is decided by whoever calls: at intervals, and after every notice, which restores the order of
notices that came in another.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from adapters.contract import Changes, Trouble
from hub.inbound.intake import Intake, Taken

CURSOR_BYTES_MAX: Final = 4_096


class Source(Protocol):
    """What of an adapter is needed."""

    async def changes(self, cursor: str) -> Changes | Trouble: ...


class CursorFile:
    """Where polling of one registry stopped. Written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path

    def read(self) -> str:
        """The cursor; empty, the beginning, where there is none or it cannot be read."""
        try:
            raw = self._path.read_bytes()
            return raw.decode() if len(raw) <= CURSOR_BYTES_MAX else ""
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def write(self, cursor: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = self._path.with_suffix(f".{os.getpid()}")
        with partial.open("wb") as file:
            file.write(cursor.encode())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)


class Polled(NamedTuple):
    """One reading: what was taken, and what stopped it, if the registry did not answer."""

    taken: list[Taken]
    trouble: Trouble | None = None


class Poller:
    """Reads one registry. For one event loop, one call at a time."""

    def __init__(self, registry: str, source: Source, cursor: CursorFile, intake: Intake, grade: str) -> None:
        self._registry, self._source, self._cursor = registry, source, cursor
        self._intake, self._grade = intake, grade

    async def poll(self) -> Polled:
        """Read everything new. The cursor moves only past what was taken: raises `LedgerError` before it does."""
        taken: list[Taken] = []
        cursor = self._cursor.read()
        while True:
            answer = await self._source.changes(cursor)
            if not isinstance(answer, Changes):
                return Polled(taken, answer)
            taken += await self._intake.take(self._registry, answer.items, self._grade)
            moved = answer.cursor != cursor
            if moved:
                cursor = answer.cursor
                self._cursor.write(cursor)
            if not answer.more or not moved:
                return Polled(taken)
