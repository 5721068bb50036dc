"""The clock of a rehearsal: one time for a ledger, a hub and sandboxes on one machine, moved by hand alone.

A network whose clock can be moved proves nothing about when something happened, so its name says what it is: a node
takes such a clock only where the origin begins with `rehearsal.`.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Final

from network.folders import FolderRefused

PREFIX: Final = "rehearsal."
_TIME: Final = struct.Struct("<q")


class RehearsalClock:
    """Milliseconds since 1970 in a file that several processes look at; one of them moves it."""

    def __init__(self, path: Path) -> None:
        """Look at the clock in `path`; raises `OSError` where there is none."""
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _TIME.size)

    def now_ms(self) -> int:
        """The time now."""
        found: int = _TIME.unpack_from(self._memory)[0]
        return found

    def advance(self, by_ms: int) -> None:
        """Move on; raises `ValueError` for going back."""
        if by_ms < 0:
            raise ValueError(f"a clock does not go back by {-by_ms} ms")
        _TIME.pack_into(self._memory, 0, self.now_ms() + by_ms)


def create_clock(path: Path, start_ms: int) -> RehearsalClock:
    """Make the file of a clock that stands at `start_ms`."""
    path.write_bytes(_TIME.pack(start_ms))
    return RehearsalClock(path)


def check_rehearsal(origin: str) -> None:
    """Raise `FolderRefused` unless the network's name says that it is a rehearsal."""
    if not origin.startswith(PREFIX):
        raise FolderRefused(f"{origin} is no rehearsal ({PREFIX}…): its clock is the machine's and not moved by hand")
