"""The shelf keeps documents by their digests, once, and never gives a wrong one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hub.evidence import EvidenceShelf


def test_a_document_comes_back_by_its_digest(tmp_path: Path) -> None:
    shelf = EvidenceShelf(tmp_path / "shelf")
    digest = shelf.put(b"answer")
    assert digest == hashlib.sha256(b"answer").digest() == shelf.put(b"answer")
    assert shelf.get(digest) == b"answer"
    assert shelf.get(bytes(32)) is None
    assert len([path for path in (tmp_path / "shelf").rglob("*") if path.is_file()]) == 1


def test_a_damaged_document_is_none(tmp_path: Path) -> None:
    shelf = EvidenceShelf(tmp_path)
    digest = shelf.put(b"answer")
    next(path for path in tmp_path.rglob("*") if path.is_file()).write_bytes(b"other")
    assert shelf.get(digest) is None
