"""Submissions and transactions as bytes: one canonical form, all else refused by the first reason that applies."""

import hashlib
from collections.abc import Callable

import pytest
from google.protobuf.message import Message
from hypothesis import example, given
from hypothesis import strategies as st

from keeling import ed25519, submission
from keeling.operations import NUMBERS, Range, Selection, Transfer, UnitLeg
from keeling.reasons import Reason
from keeling.submission import (
    MAX_APPROVALS,
    MAX_SUBMISSION_BYTES,
    MAX_TRANSACTIONS,
    Submission,
    SubmissionError,
    approval_message,
    compute_transaction_digest,
    format_submission,
    format_transaction,
    parse_submission,
    parse_transaction,
    submission_message,
)
from keeling.v1 import operations_pb2 as op
from keeling.v1 import transaction_pb2 as pb

SEED = bytes(32)
NETWORK = b"\x11" * 32
KEY = ed25519.public_key(SEED)


def transaction(**fields: object) -> pb.Transaction:
    made = pb.Transaction(id=b"i" * 16, participant="alice", **fields)  # type: ignore[arg-type]
    chosen = op.Selection(ranges=[op.Range(batch="b", first=1, units=2)])
    made.operations.add().transfer.units.add(from_account="A", to_account="B", selection=chosen)
    return made


RAW = format_transaction(transaction())


def signed(*raws: bytes, approvals: int = 0) -> bytes:
    items = [(raw, [(KEY, bytes(64))] * approvals) for raw in raws]
    return format_submission(NETWORK, KEY, items, lambda message: ed25519.sign(SEED, message))


def reason_of(data: bytes) -> Reason:
    with pytest.raises(SubmissionError) as caught:
        parse_submission(data)
    assert str(caught.value)
    return caught.value.reason


def test_a_submission_reads_back_with_what_is_signed() -> None:
    data = signed(RAW, RAW, approvals=1)
    found = parse_submission(data)
    assert (found.network, found.key, found.digest) == (NETWORK, KEY, hashlib.sha256(data).digest())
    assert [item.raw for item in found.transactions] == [RAW, RAW]
    assert found.transactions[0].digest == compute_transaction_digest(RAW) == hashlib.sha256(RAW).digest()
    assert found.transactions[0].approvals == ((KEY, bytes(64)),)
    assert ed25519.check_signature(KEY, found.signature, found.signed)
    outer = pb.SignedSubmission.FromString(data)
    assert found.signed == submission_message(outer.submission)
    assert found.signed == b"keeling/submission/v1\n" + hashlib.sha256(outer.submission).digest()
    digest = compute_transaction_digest(RAW)
    assert approval_message(NETWORK, digest) == b"keeling/approval/v1\n" + NETWORK + digest


def test_a_transaction_becomes_plain_values() -> None:
    found = parse_transaction(RAW)
    assert (found.id, found.participant, found.not_after_ms) == (b"i" * 16, "alice", 0)
    assert found.operations == (Transfer((UnitLeg("A", "B", Selection((Range("b", 1, 2),))),)),)


def outer_of(message: pb.Submission, signature: bytes = bytes(64)) -> bytes:
    body = message.SerializeToString(deterministic=True)
    return pb.SignedSubmission(submission=body, signature=signature).SerializeToString(deterministic=True)


def inner(**fields: object) -> pb.Submission:
    body = {"format": 1, "network": NETWORK, "key": KEY, "transactions": [pb.SignedTransaction(transaction=RAW)]}
    return pb.Submission(**{**body, **fields})  # type: ignore[arg-type]


MANY = [pb.SignedTransaction(transaction=b"t")] * (MAX_TRANSACTIONS + 1)
CROWD = pb.SignedTransaction(transaction=RAW, approvals=[pb.Approval(key=KEY)] * (MAX_APPROVALS + 1))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes(MAX_SUBMISSION_BYTES + 1), Reason.TOO_LARGE),
        (b"\xff\xff", Reason.MALFORMED),
        (pb.SignedSubmission(submission=b"\xff").SerializeToString(), Reason.MALFORMED),
        (outer_of(inner(format=2)), Reason.UNSUPPORTED_FORMAT),
        (outer_of(inner(format=0)), Reason.UNSUPPORTED_FORMAT),
        (outer_of(inner(transactions=[])), Reason.MALFORMED),
        (outer_of(inner(transactions=MANY)), Reason.TOO_MANY_TRANSACTIONS),
        (outer_of(inner(key=b"short")), Reason.MALFORMED),
        (outer_of(inner(network=b"short")), Reason.MALFORMED),
        (outer_of(inner(), b"short"), Reason.MALFORMED),
        (outer_of(inner(transactions=[CROWD])), Reason.TOO_MANY_APPROVALS),
    ],
)
def test_refusals_in_the_order_of_the_checks(data: bytes, reason: Reason) -> None:
    assert reason_of(data) == reason


def test_limits_are_inclusive() -> None:
    assert len(parse_submission(signed(*[RAW] * MAX_TRANSACTIONS)).transactions) == MAX_TRANSACTIONS
    assert len(parse_submission(signed(RAW, approvals=MAX_APPROVALS)).transactions[0].approvals) == MAX_APPROVALS


