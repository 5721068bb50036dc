"""Files that are whole, durable and private, or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from network.files import FileRefused, read_private_file, replace_file, write_new_file


def test_a_new_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    write_new_file(tmp_path / "a", b"1")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_new_file(tmp_path / "a", b"2")
    assert read_private_file(tmp_path / "a", "secret") == b"1"


def test_replacing_leaves_the_old_file_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file(tmp_path / "a", b"1")
    replace_file(tmp_path / "a", b"2")
    assert os.listdir(tmp_path) == ["a"]

    def fail(source: object, target: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="Input/output error"):
        replace_file(tmp_path / "a", b"3")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"2"


def test_both_sync_the_file_and_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write_new_file(tmp_path / "a", b"1")
    assert synced == [str(tmp_path / "a"), str(tmp_path)]
    replace_file(tmp_path / "a", b"2")
    assert synced[-1] == str(tmp_path), "the folder is synced after the renaming"


def test_what_others_can_read_is_refused(tmp_path: Path) -> None:
    write_new_file(tmp_path / "a", b"1", mode=0o644)
    with pytest.raises(FileRefused, match=r"the secret .*a is open to others \(mode 0644\)"):
        read_private_file(tmp_path / "a", "secret")
