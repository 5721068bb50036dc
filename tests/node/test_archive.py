"""The archive's row: the quick form for accepted answers is the one form that the format has."""

import pytest

from keeling.encoding import EncodingError
from node.archive import ARCHIVED_BLOCK, ArchivedAnswer, ArchivedBlock, ArchivedSubmission

ID, DIGEST = bytes(range(16)), bytes(range(32))
HEAD = (7).to_bytes(8, "big") + (1).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"L" + (1).to_bytes(4, "big") + b"p"
TAIL = (0).to_bytes(4, "big")


def row(answer: ArchivedAnswer) -> ArchivedBlock:
    return ArchivedBlock(7, (ArchivedSubmission(b"L", "p", (answer,)),), ())


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("answer", "encoded"),
    [
        (
            ArchivedAnswer(ID, DIGEST, 0, "", (), (b"one", b"two")),
            u32(16) + ID + DIGEST + b"\0\0" + u32(0) + u32(0) + u32(2) + u32(3) + b"one" + u32(3) + b"two",
        ),
        (
            ArchivedAnswer(ID, DIGEST, 513, "why", (("a", "b"),), ()),
            u32(16) + ID + DIGEST + b"\2\1" + u32(3) + b"why" + u32(1) + u32(1) + b"a" + u32(1) + b"b" + u32(0),
        ),
        (
            ArchivedAnswer(b"", DIGEST, 0, "", (), ()),
            u32(0) + DIGEST + b"\0\0" + u32(0) + u32(0) + u32(0),
        ),
    ],
    ids=["accepted", "refused", "without an id"],
)
def test_an_answer_has_one_form(answer: ArchivedAnswer, encoded: bytes) -> None:
    raw = ARCHIVED_BLOCK.encode(row(answer))
    assert raw == HEAD + u32(1) + encoded + TAIL
    assert ARCHIVED_BLOCK.decode(raw) == row(answer)


def test_a_digest_of_another_size_is_refused() -> None:
    with pytest.raises(EncodingError):
        ARCHIVED_BLOCK.encode(row(ArchivedAnswer(ID, DIGEST[1:], 0, "", (), ())))
