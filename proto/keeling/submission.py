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
_PLAIN_HEADS: Final = bytes.fromhex("0a 1240 08011220 1a20")
"""Tags, and the lengths that are fixed, of a signed submission: itself, its signature, format 1, network, key."""
_new: Final[Callable[[type[Approved], tuple[bytes, bytes, tuple[()]]], Approved]] = tuple.__new__
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
    return _read_plain(data) or _parse_any(data)


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    """A varint in its shortest form and the offset after it; raises `IndexError` where there is none."""
    value = data[at]
    if value < 0x80:
        return value, at + 1
    value &= 0x7F
    byte = data[at + 1]
    if 0 < byte < 0x80:  # most are two bytes long
        return value | byte << 7, at + 2
    for place in range(1, 4):
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if not byte:
                break
            return value, at + place + 1
    raise IndexError(at)


def _read_plain(data: bytes) -> Submission | None:
    """A submission in the form that nearly all have, canonical and without approvals, read without protobuf.

    None where a single byte is otherwise: then `_parse_any` decides. What is read here it reads the same.
    """
    try:
        size, at = _read_length(data, 1)
        inner, signature = data[at : at + size], data[at + size + 2 :]
        heads = data[:1] + data[at + size : at + size + 2] + inner[:4] + inner[36:38]
        if heads != _PLAIN_HEADS or len(signature) != 64:
            return None
        raws: list[bytes] = []
        at, end = 70, len(inner)
        while at < end:
            size, first = _read_length(inner, at + 1)
            length, start = _read_length(inner, first + 1)
            stop = first + size
            if inner[at] != 0x22 or inner[first] != 0x0A or start + length != stop or stop > end or not length:
                return None
            raws.append(inner[start:stop])
            at = stop
    except IndexError:
        return None
    if not 0 < len(raws) <= MAX_TRANSACTIONS:
        return None
    digest = hashlib.sha256
    transactions = tuple([_new(Approved, (raw, digest(raw).digest(), ())) for raw in raws])
    signed = submission_message(inner)
    return Submission(data, digest(data).digest(), inner[4:36], inner[38:70], signed, signature, transactions)


def _parse_any(data: bytes) -> Submission:
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
