"""Small steps that survive a power cut: making folders, replacing a file whole, and holding a folder for one process.

Both the store and the ordering log build on these. What is written into the files, and what a node does when a step
fails, lives with them. The rule behind every function: a new name is durable only after its *folder* was synced too.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self


class Locked(Exception):
    """Another process, or another part of this one, holds the folder. The message says which process."""


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Raises `OSError`; the caller must then treat the last step as unknown."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create `folder` and its missing parents, each durable in the one above. Existing folders are left as they are."""
    missing = [folder, *folder.parents]
    for path in reversed([path for path in missing if not path.exists()]):
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path`: after a crash at any moment the file holds the old content or the new, never a mixture.

    Durable when this returns. Raises `OSError`, and then either content may be found.
    """
    temporary = path.with_name(path.name + ".partial")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_folder(path.parent)


class FolderLock:
    """Exclusive use of a folder, by a locked file in it that names the holder.

    The lock ends with `release` or with the process, however that ends. The file stays: deleting it would let two
    processes lock two different files of the same name.
    """

    NAME: Final = "lock"

    def __init__(self, folder: Path) -> None:
        """Take the lock; raise `Locked` with the holder's process id when it is taken."""
        path = folder / self.NAME
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise Locked(f"{folder} is locked by pid {holder or 'unknown'}") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Give the folder free. May be called more than once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
