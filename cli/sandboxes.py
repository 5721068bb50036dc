"""The sandboxes that run on this machine: which there are, and how one is asked. Commands are in `hub_sandbox`."""

from __future__ import annotations

import fcntl
import json
from typing import Any, Final

from cli.exits import ExitCode, Failed
from cli.session import find_state_folder

ASK_S: Final = 60.0


def find_sandboxes() -> dict[str, Any]:
    """The running process and its addresses; empty if none runs."""
    folder = find_state_folder() / "sandboxes"
    try:
        with (folder / "lock").open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return {}
    except BlockingIOError:
        found: dict[str, Any] = json.loads((folder / "running.json").read_text())
        return found
    return {}


def ask_sandbox(registry: str, path: str, method: str = "", body: Any = None) -> Any:
    """Ask the admin side of one, or of any where `registry` is empty. Raises `Failed`."""
    import urllib.error
    import urllib.request
    from urllib.parse import quote

    running = find_sandboxes().get("sandboxes", {})
    if not running:
        text = "no sandboxes run"
        raise Failed(ExitCode.NOT_FOUND, text, reason="NOT_RUNNING", advice="keeling hub sandbox up")
    if registry and registry not in running:
        text = f"no sandbox of {registry!r} runs"
        raise Failed(ExitCode.NOT_FOUND, text, reason="NOT_RUNNING", advice=f"there are {', '.join(running)}")
    url = f"{running[registry] if registry else next(iter(running.values()))}/_admin/{quote(path, safe='')}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method or None)
    try:
        with urllib.request.urlopen(request, timeout=ASK_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        told = _read_message(error.read()) or f"the sandbox answered {error.code}"
        raise Failed(ExitCode.USAGE if error.code == 404 else ExitCode.REFUSED, told) from error


def _read_message(body: bytes) -> str:
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    return str(said.get("message", "")) if isinstance(said, dict) else ""
