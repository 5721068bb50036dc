"""What goes into a chain at its start and what comes out of each call: plain values, no behaviour."""

from __future__ import annotations

from typing import NamedTuple

from keeling.policy import Policy
from keeling.votes import CheckSignature
from node.archive import ArchivedBlock
from node.core.block import Block, Place
from node.finality import events as ev
from node.finality.health import Health
from node.ledger import InForce
from node.ordering.contract import Cursor, LogId
from node.overlay import Layer
from node.peers.contract import Message
from node.store.contract import Batch


class Settings(NamedTuple):
    """How a chain runs."""

    check: CheckSignature
    repeat_ms: int
    """See `node.finality.events.Settings`, also for the next."""
    reseed_after_ms: int | None


class FinalBlock(NamedTuple):
    """A block that is final and durable, with its archive row."""

    block: Block
    archived: ArchivedBlock


class Done(NamedTuple):
    """What a call of the chain led to. All of it is durable: it may leave the process."""

    blocks: tuple[FinalBlock, ...] = ()
    broadcasts: tuple[Message, ...] = ()
    sends: tuple[tuple[bytes, Message], ...] = ()
    """Each to the validator with this vote key."""
    replies: tuple[tuple[str, Message], ...] = ()
    """Each to the participant that asked."""
    behind: tuple[bytes, ...] = ()
    """Vote keys of validators that work at a height that is final here: they want to know our tip."""
    wanted: ev.Fetch | None = None
    """A block to be fetched from a peer."""
    catch_up: bool = False
    """Others decided more."""
    passed: bytes = b""
    """Digest of an entry that made no block."""
    misled: str = ""
    """Why what a peer handed over was not taken; empty if it was."""


class Outlook(NamedTuple):
    """Where a chain stands, for anybody on any thread: made anew after each call, never changed."""

    height: int
    """The newest final height."""
    time_ms: int
    """Its ledger time."""
    due_ms: int | None
    """When the next thing in the state expires, as of the last tick."""
    root: bytes
    log: LogId
    """The ordering log in force, read up to and with `cursor`."""
    cursor: Cursor
    may_read: bool
    """Whether an entry after `cursor` would be executed: not while the overlay is full, or something comes first."""
    is_full: bool
    is_validator: bool
    """Whether this node's vote key is of the policy in force, whatever its journal says."""
    wanted: ev.Fetch | None
    """The block that must be executed next and was not."""
    final_place: Place
    """Where the newest final block was read; epoch and position 0 before the first."""
    health: Health
    in_force: InForce
    policy: Policy
    upgrade: str
    """Why nothing more can be executed before a later release is installed; empty while this one will do."""


class Work:
    """What one call of a chain gathered so far. Nothing of it leaves before `batch` is committed."""

    def __init__(self) -> None:
        self.batch = Batch()
        self.final: list[Layer] = []  # in the batch, not durable yet
        self.voted: list[ev.Candidate] = []
        self.blocks: list[FinalBlock] = []
        self.broadcasts: list[Message] = []
        self.sends: list[tuple[bytes, Message]] = []
        self.replies: list[tuple[str, Message]] = []
        self.behind: list[bytes] = []
        self.is_asked = False
        self.wanted: ev.Fetch | None = None
        self.catch_up = False
        self.passed = b""
        self.misled = ""

    def done(self) -> Done:
        """The same for others; all of it is durable."""
        return Done(
            blocks=tuple(self.blocks),
            broadcasts=tuple(self.broadcasts),
            sends=tuple(self.sends),
            replies=tuple(self.replies),
            behind=tuple(self.behind),
            wanted=self.wanted,
            catch_up=self.catch_up,
            passed=self.passed,
            misled=self.misled,
        )
