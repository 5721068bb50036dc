"""The door for what registries push: `POST /inbound/REGISTRY`, Standard Webhooks or RFC 9421, whichever is signed.

A body is read piece by piece and given up at the limit, so that what anybody sends costs no memory. Who said it is
checked before the first byte is understood. Only the routes are here; the service that runs them is not.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from aiohttp import web

from adapters.contract import Adapter, WrongShape
from hub.inbound.intake import Intake, Taken
from hub.inbound.keys import Keys, KeyTextError
from hub.inbound.refusals import STATUS, Refusal, Verified, Why
from hub.inbound.replays import Replays
from hub.inbound.signed_http import SignedRequest, check_signed_request
from hub.inbound.webhook import check_webhook
from hub.ledger_client import LedgerError

BODY_BYTES_MAX: Final = 1 << 20
"""Standard Webhooks asks for under 20 kB; signed HTTP may carry a page of events."""
BODY_S: Final = 60.0
"""A body that is not there after so long is given up: who sends nothing keeps no line and no memory."""
PROBLEMS: Final = "https://keeling.example/problems/"
"""Types of RFC 9457 problems begin so; the names are those of `Why`."""
QUIET_MS: Final = 60_000
"""What is refused for the same reason is logged once in so long, with how often it was: anybody can send anything."""

log = structlog.get_logger()


class Inbound:
    """All registries' notices. For one event loop."""

    def __init__(
        self,
        intake: Intake,
        adapters: Mapping[str, Adapter],
        keys: Keys,
        now_ms: Callable[[], int],
        *,
        wake: Callable[[str], None] = lambda registry: None,
        base_url: str = "",
    ) -> None:
        """`wake` is told after each notice which registry to poll; `base_url`: how senders call us, behind a proxy."""
        self.figures: dict[str, int] = {}
        self._intake, self._adapters, self._keys, self._now_ms = intake, adapters, keys, now_ms
        self._wake, self._base_url = wake, base_url.rstrip("/")
        self._replays = Replays()
        self._logged: dict[tuple[str, Why], tuple[int, int]] = {}
        """When a reason was logged last, and how often it was not since."""

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/inbound/{registry}", self._receive)]

    async def _receive(self, request: web.Request) -> web.Response:
        registry = request.match_info["registry"]
        if registry not in self._adapters:
            unknown = Refusal(Why.UNKNOWN_REGISTRY, f"no registry {registry[:80]!r} is connected")
            return self._answer("", unknown)
        body = await read_body(request, BODY_BYTES_MAX)
        if isinstance(body, Refusal):
            return await _hang_up(request, self._answer(registry, body))
        headers = {name.lower(): value for name, value in request.headers.items()}
        url = f"{self._base_url}{request.raw_path}" if self._base_url else str(request.url)
        found = await self.take(registry, SignedRequest(request.method, url, headers), body)
        if isinstance(found, Refusal):
            return self._answer(registry, found)
        return web.json_response({"taken": [_tell(each) for each in found]})

    async def take(self, registry: str, request: SignedRequest, body: bytes) -> list[Taken] | Refusal:
        """Take one message: verified, read, and what it says put where it belongs."""
        now = self._now_ms()
        try:
            keys = self._keys(registry)
        except KeyTextError as error:
            return Refusal(Why.TRY_AGAIN, str(error))
        if "signature-input" in request.headers:
            said = check_signed_request(keys, request, body, now)
        else:
            said = check_webhook(keys, request.headers, body, now)
        if isinstance(said, Refusal):
            return said
        digest = hashlib.sha256(body).digest()
        repeat = self._replays.check(registry, said, digest)
        if repeat is not None:
            return repeat
        try:
            taken = await take_document(self._intake, self._adapters[registry], registry, said, body)
        except LedgerError as error:
            return Refusal(Why.TRY_AGAIN, str(error)[:300])
        self._replays.remember(registry, said, digest, now)
        self._wake(registry)
        return taken

    def _answer(self, registry: str, refusal: Refusal) -> web.Response:
        self.figures[refusal.why.value] = self.figures.get(refusal.why.value, 0) + 1
        self._log(registry, refusal)
        status = STATUS[refusal.why]
        problem = {
            "type": f"{PROBLEMS}{refusal.why}",
            "title": refusal.why.value,
            "status": status,
            "detail": refusal.detail,
        }
        return web.json_response(problem, status=status, content_type="application/problem+json")

    def _log(self, registry: str, refusal: Refusal) -> None:
        if refusal.why is Why.REPLAYED:
            return  # senders that miss an answer send again
        now, kind = self._now_ms(), (registry, refusal.why)
        at_ms, times = self._logged.get(kind, (now - QUIET_MS, 0))
        if now - at_ms < QUIET_MS:
            self._logged[kind] = at_ms, times + 1
            return
        self._logged[kind] = now, 0
        more = {"not_logged": times} if times else {}
        log.warning("message refused", registry=registry, why=refusal.why.value, detail=refusal.detail, **more)


async def _hang_up(request: web.Request, response: web.Response) -> web.Response:
    """Answer, and read nothing more of what the sender still has to say."""
    response.force_close()
    await response.prepare(request)
    await response.write_eof()
    if request.transport is not None:
        request.transport.close()
    return response


async def take_document(
    intake: Intake, adapter: Adapter, registry: str, said: Verified, document: bytes
) -> list[Taken] | Refusal:
    """Read and take a document whose author is known. Raises `LedgerError`."""
    changes = adapter.read_notice(document)
    if isinstance(changes, WrongShape):
        return Refusal(Why.WRONG_SHAPE, changes.detail[:300])
    grade = "A" if said.of_ledger else adapter.capabilities.grade
    return await intake.take(registry, changes, grade)


async def read_body(request: web.Request, bytes_max: int) -> bytes | Refusal:
    """The body, or a refusal as soon as it is known to be too large or too slow, with no more of it in memory than the
    limit."""
    too_large = Refusal(Why.TOO_LARGE, f"at most {bytes_max} bytes are taken")
    if request.content_length is not None and request.content_length > bytes_max:
        return too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.content.iter_any():
                if len(body) + len(chunk) > bytes_max:
                    return too_large
                body += chunk
    except TimeoutError:
        return Refusal(Why.TOO_SLOW, f"{len(body)} bytes came in {BODY_S:g} s, and not the end")
    return bytes(body)


def _tell(taken: Taken) -> dict[str, str]:
    told = {"id": taken.change, "outcome": taken.outcome.value}
    if taken.refusal is not None:
        told |= {"reason": taken.refusal.why.value, "detail": taken.refusal.detail}
    return told
