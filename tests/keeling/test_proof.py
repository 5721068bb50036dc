"""The offline proof file: its grammar, and that no byte of it can be changed."""

from __future__ import annotations

import pytest

from keeling.checkpoint import Checkpoint
from keeling.merkle import ProofError, prove_inclusion
from keeling.note import NoteRefused
from keeling.proof import LogProof, check_proof, format_proof, parse_proof
from keeling.strict import FormatError, format_base64
from tests.keeling.log_samples import ORIGIN, StoredTree, final_note, leaves, policy_of

LEAVES = leaves(7)
TREE = StoredTree(LEAVES)
NOTE = final_note(Checkpoint(ORIGIN, 7, TREE.frontier.root()), 4)
PROOF = LogProof(2, prove_inclusion(2, 7, TREE.read), NOTE)
HASH = format_base64(bytes(32))
HEADER = "c2sp.org/tlog-proof@v1\n"


@pytest.mark.parametrize("proof", [PROOF, PROOF._replace(extra=b""), PROOF._replace(extra=b"\x00\xff")])
def test_proof_returns(proof: LogProof) -> None:
    assert parse_proof(format_proof(proof)) == proof


def test_tree_of_one_leaf_has_no_hashes() -> None:
    note = final_note(Checkpoint(ORIGIN, 1, LEAVES[0]), 1)
    proof = parse_proof(format_proof(LogProof(0, (), note)))
    assert check_proof(proof, LEAVES[0], policy_of(1)).checkpoint.size == 1


def test_every_leaf_is_proved() -> None:
    for index, leaf_hash in enumerate(LEAVES):
        proof = LogProof(index, prove_inclusion(index, 7, TREE.read), NOTE)
        assert check_proof(proof, leaf_hash, policy_of(4)).checkpoint.root == TREE.frontier.root()


MALFORMED = [
    ("nothing", ""),
    ("another header", "c2sp.org/tlog-proof@v2\nindex 2\n\n"),
    ("a space after the header", HEADER[:-1] + " \nindex 2\n\n"),
    ("no index", HEADER + "\n"),
    ("a hash for the index", HEADER + HASH + "\n\n"),
    ("index not decimal", HEADER + "index 02\n\n"),
    ("index twice", HEADER + "index 2\nindex 2\n\n"),
    ("extra after the index", HEADER + "index 2\nextra AA==\n\n"),
    ("extra twice", HEADER + "extra AA==\nextra AA==\nindex 2\n\n"),
    ("extra not canonical", HEADER + "extra AB==\nindex 2\n\n"),
    ("a short hash", HEADER + "index 2\nAAAA\n\n"),
    ("a carriage return", HEADER + "index 2\r\n\n"),
    ("64 hashes", HEADER + "index 2\n" + 64 * (HASH + "\n") + "\n"),
    ("an empty line more", HEADER + "index 2\n\n\n"),
]


@pytest.mark.parametrize("head", [case[1] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_proof_is_refused(head: str) -> None:
    with pytest.raises(FormatError):
        parse_proof(head.encode() + NOTE)


def test_proof_without_a_checkpoint_is_refused() -> None:
    for end in (b"", b"\n", b"\ntext\n", b"\ntext\n\n" + NOTE.split(b"\n\n")[1]):
        with pytest.raises(FormatError):
            parse_proof(HEADER.encode() + b"index 2\n" + end)


def test_file_that_is_too_big_is_refused() -> None:
    with pytest.raises(FormatError, match="the most is"):
        parse_proof(format_proof(PROOF._replace(extra=bytes(100_000))))


@pytest.mark.parametrize("proof", [PROOF._replace(leaf_index=-1), PROOF._replace(hashes=(b"",))])
def test_impossible_proof_is_not_written(proof: LogProof) -> None:
    with pytest.raises(FormatError):
        format_proof(proof)


def test_no_changed_byte_leaves_a_proof() -> None:
    data = format_proof(PROOF)
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
        with pytest.raises((FormatError, NoteRefused, ProofError)):
            check_proof(parse_proof(changed), LEAVES[2], policy_of(4))


WRONG = [
    (PROOF, LEAVES[3], 4, ProofError),
    (PROOF._replace(leaf_index=3), LEAVES[2], 4, ProofError),
    (PROOF._replace(hashes=PROOF.hashes[1:]), LEAVES[2], 4, ProofError),
    (PROOF, LEAVES[2], 5, NoteRefused),
    (PROOF, LEAVES[2], 2, NoteRefused),
]


@pytest.mark.parametrize(
    ("proof", "leaf_hash", "n", "error"),
    WRONG,
    ids=["another leaf", "another index", "a hash missing", "a bigger quorum", "a smaller quorum"],
)
def test_wrong_proof_is_refused(proof: LogProof, leaf_hash: bytes, n: int, error: type[ValueError]) -> None:
    with pytest.raises(error):
        check_proof(proof, leaf_hash, policy_of(n))
