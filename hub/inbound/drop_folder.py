"""Files that a registry or an operator drops: taken once, when they are whole and their detached signature holds.

`NAME` is read once `NAME.jws` beside it is a signature over exactly its bytes; a file still being written is none yet,
and is looked at again when it has changed. What was taken moves to `taken/` under its digest: so the same file dropped
again is known, also after a restart.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from adapters.contract import Adapter
from hub.inbound.intake import Intake, Taken
from hub.inbound.keys import InboundKey, Keys
from hub.inbound.refusals import Refusal, Why
from hub.inbound.server import take_document
from hub.inbound.signed_file import JWS_BYTES_MAX, check_signed_file

FILE_BYTES_MAX: Final = 64 << 20
SIGNATURE: Final = ".jws"


class Dropped(NamedTuple):
    """One file and what became of it."""

    name: str
    taken: tuple[Taken, ...]
    refusal: Refusal | None = None


class DropFolder:
    """The folder of one registry. For one event loop, one call at a time."""

    def __init__(self, folder: Path, registry: str, adapter: Adapter, keys: Keys, intake: Intake) -> None:
        self._folder, self._registry, self._adapter = folder, registry, adapter
        self._keys, self._intake = keys, intake
        self._refused: dict[str, tuple[tuple[int, ...], tuple[InboundKey, ...]]] = {}
        """What of a file and with which keys it was refused: another key may be the one that signed it."""
        self._unlisted = ""
        """Why the folder could not be listed, as it was told."""

    async def look(self) -> list[Dropped]:
        """Take what is new and whole. A file that is refused is told once, and again when it or the keys have changed;
        one that cannot be read keeps no other waiting, nor does a folder that is not there stop anything.

        Raises `LedgerError`; what was not taken is there at the next look.
        """
        found, keys = [], tuple(self._keys(self._registry))
        try:
            paths = list(self._list())
        except OSError as error:
            return self._tell_unlisted(f"the folder {self._folder} cannot be read: {error.strerror}")
        self._unlisted = ""
        for path in paths:
            state = _describe(path), keys
            if self._refused.get(path.name) == state:
                continue
            try:
                dropped = await self._take(path, keys)
            except OSError as error:
                said = f"{path.name} cannot be read: {error.strerror}"
                dropped = Dropped(path.name, (), Refusal(Why.UNREADABLE, said))
            found.append(dropped)
            if dropped.refusal is not None and dropped.refusal.why is not Why.REPLAYED:
                self._refused[path.name] = state
            else:
                self._refused.pop(path.name, None)
        return found

    def _tell_unlisted(self, why: str) -> list[Dropped]:
        """Once; the folder may be there again at the next look."""
        told, self._unlisted = self._unlisted, why
        return [] if told == why else [Dropped(self._folder.name, (), Refusal(Why.UNREADABLE, why))]

    def _list(self) -> Iterator[Path]:
        for path in sorted(self._folder.iterdir()):
            hidden = path.name.startswith(".") or path.name.endswith(SIGNATURE)
            if not hidden and path.is_file() and not path.is_symlink():
                yield path

    async def _take(self, path: Path, keys: Sequence[InboundKey]) -> Dropped:
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            detail = f"{size} bytes; at most {FILE_BYTES_MAX} are read"
            return Dropped(path.name, (), Refusal(Why.TOO_LARGE, detail))
        beside = path.with_name(path.name + SIGNATURE)
        if not beside.is_file() or beside.is_symlink():
            return Dropped(path.name, (), Refusal(Why.NO_SIGNATURE, f"{beside.name} is not there"))
        with beside.open("rb") as file:
            signature = file.read(JWS_BYTES_MAX + 1)
        document = path.read_bytes()
        said = check_signed_file(keys, signature, document)
        if isinstance(said, Refusal):
            return Dropped(path.name, (), said)
        kept = self._folder / "taken" / said.id
        if kept.exists():
            _put_away(path, beside, kept)
            return Dropped(path.name, (), Refusal(Why.REPLAYED, f"the same bytes were taken before: {said.id}"))
        taken = await take_document(self._intake, self._adapter, self._registry, said, document)
        if isinstance(taken, Refusal):
            return Dropped(path.name, (), taken)
        _put_away(path, beside, kept)
        return Dropped(path.name, tuple(taken))


def _describe(path: Path) -> tuple[int, ...]:
    """What changes when a file or its signature does."""
    state: list[int] = []
    for each in (path, path.with_name(path.name + SIGNATURE)):
        try:
            found = each.stat()
            state += [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
        except FileNotFoundError:
            state.append(0)
    return tuple(state)


def _put_away(path: Path, beside: Path, kept: Path) -> None:
    """Move a file out of the way, unless it was replaced while it was read: the new one is looked at then."""
    kept.parent.mkdir(exist_ok=True)
    if hashlib.sha256(path.read_bytes()).hexdigest() != kept.name:
        return
    os.replace(path, kept)
    beside.unlink(missing_ok=True)
