"""What registries asked for: until when each wants to be left alone, and when it last said that it gets too many calls.

Kept in the hub's folder, so that a hub that starts again goes on waiting. The folder may be deleted at any time: then
one call comes too early, is answered by another 429, and the wait begins anew. The same cures a time that was noted
while the machine's clock was wrong.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from hub.kept_file import KeptFile

_KEPT: Final = re.compile(r"(\d{1,18}) (\d{1,18})", re.ASCII)


class Quiet(NamedTuple):
    """Times in ms of the hub's clock; 0: never."""

    until_ms: int = 0
    throttled_ms: int = 0


class QuietTimes:
    """Those of every registry. For one event loop, in one process."""

    def __init__(self, folder: Path | None) -> None:
        """`folder`: where they outlive the process; None: they end with it."""
        self._folder: Final = folder
        self._known: dict[str, Quiet] = {}

    def of(self, registry: str) -> Quiet:
        """What is known of a registry."""
        if registry not in self._known:
            self._known[registry] = Quiet() if self._folder is None else parse_quiet(self._file(registry).read())
        return self._known[registry]

    def keep(self, registry: str, found: Quiet) -> None:
        """Take in what it said now; what it said before and lasts longer stays. Raises `OSError` once that is taken in,
        where it cannot be written.
        """
        before = self.of(registry)
        now = Quiet(*(max(pair) for pair in zip(before, found, strict=True)))
        self._known[registry] = now
        if now != before and self._folder is not None:
            self._file(registry).write(format_quiet(now))

    def _file(self, registry: str) -> KeptFile:
        if self._folder is None:
            raise TypeError("quiet times without a folder are in memory alone")
        return KeptFile(self._folder / registry)


def format_quiet(quiet: Quiet) -> str:
    """As it stands in the file."""
    return f"{quiet.until_ms} {quiet.throttled_ms}"


def parse_quiet(text: str) -> Quiet:
    """The inverse of `format_quiet`; what is no such text says nothing."""
    found = _KEPT.fullmatch(text)
    return Quiet() if found is None else Quiet(int(found[1]), int(found[2]))
