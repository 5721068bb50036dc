"""Keys, trees and a final checkpoint that the tests of the log's formats share; all keys are made from known seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from keeling.checkpoint import Checkpoint, cosign_checkpoint, format_final, sign_checkpoint
from keeling.ed25519 import public_key, sign
from keeling.merkle import EMPTY_FRONTIER, ReadHashes, Subtree, hash_leaf
from keeling.note import KeyType, NoteKey, Sign, SignatureLine
from keeling.policy import Policy, Validator

ORIGIN = "ledger.example/main"
TIME = 1_795_000_000

_VECTORS = Path(__file__).parents[1] / "vectors"


def read_vectors(name: str) -> Any:
    return json.loads((_VECTORS / name).read_text(encoding="utf-8"))


def seed(role: int, ordinal: int) -> bytes:
    """A private seed: roles are 1 log, 2 cosigner, 3 vote."""
    return bytes([role, ordinal]) * 16


def signer(private_seed: bytes) -> Sign:
    return partial(sign, private_seed)


def validator(ordinal: int) -> Validator:
    return Validator(
        name=f"p{ordinal}",
        log_key=NoteKey(ORIGIN, KeyType.PLAIN, public_key(seed(1, ordinal))),
        cosigner_key=NoteKey(f"member{ordinal}.example/ledger", KeyType.COSIGNATURE, public_key(seed(2, ordinal))),
        vote_key=public_key(seed(3, ordinal)),
    )


def policy_of(n: int) -> Policy:
    return Policy(ORIGIN, tuple(validator(ordinal) for ordinal in range(1, n + 1)))


def log_line(checkpoint: Checkpoint, ordinal: int = 1) -> SignatureLine:
    return sign_checkpoint(checkpoint, validator(ordinal).log_key, signer(seed(1, ordinal)))


def cosignature(checkpoint: Checkpoint, ordinal: int, time: int = TIME) -> SignatureLine:
    return cosign_checkpoint(checkpoint, validator(ordinal).cosigner_key, time, signer(seed(2, ordinal)))


def final_note(checkpoint: Checkpoint, n: int) -> bytes:
    lines = [log_line(checkpoint), *(cosignature(checkpoint, ordinal) for ordinal in range(1, n + 1))]
    return format_final(checkpoint, lines, policy_of(n))


class StoredTree:
    """Keeps what a node would store of a tree: the hashes of complete subtrees, and nothing else."""

    def __init__(self, leaf_hashes: Sequence[bytes] = ()) -> None:
        self.frontier = EMPTY_FRONTIER
        self.hashes: dict[Subtree, bytes] = {}
        self.reads = 0
        self.append(leaf_hashes)

    def append(self, leaf_hashes: Sequence[bytes]) -> None:
        self.frontier, completed = self.frontier.extend(leaf_hashes)
        for level, first, hashes in completed:
            for at, value in enumerate(hashes):
                assert self.hashes.setdefault(Subtree(level, first + at), value) is value, "completed twice"

    @property
    def read(self) -> ReadHashes:
        def read_hashes(subtrees: Sequence[Subtree]) -> list[bytes]:
            self.reads += 1
            return [self.hashes[subtree] for subtree in subtrees]

        return read_hashes


def leaves(size: int) -> list[bytes]:
    """Leaf hashes of the numbers from 0, each as u32."""
    return [hash_leaf(number.to_bytes(4, "big")) for number in range(size)]
