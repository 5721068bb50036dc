"""The proof of one transaction: a `.tlog-proof` of its submission's record leaf, and what ties the transaction to it.

With the genesis file anybody checks it without seeing another transaction: results tree, record leaf, log tree, final
checkpoint. Bundles of many transactions are in `node.export`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from keeling.block import RESULT, Result, parse_header
from keeling.encoding import Ref
from keeling.entry import parse_entry
from keeling.merkle import EMPTY_FRONTIER, Subtree, hash_leaf, prove_inclusion
from keeling.proof import LogProof, format_proof
from keeling.reasons import Reason
from keeling.submission import parse_submission
from keeling.v1 import log_pb2 as pb
from node.archive import ArchivedSubmission, height_key, read_archive, read_size, read_subtrees
from node.core import tables
from node.indexes import read_old_id
from node.ledger import read_published
from node.reads.errors import NotFound, NotKept
from node.store.contract import Family, Reads


class _Found(NamedTuple):
    """Where a transaction stands: its block, its submission's ordinal in it, its own ordinal in the submission."""

    height: int
    submission: int
    ordinal: int
    archived: ArchivedSubmission


def prove_transaction(view: Reads, participant: str, transaction_id: bytes) -> pb.TransactionProof:
    """Prove a decided transaction against the newest published checkpoint. Raises `NotFound` or `NotKept`."""
    found = _find(view, participant, transaction_id)
    leaf = view.get(Family.BLOCKS, height_key(b"h", found.height))
    newest = read_published(view)
    if found.height > newest:
        detail = f"the checkpoint of height {found.height} is final and not published yet: ask again in a moment"
        raise NotKept(Reason.NOT_KEPT, detail, height=found.height)
    note = view.get(Family.BLOCKS, height_key(b"k", newest))
    header = None if leaf is None else parse_header(leaf)
    entry = None if header is None else view.get(Family.BODIES, header.entry)
    if header is None or entry is None or not note:
        detail = f"the block at {found.height} is not whole here (pruned?): ask an archive node"
        raise NotKept(Reason.NOT_KEPT, detail, height=found.height)
    index, size = header.first_leaf + found.submission, read_size(view, newest)
    path = prove_inclusion(index, size, read_subtrees(view))
    raw = parse_entry(entry, lambda *_: True).entry.submissions[found.submission]
    answer = found.archived.answers[found.ordinal]
    return pb.TransactionProof(
        proof_file=format_proof(LogProof(index, path, note)),
        record_leaf=found.archived.leaf,
        transaction=parse_submission(raw).transactions[found.ordinal].raw,
        reason=answer.reason,
        events=answer.events,
        result_index=found.ordinal,
        result_path=_prove_result(found),
    )


def _find(view: Reads, participant: str, transaction_id: bytes) -> _Found:
    key = tables.IDS.key(transaction_id, participant) if len(transaction_id) == 16 else b""
    raw = view.get(Family.STATE, key) if key else None
    decided = tables.IDS.value.decode(raw) if raw is not None else read_old_id(view, transaction_id, participant)
    if decided is None:
        detail = f"nothing is final under id {transaction_id.hex()} of {participant}"
        raise NotFound(Reason.TRANSACTION_NOT_FOUND, detail, id=transaction_id.hex())
    place = Ref(decided.height, decided.ordinal)
    block = read_archive(view, place.height)
    if block is None:
        raise NotKept(Reason.NOT_KEPT, f"{transaction_id.hex()} was decided at {place.height}, not kept here")
    ordinal = place.ordinal
    for number, submission in enumerate(block.submissions):
        if ordinal < len(submission.answers):
            return _Found(place.height, number, ordinal, submission)
        ordinal -= len(submission.answers)
    raise LookupError(f"the archive has no answer {place.ordinal} where the state says one was given")


def _prove_result(found: _Found) -> tuple[bytes, ...]:
    """The path of the transaction's result in its submission's results tree."""
    hashes = [
        hash_leaf(RESULT.encode(Result(a.digest, a.reason, sha256(b"".join(a.events)).digest())))
        for a in found.archived.answers
    ]
    completed = EMPTY_FRONTIER.extend(hashes).completed
    stored = {Subtree(run.level, run.first + n): value for run in completed for n, value in enumerate(run.hashes)}
    return prove_inclusion(found.ordinal, len(hashes), lambda wanted: [stored[subtree] for subtree in wanted])
