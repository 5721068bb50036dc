"""Writing small files so that they survive a power cut and are read by nobody else.

Keys, certificates, configuration and profiles are written here. What the files mean lives with who writes them; the
ledger's own storage lives in `node.store`.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
SMALL_FILE_BYTES_MAX: Final = 1024 * 1024
"""Nothing read here is larger; a file that is was not meant."""


class FileRefused(ValueError):
    """The file cannot be read, or not safely; the text names it and says what to do."""


def read_private_file(path: Path, what: str) -> bytes:
    """Return the bytes of a file that holds a secret; raise `FileRefused`, calling it `what`, if others can read it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise FileRefused(f"there is no {what} {path}") from error
    except OSError as error:
        raise FileRefused(f"the {what} {path} cannot be read: {error.strerror}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise FileRefused(f"{path} is not a file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = stat.S_IMODE(status.st_mode)
            raise FileRefused(f"the {what} {path} is open to others (mode {mode:04o}): run `chmod 600 {path}`")
        data = file.read(SMALL_FILE_BYTES_MAX + 1)
    if len(data) > SMALL_FILE_BYTES_MAX:
        raise FileRefused(f"{path} is larger than a {what} can be")
    return data


def write_new_file(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Create `path` with `data`, durable when this returns; raise `FileExistsError` rather than overwrite."""
    with open_new_file(path, mode) as file:
        file.write(data)


@contextmanager
def open_new_file(path: Path, mode: int = PRIVATE_FILE) -> Iterator[BinaryIO]:
    """Create `path` to be written piece by piece, durable at the end; raise `FileExistsError` rather than overwrite."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        yield file
        file.flush()
        os.fsync(descriptor)
    sync_folder(path.parent)


def replace_file(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Put `data` in the place of whatever `path` held: a reader sees the old or the new file whole, never a mixture."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        write_new_file(fresh, data, mode)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable: a new or renamed file is not, until its folder is synced too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
