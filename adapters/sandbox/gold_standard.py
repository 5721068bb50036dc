"""A sandbox of Gold Standard: its public list with all its traps, and an assumed account interface. Not the real thing.

The public rows are shaped as third parties measured them. A using entity that is named the first time is reviewed, so
its retirement waits; the next one for the same entity is decided at once.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import web

from adapters.capabilities import Action
from adapters.contract import ChangeKind, Holding, HoldingState
from adapters.sandbox.book import Entry
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.desk import Order, OrderStatus
from adapters.sandbox.server import Sandbox
from keeling.serials import SerialError, SerialRange, parse, parse_segments, print_range

API_KEY: Final = "sandbox-api"
TOKEN: Final = "sandbox-account"
ACCOUNTS: Final = ("1047", "1048")
REVIEW_MS: Final = 2 * 86_400_000
_STATUS: Final = {
    OrderStatus.WAITING: "PENDING_REVIEW",
    OrderStatus.PARTLY: "PARTIALLY_RETIRED",
    OrderStatus.DONE: "RETIRED",
    OrderStatus.REFUSED: "REJECTED",
    OrderStatus.WITHDRAWN: "REJECTED",
    OrderStatus.UNDONE: "UNDONE",
}
_TYPES: Final = {
    ChangeKind.ISSUED: "ISSUANCE",
    ChangeKind.RETIRED: "RETIREMENT",
    ChangeKind.REVERSED: "UNDO_RETIREMENT",
    ChangeKind.TRANSFERRED: "TRANSFER",
}
_SHELL: Final = "<!doctype html><html><head><title>Just a moment...</title></head><body>Checking</body></html>"


class GoldStandardSandbox(Sandbox):
    """`reviews`: whether a new using entity is reviewed first. `shows_notes`: whether lists show what was noted.

    `odd`: rows put into the public list as they are.
    """

    name = "gold_standard"
    blocks = True

    def __init__(self, clock: SandboxClock | None = None, seed: int = 0, *, reviews: bool = True) -> None:
        super().__init__(clock, seed)
        self.reviews = reviews
        self.shows_notes = True
        self.odd: list[dict[str, Any]] = []
        self._known: set[str] = set()

    def fill(self, units: int = 1_000_000, account: str = ACCOUNTS[0], project: int = 99001) -> SerialRange:
        """Issue one block to an account."""
        serials = parse(f"GS1-1-KE-GS{project}-16-2024-50001-1-{units}")
        self.book.issue(self.clock.now_ms, serials, account)
        return serials

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/credits", self._get_credits),
            web.get("/account/credits", self._get_account_credits),
            web.get("/account/retirements", self._get_orders),
            web.get("/account/transactions", self._get_events),
            web.post("/account/retirements", self._post_order),
        ]

    def credentials(self) -> dict[str, str]:
        return {"api-key": API_KEY, "account-token": TOKEN}

    def next_reference(self) -> str:
        return str(70_001 + len(self.desk.orders))

    def empty_list(self) -> Any:
        return []

    def error_in_ok(self) -> Any:
        return {"status": 403, "message": "Forbidden"}

    def notice_of(self, entry: Entry) -> dict[str, Any]:
        return self._event(entry)

    # -- the public list

    async def _get_credits(self, request: web.Request) -> web.Response:
        if not request.headers.get("User-Agent", "").startswith("Mozilla/"):
            return web.Response(text=_SHELL, status=403, content_type="text/html")
        rows = [_block(number, row) for number, row in enumerate(self.book.rows(), 1)][::-1] + self.odd
        wanted = request.query.get("query", "")
        return _answer_page(request, [row for row in rows if wanted in row["serial_number"]])

    # -- the account's interface

    async def _post_order(self, request: web.Request) -> web.Response:
        if not _is_known(request):
            return _problem(401, "UNAUTHORIZED", "no valid key or token")
        try:
            account, asked, said = _read_order(await request.read())
        except ValueError as error:
            return _problem(400, "INVALID_REQUEST", str(error))
        if account not in ACCOUNTS:
            return _problem(404, "NOT_FOUND", "no such account")
        now = self.clock.now_ms
        due_ms = now + REVIEW_MS if self.reviews and said["entity"] not in self._known else now
        key = said["note"].rpartition("[")[2].rstrip("]")
        order = Order(self.next_reference(), key, Action.RETIRE, account, asked, now, due_ms, said=said)
        self.desk.receive(order)
        self.clock.at(due_ms, lambda: self._known.add(said["entity"]))
        return web.json_response(self._describe(order, now), status=201)

    async def _get_orders(self, request: web.Request) -> web.Response:
        if not _is_known(request):
            return _problem(401, "UNAUTHORIZED", "no valid key or token")
        at_ms = self.seen_at(request)
        return _answer_page(
            request, [self._describe(each, at_ms) for each in self.desk.orders.values() if each.received_ms <= at_ms]
        )

    async def _get_account_credits(self, request: web.Request) -> web.Response:
        if not _is_known(request):
            return _problem(401, "UNAUTHORIZED", "no valid key or token")
        return _answer_page(
            request, [_block(n, row) | {"account": row.account} for n, row in enumerate(self.book.rows(), 1)]
        )

    async def _get_events(self, request: web.Request) -> web.Response:
        if not _is_known(request):
            return _problem(401, "UNAUTHORIZED", "no valid key or token")
        return _answer_page(request, [self._event(entry) for entry in self.book.entries])

    def _describe(self, order: Order, at_ms: int) -> dict[str, Any]:
        """The order as it was at a time."""
        decided = order.decided_ms and order.decided_ms <= at_ms
        return {
            "id": int(order.reference),
            "status": _STATUS[order.status] if decided else "PENDING_REVIEW",
            "account": order.account,
            "number_of_credits": order.units,
            "credits": [_credit(item) for item in order.done] if decided else [],
            "rejected_credits": order.refused_units if decided and order.status is OrderStatus.DONE else 0,
            "reason": order.reason if decided else None,
            "using_entity": order.said["entity"],
            "note": order.said["note"] if self.shows_notes else None,
            "created_at": _instant(order.received_ms),
            "decided_at": _instant(order.decided_ms) if decided else None,
        }

    def _event(self, entry: Entry) -> dict[str, Any]:
        order = self.desk.orders.get(entry.reference)
        return _credit(entry.serials) | {
            "id": 900_000 + entry.number,
            "type": _TYPES[entry.kind],
            "order": int(order.reference) if order is not None else None,
            "account": entry.account or entry.to_account,
            "to_account": entry.to_account,
            "note": order.said["note"] if order is not None and self.shows_notes else None,
            "created_at": _instant(entry.at_ms),
        }


def _read_order(raw: bytes) -> tuple[str, tuple[SerialRange, ...], dict[str, str]]:
    try:
        body = json.loads(raw)
        account, entity, note = str(body["account"]), str(body["using_entity"]), str(body["note"])
        asked = tuple(
            parse(str(item["serial_number"]), "gold_standard", units=item["number_of_credits"])
            for item in body["credits"]
        )
    except (ValueError, KeyError, TypeError, SerialError) as error:
        raise ValueError(f"the order cannot be read: {error}") from error
    if not asked or not entity:
        raise ValueError("credits and using_entity are needed")
    return account, asked, {"entity": entity, "note": note}


def _block(number: int, row: Holding) -> dict[str, Any]:
    named = parse_segments(print_range(row.serials), "gold_standard")
    retired = row.state is HoldingState.RETIRED
    return _credit(row.serials) | {
        "id": number,
        "starting_credit_number": row.serials.first,
        "ending_credit_number": row.serials.last,
        "batch_number": int(named["batch"]),
        "status": "RETIRED" if retired else "ISSUED",
        "vintage": named["vintage"],
        "is_retirable": not retired,
        "is_undo_retirable": retired,
        "note": None,
        "labels": ["EMISSION_REDUCTION"],
        "product": {"name": "Verified Emission Reduction", "abbreviation": "VER"},
        "project": {"sustaincert_id": int(named["project"]), "name": "GS23711 - a stove project VPA1"},
    }


def _credit(serials: SerialRange) -> dict[str, Any]:
    return {"serial_number": print_range(serials), "number_of_credits": serials.units}


def _answer_page(request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
    """A bare array; everything but `query`, `page` and `size` is ignored."""
    try:
        page, size = int(request.query.get("page", "1")), int(request.query.get("size", "25"))
    except ValueError:
        return _problem(400, "INVALID_REQUEST", "page and size are numbers")
    if size > 25:
        return _problem(403, "FORBIDDEN", "size")
    units = sum(row["number_of_credits"] for row in rows)
    told = {"X-Total-Count": str(len(rows)), "X-Total-Number-Of-Credits": str(units)}
    return web.json_response(rows[(page - 1) * size : page * size], headers=told)


def _is_known(request: web.Request) -> bool:
    return (
        request.headers.get("X-Registry-API-key") == API_KEY
        and request.headers.get("Authorization") == f"Bearer {TOKEN}"
    )


def _problem(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": code, "message": message}, status=status)


def _instant(at_ms: int) -> str:
    """As the registry writes: microseconds and no zone."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).replace(tzinfo=None).isoformat()
