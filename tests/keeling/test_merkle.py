"""Own prover against own verifier for every small size, and every way a proof may be wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.encoding import EncodingError
from keeling.merkle import (
    EMPTY_FRONTIER,
    EMPTY_ROOT,
    FRONTIER,
    Frontier,
    ProofError,
    check_consistency,
    check_inclusion,
    compute_root,
    hash_node,
    prove_consistency,
    prove_inclusion,
    read_frontier,
)
from keeling.strict import NUMBER_MAX
from tests.keeling.log_samples import StoredTree, leaves

SIZE_MAX = 130
LEAVES = leaves(SIZE_MAX)
TREE = StoredTree(LEAVES)


def split_root(hashes: list[bytes]) -> bytes:
    """The definition of RFC 6962 §2.1, word for word."""
    if len(hashes) <= 1:
        return hashes[0] if hashes else EMPTY_ROOT
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return hash_node(split_root(hashes[:k]), split_root(hashes[k:]))


ROOTS = [split_root(LEAVES[:size]) for size in range(SIZE_MAX + 1)]


def changed_proofs(proof: tuple[bytes, ...]) -> Iterator[list[bytes]]:
    """Every proof that differs by one bit in one hash, one hash dropped, or one added at either end."""
    for at in range(len(proof)):
        for bit in range(256):
            flipped = (int.from_bytes(proof[at], "big") ^ 1 << bit).to_bytes(32, "big")
            yield [*proof[:at], flipped, *proof[at + 1 :]]
        yield [*proof[:at], *proof[at + 1 :]]
        yield [*proof[:at], proof[at][:31], *proof[at + 1 :]]
    yield [*proof, bytes(32)]
    yield [bytes(32), *proof]


def changed_numbers(number: int) -> set[int]:
    return {number + 1, number - 1, number * 2, number ^ 2} - {number}


def test_root_is_the_definition_in_every_size() -> None:
    for size, root in enumerate(ROOTS):
        assert compute_root(LEAVES[:size]) == root, size
        assert EMPTY_FRONTIER.extend(LEAVES[:size]).frontier.root() == root, size
        assert read_frontier(size, TREE.read).root() == root, size


@given(st.lists(st.integers(0, 40), max_size=8))
def test_pieces_lead_to_the_same_tree_and_store_each_hash_once(pieces: list[int]) -> None:
    tree = StoredTree()
    for piece in pieces:
        at = tree.frontier.size
        tree.append(leaves(at + piece)[at:])
    whole = StoredTree(leaves(sum(pieces)))
    assert tree.frontier == whole.frontier
    assert tree.hashes == whole.hashes
    assert tree.frontier == read_frontier(tree.frontier.size, tree.read)


def test_every_leaf_is_proved_in_every_size() -> None:
    for size in range(1, SIZE_MAX + 1):
        for index in range(size):
            proof = prove_inclusion(index, size, TREE.read)
            check_inclusion(index, size, LEAVES[index], proof, ROOTS[size])


def test_every_older_tree_is_proved_in_every_size() -> None:
    for new_size in range(1, SIZE_MAX + 1):
        for old_size in range(1, new_size + 1):
            proof = prove_consistency(old_size, new_size, TREE.read)
            check_consistency(old_size, ROOTS[old_size], new_size, ROOTS[new_size], proof)


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 7), (2, 7), (6, 7), (64, 65), (129, 130)])
def test_inclusion_with_anything_changed_is_refused(index: int, size: int) -> None:
    proof = prove_inclusion(index, size, TREE.read)
    for changed in changed_proofs(proof):
        with pytest.raises(ProofError):
            check_inclusion(index, size, LEAVES[index], changed, ROOTS[size])
    for other in (LEAVES[index - 1] if size > 1 else bytes(32), LEAVES[index][:31], b""):
        with pytest.raises(ProofError):
            check_inclusion(index, size, other, proof, ROOTS[size])
    for other in (ROOTS[size - 1], ROOTS[size] + b"\x00"):
        with pytest.raises(ProofError):
            check_inclusion(index, size, LEAVES[index], proof, other)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 9, 31, 32, 33, 130])
def test_inclusion_at_another_index_is_refused(size: int) -> None:
    for index in range(size):
        proof = prove_inclusion(index, size, TREE.read)
        for other in changed_numbers(index):
            with pytest.raises(ProofError):
                check_inclusion(other, size, LEAVES[index], proof, ROOTS[size])


@pytest.mark.parametrize(("old_size", "new_size"), [(1, 2), (1, 7), (3, 7), (4, 7), (6, 7), (64, 130), (65, 130)])
def test_consistency_with_anything_changed_is_refused(old_size: int, new_size: int) -> None:
    proof = prove_consistency(old_size, new_size, TREE.read)
    for changed in changed_proofs(proof):
        with pytest.raises(ProofError):
            check_consistency(old_size, ROOTS[old_size], new_size, ROOTS[new_size], changed)
    for other in (ROOTS[old_size - 1], ROOTS[new_size], ROOTS[old_size][:31]):
        with pytest.raises(ProofError):
            check_consistency(old_size, other, new_size, ROOTS[new_size], proof)
    for other in (ROOTS[old_size], ROOTS[new_size - 1] if new_size > 2 else bytes(32), ROOTS[new_size][:31]):
        with pytest.raises(ProofError):
            check_consistency(old_size, ROOTS[old_size], new_size, other, proof)
    for size in changed_numbers(old_size) - {0}:
        with pytest.raises(ProofError):
            check_consistency(size, ROOTS[old_size], new_size, ROOTS[new_size], proof)


REFUSED_CONSISTENCY = [
    ("shrinks", 7, ROOTS[7], 6, ROOTS[6], []),
    ("negative", -1, ROOTS[1], 6, ROOTS[6], []),
    ("beyond 2^63", 1, ROOTS[1], NUMBER_MAX + 1, ROOTS[6], [bytes(32)]),
    ("same size, other root", 7, ROOTS[7], 7, ROOTS[6], []),
    ("same size, a proof", 7, ROOTS[7], 7, ROOTS[7], [bytes(32)]),
    ("empty tree, other root", 0, bytes(32), 0, bytes(32), []),
    ("from the empty tree", 0, EMPTY_ROOT, 7, ROOTS[7], []),
    ("empty proof", 3, ROOTS[3], 7, ROOTS[7], []),
]


@pytest.mark.parametrize("case", REFUSED_CONSISTENCY, ids=[case[0] for case in REFUSED_CONSISTENCY])
def test_consistency_is_refused(case: tuple[str, int, bytes, int, bytes, list[bytes]]) -> None:
    with pytest.raises(ProofError):
        check_consistency(*case[1:])


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_tree_is_consistent_with_itself(size: int) -> None:
    check_consistency(size, ROOTS[size], size, ROOTS[size], [])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 7), (7, 7), (0, NUMBER_MAX + 1)])
def test_there_is_no_such_leaf(index: int, size: int) -> None:
    with pytest.raises(ProofError, match="there is no leaf"):
        prove_inclusion(index, size, TREE.read)
    with pytest.raises(ProofError, match="there is no leaf"):
        check_inclusion(index, size, LEAVES[0], [], ROOTS[1])


@pytest.mark.parametrize(("old_size", "new_size"), [(0, 7), (7, 6), (-1, 7), (1, NUMBER_MAX + 1)])
def test_there_is_no_such_consistency_proof(old_size: int, new_size: int) -> None:
    with pytest.raises(ProofError, match="no proof leads"):
        prove_consistency(old_size, new_size, TREE.read)


def test_a_proof_costs_one_read() -> None:
    tree = StoredTree(LEAVES)
    prove_inclusion(5, 129, tree.read)
    prove_consistency(77, 129, tree.read)
    read_frontier(129, tree.read)
    assert tree.reads == 3


def test_a_store_that_answers_short_is_refused() -> None:
    with pytest.raises(ProofError, match="came back"):
        prove_inclusion(0, 7, lambda subtrees: [bytes(32)] * (len(subtrees) - 1))


@given(st.integers(0, NUMBER_MAX), st.data())
def test_proofs_in_trees_of_any_size_have_the_right_length(size: int, data: st.DataObject) -> None:
    """No tree has 2^62 leaves here; with zeros for all stored hashes only the last check, the root's, may refuse."""
    index = data.draw(st.integers(0, max(size - 1, 0)))
    if size:
        proof = prove_inclusion(index, size, lambda subtrees: [bytes(32)] * len(subtrees))
        with pytest.raises(ProofError, match="not to the root"):
            check_inclusion(index, size, bytes(32), proof, b"\xff" * 32)


