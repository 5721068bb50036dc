"""A sandbox of Isometric's Registry API v0: oldest credits first, split batches, no idempotency. Not the real thing.

Where the specification is silent, `adapters.isometric.basis` says what was assumed.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from aiohttp import web

from adapters.capabilities import Action
from adapters.contract import ChangeKind, Holding, HoldingState
from adapters.sandbox.acts import Settings, read_switch
from adapters.sandbox.book import BookRefusal
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.desk import Order, OrderStatus
from adapters.sandbox.server import Sandbox
from keeling.serials import SerialRange, parse, print_range

CLIENT_SECRET: Final = "sandbox-client"
TOKEN: Final = "sandbox-token"
ORGANISATION: Final = "org_1DRBTYA8Q1S07CBY"
SUPPLIER: Final = "spl_1KNSQMD6Z1S0TB50"
BENEFICIARY: Final = "org_1KP6EDZ8K1S036PY"
ACCOUNT: Final = f"{ORGANISATION}/{SUPPLIER}"
_NEEDED: Final = (
    "owner_organisation_id",
    "beneficiary_organisation_id",
    "supplier_id",
    "retirement_purposes",
    "notes",
    "credit_quantity_kg",
)


class IsometricSandbox(Sandbox):
    """`shows_notes`: whether retirements give their notes back."""

    name = "isometric"
    settings: ClassVar[Settings] = {"shows_notes": read_switch}

    def __init__(self, clock: SandboxClock | None = None, seed: int = 0) -> None:
        super().__init__(clock, seed)
        self.shows_notes = True

    def fill(self, kilograms: int = 1_000_000, account: str = ACCOUNT, batch: str = "F5X7") -> SerialRange:
        """Issue one credit batch to an organisation, of a supplier."""
        serials = parse(f"ISO-1-BSTORE-GBR-{batch}-2024-1-{kilograms}", "isometric", units=kilograms)
        self.book.issue(self.clock.now_ms, serials, account)
        return serials

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/organisation", self._get_organisation),
            web.get("/organisations/{id}/credit_batches", self._get_batches),
            web.post("/retirements/from_oldest_credits", self._post_retirement),
            web.get("/retirements", self._get_retirements),
            web.get("/retirements/{id}/credit_batches", self._get_used),
        ]

    def credentials(self) -> dict[str, str]:
        return {"client-secret": CLIENT_SECRET, "access-token": TOKEN}

    def next_reference(self) -> str:
        return f"ret_{len(self.desk.orders) + 1:016d}"

    def empty_list(self) -> Any:
        return {"nodes": [], "total_count": 0, "page_info": {"has_next_page": False, "end_cursor": None}}

    def tell(self) -> None:
        """Isometric pushes nothing."""

    async def _post_retirement(self, request: web.Request) -> web.Response:
        if not _is_known(request):
            return _stranger()
        try:
            body = json.loads(await request.read())
        except ValueError:
            return _unprocessable("json_invalid", "the body is no JSON")
        missing = [name for name in _NEEDED if not isinstance(body, dict) or name not in body]
        if missing or len(body["notes"] or "") > 256 or body["beneficiary_organisation_id"] != BENEFICIARY:
            return _unprocessable("missing", f"{', '.join(missing) or 'notes, beneficiary'} are not as they must be")
        account = f"{body['owner_organisation_id']}/{body['supplier_id']}"
        notes, now = str(body["notes"]), self.clock.now_ms
        try:
            asked = tuple(self.book.choose(account, int(body["credit_quantity_kg"])))
        except BookRefusal as refusal:
            return _unprocessable("insufficient_credits", str(refusal))
        key = notes.rpartition("[")[2].rstrip("]")
        order = Order(self.next_reference(), key, Action.RETIRE, account, asked, now, now, said={"notes": notes})
        self.desk.receive(order)
        if order.status is OrderStatus.REFUSED:
            return _unprocessable("declined", order.reason)
        return web.json_response(self._describe(order))

    async def _get_organisation(self, request: web.Request) -> web.Response:
        return web.json_response({"id": ORGANISATION, "name": "Asha Trading"}) if _is_known(request) else _stranger()

    async def _get_batches(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        rows = [row for row in self.book.rows() if row.account.startswith(f"{wanted}/")]
        whole = [Holding(e.serials, e.to_account, e.state) for e in self.book.entries if e.kind is ChangeKind.ISSUED]
        held = {row.serials for row in rows}
        split = [_batch(row) | {"status": "split"} for row in whole if row.serials not in held]
        return _answer_list(request, [*split, *map(_batch, rows)])

    async def _get_retirements(self, request: web.Request) -> web.Response:
        at_ms, owner = self.seen_at(request), request.query.get("owner_org_id")
        orders = [o for o in self.desk.orders.values() if o.done and o.received_ms <= at_ms]
        rows = [self._describe(order) for order in orders]
        return _answer_list(request, [row for row in rows if owner in (None, row["owner"]["id"])])

    async def _get_used(self, request: web.Request) -> web.Response:
        order = self.desk.orders.get(request.match_info["id"])
        done = order.done if order is not None else ()
        account, reference = (order.account, order.reference) if order is not None else ("", "")
        return _answer_list(request, [_batch(Holding(r, account, HoldingState.RETIRED, reference)) for r in done])

    def _describe(self, order: Order) -> dict[str, Any]:
        kilograms = sum(part.units for part in order.done)
        undone = order.status is OrderStatus.UNDONE
        return {
            "id": order.reference,
            "retired_at": _instant(order.received_ms),
            "reversed_at": _instant(order.decided_ms) if undone else None,
            "purposes": ["other"],
            "beneficiary": {"id": BENEFICIARY, "name": "Asha Textiles"},
            "owner": {"id": order.account.partition("/")[0], "name": "Asha Trading"},
            "credit_batch_size_total": _size(kilograms),
            "url": f"https://sandbox.example/{order.reference}",
            "notes": order.said["notes"] if self.shows_notes else None,
        }


def _batch(row: Holding) -> dict[str, Any]:
    owner, _, supplier = row.account.partition("/")
    printed = print_range(row.serials)
    return {
        "id": f"ctb_{hashlib.sha256(printed.encode()).hexdigest()[:16].upper()}",
        "serial_number": printed,
        "status": "retired" if row.state is HoldingState.RETIRED else "active",
        "size": _size(row.serials.units),
        "supplier_id": supplier,
        "owner": {"id": owner, "name": "Asha Trading"},
        "retirement_id": row.reference if row.state is HoldingState.RETIRED else None,
    }


def _size(kilograms: int) -> dict[str, Any]:
    return {"credits": kilograms / 1000, "credit_kgs": kilograms}


def _answer_list(request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
    if not _is_known(request):
        return _stranger()
    try:
        first, start = int(request.query.get("first", "10")), int(request.query.get("after", "0"))
    except ValueError:
        return _unprocessable("int_parsing", "first or after")
    if not 1 <= first <= 50:
        return _unprocessable("less_than_equal", "first is at most 50")
    nodes = rows[start : start + first]
    end = start + len(nodes)
    info = {
        "has_previous_page": start > 0,
        "start_cursor": str(start) if nodes else None,
        "has_next_page": end < len(rows),
        "end_cursor": str(end) if nodes else None,
    }
    return web.json_response({"nodes": nodes, "total_count": len(rows), "page_info": info})


def _is_known(request: web.Request) -> bool:
    said = request.headers.get("x-client-secret"), request.headers.get("Authorization")
    return said == (CLIENT_SECRET, f"Bearer {TOKEN}")


def _stranger() -> web.Response:
    return web.json_response({"detail": "Unauthorized"}, status=401)


def _unprocessable(kind: str, message: str) -> web.Response:
    detail = [{"loc": ["body"], "msg": message, "type": kind, "input": "Asha Textiles"}]
    return web.json_response({"detail": detail}, status=422)


def _instant(at_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).isoformat(timespec="microseconds")
