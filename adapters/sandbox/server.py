"""What every sandbox server has: faults and limits in front of its routes, an admin side, start and stop.

A registry's sandbox is a subclass that adds its routes; its handlers know only books and desk. The admin side is under
`/_admin/` and has no faults: the clock, faults to come, undoing, notices, and the books for proofs.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final

from aiohttp import web

from adapters.capabilities import Limit
from adapters.contract import (
    ChangeKind,
)
from adapters.sandbox.acts import Act, Settings, list_acts
from adapters.sandbox.book import Book, BookRefusal, Entry
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.desk import Desk, Order
from adapters.sandbox.faults import Fault, FaultKind, Faults, check_pattern
from adapters.sandbox.notices import Notices
from keeling.serials import print_range

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_BEFORE: Final = (
    FaultKind.THROTTLE,
    FaultKind.THROTTLE_AS_401,
    FaultKind.MAINTENANCE,
    FaultKind.SERVER_ERROR,
    FaultKind.ERROR_IN_OK,
    FaultKind.HTML,
    FaultKind.CUT_BEFORE,
)
_AFTER: Final = (FaultKind.LATENCY, FaultKind.CUT_AFTER, FaultKind.HTML_AFTER)
_PAGE: Final = "<!doctype html><html><head><title>Registry</title></head><body>Please sign in</body></html>"


class Sandbox:
    """One registry's server. For one event loop; `start` gives it a port of its own."""

    name = ""
    """The registry's key."""
    limits: tuple[Limit, ...] = ()
    """What it enforces, with 429."""
    blocks = False
    """Whether units of a waiting order are blocked."""
    settings: ClassVar[Settings] = {}
    """Attributes that an admin may set."""

    def __init__(self, clock: SandboxClock | None = None, seed: int = 0) -> None:
        self.clock: Final = clock or SandboxClock()
        self.faults: Final = Faults(seed)
        self.book: Final = Book()
        self.desk: Final = Desk(self.book, self.clock, self.faults, blocks=self.blocks)
        self.notices: Final = Notices(self.clock, self.faults)
        self.requests = 0
        self.throttled = 0
        self.received: deque[tuple[str, bytes]] = deque(maxlen=100)
        """The newest requests with a body: "METHOD /path" and the bytes."""
        self._calls: deque[int] = deque()
        self._runner: web.AppRunner | None = None
        self._told = 0
        self._tasks: set[asyncio.Task[int]] = set()
        self.base_url = ""
        self.desk.decided.append(lambda _order: self.tell())

    # -- what a registry adds

    def routes(self) -> list[web.RouteDef]:
        """The registry's own paths."""
        raise NotImplementedError

    def acts(self) -> dict[str, Act]:
        """What an admin may let it do by itself."""
        return list_acts(self)

    def error_in_ok(self) -> Any:
        """The body of an error that comes with status 200."""
        return {"status": 403, "message": "Forbidden"}

    def empty_list(self) -> Any:
        """What a list looks like when the registry has lost its mind."""
        return {"pagination": {"total": 0, "offset": 0, "limit": 100}, "data": []}

    def notice_of(self, entry: Entry) -> dict[str, Any]:
        """The data of the notice about an event of the books."""
        return describe_entry(entry)

    def credentials(self) -> dict[str, str]:
        """What a hub that calls it must know, by the names that its adapter asks for."""
        return {}

    def more_of_book(self) -> dict[str, Any]:
        """What an admin sees of its books besides units, orders and events, by name."""
        return {}

    def next_reference(self) -> str:
        """The registry's own id for its next order."""
        return f"{self.name.upper()}-{len(self.desk.orders) + 1:06d}"

    def seen_at(self, request: web.Request) -> int:
        """The time whose books a look-up shows: now, or earlier where reads lag."""
        fault = self.faults.take((FaultKind.STALE,), f"{request.method} {request.path}")
        return self.clock.now_ms - (fault.value if fault is not None else 0)

    # -- running

    def build_app(self) -> web.Application:
        """The server with the shared layer around the registry's routes."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        app = web.Application(middlewares=[guard], client_max_size=8 << 20)
        app.add_routes(self.routes())
        app.add_routes(
            [
                web.get("/_admin/clock", self._get_clock),
                web.post("/_admin/clock", self._post_clock),
                web.post("/_admin/faults", self._post_faults),
                web.delete("/_admin/faults", self._delete_faults),
                web.get("/_admin/faults", self._get_faults),
                web.post("/_admin/webhook", self._post_webhook),
                web.get("/_admin/book", self._get_book),
                web.post("/_admin/{act}", self._post_act),
            ]
        )
        return app

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; returns the base URL. Port 0: a free one."""
        self._runner = web.AppRunner(self.build_app(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.base_url = f"http://{host}:{self._runner.addresses[0][1]}"
        return self.base_url

    async def stop(self) -> None:
        """Stop listening; the books stay."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def tell(self) -> None:
        """Write notices about what is new in the books, and send them if somebody listens."""
        for entry in self.book.entries[self._told :]:
            if entry.kind != ChangeKind.ISSUED:
                self.notices.put(f"unit.{entry.kind}", self.notice_of(entry))
        self._told = len(self.book.entries)
        if self.notices.url and self._runner is not None:
            task = asyncio.get_running_loop().create_task(self.notices.deliver())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # -- the shared layer

    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/_admin/"):
            return await self._serve_admin(request, handler)
        self.requests += 1
        self.clock.settle()
        label = f"{request.method} {request.path}"
        if request.method != "GET":
            self.received.append((label, await request.read()))
        fault = self.faults.take(_BEFORE, label)
        if fault is not None:
            return self._answer_fault(fault, request)
        late_ms = self._count_call()
        if late_ms:
            self.throttled += 1
            return web.json_response(
                {"error": "rate limit"}, status=429, headers={"Retry-After": str(-(-late_ms // 1000))}
            )
        if request.method == "GET" and self.faults.take((FaultKind.SHRUNK,), label):
            return web.json_response(self.empty_list())
        try:
            response = await handler(request)
        except BookRefusal as refusal:
            response = web.json_response({"error": refusal.code, "message": str(refusal)}, status=400)
        after = self.faults.take(_AFTER, label)
        if after is None:
            return response
        if after.kind is FaultKind.LATENCY:
            await self.clock.reach(self.clock.now_ms + after.value)
            return response
        return self._answer_fault(after, request)

    def _answer_fault(self, fault: Fault, request: web.Request) -> web.StreamResponse:
        told = {"Retry-After": str(fault.value)} if fault.value else {}
        match fault.kind:
            case FaultKind.THROTTLE:
                return web.json_response({"error": "too many requests"}, status=429, headers=told)
            case FaultKind.THROTTLE_AS_401:
                return web.json_response({"message": "Invalid API Key"}, status=401)
            case FaultKind.MAINTENANCE:
                return web.json_response({"message": "maintenance"}, status=503, headers=told)
            case FaultKind.SERVER_ERROR:
                return web.json_response({"message": "internal error"}, status=500)
            case FaultKind.ERROR_IN_OK:
                return web.json_response(self.error_in_ok())
            case FaultKind.HTML | FaultKind.HTML_AFTER:
                return web.Response(text=_PAGE, content_type="text/html")
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    def _count_call(self) -> int:
        """Milliseconds until the next call is allowed; 0: this one is, and counts."""
        now = self.clock.now_ms
        span = max((limit.per_ms for limit in self.limits), default=0)
        while self._calls and self._calls[0] <= now - span:
            self._calls.popleft()
        for limit in self.limits:
            recent = [at for at in self._calls if at > now - limit.per_ms]
            if len(recent) >= limit.requests:
                return recent[0] + limit.per_ms - now
        if self.limits:
            self._calls.append(now)
        return 0

    # -- the admin side

    async def _serve_admin(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except KeyError as error:
            return web.json_response({"message": f"{error.args[0]} is missing"}, status=400)
        except (ValueError, TypeError) as error:
            return web.json_response({"message": str(error)}, status=400)

    async def _get_clock(self, _request: web.Request) -> web.Response:
        return web.json_response({"now_ms": self.clock.now_ms})

    async def _post_clock(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if "now_ms" in asked:
            self.clock.move_to(int(asked["now_ms"]))
        else:
            self.clock.advance(int(asked["advance_ms"]))
        return web.json_response({"now_ms": self.clock.now_ms})

    async def _get_faults(self, _request: web.Request) -> web.Response:
        return web.json_response([fault._asdict() for fault in self.faults.standing()])

    async def _post_faults(self, request: web.Request) -> web.Response:
        wanted = [Fault(FaultKind(item.pop("kind")), **item) for item in await request.json()]
        for fault in wanted:
            check_pattern(fault.path)
        self.faults.add(*wanted)
        return await self._get_faults(request)

    async def _delete_faults(self, _request: web.Request) -> web.Response:
        self.faults.clear()
        return web.json_response([])

    async def _post_act(self, request: web.Request) -> web.Response:
        name, acts = request.match_info["act"], self.acts()
        if name not in acts:
            told = f"{self.name} cannot be let {name!r}; there are {', '.join(sorted(acts))}"
            return web.json_response({"message": told}, status=404)
        values = await request.json()
        if not isinstance(values, dict):
            raise ValueError("values are a JSON object")
        self.clock.settle()
        told = acts[name](values)
        return web.json_response(await told if inspect.isawaitable(told) else told)

    async def _post_webhook(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.notices.url, self.notices.secret = str(asked["url"]), str(asked["secret"])
        return web.json_response({"delivered": await self.notices.deliver()})

    async def _get_book(self, _request: web.Request) -> web.Response:
        orders = [describe_order(order) for order in self.desk.orders.values()]
        rows = [
            {
                "serials": print_range(row.serials),
                "account": row.account,
                "state": row.state,
                "units": row.serials.units,
            }
            for row in self.book.rows()
        ]
        facts = {
            "effects": self.book.effects(),
            "orders": orders,
            "holdings": rows,
            "entries": [describe_entry(entry) for entry in self.book.entries],
            "requests": self.requests,
            "throttled": self.throttled,
            **self.more_of_book(),
        }
        return web.json_response(facts, dumps=json.dumps)


def describe_entry(entry: Entry) -> dict[str, Any]:
    """An event of the books as JSON."""
    return {
        "id": str(entry.number),
        "at_ms": entry.at_ms,
        "kind": entry.kind,
        "serials": print_range(entry.serials),
        "account": entry.account,
        "to_account": entry.to_account,
        "reference": entry.reference,
        "key": entry.key,
    }


def describe_order(order: Order) -> dict[str, Any]:
    """An order as JSON."""
    return {
        "reference": order.reference,
        "key": order.key,
        "action": order.action,
        "account": order.account,
        "units": order.units,
        "status": order.status,
        "done": [print_range(item) for item in order.done],
        "refused_units": order.refused_units,
        "due_ms": order.due_ms,
    }
