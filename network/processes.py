"""The nodes of a network as processes of this machine: started, found again, and stopped.

A node is known by the lock of its folder: whoever holds it is the node, whatever started it. What a node does is its
own business; the network files are in `network.plan`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from network.folders import NodeFolder

START_S: Final = 60.0
STOP_S: Final = 30.0
POLL_S: Final = 0.05
LOG: Final = "node.log"
"""Standard error of the node, in its folder: JSON lines."""


class NotStarted(Exception):
    """A node did not begin to serve; the text is its own last word."""


class StillRunning(Exception):
    """A node did not stop when it was asked."""


class Started(NamedTuple):
    """A node that serves."""

    process: int
    address: str


def find_process(folder: NodeFolder) -> int | None:
    """The process that holds the folder, or None if nobody does."""
    try:
        descriptor = os.open(folder.lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read(32).strip()
            return int(holder) if holder.isdigit() else None
    return None


def start_nodes(folders: Sequence[NodeFolder], told: Callable[[NodeFolder, Started], None]) -> None:
    """Start a node process for each folder, at once, and call `told` as each begins to serve.

    They outlive this process. Raises `NotStarted` for the first that does not serve; the others go on.
    """
    begun = [(folder, _spawn(folder)) for folder in folders]
    for folder, process in begun:
        told(folder, _wait_serving(folder, process))


def _spawn(folder: NodeFolder) -> subprocess.Popen[bytes]:
    with (folder.root / LOG).open("ab") as log:
        command = [sys.executable, "-m", "node", str(folder.root)]
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )


def _wait_serving(folder: NodeFolder, process: subprocess.Popen[bytes]) -> Started:
    """The node says one line on standard output, when it serves, and nothing more."""
    said = process.stdout
    assert said is not None, "the process was started with a pipe"
    with said, selectors.DefaultSelector() as selector:
        selector.register(said, selectors.EVENT_READ)
        line = said.readline().decode("utf-8", "replace") if selector.select(START_S) else ""
    if line.startswith("serving"):
        return Started(process.pid, line.strip().rpartition(" at ")[2])
    words = [text for text in _tail(folder.root / LOG) if not text.startswith("{")]
    raise NotStarted(f"the node in {folder.root} did not start: {words[-1] if words else 'see ' + LOG}")


def _tail(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return file.read().decode("utf-8", "replace").splitlines()


def stop_nodes(folders: Sequence[NodeFolder]) -> list[NodeFolder]:
    """Ask every node that runs to stop, and wait until it has; returns those that ran. Raises `StillRunning`."""
    running = [(folder, process) for folder in folders if (process := find_process(folder)) is not None]
    for _, process in running:
        os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    for folder, process in running:
        while find_process(folder) is not None:
            if time.monotonic() > deadline:
                raise StillRunning(f"process {process} of {folder.root} does not stop: see {folder.root / LOG}")
            time.sleep(POLL_S)
    return [folder for folder, _ in running]
