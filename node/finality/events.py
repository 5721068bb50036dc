"""What goes into the finality machine and what comes out: plain values, no behaviour.

The caller carries outputs out in their order. `Persist`, when there is one, is the first: nothing after it, nor
anything of a later step, may leave the process before it is durable. A block made final in the same step may share the
same atomic write, which is how a network of one validator needs a single write per block.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from keeling.ed25519 import check_signature
from keeling.epochs import NewEpoch, SignedReport
from keeling.votes import Certificate, CheckSignature, Evidence, Sign, SignedVote, Vote, VotePolicy
from node.finality.journal import JournalRecord


class Candidate(NamedTuple):
    """A block as votes name it: the tree (size, root) after executing `entry` at `height`."""

    height: int
    size: int
    root: bytes
    entry: bytes


class Block(NamedTuple):
    """A block this node executed itself."""

    candidate: Candidate
    parent_root: bytes
    """Root of the tree it was executed on."""
    header: bytes
    """SHA-256 of its header leaf."""
    epoch: int
    """Epoch, in its header, in which the entry was read: a carried block keeps its own."""
    time_ms: int
    """Ledger time, Unix milliseconds."""
    next_policy: VotePolicy | None = None
    """The set that decides the blocks after this one, if it changes here."""


class Tip(NamedTuple):
    """What the caller's store holds as final."""

    height: int
    root: bytes
    certificate: Certificate | None
    """None at genesis, or when the set changed at this height."""


class Reign(NamedTuple):
    """A policy in force: epochs, votes and reports belong to it and mean nothing under another."""

    policy: VotePolicy
    since: int
    """Height of the block that decided it; 0 for the genesis policy."""
    epoch: int
    """Its first epoch: the one in that block's header."""


class Signer(NamedTuple):
    """A vote key at work; the secret stays with whoever made `sign`."""

    key: bytes
    sign: Sign


@dataclass(frozen=True)
class Settings:
    network: bytes
    signer: Signer | None = None
    """None observes."""
    check: CheckSignature = check_signature
    """The one Ed25519 rule; simulators put something faster here."""
    repeat_ms: int = 500
    """Unanswered messages are sent again this often. Less heals a lossy network sooner and costs bandwidth."""
    reseed_after_ms: int | None = 10_000
    """A height unfinished for this long makes this node report for a new epoch; doubled with each that fails, up to
    32 times. None leaves it to operators. Below the time an entry needs for all votes, epochs would never end."""
    clock_ahead_ms_max: int = 60_000
    """No VOTE for a block whose ledger time is further ahead of the own clock (architecture 4.3)."""


# ---- inputs ----


class Restarted(NamedTuple):
    """First input after a start, a first start included: what the journal holds, oldest first, and the time."""

    journal: tuple[JournalRecord, ...]
    now_ms: int


class Executed(NamedTuple):
    """A block was executed on the final state or on another executed block.

    `asked` answers a `Fetch`: the entry was executed with epoch and position from the header that the certified tree
    proves as its last leaf. Then a different result is this node's own fault, and not the engine's.
    """

    block: Block
    asked: Candidate | None = None


class VoteArrived(NamedTuple):
    signed: SignedVote


class CertificateArrived(NamedTuple):
    certificate: Certificate


class ReportArrived(NamedTuple):
    signed: SignedReport


class NewEpochArrived(NamedTuple):
    new: NewEpoch


class Suspended(NamedTuple):
    """What the engine shows cannot be voted for: it contradicts itself, or its entry makes execution fail."""

    reason: Reason


class Reseed(NamedTuple):
    """An operator asks for a new epoch; None names its engine log by the rule everybody follows."""

    log: str | None = None


class Tick(NamedTuple):
    """Time passed. Unix milliseconds of the own clock; at least every `repeat_ms`."""

    now_ms: int


Input = (
    Restarted
    | Executed
    | VoteArrived
    | CertificateArrived
    | ReportArrived
    | NewEpochArrived
    | Suspended
    | Reseed
    | Tick
)


# ---- outputs ----


class Reason(Enum):
    """Why a node signs nothing, or no VOTE for now. The text is for operators."""

    JOURNAL_LOST = "the vote journal is missing or older than votes this key gave; replace the vote key by governance"
    DIVERGED = "executing a certified entry gave another result here; compare write sets, then replace this state"
    FORKED = "two certificates exist for one height: a third of the validators or more lied"
    ENGINE_FAULT = "the engine log is shorter than or different from what it showed before"
    POISON = "an entry makes execution fail; a new epoch passes it"


class Persist(NamedTuple):
    """Make durable, with the bytes of the entries that votes in it name, before anything else leaves."""

    records: tuple[JournalRecord, ...]


class Send(NamedTuple):
    """Send to all validators, and to no one else: nothing undecided leaves them."""

    message: SignedVote | SignedReport


class Answer(NamedTuple):
    """Send to the validator with this vote key: it is in an epoch that is over."""

    to: bytes
    message: NewEpoch


class PeerBehind(NamedTuple):
    """The validator with this vote key still works at `height`: send it the final block and its certificate."""

    to: bytes
    height: int


class CatchUp(NamedTuple):
    """Others decided more: ask peers for blocks and certificates from `height` on, the next one here."""

    height: int


class Fetch(NamedTuple):
    """Get this block's entry and header (journal first, then peers), execute it on the final state, answer `Executed`.

    It takes the place of whatever was executed at its height.
    """

    candidate: Candidate
    certified: bool


class JoinEpoch(NamedTuple):
    """Forget executed blocks above the final one. Execute `start` first, if there is one; a `Fetch` asks for it.

    Then read `log` from its beginning, or after the final block's position if its header is of this epoch already. No
    `log`: read on at epoch and position in the header of the block that changed the policy.
    """

    policy: bytes
    epoch: int
    log: str | None
    start: Candidate | None


class Final(NamedTuple):
    """The block is final: store it with its certificate, answer its clients, cosign its checkpoint."""

    block: Block
    certificate: Certificate


class StopSigning(NamedTuple):
    """This key signs nothing more. The node goes on serving what is final."""

    reason: Reason


class EvidenceFound(NamedTuple):
    """Somebody lied, provably: keep it and publish it."""

    evidence: Evidence


class Ignored(NamedTuple):
    """A message was not what it claims to be."""

    why: str


Output = (
    Persist | Send | Answer | PeerBehind | CatchUp | Fetch | JoinEpoch | Final | StopSigning | EvidenceFound | Ignored
)


def candidate_of(vote: Vote) -> Candidate:
    """The block a vote is for."""
    return Candidate(vote.height, vote.size, vote.root, vote.entry)


def log_name(policy: bytes, epoch: int) -> str:
    """The engine log of an epoch unless operators name another: new for each, and the same at every node."""
    return f"{policy.hex()[:16]}-{epoch}"
