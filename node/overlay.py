"""Blocks that were executed and are not final: layers in memory upon the newest final block.

The store holds final state only (architecture 4.3). Execution may run ahead, bounded; when something else than what was
executed becomes final, or the ordering log turns out to say something else, all layers are dropped and executed anew.
Blocks stay known by their candidate until their height is final, dropped or not: finality may decide any of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

from keeling.block import chain_writes, compute_header_hash
from keeling.entry import SignedEntry
from keeling.merkle import hash_leaf
from keeling.policy import hash_policy, parse_policy
from keeling.votes import VotePolicy, make_policy
from node.core.block import Block, CheckSignature, ParseSubmission, Place, Tip, execute
from node.core.state import State
from node.core.tables import after
from node.finality import events as ev
from node.peers.contract import FetchedBlock

AHEAD_BLOCKS_MAX: Final = 64
AHEAD_BYTES_MAX: Final = 64 << 20
"""Reading stops at so many blocks, or bytes of entries, that are not final (rule E3)."""


class Layer(NamedTuple):
    """An executed block with the bytes of its entry, and what it was executed upon."""

    block: Block
    entry: bytes
    candidate: ev.Candidate
    parent_root: bytes
    next_file: bytes
    """The policy file that decides the blocks after this one; empty while it stays the same."""

    def describe(self) -> ev.Block:
        """The block as the finality machine is told of it."""
        header = self.block.header
        name = compute_header_hash(self.block.header_leaf)
        after = read_votes(self.next_file) if self.next_file else None
        return ev.Block(self.candidate, self.parent_root, name, header.epoch, header.time_ms, after)

    def fetched(self) -> FetchedBlock:
        """The block as a peer fetches it, and as the journal keeps it."""
        leaves = b"".join(hash_leaf(done.leaf) for done in self.block.submissions)
        return FetchedBlock(self.block.header_leaf, self.entry, leaves, digest_tables(self.block.changes))


def read_votes(file: bytes) -> VotePolicy:
    """Who votes under a policy file."""
    return make_policy(hash_policy(file), [validator.vote_key for validator in parse_policy(file).validators])


def digest_tables(changes: Sequence[tuple[bytes, bytes | None]]) -> bytes:
    """What a block wrote, in the order of keys, table by table: the table's prefix, then the hash of its changes.

    Two nodes that came to different states compare these to see which part of the rules to look at.
    """
    digests, at = list[bytes](), 0
    while at < len(changes):
        prefix = changes[at][0][:1]
        stop = bisect_left(changes, (after(prefix),), at)
        digests.append(prefix + chain_writes(b"", changes[at:stop]))
        at = stop
    return b"".join(digests)


def _next_file(block: Block) -> bytes:
    return block.decision.policy if block.decision is not None else b""


class Overlay:
    """Written by the chain's thread alone."""

    def __init__(self, state: State, tip: Tip) -> None:
        self.state = state
        self.final = tip
        self.layers: list[Layer] = []
        self.known: dict[ev.Candidate, Layer] = {}

    @property
    def head(self) -> Tip:
        """What the next block is executed upon."""
        return self.layers[-1].block.tip if self.layers else self.final

    @property
    def is_full(self) -> bool:
        """Whether nothing more may be executed ahead for now."""
        ahead = sum(len(layer.entry) for layer in self.layers)
        return len(self.layers) >= AHEAD_BLOCKS_MAX or ahead >= AHEAD_BYTES_MAX

    def execute(
        self, signed: SignedEntry, entry: bytes, place: Place, check: CheckSignature, parse: ParseSubmission
    ) -> Layer:
        """Execute an admissible entry upon `head`. If it raises anything, all layers are dropped."""
        head = self.head
        try:
            block = execute(self.state, head, signed, place, check, parse)
            frontier = block.growth.frontier
            candidate = ev.Candidate(block.header.height, frontier.size, frontier.root(), block.header.entry)
            layer = Layer(block, entry, candidate, head.frontier.root(), _next_file(block))
        except BaseException:
            self.drop()
            raise
        self.layers.append(layer)
        self.known[candidate] = layer
        return layer

    def drop(self) -> None:
        """Forget all layers; what is executed next stands upon the final block."""
        self.layers.clear()
        self.state.drop()

    def settle(self, final: Sequence[Layer]) -> bool:
        """These blocks are final and in the store now. False if they were not the lowest layers: all were dropped."""
        self.final = final[-1].block.tip
        height = self.final.height
        is_next = all(layer is kept for layer, kept in zip(final, self.layers, strict=False))
        if is_next and len(final) <= len(self.layers):
            del self.layers[: len(final)]
            self.state.settle(height)
        else:
            is_next = False
            self.drop()
        self.known = {candidate: layer for candidate, layer in self.known.items() if candidate.height > height}
        return is_next
