"""What an ordering log promises, whatever engine stands behind it: append an entry, read entries in the one order.

Here live the protocol of architecture §4.1, its answers and errors, and the check that a log still is the one a reader
knew. The engines are in the modules beside this one; what an entry says, and whether it makes a block, is decided by
those who execute it. An engine is trusted for liveness only: nothing here is evidence that an entry is final.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple, Protocol

ENTRY_BYTES_MAX: Final = 1 << 20
"""The longest entry a log takes. A longer one makes no block (architecture §4.2), so it is not ordered either."""
PAGE_BYTES_MAX: Final = 8 << 20
"""How many bytes of entries one `read` returns at most, the first entry apart."""
ORIGIN: Final = bytes(32)
"""The digest that stands before the first entry of a log."""


class OrderingError(Exception):
    """The log could not do as asked. The message says what, where, and what to do."""


class EntryRefused(OrderingError):
    """No log takes this entry; the caller made it wrongly."""


class LogMissing(OrderingError):
    """There is no log in that place."""


class LogExists(OrderingError):
    """There is a log in that place already; nothing was overwritten."""


class WrongLog(OrderingError):
    """The log in that place is another one than asked for."""


class LogLocked(OrderingError):
    """Another process has the log open."""


class LogDamaged(OrderingError):
    """Bytes that were written whole are not what they were."""


class LogFailed(OrderingError):
    """A write failed and it is unknown what of it is on disk: this process must stop, and open the log again."""


class LogClosed(OrderingError):
    """The log was closed before."""


class LogUnreachable(OrderingError):
    """The engine does not answer now, or not as an engine must: nothing was lost, try again. Whoever raises it waited a
    moment first, so that a caller may simply try again."""


class LogTruncated(OrderingError):
    """The entries asked for were dropped; `first` is the oldest position that can still be read."""

    def __init__(self, first: int) -> None:
        super().__init__(f"entries below position {first} were dropped: take a snapshot, or the blocks from a peer")
        self.first = first


class LogFault(OrderingError):
    """The engine shows another log than it showed before (rule E2). Keep what was shown, say so, do not vote on."""


class LogShorter(LogFault):
    """The log ends before an entry it showed."""


class LogDiverged(LogFault):
    """The log shows another entry where it had shown one, or leaves a position out."""


class LogId(NamedTuple):
    """Which log: that of `epoch`, under the name the validators agreed to read (architecture §4.7)."""

    epoch: int
    name: str


class Appended(NamedTuple):
    """The entry is durable in the log, at `position`."""

    position: int


class Unknown(NamedTuple):
    """Whether the entry is in the log is unknown: look for it, or append the same bytes again. Never make a new entry
    of its content before that."""

    reason: str


class Ordered(NamedTuple):
    """An entry at its position."""

    position: int
    entry: bytes


class Page(NamedTuple):
    """What one `read` shows."""

    before: bytes | None
    """Digest of the entry before the first position asked for, as the engine has it now; `ORIGIN` before position 1;
    None when the log ends earlier."""
    entries: tuple[Ordered, ...]


class Cursor(NamedTuple):
    """How far a reader is: the last entry it took, and the digest that entry must keep (rule E2)."""

    epoch: int
    position: int
    digest: bytes


class Ordering(Protocol):
    """One log. Positions are 1, 2, 3, … without gaps, the same for every reader of an honest engine."""

    @property
    def log(self) -> LogId:
        """The log this is; it never changes while the object lives."""
        ...

    async def append(self, entry: bytes) -> Appended | Unknown:
        """Order `entry`. `Appended` only once it is durable; the same bytes again, within the engine's window of
        recent entries, give the first position. A caller that stops waiting knows as much as after `Unknown`.

        Raises `EntryRefused` for an empty entry or one above `ENTRY_BYTES_MAX`, and `LogFailed` when this process
        must stop.
        """
        ...

    async def read(self, start: int, limit: int) -> Page:
        """The entries from position `start` (1 or above) on, at most `limit`; fewer when the log ends or the page is
        full. Does not wait. Shows only what is durable. Raises `LogTruncated`, `LogDamaged`, `LogFailed`,
        `LogUnreachable`."""
        ...

    async def wait(self, position: int) -> None:
        """Return once the entry at `position` can be read. Raises `LogFailed`, `LogClosed`, `LogUnreachable`."""
        ...

    async def close(self) -> None:
        """Finish the appends under way and give everything free. May be called more than once."""
        ...


class Engine(Protocol):
    """Where the logs of all epochs are found."""

    def open(self, log: LogId) -> Ordering:
        """The log, whether it has entries yet or not; the same object as long as nobody closed it. Does not wait."""
        ...

    async def close(self) -> None:
        """Close every log that was opened. May be called more than once."""
        ...


class DurableEngine(Engine, Protocol):
    """An engine whose logs outlive the process: those that nobody reads any more are deleted on request."""

    async def forget(self, below: int) -> list[str]:
        """Delete the logs of epochs below this one as far as that is this node's part, also those of earlier lives of
        the process; returns what was deleted. Whatever else lies there is never touched. Raises `LogUnreachable` where
        the engine does not answer, and does not wait then: some may be left, and a later call goes on."""
        ...


def compute_entry_digest(entry: bytes) -> bytes:
    """The name of an entry everywhere: SHA-256 of its bytes."""
    return sha256(entry).digest()


def check_entry(entry: bytes) -> None:
    """Refuse what no log takes."""
    if not 0 < len(entry) <= ENTRY_BYTES_MAX:
        raise EntryRefused(f"an entry has 1 to {ENTRY_BYTES_MAX} bytes, this one has {len(entry)}")


def begin_cursor(epoch: int) -> Cursor:
    """The cursor of a reader that has read nothing of the log of `epoch`."""
    return Cursor(epoch, 0, ORIGIN)


def check_continuity(cursor: Cursor, page: Page) -> Cursor:
    """The cursor after `page`, which was read from `cursor.position` + 1; `LogFault` if it does not continue it."""
    if page.before is None:
        raise LogShorter(f"the log of epoch {cursor.epoch} ends before position {cursor.position}, which was read")
    if page.before != cursor.digest:
        raise LogDiverged(
            f"the log of epoch {cursor.epoch} shows {page.before.hex()} at position {cursor.position}, "
            f"where it had shown {cursor.digest.hex()}"
        )
    for expected, (position, _) in enumerate(page.entries, cursor.position + 1):
        if position != expected:
            raise LogDiverged(f"the log of epoch {cursor.epoch} shows position {position} in place of {expected}")
    if not page.entries:
        return cursor
    last = page.entries[-1]
    return Cursor(cursor.epoch, last.position, compute_entry_digest(last.entry))
