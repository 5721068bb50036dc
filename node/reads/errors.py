"""Why a read has no answer: one small tree of exceptions, each with a status code, a stable reason and readable text.

    ReadRefused
    ├── NotFound       what is named does not exist here
    ├── BadRequest     the request cannot be answered as it is, whatever the ledger holds
    ├── BeyondFinal    it asks for something after the newest final block
    └── NotKept        it asks for something this node has dropped

Refusals by the rules are results; where a read meets the same case it uses the same word of `keeling.reasons`. Those
from 900 on exist for reading only and never appear on the ledger.
"""

from __future__ import annotations

from typing import Final

from google.rpc import code_pb2

from keeling.reasons import Reason


class ReadRefused(Exception):
    """A read without an answer. `values` explain it to programs, the message to people."""

    code: int = code_pb2.UNKNOWN
    """The status code of gRPC."""

    def __init__(self, reason: Reason, detail: str, **values: object) -> None:
        super().__init__(f"{reason.name}: {detail}")
        self.reason: Final = reason
        self.detail: Final = detail
        self.values: Final = {name: str(value) for name, value in values.items()}


class NotFound(ReadRefused):
    """What is named does not exist at this height."""

    code = code_pb2.NOT_FOUND


class BadRequest(ReadRefused):
    """The request has to be changed."""

    code = code_pb2.INVALID_ARGUMENT


class BeyondFinal(ReadRefused):
    """Not final here yet."""

    code = code_pb2.OUT_OF_RANGE


class NotKept(ReadRefused):
    """Final once, but this node does not keep what the answer is made from."""

    code = code_pb2.FAILED_PRECONDITION
