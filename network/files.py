"""Writing small files so that they survive a power cut and are read by nobody else.

Keys, certificates, configuration and profiles are written here. What the files mean lives with who writes them; the
ledger's own storage lives in `node.store`.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def write_new_file(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Create `path` with `data`, durable when this returns; raise `FileExistsError` rather than overwrite."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
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
