"""The worked example of the log's formats, byte for byte: one test over all vectors of `transparency-log.json`."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from keeling.checkpoint import (
    Checkpoint,
    check_final,
    cosign_checkpoint,
    format_checkpoint,
    format_final,
    parse_checkpoint,
    sign_checkpoint,
)
from keeling.ed25519 import public_key
from keeling.merkle import (
    check_consistency,
    check_inclusion,
    compute_root,
    hash_leaf,
    prove_consistency,
    prove_inclusion,
    read_frontier,
)
from keeling.note import (
    KeyType,
    NoteKey,
    SignatureLine,
    check_note,
    cosignature_message,
    format_note,
    format_signature_line,
    format_vkey,
    parse_note,
    parse_signature_line,
    parse_vkey,
)
from keeling.policy import Policy, Validator
from keeling.proof import LogProof, check_proof, format_proof, parse_proof
from keeling.tiles import Tile, format_entry_bundle, format_tile_path, parse_tile_path, read_tile, tiles_of
from tests.keeling.log_samples import StoredTree, leaves, read_vectors, signer, validator

VECTORS = read_vectors("transparency-log.json")
KEYS = {row["name"]: parse_vkey(row["vkey"]) for row in VECTORS["verifier_keys"]}
SEEDS = {row["name"]: bytes.fromhex(row["seed"]) for row in VECTORS["verifier_keys"]}
EVENTS = [hash_leaf(row["entry"].encode()) for row in VECTORS["leaf_hashes"]]
TREE = StoredTree(EVENTS)


def example_policy() -> Policy:
    """Four validators with the example's cosigner keys; its one log key is the first one's."""
    validators = [
        Validator(f"p{i}", KEYS["log"] if i == 1 else validator(i).log_key, KEYS[f"p{i}"], validator(i).vote_key)
        for i in (1, 2, 3, 4)
    ]
    return Policy("ledger.example/main", tuple(validators))


def hashes(row: dict[str, Any]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(value) for value in row["proof"])


def check_verifier_key(row: dict[str, Any]) -> None:
    key = KEYS[row["name"]]
    assert key.type == KeyType(int(row["type"], 16))
    assert key == NoteKey(key.name, key.type, public_key(SEEDS[row["name"]]))
    assert format_vkey(key) == row["vkey"]


def check_leaf_hash(row: dict[str, Any]) -> None:
    assert hash_leaf(row["entry"].encode()).hex() == row["hash"]


def check_root(row: dict[str, Any]) -> None:
    assert compute_root(EVENTS[: row["size"]]).hex() == row["root"]
    assert read_frontier(row["size"], TREE.read).root().hex() == row["root"]


def check_inclusion_proof(row: dict[str, Any]) -> None:
    assert prove_inclusion(row["index"], row["size"], TREE.read) == hashes(row)
    check_inclusion(row["index"], row["size"], EVENTS[row["index"]], hashes(row), bytes.fromhex(row["root"]))


def check_consistency_proof(row: dict[str, Any]) -> None:
    old_root, new_root = bytes.fromhex(row["old_root"]), bytes.fromhex(row["new_root"])
    assert prove_consistency(row["old_size"], row["new_size"], TREE.read) == hashes(row)
    check_consistency(row["old_size"], old_root, row["new_size"], new_root, hashes(row))


def check_checkpoint(row: dict[str, Any]) -> None:
    checkpoint = Checkpoint(row["origin"], row["size"], bytes.fromhex(row["root"]))
    assert format_checkpoint(checkpoint).encode().hex() == row["text_hex"]
    assert parse_checkpoint(bytes.fromhex(row["text_hex"]).decode()) == checkpoint


def check_line_of(line: SignatureLine, row: dict[str, Any]) -> None:
    assert format_signature_line(line) == row["line"] + "\n"
    assert parse_signature_line(row["line"]) == line
    assert line.signature.hex() == row.get("signature", line.signature.hex())


def check_log_signature(row: dict[str, Any]) -> None:
    checkpoint = parse_checkpoint(row["text"])
    check_line_of(sign_checkpoint(checkpoint, KEYS[row["key"]], signer(SEEDS[row["key"]])), row)


def check_cosignature(row: dict[str, Any]) -> None:
    checkpoint = parse_checkpoint(row["text"])
    check_line_of(cosign_checkpoint(checkpoint, KEYS[row["key"]], row["time"], signer(SEEDS[row["key"]])), row)
    message = cosignature_message(row["text"], row["time"]).hex()
    assert message == row.get("message_hex", message)


def check_final_checkpoint(row: dict[str, Any]) -> None:
    data = row["note"].encode()
    assert sha256(data).hexdigest() == row["sha256"]
    final = check_final(data, example_policy())
    assert list(final.signers) == row["signers"]
    assert len(final.signers) == row["quorum"] == example_policy().quorum
    assert format_final(final.checkpoint, parse_note(data).signatures, example_policy()) == data


def check_proof_file(row: dict[str, Any]) -> None:
    data = row["file"].encode()
    proof = parse_proof(data)
    check_proof(proof, hash_leaf(row["entry"].encode()), example_policy())
    made = LogProof(row["index"], prove_inclusion(row["index"], 7, TREE.read), proof.checkpoint)
    assert format_proof(made) == data


def check_tile_path(row: dict[str, Any]) -> None:
    tile = Tile(row["level"], row["ordinal"], row["width"])
    assert format_tile_path(tile) == row["path"]
    assert parse_tile_path(row["path"]) == tile


def check_tile(row: dict[str, Any]) -> None:
    tree = StoredTree(leaves(row["size"])) if row["leaves"] == "u32" else TREE
    assert tree.frontier.root().hex() == row["root"]
    assert sha256(read_tile(parse_tile_path(row["path"]), tree.read)).hexdigest() == row["sha256"]


def check_tile_set(row: dict[str, Any]) -> None:
    expected = []
    for level in row["tiles"]:
        expected += [Tile(level["level"], ordinal) for ordinal in range(level["full"])]
        expected += [Tile(level["level"], level["full"], level["width"])] if level["width"] else []
    assert list(tiles_of(row["size"])) == expected


def check_entry_bundle(row: dict[str, Any]) -> None:
    assert format_entry_bundle([entry.encode() for entry in row["entries"]]).hex() == row["bundle"]


def check_foreign_note(row: dict[str, Any]) -> None:
    key, data = parse_vkey(row["vkey"]), row["note"].encode()
    assert [verified.key for verified in check_note(parse_note(data), [key])] == [key]
    assert format_note(parse_note(data)) == data


CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "verifier_keys": check_verifier_key,
    "leaf_hashes": check_leaf_hash,
    "roots": check_root,
    "inclusion_proofs": check_inclusion_proof,
    "consistency_proofs": check_consistency_proof,
    "checkpoints": check_checkpoint,
    "log_signatures": check_log_signature,
    "cosignatures": check_cosignature,
    "final_checkpoints": check_final_checkpoint,
    "proof_files": check_proof_file,
    "tile_paths": check_tile_path,
    "tiles": check_tile,
    "tile_sets": check_tile_set,
    "entry_bundles": check_entry_bundle,
    "foreign_notes": check_foreign_note,
}
ROWS = [pytest.param(kind, row, id=f"{kind}-{at}") for kind, rows in VECTORS.items() for at, row in enumerate(rows)]


@pytest.mark.parametrize(("kind", "row"), ROWS)
def test_vector(kind: str, row: dict[str, Any]) -> None:
    CHECKS[kind](row)
