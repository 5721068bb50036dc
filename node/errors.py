"""Refusals and errors as gRPC statuses with `google.rpc.ErrorInfo`: one place that decides which code a reason has.

A refusal by a rule is a result, not an error (see ledger.proto); what comes here was turned away or could not be found.
"""

from __future__ import annotations

from typing import Final, NoReturn

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from keeling.meanings import MEANINGS
from keeling.reasons import Reason
from node.core.refusal import Refusal

DOMAIN: Final = "keeling"
_CODES: Final = {
    Reason.UNKNOWN_KEY: code_pb2.UNAUTHENTICATED,
    Reason.BAD_SIGNATURE: code_pb2.UNAUTHENTICATED,
    Reason.KEY_NOT_ACTIVE: code_pb2.PERMISSION_DENIED,
    Reason.PARTICIPANT_SUSPENDED: code_pb2.PERMISSION_DENIED,
    Reason.NOT_THE_SUBMITTER: code_pb2.PERMISSION_DENIED,
    Reason.TOO_LARGE: code_pb2.RESOURCE_EXHAUSTED,
    Reason.TOO_MANY_TRANSACTIONS: code_pb2.RESOURCE_EXHAUSTED,
}


def code_of(reason: Reason) -> int:
    """The status code of a reason outside results: 1xx are the caller's bytes, 4xx things that do not exist."""
    if reason in _CODES:
        return int(_CODES[reason])
    if 400 <= reason < 500:
        return int(code_pb2.NOT_FOUND)
    return int(code_pb2.INVALID_ARGUMENT if reason < 400 else code_pb2.FAILED_PRECONDITION)


def read_reason(error: grpc.RpcError) -> str:
    """The one readable line of a failed call."""
    if not isinstance(error, grpc.Call):
        return str(error)
    return f"{error.code().name}: {error.details()}"


async def abort(
    context: grpc.aio.ServicerContext[object, object], code: int, reason: str, text: str, **values: object
) -> NoReturn:
    """End a call with a code, a stable reason, one readable line, and the values that explain it."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)
    for name, value in values.items():
        info.metadata[name] = str(value)
    detail = any_pb2.Any()
    detail.Pack(info)
    await context.abort_with_status(rpc_status.to_status(status_pb2.Status(code=code, message=text, details=[detail])))
    raise RuntimeError("abort_with_status returned")


async def abort_refused(context: grpc.aio.ServicerContext[object, object], refusal: Refusal) -> NoReturn:
    """End a call with a refusal of the rules' vocabulary."""
    advice = MEANINGS[refusal.reason].advice
    text = f"{refusal.reason.name}: {refusal.detail or MEANINGS[refusal.reason].text}"
    values = {**dict(refusal.values), "advice": advice, "number": int(refusal.reason)}
    await abort(context, code_of(refusal.reason), refusal.reason.name, text, **values)


async def abort_failed(context: grpc.aio.ServicerContext[object, object]) -> NoReturn:
    """End a read of a node whose store fails: it is about to stop, and others have the same."""
    text = "this node cannot use its store and is about to stop; ask another"
    await abort(context, code_pb2.UNAVAILABLE, "NODE_FAILED", text)
