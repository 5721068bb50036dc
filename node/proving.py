"""Whether a header that a peer shows is the one that was voted for: the last leaf of the voted tree."""

from __future__ import annotations

from hashlib import sha256

from keeling.block import Header, parse_header
from keeling.encoding import EncodingError
from keeling.merkle import Frontier, hash_leaf
from node.finality.events import Candidate
from node.peers.contract import FetchedBlock


class Unproved(Exception):
    """What a peer showed is not the block it was asked for; another peer may have it."""


def prove_header(candidate: Candidate, block: FetchedBlock, before: Frontier) -> Header:
    """The header of `candidate`, if appending the shown leaves to the final tree `before` gives the voted tree.

    Then epoch and position in it are those at which all who voted for it read the entry. Raises `Unproved`.
    """
    if sha256(block.entry).digest() != candidate.entry:
        raise Unproved(f"another entry than the one voted for at height {candidate.height}")
    if len(block.leaves) % 32:
        raise Unproved("leaf hashes have 32 bytes each")
    hashes = [block.leaves[at : at + 32] for at in range(0, len(block.leaves), 32)]
    tree = before.extend([*hashes, hash_leaf(block.header)]).frontier
    if (tree.size, tree.root()) != (candidate.size, candidate.root):
        raise Unproved(f"the header shown for height {candidate.height} is not in the tree voted for")
    try:
        return parse_header(block.header)
    except EncodingError as error:
        raise Unproved(f"the last leaf of the tree voted for is no header: {error}") from error
