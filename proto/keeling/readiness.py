"""What the four keys of a validator's machine sign before it becomes one: that they exist, work, and are its own.

The words name the network, the participant, all four keys and a height the machine has executed. Whether a participant
may become a validator is decided in `node.core.governance`. Source: protocol review O1.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from keeling.encoding import BYTES32, TEXT, U64, record
from keeling.operations import NodeKeys

DOMAIN: Final = b"keeling/ready/v1\n"


class Readiness(NamedTuple):
    """`origin` names the network; `height` is one whose block the machine has executed."""

    origin: str
    participant: str
    entry: bytes
    vote: bytes
    log: bytes
    cosigner: bytes
    height: int


_READINESS: Final = record(Readiness, TEXT, TEXT, BYTES32, BYTES32, BYTES32, BYTES32, U64)


def readiness_message(origin: str, participant: str, node: NodeKeys, height: int) -> bytes:
    """The exact bytes that each of the four keys signs."""
    return DOMAIN + _READINESS.encode(Readiness(origin, participant, *node, height))
