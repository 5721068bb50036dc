"""What a node needs of the others and what they may ask of it: messages, blocks, and two protocols.

Here live the messages between nodes, with bytes in their canonical encodings, and the promises of both sides. Checking
what arrives, executing it and deciding anything is the business of `node.replica` and `node.finality`: everything here
is untrusted until then. Source: architecture 4.5 to 4.7.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple, Protocol

from keeling.encoding import BYTES, record

PAGE_RECORDS_MAX: Final = 64
"""Final blocks in one page of `follow`: one atomic write of whoever catches up."""
PAGE_BYTES_MAX: Final = 4 << 20
"""Bytes of entries after which a page of `follow` ends."""


class PeerFailed(Exception):
    """The peer asked went away, refused, or has nothing: another may be tried. The text says which and why."""


class VoteMessage(NamedTuple):
    """A VOTE or LOCK: `keeling.votes.SIGNED_VOTE`."""

    signed: bytes


class ReportMessage(NamedTuple):
    """A report for a new epoch: `keeling.epochs.SIGNED_REPORT`."""

    signed: bytes


class EpochMessage(NamedTuple):
    """The reports that opened an epoch, for somebody who is not in it: `keeling.epochs.NEW_EPOCH`."""

    opened: bytes


class TipMessage(NamedTuple):
    """How far the sender is. Unsigned and unbelieved: whoever hears of a higher tip follows, and checks what it gets.

    `engine_ok` says whether the sender can read and append the ordering log of `epoch`.
    """

    height: int
    epoch: int
    engine_ok: bool


class CosignedMessage(NamedTuple):
    """The sender's log and cosigner lines for the checkpoint of a final height: signature lines of a signed note.

    `again` asks for the receiver's own: the sender still lacks some.
    """

    height: int
    lines: bytes
    again: bool


class EvidenceMessage(NamedTuple):
    """Proof that a validator lied, of a kind of `node.incidents`. It accuses by itself, whoever sends it."""

    kind: bytes
    evidence: bytes


Message = VoteMessage | ReportMessage | EpochMessage | TipMessage | CosignedMessage | EvidenceMessage


class FinalRecord(NamedTuple):
    """A final block as a follower gets it, to be executed again: nothing of it is believed but by its certificate."""

    header: bytes
    certificate: bytes
    """`keeling.votes.CERTIFICATE`."""
    entry: bytes
    checkpoint: bytes
    """The published note; empty where the sender does not have it yet."""


class FetchedBlock(NamedTuple):
    """One executed block, final or not, with what proves its header: the leaf hashes before it, and the tree before.

    Appended to the final tree of the height below, `leaves` and then the header's leaf hash give the root that votes
    name: so the header is what those who voted executed.
    """

    header: bytes
    entry: bytes
    leaves: bytes
    """RFC 6962 leaf hashes of the block's records in order, 32 bytes each."""
    tables: bytes
    """By table, a digest of what was written: see `node.divergence`. Empty where the sender does not remember."""


FETCHED_BLOCK: Final = record(FetchedBlock, BYTES, BYTES, BYTES, BYTES)


class Member(NamedTuple):
    """A node of the network as the ledger names it."""

    participant: str
    address: str
    """Where it listens for other nodes, "host:port"; empty if the ledger does not say."""
    vote_key: bytes
    """Empty for a node that does not vote."""
    validator: bool
    """In force now. Votes and reports go to these; the others follow."""


class Serving(Protocol):
    """What peers ask of this node. Called by the transport, on the event loop, with the participant that TLS proved."""

    def on_message(self, sender: str, message: Message) -> None:
        """Take a message. Never blocks and never raises for what is in it; under load the oldest are dropped, since
        everything that matters is repeated."""
        ...

    def on_connected(self, participant: str) -> None:
        """A link to `participant` is open (again): the node sends what a newcomer must know."""
        ...

    def final_from(self, height: int) -> AsyncIterator[tuple[FinalRecord, ...]]:
        """Final blocks from `height` on, in order and without gaps, in pages that are never empty; then, as they become
        final, for as long as the caller listens. Raises `PeerFailed` if they were pruned here."""
        ...

    async def block_at(self, height: int, root: bytes) -> FetchedBlock | None:
        """The block that makes the tree of `root` at `height`, if this node executed it."""
        ...


class Peers(Protocol):
    """What this node asks of the others. Best effort: the machine repeats, links queue little and the newest wins."""

    def broadcast(self, message: Message) -> None:
        """Send to all validators in force but this one. Never blocks."""
        ...

    def announce(self, message: Message) -> None:
        """Send to all members that are connected, observers too: tips only, for votes stay among validators."""
        ...

    def send(self, participant: str, message: Message) -> None:
        """Send to one member. Never blocks."""
        ...

    def follow(self, height: int) -> AsyncIterator[tuple[FinalRecord, ...]]:
        """`Serving.final_from` of some peer that has `height`; a next call tries another. Raises `PeerFailed`."""
        ...

    async def fetch_block(self, height: int, root: bytes) -> FetchedBlock | None:
        """`Serving.block_at` of whoever has it. Returns None when nobody asked does; a next call asks others first."""
        ...

    def set_members(self, members: Sequence[Member]) -> None:
        """Who there is now. Links that this node opened to those who are gone are closed."""
        ...

    async def close(self) -> None:
        """Close all links. May be called more than once."""
        ...
