"""Handovers: how trust goes from the policy in the genesis file to the one in force at any height.

A handover is a new policy file, the header leaf that names it as next, the leaf's inclusion proof and the certificate
of that block under the old policy. Walking them from genesis on needs nothing but the genesis file, and old keys keep
verifying what they signed. What a certificate is stands in `keeling.votes`; deciding a policy is the rules' business.
Source: architecture §4.9, protocol review L4 and L5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from keeling.block import parse_header
from keeling.encoding import BYTES, BYTES32, EncodingError, listing, record
from keeling.genesis import Genesis, GenesisError
from keeling.merkle import ProofError, check_inclusion, hash_leaf
from keeling.policy import Policy, hash_policy, parse_policy
from keeling.strict import FormatError
from keeling.votes import CERTIFICATE, Certificate, Versioned, VoteError, VotePolicy, check_certificate, make_policy


class HandoverRefused(ValueError):
    """The handover does not lead on from the policy before it; the text says why."""


class Handover(NamedTuple):
    """Why the policy in `policy` (the file's exact bytes) is in force after the block whose header leaf this is."""

    policy: bytes
    header: bytes
    proof: tuple[bytes, ...]
    certificate: Certificate


HANDOVER: Final = Versioned(record(Handover, BYTES, BYTES, listing(BYTES32), CERTIFICATE))


class Reign(NamedTuple):
    """A policy and the heights it certifies: those above `since`, up to the next reign's `since`."""

    since: int
    hash: bytes
    policy: Policy
    entry_keys: tuple[bytes, ...]

    @property
    def voters(self) -> VotePolicy:
        """What votes, certificates and reports of this reign are checked with."""
        return make_policy(self.hash, [validator.vote_key for validator in self.policy.validators])


def read_genesis_reign(genesis: Genesis) -> Reign:
    """The first reign, from the genesis file alone. Raises `GenesisError` where its policy cannot be in force."""
    try:
        policy = parse_policy(genesis.policy)
    except FormatError as error:
        raise GenesisError(f"the policy in the genesis file: {error}") from error
    if policy.origin != genesis.origin or policy.since:
        said = f"origin {policy.origin!r} since {policy.since}"
        raise GenesisError(f"the policy in the genesis file: expected {genesis.origin!r} since 0, found {said}")
    entry_keys = tuple(validator.entry_key for validator in genesis.validators)
    return Reign(genesis.base, hash_policy(genesis.policy), policy, entry_keys)


def check_handover(handover: Handover, before: Reign, network: bytes) -> Reign:
    """The reign that the handover begins, if it follows from the one before; raises `HandoverRefused`."""
    lock = handover.certificate.lock
    try:
        check_certificate(handover.certificate, before.voters)
        header = parse_header(handover.header)
        check_inclusion(lock.size - 1, lock.size, hash_leaf(handover.header), handover.proof, lock.root)
        policy = parse_policy(handover.policy)
    except (VoteError, EncodingError, ProofError, FormatError) as error:
        raise HandoverRefused(str(error)) from error
    named = hash_policy(handover.policy)
    for what, expected, found in (
        ("network of the certificate", network, lock.network),
        ("network in the header", network, header.network),
        ("height in the header (as in the certificate)", lock.height, header.height),
        ("policy in the header", before.hash, header.policy),
        ("next policy in the header (the file's SHA-256)", named, header.next_policy),
        ("origin of the policy", before.policy.origin, policy.origin),
        ("height since which the policy says it is", header.height, policy.since),
    ):
        if expected != found:
            raise HandoverRefused(f"{what}: expected {_show(expected)}, found {_show(found)}")
    if header.height <= before.since:
        raise HandoverRefused(f"height: expected above {before.since}, found {header.height}")
    return Reign(header.height, named, policy, tuple(validator.entry_key for validator in policy.validators))


def _show(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def walk_handovers(genesis: Genesis, handovers: Iterable[Handover]) -> tuple[Reign, ...]:
    """Every reign from genesis on. Raises `GenesisError`, and `HandoverRefused` naming the first that does not hold."""
    reigns = [read_genesis_reign(genesis)]
    for number, handover in enumerate(handovers, start=1):
        try:
            reigns.append(check_handover(handover, reigns[-1], genesis.network))
        except HandoverRefused as refused:
            raise HandoverRefused(f"handover {number}: {refused}") from refused
    return tuple(reigns)


def find_reign(reigns: Sequence[Reign], height: int) -> Reign:
    """The reign under which the block at `height` is certified; the first for heights before it."""
    return next((reign for reign in reversed(reigns) if reign.since < height), reigns[0])
