"""Votes and certificates: the signed words by which validators make a block final, and how anybody checks them.

Here live the values, their only byte form and the checks that need nothing but a policy. When a validator may sign
what is not here (node.finality); reports that open a new epoch are in keeling.epochs; the C2SP cosignature, which is
given only to what is already final, is in keeling.checkpoint. Source: architecture 4.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final, Generic, NamedTuple, TypeVar

from keeling.ed25519 import check_signature
from keeling.encoding import BYTES32, BYTES64, U8, U64, Codec, EncodingError, listing, record
from keeling.policy import faults, quorum

T = TypeVar("T")

DOMAIN: Final = b"keeling/vote/v1\n"
"""First line of what a vote key signs, so that no signature for anything else is ever a vote."""

CheckSignature = Callable[[bytes, bytes, bytes], bool]
"""(public key, signature, message) -> is it genuine. `keeling.ed25519.check_signature`, or a simulator's."""
Sign = Callable[[bytes], bytes]
"""message -> 64 bytes of signature, by a key that stays with its owner."""


class VoteError(ValueError):
    """Well-formed, but not what it claims to be: a foreign, forged, incomplete or uncanonical vote or certificate."""


class Step(IntEnum):
    """What a vote says. VOTE: I executed this block. LOCK: I hold a quorum of VOTEs for it."""

    VOTE = 1
    LOCK = 2


class VotePolicy(NamedTuple):
    """Who votes: the part of the policy file that finality needs.

    `hash` is SHA-256 of that file, `vote_keys` are its Ed25519 public keys in the file's order.
    """

    hash: bytes
    vote_keys: tuple[bytes, ...]

    @property
    def quorum(self) -> int:
        """Validators that make a decision: any two quorums share one that does not lie."""
        return quorum(len(self.vote_keys))

    @property
    def faults(self) -> int:
        """Liars that are tolerated, at most. None below four validators."""
        return faults(len(self.vote_keys))


def make_policy(policy_hash: bytes, vote_keys: Sequence[bytes]) -> VotePolicy:
    """Build a policy; raise `VoteError` if it has no key, one of a wrong size, or one twice."""
    if len(policy_hash) != 32:
        raise VoteError(f"a policy hash has 32 bytes, this one {len(policy_hash)}")
    if not vote_keys or any(len(key) != 32 for key in vote_keys) or len({*vote_keys}) != len(vote_keys):
        raise VoteError("a policy needs at least one vote key, of 32 bytes each, none of them twice")
    return VotePolicy(policy_hash, tuple(vote_keys))


class Vote(NamedTuple):
    """What a vote key signs: one block, in one epoch of one policy.

    `size` and `root` are the log's tree after the block (its last leaf is the block's header), `entry` is the digest of
    the executed entry, so that "another entry" (the engine's fault) and "another result" (ours) can be told apart.
    """

    network: bytes
    policy: bytes
    epoch: int
    height: int
    size: int
    root: bytes
    entry: bytes
    step: Step


class SignedVote(NamedTuple):
    """A vote, whose it is, and the proof."""

    vote: Vote
    key: bytes
    signature: bytes


class Signature(NamedTuple):
    """One line of a quorum: who, and the proof."""

    key: bytes
    signature: bytes


class Certificate(NamedTuple):
    """A final block: its LOCK once, and exactly a quorum's signatures on it, in policy order."""

    lock: Vote
    signatures: tuple[Signature, ...]


class Justification(NamedTuple):
    """What allows a LOCK: the VOTE once, and exactly a quorum's signatures on it, in policy order."""

    vote: Vote
    signatures: tuple[Signature, ...]


class Evidence(NamedTuple):
    """Two different votes of one key where it had one: proof, to anybody, that its owner lied. Smaller bytes first."""

    first: SignedVote
    second: SignedVote


class _Step(Codec[Step]):
    def write(self, out: bytearray, value: Step) -> None:
        U8.write(out, value)

    def read(self, data: bytes, at: int) -> tuple[Step, int]:
        number, end = U8.read(data, at)
        try:
            return Step(number), end
        except ValueError as error:
            raise EncodingError(f"step {number} at offset {at} is neither VOTE (1) nor LOCK (2)") from error


class Versioned(Codec[T], Generic[T]):
    """A value that is stored or sent on its own: one version byte first, so that a later form is refused by name."""

    VERSION: Final = 1

    def __init__(self, inner: Codec[T]) -> None:
        self._inner = inner

    def write(self, out: bytearray, value: T) -> None:
        U8.write(out, self.VERSION)
        self._inner.write(out, value)

    def read(self, data: bytes, at: int) -> tuple[T, int]:
        version, at = U8.read(data, at)
        if version != self.VERSION:
            raise EncodingError(f"version {version} is not known here, only {self.VERSION}: upgrade to read it")
        return self._inner.read(data, at)


