"""A real node in a process of its own, for end-to-end tests, and the ledger's holdings to compare."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cli.command_line import Keeling

START_S = 60.0
"""A node on a busy machine starts within this, or the test fails."""


class RunningNode:
    """The process, and where it listens."""

    def __init__(self, folder: Path) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KEELING_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "node", str(folder)],
            stdout=subprocess.PIPE,
            stderr=(folder.parent / "node.err").open("ab"),
            text=True,
            env=environment,
        )
        self.address = self._wait(folder)

    def _wait(self, folder: Path) -> str:
        guard = threading.Timer(START_S, self.process.kill)
        guard.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        guard.cancel()
        found = re.search(r" at (\S+:\d+)$", line.strip())
        if found is None:
            raise AssertionError(f"the node did not start: {line}{(folder.parent / 'node.err').read_text()[-2000:]}")
        return found[1]

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Ask it to stop, as an operator does; a node that does not is killed, and the test fails."""
        self.thaw()
        self.process.terminate()
        try:
            code = self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        if code:
            raise AssertionError(f"the node ended with {code}")


@contextmanager
def running_node(keeling: Keeling, *arguments: str) -> Iterator[RunningNode]:
    """Make a network, run its node, and point the profile to it."""
    folder = keeling.init(*arguments)
    node = RunningNode(folder.root)
    try:
        keeling.point_to(node.address)
        yield node
    finally:
        node.stop()


def holdings(keeling: Keeling) -> list[tuple[Any, ...]]:
    """Every lot without when it came to be: what two ways to the same state have in common."""
    found = []
    for account in keeling.json("account", "list")["accounts"]:
        for lot in keeling.json("lot", "list", "--account", account["account"])["lots"]:
            numbers = lot["first_number"], lot["last_number"]
            found.append((lot["range"]["batch"], *numbers, lot["state"], lot["account"]))
    return sorted(found)
