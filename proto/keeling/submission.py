"""Submissions and transactions as bytes: digests, what is signed, and the one canonical form that is accepted.

A client's bytes are hashed and executed as they came; they are accepted only when parsing and writing them again gives
the same bytes, so that no two nodes can read them differently (docs/formats.md). Whether they may do what they ask is
decided in `node.core`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError, Message

from keeling.decoding import decode_transaction
from keeling.operations import Transaction
from keeling.reasons import Reason
from keeling.v1 import transaction_pb2 as pb

FORMAT: Final = 1
MAX_TRANSACTIONS: Final = 500
MAX_APPROVALS: Final = 16
MAX_SUBMISSION_BYTES: Final = 1_000_000
_SUBMISSION_DOMAIN: Final = b"keeling/submission/v1\n"
_APPROVAL_DOMAIN: Final = b"keeling/approval/v1\n"


class SubmissionError(ValueError):
    """The bytes are no submission this version accepts. `reason` is the stable number, `text` says what is wrong."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Approved(NamedTuple):
    """A transaction's exact bytes, their digest, and the (key, signature) approvals that came with it."""

    raw: bytes
    digest: bytes
    approvals: tuple[tuple[bytes, bytes], ...]


class Submission(NamedTuple):
    """A parsed submission. Signatures are not checked yet; `signed` is what the submitter's one is over."""

    raw: bytes
    digest: bytes
    network: bytes
    key: bytes
    signed: bytes
    signature: bytes
    transactions: tuple[Approved, ...]


def _parse(message: Message, data: bytes, what: str) -> None:
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise SubmissionError(Reason.MALFORMED, f"the {what} is not a protobuf message: {error}") from error
    message.DiscardUnknownFields()
    if message.SerializeToString(deterministic=True) != data:
        raise SubmissionError(Reason.MALFORMED, f"the {what} is not in canonical form (unknown or disordered fields)")


def parse_transaction(data: bytes) -> Transaction:
    """The plain value of a transaction's canonical bytes; raises `SubmissionError` (MALFORMED)."""
    message = pb.Transaction()
    _parse(message, data, "transaction")
    return decode_transaction(message)


def parse_submission(data: bytes) -> Submission:
    """Parse a signed submission; raises `SubmissionError` with the first reason in the documented order."""
    if len(data) > MAX_SUBMISSION_BYTES:
        text = f"the submission has {len(data)} bytes; {MAX_SUBMISSION_BYTES} are allowed"
        raise SubmissionError(Reason.TOO_LARGE, text)
    outer, inner = pb.SignedSubmission(), pb.Submission()
    _parse(outer, data, "signed submission")
    _parse(inner, outer.submission, "submission")
    if inner.format != FORMAT:
        raise SubmissionError(Reason.UNSUPPORTED_FORMAT, f"format {inner.format}; this version reads {FORMAT}")
    if not inner.transactions:
        raise SubmissionError(Reason.MALFORMED, "the submission has no transactions")
    if len(inner.transactions) > MAX_TRANSACTIONS:
        text = f"{len(inner.transactions)} transactions; {MAX_TRANSACTIONS} are allowed"
        raise SubmissionError(Reason.TOO_MANY_TRANSACTIONS, text)
    if len(inner.key) != 32 or len(inner.network) != 32 or len(outer.signature) != 64:
        raise SubmissionError(Reason.MALFORMED, "network and key have 32 bytes, the signature 64")
    transactions = tuple([_approved(item) for item in inner.transactions])
    digest, signed = hashlib.sha256(data).digest(), submission_message(outer.submission)
    return Submission(data, digest, inner.network, inner.key, signed, outer.signature, transactions)


def _approved(item: pb.SignedTransaction) -> Approved:
    raw = item.transaction
    approvals = tuple([(a.key, a.signature) for a in item.approvals]) if item.approvals else ()
    if len(approvals) > MAX_APPROVALS:
        raise SubmissionError(Reason.TOO_MANY_APPROVALS, f"{len(approvals)} approvals; {MAX_APPROVALS} are allowed")
    return Approved(raw, hashlib.sha256(raw).digest(), approvals)


def compute_transaction_digest(raw: bytes) -> bytes:
    """SHA-256 over the exact bytes of a transaction."""
    return hashlib.sha256(raw).digest()


def approval_message(network: bytes, digest: bytes) -> bytes:
    """What an approver signs for the transaction with this digest."""
    return _APPROVAL_DOMAIN + network + digest


def submission_message(submission: bytes) -> bytes:
    """What the submitter signs: the inner message's exact bytes by digest."""
    return _SUBMISSION_DOMAIN + hashlib.sha256(submission).digest()


def format_transaction(message: pb.Transaction) -> bytes:
    """The canonical bytes of a transaction: what is signed, hashed and sent."""
    return message.SerializeToString(deterministic=True)


def format_submission(
    network: bytes,
    key: bytes,
    transactions: Sequence[tuple[bytes, Sequence[tuple[bytes, bytes]]]],
    sign: Callable[[bytes], bytes],
) -> bytes:
    """A signed submission of `transactions` (canonical bytes and approvals each), signed with `sign`."""
    inner = pb.Submission(format=FORMAT, network=network, key=key)
    for raw, approvals in transactions:
        item = inner.transactions.add(transaction=raw)
        for approver, signature in approvals:
            item.approvals.add(key=approver, signature=signature)
    body = inner.SerializeToString(deterministic=True)
    outer = pb.SignedSubmission(submission=body, signature=sign(submission_message(body)))
    return outer.SerializeToString(deterministic=True)
