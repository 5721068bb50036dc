"""The hub over HTTP and JSON: what is under way, holds, reconciliation, news of the ledger. `routes` lists it all.

Nothing is decided or kept here: `calls` does what is asked. Every write is a transaction whose id is the caller's
Idempotency-Key.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog
from aiohttp import web

from hub.adjustments.feed import parse_cursor
from hub.inbound.refusals import STATUS
from hub.inbound.server import Inbound, read_body
from hub.inbound.waiting import tell_waiting
from hub.ledger_client import LedgerError
from hub.reconcile.report import name_run, tell_line
from hub.service.bodies import (
    read_block,
    read_decision,
    read_hold,
    read_key,
    read_withdrawal,
    tell_block,
    tell_certificate,
    tell_compared,
    tell_hold,
    tell_message,
    tell_pending,
    tell_proposal,
    tell_whole_run,
)
from hub.service.callers import CALLER, check_caller
from hub.service.calls import Calls, Decision
from hub.service.config import Role
from hub.service.openapi import build_document
from hub.service.paging import Asked
from hub.service.parts import Parts
from hub.service.problems import Problem, answer_problems
from hub.service.routes import ROUTES
from keeling.certificate import format_certificate
from keeling.certificate_page import format_page

log = structlog.get_logger()
BODY_BYTES_MAX: Final = 64 * 1024
BEAT_S: Final = 15.0
"""A stream of news says that it is alive this often."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Interface:
    """The routes. For one event loop."""

    def __init__(self, parts: Parts, calls: Calls, inbound: Inbound, more: Sequence[web.RouteDef] = ()) -> None:
        """`more`: routes of others, which check themselves who calls."""
        self._parts = parts
        self._calls = calls
        self._more = more
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
        app.add_routes([*self._inbound.routes(), *self._more])
        return app

    def _guard(self, role: Role | None, name: str, answer: Answer) -> Answer:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if role is None:
                return await answer(request)
            caller = check_caller(request, self._parts.config.callers, role)
            request[CALLER] = caller.name
            try:
                response = await answer(request)
            except Problem as problem:
                log.info("call", caller=caller.name, call=name, status=problem.status, problem=problem.name)
                raise
            log.info("call", caller=caller.name, call=name, status=response.status)
            return response

        return guarded

    async def _health(self, _request: web.Request) -> web.Response:
        found = await self._calls.health()
        told = {"status": "serving", "height": str(found.height), "ledger": found.ledger}
        return web.json_response({**told, "rounds": found.rounds})

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._parts.figures.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _openapi(self, _request: web.Request) -> web.Response:
        return web.json_response(build_document())

    async def _registries(self, request: web.Request) -> web.Response:
        found, token = self._calls.registries(_read_page(request))
        return web.json_response({"registries": [each._asdict() for each in found], "next_page_token": token})

    async def _backlog(self, request: web.Request) -> web.Response:
        found, token = self._calls.backlog(_read_page(request))
        news = [each._asdict() for each in self._calls.news()]
        return web.json_response({"backlog": tell_pending(found), "news": news, "next_page_token": token})

    async def _blocks(self, request: web.Request) -> web.Response:
        found, token = self._calls.blocks(_read_page(request))
        return web.json_response({"blocks": [tell_block(each) for each in found], "next_page_token": token})

    async def _order_block(self, request: web.Request) -> web.Response:
        number = read_key(request.headers.get("Idempotency-Key", ""))
        wanted = read_block(await _read_all(request), number, request[CALLER])
        return web.json_response(tell_block(await self._calls.order_block(wanted)))

    async def _balance(self, request: web.Request) -> web.Response:
        found = await self._calls.balance(_read_registry(request), request.match_info["account"])
        return web.json_response(found._asdict())

    async def _links(self, request: web.Request) -> web.Response:
        found, token = await self._calls.links(_read_page(request))
        return web.json_response({"links": [tell_message(each) for each in found], "next_page_token": token})

    async def _waiting(self, request: web.Request) -> web.Response:
        found, token = self._calls.waiting(_read_page(request))
        return web.json_response({"waiting": [tell_waiting(each) for each in found], "next_page_token": token})

    async def _proposals(self, request: web.Request) -> web.Response:
        found, token = self._calls.proposals(_read_page(request))
        return web.json_response({"proposals": [tell_proposal(each) for each in found], "next_page_token": token})

    async def _decide_proposal(self, request: web.Request) -> web.Response:
        body = read_decision(await _read_all(request))
        reference, by = request.match_info["reference"], request[CALLER]
        decision = Decision(_read_registry(request), reference, body.action == "accept", body.because, by)
        return web.json_response(tell_proposal(await self._calls.decide_proposal(decision)))

    async def _withdraw(self, request: web.Request) -> web.Response:
        body = read_withdrawal(await _read_all(request))
        found = await self._calls.withdraw(_read_number(request), body.because, request[CALLER])
        return web.json_response({**tell_hold(found.hold), "withdrawal": found.outcome})

    async def _hold(self, request: web.Request) -> web.Response:
        return web.json_response(tell_hold(await self._calls.hold(_read_number(request))))

    async def _place_hold(self, request: web.Request) -> web.Response:
        number = read_key(request.headers.get("Idempotency-Key", ""))
        placed = await self._calls.place_hold(read_hold(await _read_all(request), number))
        headers = {"Location": f"/v1/holds/{number.hex()}"}
        return web.json_response(tell_hold(placed.hold), status=200 if placed.repeated else 201, headers=headers)

    async def _certificates(self, request: web.Request) -> web.Response:
        number = _read_number(request)
        found, token = await self._calls.certificates(number, _read_page(request))
        return web.json_response({"certificates": [tell_certificate(each) for each in found], "next_page_token": token})

    async def _certificate(self, request: web.Request) -> web.Response:
        found = await self._calls.certificate(_read_number(request), request.match_info["event"])
        if request.headers.get("Accept", "").startswith("text/html"):
            return web.Response(text=format_page(found), content_type="text/html")
        return web.Response(body=format_certificate(found), content_type="application/json")

    async def _reconcile(self, request: web.Request) -> web.Response:
        believe = request.query.get("believe_shrunk", "false")
        if believe not in ("true", "false"):
            raise Problem(400, "bad-request", "believe_shrunk is true or false")
        return web.json_response(
            tell_whole_run(await self._calls.reconcile(_read_registry(request), believe == "true"))
        )

    async def _reconciliation(self, request: web.Request) -> web.Response:
        return web.json_response(tell_compared(self._calls.reconciliation(_read_registry(request))))

    async def _differences(self, request: web.Request) -> web.Response:
        registry, wanted = _read_registry(request), request.query.get("run", "")
        run, lines, token = self._calls.differences(registry, wanted, _read_page(request))
        told = [tell_line(run, line) for line in lines]
        return web.json_response({"run": name_run(run), "differences": told, "next_page_token": token})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events, each with its cursor as id: `Last-Event-ID`, or `after`, goes on from there."""
        after = _read_cursor(request.headers.get("Last-Event-ID") or request.query.get("after", ""))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        pages = self._calls.watch(after)
        ending = asyncio.ensure_future(self.ending.wait())
        page: asyncio.Future[Any] = asyncio.ensure_future(anext(pages))
        try:
            while not self.ending.is_set():
                await asyncio.wait({page, ending}, timeout=BEAT_S, return_when=asyncio.FIRST_COMPLETED)
                if not page.done():
                    await response.write(b": alive\n\n")
                    continue
                check_caller(request, self._parts.config.callers, "viewer")  # its token may have been replaced since
                for event in page.result().events:
                    place = f"{event.place.height}.{event.place.ordinal}"
                    data = json.dumps(tell_message(event))
                    await response.write(f"id: {place}\nevent: {event.kind}\ndata: {data}\n\n".encode())
                page = asyncio.ensure_future(anext(pages))
        except (LedgerError, ConnectionError, StopAsyncIteration, Problem) as error:
            log.info("a stream of news ended", why=str(error))
        finally:
            page.cancel()
            ending.cancel()
            await asyncio.gather(page, ending, return_exceptions=True)
        return response


async def _read_all(request: web.Request) -> bytes:
    raw = await read_body(request, BODY_BYTES_MAX)
    if not isinstance(raw, bytes):
        raise Problem(STATUS[raw.why], raw.why.value, raw.detail)
    return raw


def _read_number(request: web.Request) -> bytes:
    try:
        return bytes.fromhex(request.match_info["hold"].replace("-", ""))
    except ValueError as error:
        raise Problem(400, "bad-id", "the id of a hold has 32 hex digits") from error


def _read_registry(request: web.Request) -> str:
    return request.match_info["registry"]


def _read_page(request: web.Request) -> Asked:
    size = request.query.get("page_size", "0")
    if not (size.isascii() and size.isdecimal() and len(size) < 8):
        raise Problem(400, "bad-page-size", "page_size is a whole number")
    return Asked(int(size), request.query.get("page_token", ""))


def _read_cursor(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    try:
        place = parse_cursor(text)
    except ValueError as error:
        raise Problem(400, "bad-cursor", "a cursor is HEIGHT.ORDINAL, as in the id of every event") from error
    return place
