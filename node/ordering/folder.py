"""The few things the embedded log asks of a disk, small enough to be played by a simulated one in tests.

`Folder` is the door, `DiskFolder` the real thing. What the bytes mean is in `segments`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from node.durable import FolderLock, Locked, make_folder, sync_folder
from node.ordering.contract import LogLocked


class Folder(Protocol):
    """Files of one folder, by name. Every method raises `OSError` when the disk refuses; after a failed `sync` it is
    unknown which bytes are durable, and a later `sync` that succeeds does not say they are."""

    def names(self) -> list[str]:
        """The names of the files, sorted."""
        ...

    def create(self, name: str) -> None:
        """Make an empty file. Durable only after `sync_names`."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file. Durable only after `sync_names`."""
        ...

    def size(self, name: str) -> int:
        """The file's size in bytes."""
        ...

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer where the file ends."""
        ...

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Put `data` at `offset`. Durable only after `sync`."""
        ...

    def truncate(self, name: str, size: int) -> None:
        """Cut the file to `size`. Durable only after `sync`."""
        ...

    def sync(self, name: str) -> None:
        """Make the content of the file, and its size, durable."""
        ...

    def sync_names(self) -> None:
        """Make creations and deletions durable."""
        ...

    def close(self) -> None:
        """Give the files and the folder free. May be called more than once."""
        ...


class DiskFolder:
    """A `Folder` on disk, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Make the folder if it is missing, and take it; raises `LogLocked`."""
        make_folder(path)
        try:
            self._lock = FolderLock(path)
        except Locked as error:
            raise LogLocked(str(error)) from error
        self._path = path
        self._descriptors: dict[str, int] = {}

    def names(self) -> list[str]:
        return sorted(path.name for path in self._path.iterdir() if path.name != FolderLock.NAME)

    def create(self, name: str) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptors[name] = os.open(self._path / name, flags, 0o600)

    def delete(self, name: str) -> None:
        descriptor = self._descriptors.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)
        (self._path / name).unlink()

    def size(self, name: str) -> int:
        return os.fstat(self._descriptor(name)).st_size

    def read(self, name: str, offset: int, size: int) -> bytes:
        parts = []
        while size > 0 and (part := os.pread(self._descriptor(name), size, offset)):
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b"".join(parts)

    def write(self, name: str, offset: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._descriptor(name), rest, offset)
            rest = rest[written:]
            offset += written

    def truncate(self, name: str, size: int) -> None:
        os.ftruncate(self._descriptor(name), size)

    def sync(self, name: str) -> None:
        os.fdatasync(self._descriptor(name))

    def sync_names(self) -> None:
        sync_folder(self._path)

    def close(self) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors = {}
        self._lock.release()

    def _descriptor(self, name: str) -> int:
        if name not in self._descriptors:
            self._descriptors[name] = os.open(self._path / name, os.O_RDWR | os.O_CLOEXEC)
        return self._descriptors[name]
