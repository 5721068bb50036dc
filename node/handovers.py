"""Policies and handovers as a store keeps them: which policy was in force at any height, and what proves it.

A handover is written in the batch that makes its block final, and never deleted. What one is, and how they are walked,
is in `keeling.handover`.
"""

from __future__ import annotations

from keeling.encoding import U64
from keeling.genesis import Genesis
from keeling.handover import HANDOVER, Handover, Reign, find_reign, read_genesis_reign
from keeling.policy import hash_policy, parse_policy
from keeling.votes import CERTIFICATE
from node.core.block import Block
from node.store.contract import Batch, Family, Reads

_KIND = b"p"


def put_handover(batch: Batch, block: Block, certificate: bytes) -> None:
    """Keep the handover of a final block, if it decided a policy."""
    if block.decision is None:
        return
    made = Handover(block.decision.policy, block.header_leaf, block.decision.proof, CERTIFICATE.decode(certificate))
    put_known_handover(batch, block.header.height, made)


def put_known_handover(batch: Batch, height: int, handover: Handover) -> None:
    """Keep a handover that was checked before."""
    batch.put(Family.BLOCKS, _KIND + U64.encode(height), HANDOVER.encode(handover))


def read_handovers(reads: Reads, height: int) -> tuple[Handover, ...]:
    """Every change of policy decided below `height`: what leads to the policy that certifies the block there."""
    rows = reads.scan(Family.BLOCKS, _KIND, _KIND + U64.encode(height))
    return tuple(HANDOVER.decode(raw) for _, raw in rows)


def read_reigns(reads: Reads, genesis: Genesis, height: int) -> tuple[Reign, ...]:
    """The reigns up to the one that certifies the block at `height`, as this node stored them: nothing is verified."""
    reigns = [read_genesis_reign(genesis)]
    for key, raw in reads.scan(Family.BLOCKS, _KIND, _KIND + U64.encode(height)):
        file = HANDOVER.decode(raw).policy
        policy = parse_policy(file)
        entry_keys = tuple(validator.entry_key for validator in policy.validators)
        reigns.append(Reign(U64.decode(key[1:]), hash_policy(file), policy, entry_keys))
    return tuple(reigns)


def read_reign(reads: Reads, genesis: Genesis, height: int) -> Reign:
    """The reign that certifies the block at `height`, from 1 to the one after the newest final block."""
    return find_reign(read_reigns(reads, genesis, height), height)


def read_policy_file(reads: Reads, genesis: Genesis, height: int) -> bytes:
    """The exact bytes of the policy file that certifies the block at `height`."""
    handovers = read_handovers(reads, height)
    return handovers[-1].policy if handovers else genesis.policy
