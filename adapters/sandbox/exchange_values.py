"""What sandboxes of the exchange name: what an acquirer does, why no message is taken, facts of the log, instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from keeling.serials import SerialRange


class Acquirer(StrEnum):
    """What the registry on the other side does with transfers to it."""

    ACCEPTS = "accepts"
    REJECTS = "rejects"
    SILENT = "silent"


class MessageRefusal(ValueError):
    """The message is not taken; `code` says why. The numbers are ours: those of the standards were not found."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code: Final = code


class Fact(NamedTuple):
    """What an event of the books is called in the log; one event may be several facts."""

    event: str
    serials: SerialRange
    facts: dict[str, str]


def read_place(asked: dict[str, str], name: str) -> tuple[int, int]:
    """From where, and how many at most; raises `MessageRefusal`."""
    try:
        return max(0, int(asked.get(name, "0"))), min(200, max(1, int(asked.get("limit", "200"))))
    except ValueError as error:
        raise MessageRefusal(2003, f"{name} and limit are numbers") from error


def print_instant(at_ms: int) -> str:
    """An instant in UTC with milliseconds, as the reporting tables write it."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
