"""The words and codes of refused reads."""

from __future__ import annotations

from google.rpc import code_pb2

from keeling.reasons import Reason
from node.reads.errors import BadRequest, BeyondFinal, NotFound, NotKept


def test_each_kind_has_its_code_and_says_its_reason_first() -> None:
    codes = [
        (NotFound, code_pb2.NOT_FOUND),
        (BadRequest, code_pb2.INVALID_ARGUMENT),
        (BeyondFinal, code_pb2.OUT_OF_RANGE),
        (NotKept, code_pb2.FAILED_PRECONDITION),
    ]
    for kind, code in codes:
        refused = kind(Reason.BAD_FIELD, "no such thing", field="x", at=3)
        assert (refused.code, str(refused)) == (code, "BAD_FIELD: no such thing")
        assert refused.values == {"field": "x", "at": "3"}
