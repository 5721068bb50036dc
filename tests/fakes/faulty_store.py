"""A store that fails as disks do, around any other store.

It can fail a commit before its effect or after it (it worked and the answer was lost), and it can crash in a way that
takes back the newest commits, or leaves half of one, as disks do that only said they had synced. The store inside is
what a restarted node would open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from node.store.contract import Batch, Family, Store, StoreClosed, StoreFailed, View


class FaultyStore:
    """Behaves as `inner` does until it is told otherwise."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self._failed = False
        self._closed = False
        self._fail_in: int | None = None
        self._fail_took_effect = False
        self._undo: list[Batch] = []  # one per commit, oldest first: puts back what the commit replaced

    def fail_commit(self, ordinal: int = 1, *, took_effect: bool) -> None:
        """Fail the `ordinal`-th commit from now; 1 is the next. It is on disk afterwards if `took_effect`."""
        self._fail_in = ordinal
        self._fail_took_effect = took_effect

    def restart(self) -> FaultyStore:
        """The store as a node finds it that was killed and started again."""
        self._closed = True
        return FaultyStore(self.inner)

    def crash(self, *, lost_commits: int, torn_writes: int = 0) -> FaultyStore:
        """The store after a power cut on a disk that had lied: without its last `lost_commits` commits, except that
        the first `torn_writes` writes of the oldest lost one are there."""
        if not 0 <= lost_commits <= len(self._undo):
            raise ValueError(f"{lost_commits} commits cannot be lost, {len(self._undo)} were made")
        lost = self._undo[len(self._undo) - lost_commits :]
        for ordinal, undo in reversed(list(enumerate(lost))):
            kept = torn_writes if ordinal == 0 else 0
            self.inner.commit(_without_first(undo, kept))
        return self.restart()

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

    def commit(self, batch: Batch) -> None:
        inner = self._usable()
        fails = False
        if self._fail_in is not None:
            self._fail_in -= 1
            fails = self._fail_in == 0
        if not fails or self._fail_took_effect:
            self._undo.append(undo_of(inner, batch))
            inner.commit(batch)
        if fails:
            self._failed = True
            raise StoreFailed("a commit failed as planned")

    def snapshot(self) -> View:
        return self._usable().snapshot()

    def clear(self, families: Collection[Family]) -> None:
        self._usable().clear(families)

    def backup(self, directory: Path) -> None:
        self._usable().backup(directory)

    def close(self) -> None:
        self._closed = True
        self.inner.close()

    def _usable(self) -> Store:
        if self._failed:
            raise StoreFailed("an earlier commit failed as planned")
        if self._closed:
            raise StoreClosed("the store was closed, or its node restarted")
        return self.inner


def undo_of(store: Store, batch: Batch) -> Batch:
    """The batch that puts back what `batch` will replace."""
    undo = Batch()
    for family, writes in batch.families():
        for key, old in zip(writes, store.get_many(family, list(writes)), strict=True):
            if old is None:
                undo.delete(family, key)
            else:
                undo.put(family, key, old)
    return undo


def _without_first(batch: Batch, writes_kept: int) -> Batch:
    rest = Batch()
    writes = [(family, key, value) for family, changes in batch.families() for key, value in changes.items()]
    for family, key, value in writes[writes_kept:]:
        if value is None:
            rest.delete(family, key)
        else:
            rest.put(family, key, value)
    return rest
