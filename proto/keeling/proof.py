"""The offline proof file (`*.tlog-proof`): one entry's place in the log, with the checkpoint it leads to.

Any tlog tool reads it. It proves that an entry is in the log and nothing about what the entry says; a bundle that shows
a transaction with its result is another format. Source: C2SP tlog-proof v1.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from keeling.checkpoint import FinalCheckpoint, check_final, parse_checkpoint
from keeling.merkle import INCLUSION_HASHES_MAX, check_inclusion
from keeling.note import NOTE_BYTES_MAX, parse_note
from keeling.policy import Policy
from keeling.strict import (
    HASH_BYTES,
    FormatError,
    check_number,
    decode_text,
    format_base64,
    parse_base64,
    parse_decimal,
    parse_hash,
)

PROOF_BYTES_MAX: Final = 2 * NOTE_BYTES_MAX
"""The note, the hashes, and as much room again for what `extra` may hold."""

_HEADER: Final = "c2sp.org/tlog-proof@v1"


class LogProof(NamedTuple):
    """What a proof file holds; nothing is verified yet."""

    leaf_index: int
    hashes: tuple[bytes, ...]
    """The inclusion proof, lowest sibling first."""
    checkpoint: bytes
    """The signed note, as received."""
    extra: bytes | None = None
    """Opaque and NOT authenticated: never decide anything by it."""


def format_proof(proof: LogProof) -> bytes:
    check_number(proof.leaf_index, "leaf index")
    lines = [_HEADER]
    if proof.extra is not None:
        lines.append(f"extra {format_base64(proof.extra)}")
    lines.append(f"index {proof.leaf_index}")
    for value in proof.hashes:
        if len(value) != HASH_BYTES:
            raise FormatError(f"a proof hash has {len(value)} bytes, it needs {HASH_BYTES}")
        lines.append(format_base64(value))
    return "\n".join([*lines, "", ""]).encode("ascii") + proof.checkpoint


def parse_proof(data: bytes) -> LogProof:
    """Return what the file holds; the grammar of the checkpoint in it is checked, its signatures are not."""
    if len(data) > PROOF_BYTES_MAX:
        raise FormatError(f"the proof file has {len(data)} bytes, the most is {PROOF_BYTES_MAX}")
    head, separator, checkpoint = data.partition(b"\n\n")
    if not separator:
        raise FormatError("the proof file has no empty line between proof and checkpoint")
    header, *lines = decode_text(head, "the proof file").split("\n")
    if header != _HEADER:
        raise FormatError(f"the first line is {header[:80]!r}, not {_HEADER!r}")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = parse_base64(lines.pop(0).removeprefix("extra "), "extra")
    if not lines or not lines[0].startswith("index "):
        raise FormatError("the proof file has no index line where one must be")
    leaf_index = parse_decimal(lines.pop(0).removeprefix("index "), "index")
    if len(lines) > INCLUSION_HASHES_MAX:
        raise FormatError(f"the proof has {len(lines)} hashes, the most is {INCLUSION_HASHES_MAX}")
    hashes = tuple(parse_hash(line, f"proof hash {number}") for number, line in enumerate(lines, start=1))
    parse_checkpoint(parse_note(checkpoint).text)
    return LogProof(leaf_index, hashes, checkpoint, extra)


def check_proof(proof: LogProof, leaf_hash: bytes, policy: Policy) -> FinalCheckpoint:
    """Refuse unless the leaf is at its index under a checkpoint that is final by `policy`; return the checkpoint.

    The caller computes `leaf_hash` from the entry itself. Raises `FormatError`, `NoteRefused` or `ProofError`.
    """
    final = check_final(proof.checkpoint, policy)
    check_inclusion(proof.leaf_index, final.checkpoint.size, leaf_hash, proof.hashes, final.checkpoint.root)
    return final
