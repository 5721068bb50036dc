"""A disk under a simulated node: now and then the process dies while it writes, or the write fails.

What was written survives the process; a write that was under way is there or not. The node that comes back opens the
same disk.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from random import Random

from node.store.contract import RESTORED_KEY, RESTORED_VALUE, Batch, Family, StoreClosed, StoreFailed, View
from node.store.memory import MemoryStore


def copy_backup(disk: MemoryStore) -> MemoryStore:
    """What `Store.backup` writes: everything but the vote journal, marked as restored."""
    backup, batch = MemoryStore(), Batch()
    for family in Family:
        if family is not Family.JOURNAL:
            for key, value in disk.scan(family):
                batch.put(family, key, value)
    batch.put(Family.META, RESTORED_KEY, RESTORED_VALUE)
    backup.commit(batch)
    return backup


class Died(BaseException):
    """The process ended here. No `except Exception` of the node sees it."""


class SimulatedDisk:
    """`Store` of one life of a node. `chance` is asked at each commit."""

    def __init__(
        self, inner: MemoryStore, random: Random, chance: Callable[[], float], die: Callable[[], None]
    ) -> None:
        self.inner = inner
        self._random = random
        self._chance = chance
        self._die = die
        self._failed = False
        self._gone = False

    def unplug(self) -> None:
        """The process is gone: nobody reads or writes through this life any more."""
        self._gone = True

    def commit(self, batch: Batch) -> None:
        inner = self._usable()
        if not batch or self._random.random() >= self._chance():
            inner.commit(batch)
            return
        fate = self._random.randrange(4)
        if fate % 2:
            inner.commit(batch)
        if fate >= 2:
            self._failed = True
            raise StoreFailed("a simulated write failed, or its answer was lost")
        self._gone = True
        self._die()
        raise Died

    def get(self, family: Family, key: bytes) -> bytes | None:
        return self._usable().get(family, key)

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._usable().get_many(family, keys)

    def scan(
        self,
        family: Family,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        return self._usable().scan(family, start, stop, reverse=reverse, limit=limit)

    def snapshot(self) -> View:
        return self._usable().snapshot()

    def clear(self, families: Collection[Family]) -> None:
        self._usable().clear(families)

    def backup(self, directory: Path) -> None:
        self._usable().backup(directory)

    def close(self) -> None:
        self._gone = True

    def _usable(self) -> MemoryStore:
        if self._gone:
            raise StoreClosed("the simulated process is gone")
        if self._failed:
            raise StoreFailed("an earlier simulated write failed")
        return self.inner
