"""Errors of the HTTP interface as problem details (RFC 9457), each with a stable type. Nothing else answers errors."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from hub.ledger_client import LedgerError, LedgerRefusal, NotOnLedger, OutcomeUnknown

PROBLEMS: Final = "https://keeling.example/problems/"
TYPE: Final = "application/problem+json"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(Exception):
    """What a handler raises: the status, a stable name, and one readable line."""

    def __init__(self, status: int, name: str, detail: str, **values: str) -> None:
        super().__init__(detail)
        self.status, self.name, self.detail, self.values = status, name, detail, values

    def answer(self) -> web.Response:
        body = {
            "type": f"{PROBLEMS}{self.name}",
            "title": self.name,
            "status": self.status,
            "detail": self.detail,
            **self.values,
        }
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        return web.Response(text=json.dumps(body), status=self.status, content_type=TYPE, headers=headers)


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error becomes a problem; bugs are answered as one and raised to the server's log."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.answer()
    except NotOnLedger as error:
        return Problem(404, "not-found", str(error)).answer()
    except OutcomeUnknown as error:
        detail = f"{error}: send the same again under the same Idempotency-Key"
        return Problem(504, "outcome-unknown", detail, transaction=error.number.hex()).answer()
    except LedgerRefusal as error:
        return Problem(422, "refused", str(error), reason=error.reason).answer()
    except LedgerError as error:
        return Problem(503, "ledger-unreachable", str(error)).answer()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        name = {404: "no-such-path", 405: "method-not-allowed", 413: "too-large"}.get(error.status, "bad-request")
        return Problem(error.status, name, error.reason).answer()
