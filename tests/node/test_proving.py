"""A header counts only if the voted tree ends in it; whatever else a peer shows is refused before it is executed."""

from __future__ import annotations

from hashlib import sha256

import pytest

from keeling.merkle import EMPTY_FRONTIER, hash_leaf
from node.finality.events import Candidate
from node.peers.contract import FetchedBlock
from node.proving import Unproved, prove_header
from tests.fakes.world import World

BEFORE = EMPTY_FRONTIER.extend([hash_leaf(b"a"), hash_leaf(b"b"), hash_leaf(b"c")]).frontier


def made() -> tuple[Candidate, FetchedBlock]:
    header = World({"reg": ["registry"]}).block().header_leaf
    leaves = hash_leaf(b"record 1") + hash_leaf(b"record 2")
    tree = BEFORE.extend([leaves[:32], leaves[32:], hash_leaf(header)]).frontier
    candidate = Candidate(1, tree.size, tree.root(), sha256(b"entry").digest())
    return candidate, FetchedBlock(header, b"entry", leaves, b"")


def test_the_last_leaf_of_the_voted_tree_is_the_header() -> None:
    candidate, block = made()
    assert prove_header(candidate, block, BEFORE).height == 1


CANDIDATE, BLOCK = made()
WRONG = [
    ("another entry", CANDIDATE, BLOCK._replace(entry=b"other"), "another entry"),
    ("another header", CANDIDATE, BLOCK._replace(header=BLOCK.header + b"\x00"), "not in the tree"),
    ("a leaf too few", CANDIDATE, BLOCK._replace(leaves=BLOCK.leaves[:32]), "not in the tree"),
    ("half a leaf", CANDIDATE, BLOCK._replace(leaves=BLOCK.leaves[:40]), "32 bytes each"),
    ("another size", CANDIDATE._replace(size=7), BLOCK, "not in the tree"),
]


@pytest.mark.parametrize(("candidate", "block", "why"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_anything_else_is_refused(candidate: Candidate, block: FetchedBlock, why: str) -> None:
    with pytest.raises(Unproved, match=why):
        prove_header(candidate, block, BEFORE)


def test_a_leaf_that_is_no_header_is_refused_although_it_is_in_the_tree() -> None:
    tree = BEFORE.extend([hash_leaf(b"no header")]).frontier
    candidate = Candidate(1, tree.size, tree.root(), sha256(b"entry").digest())
    with pytest.raises(Unproved, match="no header"):
        prove_header(candidate, FetchedBlock(b"no header", b"entry", b"", b""), BEFORE)
