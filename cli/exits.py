"""How a command ends: its exit codes, and the one exception a command raises when it cannot do what was asked.

Where foreign errors become `Failed` is in `failures`; how it is printed is in `command`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """What a script reads. Numbers are never reused; 69 and 75 are those of BSD's sysexits."""

    DONE = 0
    REFUSED = 1
    """A rule says no; the ledger is unchanged."""
    USAGE = 2
    """The command line, or a file it names, cannot be understood."""
    NOT_FOUND = 3
    VERIFICATION_FAILED = 4
    NOT_PERMITTED = 5
    """The key or certificate may not do this."""
    UNREACHABLE = 69
    """The node could not be asked; nothing was handed in."""
    OUTCOME_UNKNOWN = 75
    """It may have been done or not: ask by the transaction's id."""


class Failed(Exception):
    """A command did not do what it was asked. One readable line, the stable reason if there is one, and what to do."""

    def __init__(
        self,
        code: ExitCode,
        text: str,
        *,
        reason: str = "",
        advice: str = "",
        values: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.code: Final = code
        self.text: Final = text
        self.reason: Final = reason
        self.advice: Final = advice
        self.values: Final = dict(values or {})

    def __str__(self) -> str:
        said = f"{self.reason}: {self.text}" if self.reason else self.text
        return f"{said}; {self.advice}" if self.advice else said


def misused(text: str, advice: str = "") -> Failed:
    """The command line cannot be understood."""
    return Failed(ExitCode.USAGE, text, advice=advice)
