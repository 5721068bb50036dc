"""The README's tour, typed as it stands: every command in it works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.real_node import free_port

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOUR = README[README.index("## Five minutes") : README.index("## What is where")]


def typed() -> list[list[str]]:
    """The `keeling` commands of the tour, comments and placeholders resolved."""
    lines = [line.strip().replace("$REPOSITORY", str(ROOT)) for line in TOUR.split("\n")]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("keeling ")]


def test_the_tour_works_as_typed(tmp_path: Path) -> None:
    environment = {**os.environ, "KEELING_HOME": str(tmp_path / "home"), "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}"}
    node: subprocess.Popen[str] | None = None
    commands = typed()
    assert len(commands) >= 9
    try:
        for words in commands:
            command = [sys.executable, "-m", "cli.main", *words]
            if words[0] == "init":
                command += ["--listen", f"127.0.0.1:{free_port()}", "--metrics", ""]
            if words[-1] == "&":
                pipe = subprocess.PIPE
                node = subprocess.Popen(command[:-1], cwd=tmp_path, env=environment, stdout=pipe, text=True)
                assert node.stdout is not None
                assert node.stdout.readline().startswith("serving")
                continue
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    finally:
        if node is not None:
            node.terminate()
            node.wait(120)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_what_is_linked_is_there(link: str) -> None:
    assert (ROOT / link).exists()
