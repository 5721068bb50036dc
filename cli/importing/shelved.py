"""Reports of imports kept on this machine: one JSON file for each report of a run, never changed, named by its digest.

The ledger has the digest (an anchor called "import/RUN"), so that a kept report can be shown to be the one of its day.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from cli.session import find_state_folder


class Kept(NamedTuple):
    """A report and the SHA-256 of its bytes."""

    path: Path
    digest: bytes
    facts: dict[str, Any]


def find_shelf() -> Path:
    """Where the reports lie."""
    return find_state_folder() / "imports"


def keep(run: str, facts: dict[str, Any]) -> Path:
    """Write a report down; the same report again is the same file."""
    from hub.reports.summary import format_json
    from network.files import PRIVATE_FOLDER, write_new_file

    data = format_json(facts)
    path = find_shelf() / run / f"{hashlib.sha256(data).hexdigest()}.json"
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    if not path.exists():
        write_new_file(path, data)
    return path


def list_runs() -> list[str]:
    """Runs that have a report here."""
    return sorted(path.name for path in find_shelf().glob("*") if path.is_dir())


def read_kept(run: str) -> list[Kept]:
    """The reports of a run, oldest first. A file whose bytes are not what its name says is left out."""
    found = []
    for path in sorted((find_shelf() / run).glob("*.json"), key=lambda each: each.stat().st_mtime_ns):
        data = path.read_bytes()
        digest = hashlib.sha256(data).digest()
        if digest.hex() == path.stem:
            found.append(Kept(path, digest, json.loads(data)))
    return found
