"""The shelf of documents: what registries said and were told, byte for byte, by SHA-256. The ledger has the digests.

Nothing depends on it to go on: a shelf that is lost loses documents, not truth. Answers are free of personal data
already, adapters see to that; instructions say what the registry was told, beneficiaries too.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final


class EvidenceShelf:
    """A folder of files named by their digests. Safe for several processes: a file appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder: Final = folder

    def put(self, document: bytes) -> bytes:
        """Keep a document; returns its SHA-256. The same again is kept once, and anew where it is not whole."""
        digest = hashlib.sha256(document).digest()
        path = self._path(digest)
        if self.get(digest) is None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_bytes(document)
            partial.replace(path)
        return digest

    def get(self, digest: bytes) -> bytes | None:
        """The document, or None when the shelf has none that is whole and can be read."""
        try:
            document = self._path(digest).read_bytes()
        except OSError:
            return None
        return document if hashlib.sha256(document).digest() == digest else None

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._folder / name[:2] / name
