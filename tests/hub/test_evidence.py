"""The shelf keeps documents by their digests, once, and never gives a wrong one."""

from __future__ import annotations

import hashlib
import shutil
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


def test_a_document_that_is_not_whole_is_kept_again(tmp_path: Path) -> None:
    shelf = EvidenceShelf(tmp_path)
    digest = shelf.put(b"answer")
    next(path for path in tmp_path.rglob("*") if path.is_file()).write_bytes(b"ans")  # the machine lost its power
    assert shelf.put(b"answer") == digest
    assert shelf.get(digest) == b"answer"


def test_a_shelf_that_is_gone_is_put_up_again(tmp_path: Path) -> None:
    shelf = EvidenceShelf(tmp_path / "evidence")
    shelf.put(b"before")
    shutil.rmtree(tmp_path / "evidence")
    assert shelf.get(shelf.put(b"answer")) == b"answer"