VOTE: Final = record(Vote, BYTES32, BYTES32, U64, U64, U64, BYTES32, BYTES32, _Step())
_SIGNED_VOTE: Final = record(SignedVote, VOTE, BYTES32, BYTES64)
_SIGNATURES: Final = listing(record(Signature, BYTES32, BYTES64))

SIGNED_VOTE: Final = Versioned(_SIGNED_VOTE)
CERTIFICATE: Final = Versioned(record(Certificate, VOTE, _SIGNATURES))
JUSTIFICATION: Final = Versioned(record(Justification, VOTE, _SIGNATURES))
EVIDENCE: Final = Versioned(record(Evidence, _SIGNED_VOTE, _SIGNED_VOTE))


def vote_message(vote: Vote) -> bytes:
    """The exact bytes a vote key signs."""
    return DOMAIN + VOTE.encode(vote)


def sign_vote(vote: Vote, key: bytes, sign: Sign) -> SignedVote:
    """Sign `vote` as `key`. Whether that is allowed, and durably written down, is the caller's duty."""
    return SignedVote(vote, key, sign(vote_message(vote)))


def check_vote(signed: SignedVote, policy: VotePolicy, check: CheckSignature = check_signature) -> None:
    """Refuse, with `VoteError`, a vote that is not of a validator of `policy` or whose signature is not genuine."""
    if signed.vote.policy != policy.hash:
        raise VoteError(f"vote under policy {signed.vote.policy.hex()}, not {policy.hash.hex()}")
    if signed.key not in policy.vote_keys:
        raise VoteError(f"vote key {signed.key.hex()} is not in policy {policy.hash.hex()}")
    if not check(signed.key, signed.signature, vote_message(signed.vote)):
        raise VoteError(f"signature of {signed.key.hex()} on its vote at height {signed.vote.height} is not genuine")


def make_quorum(votes: dict[bytes, bytes], policy: VotePolicy) -> tuple[Signature, ...]:
    """The canonical quorum out of signatures by key: the first validators in policy order, exactly as many as needed.

    Fewer than a quorum raise `VoteError`.
    """
    lines = tuple(Signature(key, votes[key]) for key in policy.vote_keys if key in votes)[: policy.quorum]
    if len(lines) < policy.quorum:
        raise VoteError(f"{len(lines)} signatures, a quorum is {policy.quorum}")
    return lines


def check_certificate(certificate: Certificate, policy: VotePolicy, check: CheckSignature = check_signature) -> None:
    """Refuse, with `VoteError`, what is not a quorum of LOCKs under `policy`."""
    if certificate.lock.step is not Step.LOCK:
        raise VoteError("a certificate is made of LOCKs, these are VOTEs")
    _check_quorum(certificate.lock, certificate.signatures, policy, check)


def check_justification(
    justification: Justification, policy: VotePolicy, check: CheckSignature = check_signature
) -> None:
    """Refuse, with `VoteError`, what is not a quorum of VOTEs under `policy`."""
    if justification.vote.step is not Step.VOTE:
        raise VoteError("a LOCK is justified by VOTEs, these are LOCKs")
    _check_quorum(justification.vote, justification.signatures, policy, check)


def _check_quorum(vote: Vote, lines: Sequence[Signature], policy: VotePolicy, check: CheckSignature) -> None:
    if len(lines) != policy.quorum:
        raise VoteError(f"{len(lines)} signatures where exactly {policy.quorum} belong")
    signers = [line.key for line in lines]
    if signers != [key for key in policy.vote_keys if key in signers]:
        raise VoteError("signers are foreign, repeated or not in policy order")
    for line in lines:
        check_vote(SignedVote(vote, line.key, line.signature), policy, check)


def make_evidence(one: SignedVote, other: SignedVote) -> Evidence:
    """Put two votes that exclude each other into their one order."""
    first, second = sorted((one, other), key=_SIGNED_VOTE.encode)
    return Evidence(first, second)


def check_evidence(evidence: Evidence, policy: VotePolicy, check: CheckSignature = check_signature) -> None:
    """Refuse, with `VoteError`, anything but two genuine, different votes for one (policy, epoch, height, step)."""
    first, second = evidence
    if first.key != second.key or vote_slot(first.vote) != vote_slot(second.vote):
        raise VoteError("two votes accuse only if they are of one key, policy, epoch, height and step")
    if first.vote == second.vote or make_evidence(first, second) != evidence:
        raise VoteError("the two votes say the same, or are not in order")
    check_vote(first, policy, check)
    check_vote(second, policy, check)


def vote_slot(vote: Vote) -> tuple[bytes, bytes, int, int, Step]:
    """Where a validator has one vote, once: (network, policy, epoch, height, step)."""
    return vote.network, vote.policy, vote.epoch, vote.height, vote.step
