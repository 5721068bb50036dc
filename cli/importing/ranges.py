"""The ranges a file has shown already, on disk once they are many: a book that does not grow in memory with its file.

What a clash means is decided by the adapter; what a book promises stands in `adapters.overlaps`.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from adapters.overlaps import Clash, SeenRanges
from cli.importing.numbers import pack_number, unpack_number
from keeling.serials import SerialRange

RANGES_IN_MEMORY_MAX: Final = 50_000
"""Moved to disk together when there are so many: about three megabytes, and a file of fewer rows needs no disk."""


class SpilledRanges:
    """A `RangeBook` in memory and in a table of a database that is thrown away afterwards."""

    def __init__(self, database: sqlite3.Connection, in_memory_max: int = RANGES_IN_MEMORY_MAX) -> None:
        database.execute("DROP TABLE IF EXISTS ranges")
        database.execute(
            "CREATE TABLE ranges (space TEXT, first, last, row INTEGER, state INTEGER, PRIMARY KEY (space, first))"
            " WITHOUT ROWID"
        )
        self._database: Final = database
        self._in_memory_max: Final = in_memory_max
        self._recent = SeenRanges()
        self._waiting: list[tuple[str, int | bytes, int | bytes, int, int]] = []
        self._spilled = False

    def add(self, serials: SerialRange, row: int, state: int) -> Clash | None:
        """See `adapters.overlaps.RangeBook`."""
        old = self._find(serials) if self._spilled else None
        if old is not None:
            new = self._recent.find(serials)
            return old if new is None or old.first < new.first else new
        clash = self._recent.add(serials, row, state)
        if clash is None:
            first, last = pack_number(serials.first), pack_number(serials.last)
            self._waiting.append((serials.space, first, last, row, state))
            if len(self._waiting) == self._in_memory_max:
                self._spill()
        return clash

    def _spill(self) -> None:
        self._database.executemany("INSERT INTO ranges VALUES (?, ?, ?, ?, ?)", self._waiting)
        self._recent, self._waiting, self._spilled = SeenRanges(), [], True

    def _find(self, serials: SerialRange) -> Clash | None:
        """The lowest range on disk that shares a number; since they are disjoint, the highest that begins in time
        tells whether there is one."""
        first, last = pack_number(serials.first), pack_number(serials.last)
        found = self._database.execute(_HIGHEST, (serials.space, last)).fetchone()
        if found is None or unpack_number(found[1]) < serials.first:
            return None
        below = self._database.execute(_HIGHEST, (serials.space, first)).fetchone()
        if below is None or unpack_number(below[1]) < serials.first:
            below = self._database.execute(_LOWEST, (serials.space, first)).fetchone()
        return Clash(below[2], unpack_number(below[0]), unpack_number(below[1]), below[3])


_COLUMNS: Final = "SELECT first, last, row, state FROM ranges WHERE space = ? AND first "
_HIGHEST: Final = _COLUMNS + "<= ? ORDER BY first DESC LIMIT 1"
_LOWEST: Final = _COLUMNS + "> ? ORDER BY first LIMIT 1"
