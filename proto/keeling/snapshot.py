"""Snapshots of the whole state at a height: chunks, their digest, and the proof that a quorum vouches for it.

The state's rows in key order fill chunks by one rule; an RFC 6962 tree over the head and the chunks has the digest as
its root, so every chunk is checked by itself, from whomever it comes. The proof leads from the genesis file over the
handovers to the transaction that completed a quorum of attestations. Making and fetching snapshots is the node's
business. Source: protocol review S1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from operator import ge
from typing import Final, NamedTuple

from keeling.block import RESULT, Header, Result, parse_header, parse_record
from keeling.encoding import BYTES, BYTES32, U32, U64, EncodingError, listing, record
from keeling.events import EVENT, Event, EventKind
from keeling.genesis import Genesis
from keeling.handover import HANDOVER, Handover, HandoverRefused, Reign, find_reign, walk_handovers
from keeling.merkle import FRONTIER, Frontier, ProofError, check_inclusion, compute_root, hash_leaf
from keeling.votes import CERTIFICATE, Certificate, Versioned, VoteError, check_certificate

CHUNK_BYTES_MAX: Final = 1 << 20
"""A chunk takes no row that would make it longer, unless it is the chunk's first."""
CHUNKS_MAX: Final = 1 << 20

Row = tuple[bytes, bytes]
_LENGTH: Final = struct.Struct(">I")


class SnapshotRefused(ValueError):
    """The bytes are no snapshot of this network that a quorum vouches for; the text says what does not hold."""


class SnapshotHead(NamedTuple):
    """What a snapshot is of. `header` is the header leaf at `height`, `frontier` the log's after that block."""

    network: bytes
    height: int
    header: bytes
    frontier: Frontier
    rows: int


class Attesting(NamedTuple):
    """The transaction that completed a quorum of equal attestations, and its way into the log.

    `position` is the index of its submission's record leaf, `ordinal` its own in the submission.
    """

    certificate: Certificate
    position: int
    record: bytes
    proof: tuple[bytes, ...]
    ordinal: int
    transaction: bytes
    events: bytes
    path: tuple[bytes, ...]


class SnapshotProof(NamedTuple):
    """All that tells a stranger which chunks make the state: `chunks` are their leaf hashes.

    `certificate` and `checkpoint` are of the snapshot's own height; of the checkpoint nothing is claimed here.
    """

    head: bytes
    chunks: tuple[bytes, ...]
    certificate: Certificate
    checkpoint: bytes
    handovers: tuple[Handover, ...]
    attesting: Attesting


HEAD: Final = Versioned(record(SnapshotHead, BYTES32, U64, BYTES, FRONTIER, U64))
_ATTESTING: Final = record(Attesting, CERTIFICATE, U64, BYTES, listing(BYTES32), U32, BYTES32, BYTES, listing(BYTES32))
PROOF: Final = Versioned(
    record(SnapshotProof, BYTES, listing(BYTES32), CERTIFICATE, BYTES, listing(HANDOVER), _ATTESTING)
)


class SnapshotFacts(NamedTuple):
    """What a proof that holds says: the height, the digest, the head, the block's header, and who certified when."""

    height: int
    digest: bytes
    head: SnapshotHead
    header: Header
    reigns: tuple[Reign, ...]


# -- chunks


def fill_chunks(rows: Iterable[Row]) -> Iterator[bytes]:
    """The chunks of a state given as rows in key order: u32 length and bytes of each key and value."""
    chunk: list[bytes] = []
    size = 0
    for key, value in rows:
        more = 8 + len(key) + len(value)
        if size + more > CHUNK_BYTES_MAX and chunk:
            yield b"".join(chunk)
            chunk, size = [], 0
        chunk += (len(key).to_bytes(4, "big"), key, len(value).to_bytes(4, "big"), value)
        size += more
    if chunk:
        yield b"".join(chunk)


def parse_chunk(data: bytes) -> list[Row]:
    """The rows of a chunk; raises `SnapshotRefused` for bytes that are none."""
    keys: list[bytes] = []
    values: list[bytes] = []
    at, end = 0, len(data)
    try:
        while at < end:
            start = at + 4
            middle = start + _LENGTH.unpack_from(data, at)[0]
            stop = middle + 4
            after = stop + _LENGTH.unpack_from(data, middle)[0]
            keys.append(data[start:middle])
            values.append(data[stop:after])
            at = after
    except struct.error as error:
        raise SnapshotRefused(f"the chunk ends inside the row at byte {at}") from error
    if at != end:
        raise SnapshotRefused(f"the chunk ends inside its last row, {at - end} bytes too early")
    if any(map(ge, keys, keys[1:])):
        raise SnapshotRefused("the rows of the chunk are not in ascending order")
    return list(zip(keys, values, strict=True))


