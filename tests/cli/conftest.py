"""Every test gets a command line with a home and a working folder of its own, and may get a stage for a page there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import Keeling
from tests.cli.hub_stage import HubStage


@pytest.fixture
def keeling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keeling:
    """`keeling("status")` runs the command."""
    monkeypatch.chdir(tmp_path)
    return Keeling(tmp_path)


@pytest.fixture
def stage(keeling: Keeling) -> Iterator[HubStage]:
    """Types the blocks of a page; ends what they started."""
    made = HubStage(keeling)
    try:
        yield made
    finally:
        made.close()
