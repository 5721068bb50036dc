"""One process has a hub's folder at a time: two would move one cursor, and each would miss what the other read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from adapters.systems import CannotOpenError
from hub.service.process import claim_folder


def test_a_folder_is_one_hubs_until_it_ends(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    with claim_folder(folder):
        with pytest.raises(CannotOpenError, match=r"hub is in use by another hub.*its own"), claim_folder(folder):
            raise AssertionError("both have it")
        with claim_folder(tmp_path / "other"):
            pass
    with claim_folder(folder):
        shutil.rmtree(folder)
    with claim_folder(folder):
        assert folder.is_dir()


def test_a_folder_that_cannot_be_one_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("a file")
    with pytest.raises(CannotOpenError, match="hub cannot be used: "), claim_folder(tmp_path / "hub"):
        raise AssertionError("it is a file")
