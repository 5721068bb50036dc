"""The hub over HTTP and JSON: what is under way, holds, reconciliation, news of the ledger. `openapi` lists it all.

Nothing is decided or kept here. Every write is a transaction whose id is the caller's Idempotency-Key.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiohttp import web

from hub.inbound.server import Inbound, read_body
from hub.ledger_client import LedgerError
from hub.service.bodies import read_hold, read_key, tell_hold, tell_message, tell_pending
from hub.service.callers import check_caller
from hub.service.config import Role
from hub.service.openapi import ROUTES, build_document
from hub.service.parts import Parts
from hub.service.problems import Problem, answer_problems

log = structlog.get_logger()
BODY_BYTES_MAX: Final = 64 * 1024
BEAT_S: Final = 15.0
"""A stream of news says that it is alive this often."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Interface:
    """The routes. For one event loop."""

    def __init__(self, parts: Parts, inbound: Inbound) -> None:
        self._parts = parts
        self._inbound = inbound
        self.ending = asyncio.Event()
        """Set when the server stops: streams end."""

    def build_app(self) -> web.Application:
        """Every route of `openapi.ROUTES`, and the door for registries."""
        # The door reads bodies piece by piece itself; everybody else's are small.
        app = web.Application(middlewares=[answer_problems], client_max_size=BODY_BYTES_MAX)
        for route in ROUTES:
            answer: Answer = getattr(self, f"_{route.name}")
            app.router.add_route(route.method, route.path, self._guard(route.role, route.name, answer))
        app.add_routes(self._inbound.routes())
        return app

    def _guard(self, role: Role | None, name: str, answer: Answer) -> Answer:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if role is None:
                return await answer(request)
            caller = check_caller(request, self._parts.config.callers, role)
            try:
                response = await answer(request)
            except Problem as problem:
                log.info("call", caller=caller.name, call=name, status=problem.status, problem=problem.name)
                raise
            log.info("call", caller=caller.name, call=name, status=response.status)
            return response

        return guarded

    async def _health(self, _request: web.Request) -> web.Response:
        """Serving means that the ledger answers and the dispatcher goes round."""
        try:
            status = await asyncio.wait_for(self._parts.ledger.status(), 2.0)
        except (LedgerError, TimeoutError) as error:
            raise Problem(503, "ledger-unreachable", str(error) or "the ledger does not answer") from error
        told = {"status": "serving", "height": str(status.height), "ledger": status.health}
        return web.json_response({**told, "rounds": self._parts.dispatcher.figures.rounds})

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._parts.figures.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _openapi(self, _request: web.Request) -> web.Response:
        return web.json_response(build_document())

    async def _registries(self, _request: web.Request) -> web.Response:
        found = [
            {"registry": name, "system": system.name, "driver": adapter.driver.value, "marks": system.marks}
            for name, (system, adapter) in self._parts.systems.items()
        ]
        return web.json_response({"registries": found})

    async def _backlog(self, _request: web.Request) -> web.Response:
        return web.json_response({"backlog": tell_pending(self._parts.dispatcher.backlog())})

    async def _links(self, _request: web.Request) -> web.Response:
        accounts = [each for each in await self._parts.ledger.accounts() if each.HasField("link")]
        ours = [tell_message(each) for each in accounts if each.link.hub == self._parts.config.participant]
        return web.json_response({"links": ours})

    async def _hold(self, request: web.Request) -> web.Response:
        return web.json_response(tell_hold(await self._parts.ledger.hold(_read_number(request.match_info["hold"]))))

    async def _place_hold(self, request: web.Request) -> web.Response:
        number = read_key(request.headers.get("Idempotency-Key", ""))
        raw = await read_body(request, BODY_BYTES_MAX)
        if not isinstance(raw, bytes):
            raise Problem(413, "too-large", raw.detail)
        receipt = await self._parts.ledger.submit(read_hold(raw, number), number=number)
        if receipt.reason == "ID_USED_WITH_OTHER_CONTENT":
            raise Problem(422, "key-used", "this Idempotency-Key came with another request", reason=receipt.reason)
        if not receipt.accepted:
            raise Problem(409, "refused", receipt.detail, reason=receipt.reason, **receipt.values)
        self._parts.dispatcher.wake()
        told = tell_hold(await self._parts.ledger.hold(number))
        headers = {"Location": f"/v1/holds/{number.hex()}"}
        return web.json_response(told, status=200 if receipt.duplicate else 201, headers=headers)

    async def _reconcile(self, request: web.Request) -> web.Response:
        registry = request.match_info["registry"]
        if registry not in self._parts.systems:
            raise Problem(404, "unknown-registry", f"no registry {registry[:80]!r} is connected")
        return web.json_response(await self._parts.reconcile(registry))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events, each with its cursor as id: `Last-Event-ID`, or `after`, goes on from there."""
        after = _read_cursor(request.headers.get("Last-Event-ID") or request.query.get("after", ""))
        if after is None:
            after = (await self._parts.ledger.status()).height, 0
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        pages = aiter(self._parts.ledger.watch(after))
        ending = asyncio.ensure_future(self.ending.wait())
        page: asyncio.Future[Any] = asyncio.ensure_future(anext(pages))
        try:
            while not self.ending.is_set():
                await asyncio.wait({page, ending}, timeout=BEAT_S, return_when=asyncio.FIRST_COMPLETED)
                if not page.done():
                    await response.write(b": alive\n\n")
                    continue
                for event in page.result().events:
                    place = f"{event.place.height}.{event.place.ordinal}"
                    data = json.dumps(tell_message(event))
                    await response.write(f"id: {place}\nevent: {event.kind}\ndata: {data}\n\n".encode())
                page = asyncio.ensure_future(anext(pages))
        except (LedgerError, ConnectionError, StopAsyncIteration) as error:
            log.info("a stream of news ended", why=str(error))
        finally:
            page.cancel()
            ending.cancel()
            await asyncio.gather(page, ending, return_exceptions=True)
        return response


def _read_number(text: str) -> bytes:
    try:
        found = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        found = b""
    if len(found) != 16:
        raise Problem(400, "bad-id", "the id of a hold has 32 hex digits")
    return found


def _read_cursor(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    height, dot, ordinal = text.partition(".")
    if not (dot and height.isascii() and height.isdecimal() and ordinal.isascii() and ordinal.isdecimal()):
        raise Problem(400, "bad-cursor", "a cursor is HEIGHT.ORDINAL, as in the id of every event")
    return int(height), int(ordinal)
