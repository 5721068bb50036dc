"""What a node keeps of each final block besides state: keys and encodings in the store's families.

The log itself (leaves and tree hashes), headers with certificate and checkpoint, entries by digest, and the archive of
answers that readers, receipts and exports are made from. Consensus state has its own tables in `node.core.tables`;
indexes that can be built again are in `node.indexes`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from keeling.block import parse_header
from keeling.encoding import BYTES, BYTES32, TEXT, U16, U64, Codec, listing, record
from keeling.merkle import Growth, Subtree
from node.core.block import Block
from node.core.records import make
from node.handovers import put_handover
from node.store.contract import Batch, Family, Reads

_LEAF_KEY: Final = struct.Struct(">cQ").pack
_SUBTREE_KEY: Final = struct.Struct(">cBQ").pack


class ArchivedAnswer(NamedTuple):
    """One transaction's result: what was hashed (digest, reason, events) and the words that explain it."""

    id: bytes
    digest: bytes
    reason: int
    detail: str
    values: tuple[tuple[str, str], ...]
    events: tuple[bytes, ...]


class ArchivedSubmission(NamedTuple):
    """One submission of a block: its record leaf and its answers in order."""

    leaf: bytes
    participant: str
    answers: tuple[ArchivedAnswer, ...]


class ArchivedBlock(NamedTuple):
    """Everything that was answered in one block, and the events of its sweeps."""

    time_ms: int
    submissions: tuple[ArchivedSubmission, ...]
    sweeps: tuple[bytes, ...]


class _Value(NamedTuple):
    name: str
    value: str


class _AnswerCodec(Codec[ArchivedAnswer]):
    """`record(ArchivedAnswer, ...)`; an accepted answer, as most are, in one `struct` call per run of fields."""

    _PLAIN: Final = record(
        ArchivedAnswer, BYTES, BYTES32, U16, TEXT, listing(record(_Value, TEXT, TEXT)), listing(BYTES)
    )
    _ACCEPTED: Final = struct.Struct(">I16s32sHIII")

    def write(self, out: bytearray, value: ArchivedAnswer) -> None:
        number, digest, reason, detail, values, events = value
        if reason or detail or values or len(number) != 16 or len(digest) != 32:
            self._PLAIN.write(out, value)
            return
        out += self._ACCEPTED.pack(16, number, digest, 0, 0, 0, len(events))
        for event in events:
            BYTES.write(out, event)

    def read(self, data: bytes, at: int) -> tuple[ArchivedAnswer, int]:
        return self._PLAIN.read(data, at)


_ANSWER: Final = _AnswerCodec()
_SUBMISSION: Final = record(ArchivedSubmission, BYTES, TEXT, listing(_ANSWER))
ARCHIVED_BLOCK: Final = record(ArchivedBlock, U64, listing(_SUBMISSION), listing(BYTES))


def height_key(kind: bytes, height: int) -> bytes:
    """Key in BLOCKS: `h` header leaf, `c` certificate, `k` published checkpoint note, `p` handover."""
    return kind + U64.encode(height)


def leaf_key(index: int) -> bytes:
    """Key in LEAVES of a leaf's bytes."""
    return _LEAF_KEY(b"l", index)


def subtree_key(subtree: Subtree) -> bytes:
    """Key in LEAVES of the hash of a complete subtree (level 0: a leaf hash)."""
    return _SUBTREE_KEY(b"n", *subtree)


def archive_block(block: Block) -> ArchivedBlock:
    """The archive row of an executed block."""
    submissions = []
    for _, leaf, answers, participant in block.submissions:
        archived = []
        for digest, refusal, events, transaction in answers:
            number = transaction.id if transaction is not None else b""
            if refusal is None:
                archived.append(make(ArchivedAnswer, (number, digest, 0, "", (), events)))
            else:
                why = (int(refusal.reason), refusal.detail, refusal.values)
                archived.append(make(ArchivedAnswer, (number, digest, *why, events)))
        submissions.append(make(ArchivedSubmission, (leaf, participant, tuple(archived))))
    return ArchivedBlock(block.header.time_ms, tuple(submissions), block.sweeps)


def put_block(batch: Batch, block: Block, entry: bytes, certificate: bytes, checkpoint: bytes) -> ArchivedBlock:
    """Add a final block to an atomic batch: log, header, certificate, checkpoint, handover, entry, answers, state."""
    height = block.header.height
    batch.put(Family.BLOCKS, height_key(b"h", height), block.header_leaf)
    batch.put(Family.BLOCKS, height_key(b"c", height), certificate)
    batch.put(Family.BLOCKS, height_key(b"k", height), checkpoint)
    batch.put(Family.BODIES, block.header.entry, entry)
    leaves = [*(done.leaf for done in block.submissions), block.header_leaf]
    batch.update(Family.LEAVES, [(leaf_key(at), leaf) for at, leaf in enumerate(leaves, block.header.first_leaf)])
    put_growth(batch, block.growth)
    put_handover(batch, block, certificate)
    archived = archive_block(block)
    batch.put(Family.EVENTS, U64.encode(height), ARCHIVED_BLOCK.encode(archived))
    batch.update(Family.STATE, block.changes)
    return archived


def put_growth(batch: Batch, growth: Growth) -> None:
    """Keep the hashes of every subtree that an append completed."""
    for level, first, hashes in growth.completed:
        rows = [(_SUBTREE_KEY(b"n", level, at), hashed) for at, hashed in enumerate(hashes, first)]
        batch.update(Family.LEAVES, rows)


class TreeNotHere(LookupError):
    """A proof needs hashes from below the snapshot this node joined from, which were not fetched yet."""


def read_subtrees(reads: Reads) -> Callable[[Sequence[Subtree]], Sequence[bytes]]:
    """A reader of subtree hashes for proofs: all of one proof in one call. It raises `TreeNotHere`."""

    def read(wanted: Sequence[Subtree]) -> Sequence[bytes]:
        found = reads.get_many(Family.LEAVES, [subtree_key(subtree) for subtree in wanted])
        present = [hashed for hashed in found if hashed is not None]
        if len(present) < len(found):
            raise TreeNotHere("hashes of the tree below the snapshot this node joined from are not fetched yet")
        return present

    return read


def read_archive(reads: Reads, height: int) -> ArchivedBlock | None:
    """What was answered at a height; None where that is not final here."""
    raw = reads.get(Family.EVENTS, U64.encode(height))
    return None if raw is None else ARCHIVED_BLOCK.decode(raw)


def read_size(reads: Reads, height: int) -> int:
    """The size of the log after the block at `height` (0 before the first)."""
    raw = reads.get(Family.BLOCKS, height_key(b"h", height))
    if raw is None:
        return 0
    header = parse_header(raw)
    return header.first_leaf + header.leaves