@pytest.mark.parametrize("size", [0, 1, 2, 7, 128, 130])
def test_frontier_returns_from_its_encoding(size: int) -> None:
    frontier = EMPTY_FRONTIER.extend(LEAVES[:size]).frontier
    assert FRONTIER.decode(FRONTIER.encode(frontier)) == frontier
    assert FRONTIER.encode(frontier) == (
        size.to_bytes(8, "big") + len(frontier.peaks).to_bytes(4, "big") + b"".join(frontier.peaks)
    )


@pytest.mark.parametrize(
    "frontier", [Frontier(0, (bytes(32),)), Frontier(3, (bytes(32),)), Frontier(NUMBER_MAX + 1, (bytes(32),))]
)
def test_frontier_with_wrong_peaks_is_refused(frontier: Frontier) -> None:
    with pytest.raises(EncodingError, match="peaks"):
        FRONTIER.encode(frontier)
    raw = frontier.size.to_bytes(8, "big") + (1).to_bytes(4, "big") + bytes(32)
    with pytest.raises(EncodingError, match="peaks"):
        FRONTIER.decode(raw)


def test_a_tree_beyond_2_to_the_63_is_refused() -> None:
    with pytest.raises(ProofError, match="cannot grow"):
        Frontier(NUMBER_MAX, (bytes(32),) * 63).extend([bytes(32)])
