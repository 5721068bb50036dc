"""Folders, files and locks that survive a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from node.durable import FolderLock, Locked, make_folder, replace_file


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced, in order."""
    names: list[str] = []
    really = os.fsync

    def note(descriptor: int) -> None:
        names.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        really(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return names


def test_each_new_folder_is_synced_in_the_one_above(tmp_path: Path, synced: list[str]) -> None:
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert synced == [tmp_path.name, "a"]
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path.name, "a"]


def test_a_file_is_replaced_whole_synced_first_and_its_folder_last(tmp_path: Path, synced: list[str]) -> None:
    for content in (b"long first content", b"second"):
        replace_file(tmp_path / "f", content)
        assert (tmp_path / "f").read_bytes() == content
    assert synced == ["f.partial", tmp_path.name] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_failed_sync_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file(tmp_path / "f", b"old")

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        replace_file(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(Locked, match=rf"is locked by pid {os.getpid()}$"):
        FolderLock(tmp_path)
    code = (
        "import sys, pathlib, node.durable as d; lock = d.FolderLock(pathlib.Path(sys.argv[1])); print(1, flush=True)"
    )
    command = [sys.executable, "-c", code + "; input()", str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"1\n"
        with pytest.raises(Locked, match=rf"is locked by pid {other.pid}$"):
            FolderLock(tmp_path)
        other.kill()
    lock = FolderLock(tmp_path)
    lock.release()
    lock.release()
