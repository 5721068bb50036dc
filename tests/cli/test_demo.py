"""The demo is a test: every command in it ends as the story says, and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_story_is_true() -> None:
    before = set(Path(tempfile.gettempdir()).glob("keeling-demo-*"))
    done = subprocess.run([sys.executable, "-m", "cli.demo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr
    assert "rules hold (version 1)" in done.stdout
    assert "NOT intact" in done.stdout
    assert "4 of 4 validators answer, 3 decide: 1 more may stop" in done.stdout
    assert "showed two ordering logs" in done.stdout
    assert "DIVERGED" in done.stdout
    assert "gave two different VOTEs" in done.stdout
    assert "keeling: 0 units that ledger and registry disagree on, at any moment" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert set(Path(tempfile.gettempdir()).glob("keeling-demo-*")) <= before
