"""A node in its own process, from start to stop: memory, bytes on disk, and nothing left running.

What it is loaded with is in `bench.ledger`; who talks to it in `bench.client`.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from network.folders import NodeFolder

START_S: Final = 60.0
STOP_S: Final = 30.0


class NodeFailed(Exception):
    """The node did not start, or stopped; the text is the end of its log."""


class NodeProcess:
    """A running `python -m node`. Use `running`, which ends it."""

    def __init__(self, folder: NodeFolder, log: Path) -> None:
        self.folder = folder
        self._log = log
        with log.open("ab") as stderr:
            command = [sys.executable, "-m", "node", str(folder.root)]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True)

    def wait_serving(self) -> None:
        """Return when the port is open; raises `NodeFailed`."""
        stdout = self._process.stdout
        if stdout is None:
            raise NodeFailed("the node's output is not connected")
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            ready = selector.select(START_S)
        line = stdout.readline() if ready else b""
        if not line.startswith(b"serving"):
            raise NodeFailed(f"the node did not start: {self._tail()}")

    def read_memory(self) -> int:
        """Resident bytes of the node process itself."""
        return _resident(self._process.pid)

    def read_worker_memory(self) -> int:
        """Resident bytes of the processes it started for signatures, together."""
        return sum(_resident(pid) for pid in _descendants(self._process.pid))

    def read_cpu_seconds(self) -> float:
        """Processor time of the node process itself so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Ask it to stop, and wait; end it and its workers by force if it does not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise NodeFailed(f"the node did not stop within {STOP_S:.0f} s: {self._tail()}") from None
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()
        if code:
            raise NodeFailed(f"the node ended with {code}: {self._tail()}")

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-2000:].strip()


@contextmanager
def running(folder: NodeFolder) -> Iterator[NodeProcess]:
    """A node of this folder, serving, until the block is left."""
    node = NodeProcess(folder, folder.root.parent / "node.log")
    try:
        node.wait_serving()
        yield node
    finally:
        node.stop()


def measure_folder(folder: Path) -> int:
    """Bytes of all files below a folder, as the file system allots them."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def _resident(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except FileNotFoundError:
        return 0
    return 0


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            yield child
            yield from _descendants(child)
