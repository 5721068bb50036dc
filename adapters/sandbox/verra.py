"""A sandbox of Verra: its public rows with all their traps, and a desk that works once a day. Not the real thing.

The rows are shaped as third parties measured them. Verra has no write interface: `/desk/` is the queue of an
operator's desk, and what a person does with it in the portal happens here at the end of the day's round.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from aiohttp import web

from adapters.capabilities import Action
from adapters.sandbox.acts import Settings, read_switch
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.desk import Order, OrderStatus
from adapters.sandbox.faults import FaultKind
from adapters.sandbox.server import Sandbox
from adapters.sandbox.verra_rows import Flags, Item, PublicRows, show_row
from keeling.serials import SerialError, SerialRange, parse, print_range

TOKEN: Final = "sandbox-desk"
APPKEY: Final = "sandbox-visitor"
ACCOUNTS: Final = ("8294", "7121")
CYCLE_MS: Final = 86_400_000
_NEEDED: Final = ("registry", "standardid", "standardacronym", "language", "appkey")
_STATUS: Final = {
    OrderStatus.WAITING: "QUEUED",
    OrderStatus.PARTLY: "PARTLY_DONE",
    OrderStatus.DONE: "DONE",
    OrderStatus.REFUSED: "REFUSED",
    OrderStatus.WITHDRAWN: "WITHDRAWN",
    OrderStatus.UNDONE: "REVERSED",
}
_SHELL: Final = (
    "<!doctype html><html><head><title>Verra Registry</title></head><body><app-root></app-root></body></html>"
)


class VerraSandbox(Sandbox):
    """Orders wait for the end of the day (UTC) and block nothing: until then the owner may move the units.

    `shows_owner`, `shows_details`: whether the person ticked the flags that make them public.
    """

    name = "verra"
    blocks = False
    settings: ClassVar[Settings] = {"shows_owner": read_switch, "shows_details": read_switch}

    def __init__(self, clock: SandboxClock | None = None, seed: int = 0) -> None:
        super().__init__(clock, seed)
        self.shows_owner = True
        self.shows_details = True
        self._public = PublicRows(self.book)

    def fill(self, units: int = 1_000_000, account: str = ACCOUNTS[0], project: int = 1340) -> SerialRange:
        """Issue one block of a project of ours to an account; numbers begin at a million times the project's."""
        first = project * 1_000_000
        printed = f"19385-{first}-{first + units - 1}-VCS-VCU-1507-VER-ET-14-{project}-01012020-31122020-1"
        serials = parse(printed)
        self.book.issue(self.clock.now_ms, serials, account)
        return serials

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/desk/instructions", self._post_instruction),
            web.get("/desk/instructions/{id}", self._get_instruction),
            web.post("/raas-report-api/es/public/{resource}/publicReportPageSearch", self._post_search),
            web.route("*", "/{path:(?!_admin/).*}", _answer_shell),
        ]

    def credentials(self) -> dict[str, str]:
        return {"appkey": APPKEY, "desk-token": TOKEN}

    def next_reference(self) -> str:
        return f"OPS-{len(self.desk.orders) + 1:06d}"

    def tell(self) -> None:
        """Verra pushes nothing."""

    # -- the desk

    async def _post_instruction(self, request: web.Request) -> web.Response:
        if not _is_desk(request):
            return _problem(401, "UNAUTHORIZED", "no valid token")
        try:
            action, account, asked, said = _read_instruction(await request.read())
        except ValueError as error:
            return _problem(400, "INVALID_REQUEST", str(error))
        now = self.clock.now_ms
        due_ms = (now // CYCLE_MS + 1) * CYCLE_MS
        order = Order(self.next_reference(), said["key"], action, account, asked, now, due_ms, said=said)
        self.desk.receive(order)
        return web.json_response(_describe(order, now), status=201)

    async def _get_instruction(self, request: web.Request) -> web.Response:
        if not _is_desk(request):
            return _problem(401, "UNAUTHORIZED", "no valid token")
        order, at_ms = self.desk.orders.get(request.match_info["id"]), self.seen_at(request)
        if order is None:
            return _problem(404, "NOT_FOUND", "no such instruction")
        return web.json_response(_describe(order, at_ms))

    # -- public rows

    async def _post_search(self, request: web.Request) -> web.Response:
        try:
            search = json.loads(await request.read())["searchFilter"]
            start, limit = int(search["pagination"]["start"]), int(search["pagination"]["limit"])
            sort = search["pagination"]["sortOptions"][0]
            filters: Mapping[str, Any] = search["filterModel"]
        except (ValueError, LookupError, TypeError):
            return _failure()
        if any(name not in request.headers for name in _NEEDED) or not 0 < limit <= 400 or not 0 <= start <= 10_000:
            return _failure()
        wanted = filters.get("vcsProjectId", {}).get("columnFilters", [{}])[0].get("filter")
        resource = request.match_info["resource"]
        found = self._public.find(resource, self.seen_at(request), wanted)
        if request.headers["standardid"] != "150000000000001" or self.faults.take(
            (FaultKind.SHRUNK,), f"{request.method} {request.path}"
        ):
            found = []
        page = _cut(found, start, limit, downwards=sort["dir"] == "DESC")
        flags = Flags(self.shows_owner, self.shows_details)
        return web.json_response(
            {
                "entities": [show_row(resource, item, self.desk.orders, flags) for item in page],
                "totalEntities": len(found),
                "totalPages": -(-len(found) // limit),
                "start": start,
                "limit": limit,
                "numberOfElements": len(page),
                "first": start == 0,
                "last": start + limit >= len(found),
                "pageStats": None,
                "searchAfter": None,
                "pitId": None,
            }
        )


async def _answer_shell(_request: web.Request) -> web.Response:
    return web.Response(text=_SHELL, content_type="text/html")


def _read_instruction(raw: bytes) -> tuple[Action, str, tuple[SerialRange, ...], dict[str, str]]:
    try:
        body = json.loads(raw)
        action = Action(str(body["action"]).lower())
        asked = tuple(parse(str(item["serialNumber"]), "verra", units=item["quantity"]) for item in body["holdings"])
        account, units = str(body["account"]), int(body["quantity"])
    except (ValueError, KeyError, TypeError, SerialError) as error:
        raise ValueError(f"the instruction cannot be read: {error}") from error
    if not asked or units != sum(item.units for item in asked):
        raise ValueError("the quantity is not that of the serials")
    details = str(body.get("retirementReasonDetails") or body.get("cancellationRemarks") or "")
    key = details.rpartition("[")[2].rstrip("]")
    return action, account, asked, {"owner": str(body.get("beneficialOwner", "")), "details": details, "key": key}


def _describe(order: Order, at_ms: int) -> dict[str, Any]:
    """The entry of the queue as it was at a time."""
    decided = order.decided_ms and order.decided_ms <= at_ms
    return {
        "instruction": order.reference,
        "status": _STATUS[order.status] if decided else "QUEUED",
        "quantity": order.units,
        "executed": [{"serialNumber": print_range(r), "quantity": r.units} for r in order.done] if decided else [],
        "refusedQuantity": order.refused_units if decided and order.status is OrderStatus.DONE else 0,
        "reason": order.reason if decided else "",
        "dueMs": order.due_ms,
    }


def _cut(items: Sequence[Item], start: int, limit: int, *, downwards: bool) -> Sequence[Item]:
    """One page, from either end."""
    if not downwards:
        return items[start : start + limit]
    end = max(len(items) - start, 0)
    return items[max(end - limit, 0) : end][::-1]


def _is_desk(request: web.Request) -> bool:
    return request.headers.get("Authorization") == f"Bearer {TOKEN}"


def _failure() -> web.Response:
    """What the search says to everything it does not like."""
    return web.json_response({"message": "Internal Server Error"}, status=500)


def _problem(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": code, "message": message}, status=status)
