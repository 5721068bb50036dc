"""The state of a node, computed again from its own log and compared with what its store holds, key by key.

Reads only: the store is opened for reading, whether it lies in a node's data folder or in a backup. Executing is
`node.replay`; whether the log itself is final is asked of a bundle (`keeling.verify`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import rocksdict

from keeling.encoding import U64
from keeling.genesis import Genesis
from node.export import read_whole_block
from node.replay import Difference, MemoryState, Shown, replay
from node.store.contract import Family, Reads, StoreDamaged, StoreMissing
from node.store.rocks_reads import FamilyReader, RocksView

DIFFERENCES_MAX: Final = 20
"""Differing keys that are reported one by one; all are counted."""

_PLACES: Final = ("records", "store/records", "data/store/records")
"""Where the database lies below a store or backup, a data folder, a node's folder."""


class KeyDifference(NamedTuple):
    """A key of the state whose value is not the one the log gives. None: there is no such key."""

    key: bytes
    computed: bytes | None
    stored: bytes | None


class StateAudit(NamedTuple):
    """What came of it. The digests are equal exactly if both states are; `broken` is set if the log stopped early."""

    height: int
    keys: int
    computed: bytes
    stored: bytes
    differing: int
    differences: tuple[KeyDifference, ...]
    broken: Difference | None

    @property
    def equal(self) -> bool:
        return self.broken is None and self.computed == self.stored


def compute_state_digest(rows: Iterable[tuple[bytes, bytes]]) -> bytes:
    """SHA-256 over every key and value in key order, each behind its u32 length."""
    hashed = sha256()
    for key, value in rows:
        hashed.update(len(key).to_bytes(4, "big") + key + len(value).to_bytes(4, "big") + value)
    return hashed.digest()


def audit_state(
    reads: Reads,
    genesis: Genesis,
    progress: Callable[[int], None] = lambda height: None,
    before: Iterable[Sequence[tuple[bytes, bytes]]] | None = None,
) -> StateAudit:
    """Execute the log of a store from genesis on and compare the state. Raises `ExportError` if blocks are missing.

    `before` are the rows that a successor took over, as for `node.replay.replay`.
    """
    replayed = replay(genesis, read_blocks(reads, genesis, read_newest(reads)), progress, before)
    computed = list(replayed.state.data.items())
    differences, differing = _compare(replayed.state, reads)
    return StateAudit(
        height=replayed.height,
        keys=len(computed),
        computed=compute_state_digest(computed),
        stored=compute_state_digest(reads.scan(Family.STATE)),
        differing=differing,
        differences=tuple(differences),
        broken=replayed.difference,
    )


def read_blocks(reads: Reads, genesis: Genesis, height: int) -> Iterator[tuple[int, Shown]]:
    """Every block of a store from the first up to `height`. Raises `ExportError` at one that is missing."""
    return ((n, read_whole_block(reads, n)) for n in range(genesis.base + 1, height + 1))


def read_newest(reads: Reads) -> int:
    """The height of the newest block in a store; 0 if it has none."""
    for key, _ in reads.scan(Family.BLOCKS, b"h", b"i", reverse=True, limit=1):
        return U64.decode(key[1:])
    return 0


def _compare(state: MemoryState, reads: Reads) -> tuple[list[KeyDifference], int]:
    """Both states are walked side by side in key order."""
    differences: list[KeyDifference] = []
    differing = 0
    for key, computed, stored in _merge(iter(state.data.items()), iter(reads.scan(Family.STATE))):
        if computed != stored:
            differing += 1
            if len(differences) < DIFFERENCES_MAX:
                differences.append(KeyDifference(key, computed, stored))
    return differences, differing


_Row = tuple[bytes, bytes]


def _merge(left: Iterator[_Row], right: Iterator[_Row]) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    one, two = next(left, None), next(right, None)
    while one is not None or two is not None:
        if two is None or (one is not None and one[0] < two[0]):
            yield one[0], one[1], None  # type: ignore[index]
            one = next(left, None)
        elif one is None or two[0] < one[0]:
            yield two[0], None, two[1]
            two = next(right, None)
        else:
            yield one[0], one[1], two[1]
            one, two = next(left, None), next(right, None)


@contextmanager
def open_read_only(folder: Path) -> Iterator[Reads]:
    """The store in `folder`, a data folder or a node's folder, as of now; nothing is written, no lock is taken.

    Raises `StoreMissing` and `StoreDamaged`.
    """
    path = next((folder / place for place in _PLACES if (folder / place).is_dir()), None)
    if path is None:
        raise StoreMissing(f"{folder} holds no store: name a node's folder, its data folder, or a backup")
    families: Sequence[str] = [family.value for family in Family]
    try:
        known = set(rocksdict.Rdict.list_cf(str(path)))
        columns = {name: rocksdict.Options(raw_mode=True) for name in families if name in known}
        mode = rocksdict.AccessType.read_only()
        database = rocksdict.Rdict(str(path), rocksdict.Options(raw_mode=True), columns, access_type=mode)
    except Exception as error:
        raise StoreDamaged(f"{path} cannot be read: {error}") from error
    try:
        readers = {f: FamilyReader(database.get_column_family(f.value)) for f in Family if f.value in known}
        view = RocksView({family: reader.freeze() for family, reader in readers.items()})
        yield view
        view.close()
    finally:
        database.close()
