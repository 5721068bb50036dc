"""A registry's events read by cursor, in the registry's order. The cursor is kept in the hub's folder.

Losing it costs time and nothing else: everything is read again from the beginning, and said again to a ledger that
knows it. When to read is decided by whoever calls: at intervals, and after every notice, which restores the order of
notices that came in another.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from adapters.contract import Changes, Trouble
from hub.inbound.intake import Intake, Taken
from hub.kept_file import KeptFile


class Source(Protocol):
    """What of an adapter is needed."""

    async def changes(self, cursor: str) -> Changes | Trouble: ...


class Polled(NamedTuple):
    """One reading: what was taken, and what stopped it, if the registry did not answer."""

    taken: list[Taken]
    trouble: Trouble | None = None


class Poller:
    """Reads one registry. For one event loop, one call at a time."""

    def __init__(self, registry: str, source: Source, cursor: KeptFile, intake: Intake, grade: str) -> None:
        self._registry, self._source, self._cursor = registry, source, cursor
        self._intake, self._grade = intake, grade
        self._ahead: str | None = None
        """How far it has read beyond the first event that there was no room for; None: no further than was taken."""

    async def poll(self) -> Polled:
        """Read everything new. The cursor moves only past what was taken: raises `LedgerError` before it does.

        What had to wait and found no room is read again from the cursor that is kept, once there is room.
        """
        taken: list[Taken] = []
        if self._ahead is not None and self._intake.has_room(self._registry):
            self._ahead = None
        cursor = self._cursor.read() if self._ahead is None else self._ahead
        while True:
            answer = await self._source.changes(cursor)
            if not isinstance(answer, Changes):
                return Polled(taken, answer)
            before = self._intake.count_left_out(self._registry)
            taken += await self._intake.take(self._registry, answer.items, self._grade)
            taken += self._intake.refuse_unread(answer.unread)
            moved = answer.cursor != cursor
            if moved:
                cursor = answer.cursor
            if self._ahead is not None or self._intake.count_left_out(self._registry) > before:
                self._ahead = cursor
            elif moved:
                self._cursor.write(cursor)
            if not answer.more or not moved:
                return Polled(taken)
