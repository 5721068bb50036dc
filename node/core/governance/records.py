"""The values of governance state, with their canonical encodings. Tables are in `node.core.tables`."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from keeling import encoding as e
from keeling.encoding import REF, Ref, listing, record
from keeling.operations import Contact


class Standing(IntEnum):
    """Where a participant's node stands: admitted and not proved, a validator, or one that was."""

    CANDIDATE = 1
    IN_FORCE = 2
    LEFT = 3


class ValidatorRow(NamedTuple):
    """A participant's validator. `name` is its name in policy files, `ordinal` its place there, `since` a height."""

    name: str
    ordinal: int
    standing: int
    since: int
    entry: bytes
    vote: bytes
    log: bytes
    cosigner: bytes
    cosigner_name: str


class PolicyInForce(NamedTuple):
    """The policy that the next block is certified under: the file's exact bytes, and their SHA-256."""

    file: bytes
    hash: bytes


class Motion(NamedTuple):
    """Governance operations put to the vote. `transaction` is what was proposed, emptied once it is decided."""

    by: str
    transaction: bytes
    digest: bytes
    because: str
    until_ms: int
    opened: Ref
    approvals: tuple[str, ...]
    decided: int


class RuleSchedule(NamedTuple):
    """The version of the rules in force, and the next one with its first height (both 0: none is decided)."""

    version: int
    next_version: int
    next_height: int


class Attestation(NamedTuple):
    """A validator's word on the state at a height."""

    participant: str
    digest: bytes


class Attested(NamedTuple):
    """What was said of the state at a height where attestations are due; `agreed` is empty until a quorum agrees."""

    attestations: tuple[Attestation, ...]
    agreed: bytes


VALIDATOR: Final = record(ValidatorRow, e.TEXT, e.U32, e.U8, e.U64, e.BYTES32, e.BYTES32, e.BYTES32, e.BYTES32, e.TEXT)
POLICY: Final = record(PolicyInForce, e.BYTES, e.BYTES32)
MOTION: Final = record(Motion, e.TEXT, e.BYTES, e.BYTES32, e.TEXT, e.U64, REF, listing(e.TEXT), e.U64)
SCHEDULE: Final = record(RuleSchedule, e.U32, e.U32, e.U64)
ATTESTED: Final = record(Attested, listing(record(Attestation, e.TEXT, e.BYTES32)), e.BYTES)
CONTACT: Final = record(Contact, e.TEXT, listing(e.BYTES))