# A protobuf parser reads each of these as the same message; only one of the spellings is the transaction.

UNKNOWN_FIELD = RAW + b"\xf8\x7f\x01"
DISORDERED = RAW[18:] + RAW[:18]
TWICE = RAW[:18] + RAW
EXPLICIT_DEFAULT = RAW[:18] + RAW[18:25] + b"\x18\x00" + RAW[25:]
LONG_VARINT = RAW.replace(b"\x0a\x10", b"\x0a\x90\x00", 1)
PACKED_OTHERWISE = format_transaction(transaction(not_after_ms=5)).replace(b"\x18\x05", b"\x18\x85\x00", 1)


@pytest.mark.parametrize(
    "data", [UNKNOWN_FIELD, DISORDERED, TWICE, EXPLICIT_DEFAULT, LONG_VARINT, PACKED_OTHERWISE, b"\x0a", RAW[:-1]]
)
def test_other_spellings_of_a_transaction_are_refused(data: bytes) -> None:
    with pytest.raises(SubmissionError) as caught:
        parse_transaction(data)
    assert caught.value.reason == Reason.MALFORMED


def test_the_spellings_differ_in_form_only() -> None:
    """Otherwise the test above would pass for the wrong reason."""
    for data in (DISORDERED, TWICE, EXPLICIT_DEFAULT, LONG_VARINT):
        assert pb.Transaction.FromString(data) == transaction()


def test_unknown_fields_deep_inside_are_refused() -> None:
    leg = op.UnitLeg(from_account="A", to_account="B").SerializeToString() + b"\xf8\x7f\x01"
    body = b"\x0a" + bytes([len(leg)]) + leg
    operation = b"\xc2\x02" + bytes([len(body)]) + body
    raw = b"\x0a\x10" + b"i" * 16 + b"\x12\x05alice\x22" + bytes([len(operation)]) + operation
    assert pb.Transaction.FromString(raw).operations[0].transfer.units[0].to_account == "B"
    with pytest.raises(SubmissionError, match="canonical"):
        parse_transaction(raw)


def test_unknown_fields_around_the_submission_are_refused() -> None:
    data = signed(RAW)
    assert reason_of(data + b"\xf8\x7f\x01") == Reason.MALFORMED
    body = pb.SignedSubmission.FromString(data).submission + b"\xf8\x7f\x01"
    assert reason_of(pb.SignedSubmission(submission=body, signature=bytes(64)).SerializeToString()) == Reason.MALFORMED


@pytest.mark.parametrize("kind", NUMBERS)
def test_every_operation_decodes_to_its_plain_twin(kind: type) -> None:
    message: Message = getattr(op, kind.__name__)()
    number = NUMBERS[kind]
    field = op.Operation.DESCRIPTOR.fields_by_number[number]
    made = pb.Transaction(id=b"i" * 16, participant="a")
    getattr(made.operations.add(), field.name).SetInParent()
    [found] = parse_transaction(format_transaction(made)).operations
    assert type(found) is kind
    assert field.message_type is message.DESCRIPTOR
    named = {one.name for one in message.DESCRIPTOR.fields if one.containing_oneof is None}
    bodies = {"body"} if any(one.containing_oneof for one in message.DESCRIPTOR.fields) else set()
    assert set(getattr(kind, "_fields", ())) == named | bodies


HOW = ("set", "insert", "cut")


def _outcome(parse: Callable[[bytes], Submission], data: bytes) -> Submission | tuple[Reason, str] | None:
    try:
        return parse(data)
    except SubmissionError as error:
        return error.reason, str(error)


@given(
    st.lists(st.binary(min_size=0, max_size=300), max_size=4),
    st.integers(0, 1),
    st.lists(
        st.tuples(st.integers(0, 1500), st.integers(0, 255), st.sampled_from(["set", "insert", "cut"])), max_size=2
    ),
)
@example([RAW], 0, [])
@example([RAW], 0, [(1, 0x80, "insert")])
@example([bytes(200)], 0, [(2, 0x80, "set"), (2, 0, "insert")])
def test_reading_without_protobuf_gives_what_protobuf_gives(
    raws: list[bytes], approvals: int, changes: list[tuple[int, int, str]]
) -> None:
    data = bytearray(signed(*raws, approvals=approvals))
    for place, byte, how in changes:
        at = place % len(data)
        data[at : at + (how != "insert")] = b"" if how == "cut" else bytes([byte])
    plain = submission._read_plain(bytes(data))
    assert plain is None or plain == _outcome(submission._parse_any, bytes(data))
    assert _outcome(parse_submission, bytes(data)) == _outcome(submission._parse_any, bytes(data))


def test_what_most_send_needs_no_protobuf() -> None:
    assert submission._read_plain(signed(RAW)) is not None
    assert submission._read_plain(signed(*[RAW] * MAX_TRANSACTIONS)) is not None
    assert submission._read_plain(signed(RAW, approvals=1)) is None
