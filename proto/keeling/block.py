"""What a block puts into the Merkle log: one record leaf per submission and one closing header leaf.

Both encodings are written by hand (design §4.4): a node generates and hashes them, so they never go through protobuf.
Leaves stay under 1 kB; the submissions' own bytes are served by digest beside the log, so one transaction is proved
without showing its neighbours. Entries, which blocks are made from, are in `keeling.entry`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from keeling.encoding import BYTES, BYTES32, U8, U16, U32, U64, EncodingError, record
from keeling.merkle import LEAF_PREFIX, compute_root, hash_leaf

FORMAT: Final = 1
RULES: Final = 1
"""The version of the rules a network begins with."""
RULES_KNOWN: Final = (1,)
"""The versions that this release can execute and verify."""
RECORD_LEAF: Final = 1
_LENGTH: Final = struct.Struct(">I").pack
_length: Final = lru_cache(1024)(_LENGTH)
_ABSENT: Final = b"\xff\xff\xff\xff"
HEADER_LEAF: Final = 2


class SubmissionRecord(NamedTuple):
    """Proof that a submission was executed at (height, ordinal), and of each of its results."""

    kind: int
    height: int
    ordinal: int
    digest: bytes
    key: bytes
    transactions: int
    results_root: bytes


class Header(NamedTuple):
    """The last leaf of a block: chains it to the one before and commits to everything execution read and wrote."""

    kind: int
    format: int
    rules: int
    network: bytes
    policy: bytes
    next_policy: bytes
    epoch: int
    position: int
    height: int
    previous: bytes
    time_ms: int
    entry: bytes
    author: bytes
    number: int
    first_leaf: int
    leaves: int
    sweeps: bytes
    writes: bytes


class Result(NamedTuple):
    """The answer to one transaction: a leaf of its submission's results tree."""

    transaction: bytes
    reason: int
    events: bytes


class Swept(NamedTuple):
    """An event that no transaction caused: a leaf of its block's sweeps tree. Of `swept` events it is the `ordinal`-th.

    Both numbers are in the leaf because the header holds the root alone: one event is shown without the others, which
    may be other people's, and still only at its own place.
    """

    ordinal: int
    swept: int
    event: bytes


RECORD: Final = record(SubmissionRecord, U8, U64, U32, BYTES32, BYTES32, U32, BYTES32)
encode_record: Final = RECORD.encoder()
HEADER: Final = record(
    Header,
    *(U8, U16, U16, BYTES32, BYTES32, BYTES32, U64, U64, U64, BYTES32, U64, BYTES32, BYTES32, U64, U64, U32),
    *(BYTES32, BYTES32),
)
RESULT: Final = record(Result, BYTES32, U16, BYTES32)
_encode_result: Final = RESULT.encoder()
SWEPT: Final = record(Swept, U32, U32, BYTES)


def format_header(header: Header) -> bytes:
    """The header's leaf bytes."""
    return HEADER.encode(header)


def parse_header(leaf: bytes) -> Header:
    """The header in a closing leaf; raises `EncodingError` for anything else."""
    header = HEADER.decode(leaf)
    if header.kind != HEADER_LEAF:
        raise EncodingError(f"a header leaf starts with 02, not {header.kind:02x}")
    return header


def parse_record(leaf: bytes) -> SubmissionRecord:
    """The record in a submission's leaf; raises `EncodingError` for anything else."""
    found = RECORD.decode(leaf)
    if found.kind != RECORD_LEAF:
        raise EncodingError(f"a record leaf starts with 01, not {found.kind:02x}")
    return found


def compute_results_root(results: Sequence[tuple[bytes, int, bytes]]) -> bytes:
    """The RFC 6962 root over the results of one submission (each a `Result`, or its fields), in its order."""
    encode, digest = _encode_result, hashlib.sha256
    return compute_root([digest(LEAF_PREFIX + encode(result)).digest() for result in results])  # type: ignore[arg-type]


def hash_sweeps(encoded: Sequence[bytes]) -> list[bytes]:
    """The leaf hashes of a block's sweeps tree, from the encoded events in their order."""
    return [hash_leaf(SWEPT.encode(Swept(i, len(encoded), event))) for i, event in enumerate(encoded)]


def compute_sweeps_root(encoded: Sequence[bytes]) -> bytes:
    """The RFC 6962 root over a block's sweep events: what its header commits to."""
    return compute_root(hash_sweeps(encoded))


def compute_header_hash(leaf: bytes) -> bytes:
    """What the next header names as `previous`: the Merkle leaf hash of this one."""
    return hash_leaf(leaf)


def chain_writes(previous: bytes, changes: Sequence[tuple[bytes, bytes | None]]) -> bytes:
    """The write-set hash: SHA-256 over the one before and every changed key, in key order, with its value or absence.

    Each part stands behind its u32 length; an absent value is the length ffffffff.
    """
    parts = [previous]
    for key, value in changes:
        if value is None:
            parts += (_length(len(key)), key, _ABSENT)
        else:
            parts += (_length(len(key)), key, _length(len(value)), value)
    return hashlib.sha256(b"".join(parts)).digest()
