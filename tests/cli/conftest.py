"""Every test gets a command line with a home and a working folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command_line import Keeling


@pytest.fixture
def keeling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keeling:
    """`keeling("status")` runs the command."""
    monkeypatch.chdir(tmp_path)
    return Keeling(tmp_path)