def hash_chunk(data: bytes) -> bytes:
    """The leaf hash of a chunk."""
    return hash_leaf(data)


def compute_digest(head: bytes, chunks: Sequence[bytes]) -> bytes:
    """The digest of a state, from the encoded head and the leaf hashes of its chunks."""
    return compute_root([hash_leaf(head), *chunks])


# -- proof


def parse_proof(data: bytes) -> SnapshotProof:
    """The proof in its canonical form; raises `SnapshotRefused`."""
    try:
        return PROOF.decode(data)
    except EncodingError as error:
        raise SnapshotRefused(f"this is no proof of a snapshot: {error}") from error


def check_snapshot(proof: SnapshotProof, genesis: Genesis) -> SnapshotFacts:
    """What the proof shows, believing nothing but the genesis file; raises `SnapshotRefused`."""
    try:
        reigns = walk_handovers(genesis, proof.handovers)
        _check_attesting(proof.attesting, reigns, genesis.network)
        head = HEAD.decode(proof.head)
        header = parse_header(head.header)
        _check_head(proof, head, header, reigns, genesis.network)
        snapshots = _read_snapshots(proof.attesting)
    except (HandoverRefused, VoteError, ProofError, EncodingError) as error:
        raise SnapshotRefused(str(error)) from error
    digest = compute_digest(proof.head, proof.chunks)
    said = {event.fact("digest") for event in snapshots if event.subject == str(head.height)}
    if said != {digest.hex()}:
        words = ", ".join(sorted(said)) or f"no snapshot of height {head.height}"
        raise SnapshotRefused(f"the chunks have the digest {digest.hex()}, a quorum attested {words}")
    return SnapshotFacts(head.height, digest, head, header, reigns)


def _check_attesting(attesting: Attesting, reigns: Sequence[Reign], network: bytes) -> None:
    lock = attesting.certificate.lock
    _same("network of the attesting certificate", network, lock.network)
    if reigns[-1].since >= lock.height:
        raise SnapshotRefused(f"handovers lead to {reigns[-1].since}, the attestation is in block {lock.height}")
    check_certificate(attesting.certificate, reigns[-1].voters)
    check_inclusion(attesting.position, lock.size, hash_leaf(attesting.record), attesting.proof, lock.root)
    leaf = parse_record(attesting.record)
    _same("height of the attesting record", lock.height, leaf.height)
    result = Result(attesting.transaction, 0, sha256(attesting.events).digest())
    leaf_hash = hash_leaf(RESULT.encode(result))
    check_inclusion(attesting.ordinal, leaf.transactions, leaf_hash, attesting.path, leaf.results_root)


def _check_head(
    proof: SnapshotProof, head: SnapshotHead, header: Header, reigns: Sequence[Reign], network: bytes
) -> None:
    """The block at the snapshot's height is final, and the log ends there as the head says."""
    lock = proof.certificate.lock
    if not 0 < head.height < proof.attesting.certificate.lock.height or len(proof.chunks) > CHUNKS_MAX:
        raise SnapshotRefused(f"height {head.height} was not attested in a later block")
    check_certificate(proof.certificate, find_reign(reigns, head.height).voters)
    for what, expected, found in (
        ("network of the head", network, head.network),
        ("network of the certificate", network, lock.network),
        ("network in the header", network, header.network),
        ("height of the certificate", head.height, lock.height),
        ("height in the header", head.height, header.height),
        ("entry in the header", lock.entry, header.entry),
        ("size of the log", lock.size, head.frontier.size),
        ("leaves up to the header", lock.size, header.first_leaf + header.leaves),
        ("root of the log", lock.root, head.frontier.root()),
    ):
        _same(what, expected, found)


def _same(what: str, expected: object, found: object) -> None:
    if expected != found:
        shown = [value.hex() if isinstance(value, bytes) else str(value) for value in (expected, found)]
        raise SnapshotRefused(f"{what}: expected {shown[0]}, found {shown[1]}")


def _read_snapshots(attesting: Attesting) -> list[Event]:
    events, at = [], 0
    while at < len(attesting.events):
        event, at = EVENT.read(attesting.events, at)
        if event.kind == EventKind.SNAPSHOT:
            events.append(event)
    return events
