"""Step 16 of the walk: an import, or the node, is killed at random moments and run again; the end is always the same.

Exports, each longer than the one before, go into one ledger whose imports or node are killed; in the end it is the same
as one into which the last export went undisturbed. `IMPORT_KILLS_SEED` repeats a run.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command_line import Keeling
from tests.cli.running_node import RunningNode, holdings

SAMPLE = Path(__file__).parents[1] / "adapters" / "samples" / "verra-transactions.csv"
BATCHES_A_ROUND = 50
ROWS_A_BATCH = 2
GONE = (0, 69, 75)
"""How an import ends whose node is killed: done before, not reached, or outcome unknown."""


class Ledger:
    """A network of one node that can be killed, and the command that imports into it."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.keeling = Keeling(root)
        self._folder = self.keeling.init().root
        self.start()

    def start(self) -> None:
        self.node = RunningNode(self._folder)
        self.keeling.point_to(self.node.address)

    def kill_node(self) -> None:
        self.node.process.kill()
        self.node.process.wait()

    def begin_import(self, export: Path) -> subprocess.Popen[bytes]:
        environment = {"KEELING_HOME": str(self.keeling.home), "PATH": "", "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "cli.main", "import", str(export), "--registry", "verra"]
        return subprocess.Popen(
            command, env=environment, cwd=self.keeling.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def picture(self) -> tuple[Any, ...]:
        """Everything an import leaves, without when it came to be."""
        batches = self.keeling.json("batch", "list")["batches"]
        facts = [{key: value for key, value in batch.items() if key not in ("height", "issued")} for batch in batches]
        return holdings(self.keeling), facts


@contextmanager
def ledgers(root: Path) -> Iterator[tuple[Ledger, Ledger]]:
    calm, killed = Ledger(root / "calm"), Ledger(root / "killed")
    try:
        yield calm, killed
    finally:
        for ledger in (calm, killed):
            if ledger.node.process.poll() is None:
                ledger.node.stop()


def write_export(path: Path, rounds: int) -> Path:
    """The same rows as in the rounds before, and some more."""
    lines = [SAMPLE.read_text().splitlines()[0]]
    for batch in range(1_000, 1_000 + BATCHES_A_ROUND * rounds):
        for at in range(ROWS_A_BATCH):
            first = batch * 1_000 + 20 * at
            ended = "2026-03-20" if at % 2 else ""
            serial = f"{batch}-{first}-{first + 9}-VCS-VCU-1491-VER-RW-3-9101-01102024-31122024-0"
            project = "2024-10-01,2024-12-31,9101,Example,Rwanda,Energy,VMR0006,100,10"
            lines.append(f"2026-03-01,,{project},{serial},,{ended},,,")
    path.write_text("\n".join(lines) + "\n")
    return path


def kill_and_repeat(root: Path, kills: int) -> None:
    seed = int(os.environ.get("IMPORT_KILLS_SEED", time.time_ns() % 1_000_000))
    print(f"IMPORT_KILLS_SEED={seed}")
    chance, hit = random.Random(seed), 0
    with ledgers(root) as (calm, killed):
        started = time.monotonic()
        assert calm.begin_import(write_export(root / "0.csv", 1)).wait(60) == 0
        takes_s = time.monotonic() - started
        for number in range(1, kills + 1):
            export = write_export(root / f"{number}.csv", number)
            process = killed.begin_import(export)
            try:
                process.wait(chance.uniform(0.3, 1.0) * takes_s)
            except subprocess.TimeoutExpired:
                hit += 1
                if number % 3 == 0:
                    killed.kill_node()
                    assert process.wait(120) in GONE
                    killed.start()
            process.kill()
            process.wait()
        calm.keeling.must("import", export, "--registry", "verra")
        outcomes = killed.keeling.json("import", export, "--registry", "verra")["rows_by_outcome"]
        rows = BATCHES_A_ROUND * ROWS_A_BATCH * kills
        assert (outcomes["new"] + outcomes["known"], outcomes["refused"]) == (rows, 0)
        assert killed.picture() == calm.picture()
        assert len(killed.picture()[0]) == rows
        assert hit >= kills // 2, "too few imports were still running when they were to be killed"


def test_killed_imports_and_nodes_end_in_the_same_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # reports are written where the command runs
    kill_and_repeat(tmp_path, 5)


@pytest.mark.soak
def test_twenty_killed_imports_and_nodes_end_in_the_same_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kill_and_repeat(tmp_path, 20)
