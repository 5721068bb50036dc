"""What a hub says no with: problem details over HTTP (RFC 9457), google.rpc.ErrorInfo over gRPC, one stable name each.

Every name is in `NAMES` with its gRPC code, and in docs/hub.md. Nothing else answers errors. A mistake of ours is told
in the log; a caller hears that there was one, and not what it said.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import structlog
from aiohttp import web
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from hub.ledger_client import LedgerError, LedgerRefusal, NotOnLedger, OutcomeUnknown

log = structlog.get_logger()
PROBLEMS: Final = "https://keeling.example/problems/"
TYPE: Final = "application/problem+json"
DOMAIN: Final = "keeling.hub"
LEDGER_DOMAIN: Final = "keeling"
"""Of reasons that are the ledger's (docs/reasons.md)."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NAMES: Final[Mapping[str, int]] = {
    "no-token": code_pb2.UNAUTHENTICATED,
    "unknown-token": code_pb2.UNAUTHENTICATED,
    "no-certificate": code_pb2.UNAUTHENTICATED,
    "unknown-caller": code_pb2.PERMISSION_DENIED,
    "not-permitted": code_pb2.PERMISSION_DENIED,
    "no-idempotency-key": code_pb2.INVALID_ARGUMENT,
    "bad-body": code_pb2.INVALID_ARGUMENT,
    "bad-id": code_pb2.INVALID_ARGUMENT,
    "bad-cursor": code_pb2.INVALID_ARGUMENT,
    "bad-page-size": code_pb2.INVALID_ARGUMENT,
    "bad-page-token": code_pb2.INVALID_ARGUMENT,
    "bad-request": code_pb2.INVALID_ARGUMENT,
    "too-large": code_pb2.RESOURCE_EXHAUSTED,
    "too-slow": code_pb2.DEADLINE_EXCEEDED,
    "key-used": code_pb2.ALREADY_EXISTS,
    "refused": code_pb2.FAILED_PRECONDITION,
    "cannot-decide": code_pb2.FAILED_PRECONDITION,
    "cannot-withdraw": code_pb2.FAILED_PRECONDITION,
    "too-late": code_pb2.FAILED_PRECONDITION,
    "cannot-order": code_pb2.FAILED_PRECONDITION,
    "no-balance": code_pb2.NOT_FOUND,
    "registry-unreachable": code_pb2.UNAVAILABLE,
    "not-found": code_pb2.NOT_FOUND,
    "unknown-registry": code_pb2.NOT_FOUND,
    "no-run": code_pb2.NOT_FOUND,
    "no-proposal": code_pb2.NOT_FOUND,
    "not-certified": code_pb2.NOT_FOUND,
    "no-such-path": code_pb2.NOT_FOUND,
    "method-not-allowed": code_pb2.UNIMPLEMENTED,
    "outcome-unknown": code_pb2.DEADLINE_EXCEEDED,
    "ledger-unreachable": code_pb2.UNAVAILABLE,
    "stopping": code_pb2.UNAVAILABLE,
    "internal-error": code_pb2.INTERNAL,
}
"""Every name, and the gRPC code it has."""


class Problem(Exception):
    """What a handler raises: the HTTP status, a stable name, one readable line, and the values that explain it.

    A value called `reason` is the ledger's own.
    """

    def __init__(self, status: int, name: str, detail: str, **values: str) -> None:
        super().__init__(detail)
        if name not in NAMES:
            raise KeyError(name)
        self.status, self.name, self.detail, self.values = status, name, detail, values

    def answer(self) -> web.Response:
        """Over HTTP."""
        body = {
            "type": f"{PROBLEMS}{self.name}",
            "title": self.name,
            "status": self.status,
            "detail": self.detail,
            **self.values,
        }
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        return web.Response(text=json.dumps(body), status=self.status, content_type=TYPE, headers=headers)

    async def abort(self, context: Any) -> NoReturn:
        """End a gRPC call with it."""
        ledgers = self.values.get("reason", "")
        info = error_details_pb2.ErrorInfo(
            reason=ledgers or self.name.upper().replace("-", "_"), domain=LEDGER_DOMAIN if ledgers else DOMAIN
        )
        info.metadata.update({name: value for name, value in self.values.items() if name != "reason"})
        detail = any_pb2.Any()
        detail.Pack(info)
        text = f"{info.reason}: {self.detail}"
        status = status_pb2.Status(code=NAMES[self.name], message=text, details=[detail])
        await context.abort_with_status(rpc_status.to_status(status))
        raise RuntimeError("abort_with_status returned")


def explain_error(error: Exception) -> Problem:
    """What a caller is told of an error; what is nobody else's is told in the log."""
    match error:
        case Problem():
            return error
        case NotOnLedger():
            return Problem(404, "not-found", str(error))
        case OutcomeUnknown():
            detail = f"{error}: send the same again under the same id"
            return Problem(504, "outcome-unknown", detail, transaction=error.number.hex())
        case LedgerRefusal():
            return Problem(422, "refused", str(error), reason=error.reason)
        case LedgerError():
            return Problem(503, "ledger-unreachable", str(error))
        case web.RequestPayloadError():
            return Problem(400, "bad-body", "the body is not in the encoding that its headers name")
        case ConnectionResetError():  # who asked has gone and hears nothing of it
            return Problem(400, "bad-body", "the line was closed before the body was there")
    *_, last = traceback.extract_tb(error.__traceback__)
    log.error("a call failed", error=repr(error)[:500], at=f"{Path(last.filename).name}:{last.lineno}")
    return Problem(500, "internal-error", "a mistake of this hub, not of yours; what it was is in its log")


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error becomes a problem."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        name = {404: "no-such-path", 405: "method-not-allowed", 413: "too-large"}.get(error.status, "bad-request")
        answer = Problem(error.status, name, error.reason).answer()
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except Exception as error:  # noqa: BLE001 - told in the log, and to the caller that there was one
        return explain_error(error).answer()
