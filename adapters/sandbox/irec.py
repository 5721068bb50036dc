"""A sandbox of I-REC's version 1: tokens that run out, redemptions by item and volume. Not the real thing.

Where the client of 2022 is silent, `adapters.irec.basis` says what was assumed. An item is the part of a device's
period in one account; which certificates of it are used, the registry says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import web

from adapters.capabilities import Action
from adapters.contract import ChangeKind, Holding, HoldingState
from adapters.irec.mapping import format_mwh, parse_mwh, print_code
from adapters.sandbox.book import BookRefusal, Entry
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.desk import Order, OrderStatus
from adapters.sandbox.server import Sandbox
from keeling.serials import SerialRange, parse, print_range

PASSWORD: Final = "sandbox-password"
ACCOUNTS: Final = ("TESTACC001", "TESTACC002")
REDEMPTION_ACCOUNT: Final = "REDEEM001"
BENEFICIARY: Final = "1042"
TOKEN_MS: Final = 3_600_000
_STATUS: Final = {
    OrderStatus.WAITING: "Pending",
    OrderStatus.PARTLY: "Partial",
    OrderStatus.DONE: "Approved",
    OrderStatus.REFUSED: "Rejected",
    OrderStatus.WITHDRAWN: "Rejected",
    OrderStatus.UNDONE: "Reversed",
}
_TYPES: Final = {
    ChangeKind.ISSUED: "Issue",
    ChangeKind.RETIRED: "Redemption",
    ChangeKind.REVERSED: "Reversal",
    ChangeKind.TRANSFERRED: "Transfer",
}
_ITEMS: Final = {
    HoldingState.ACTIVE: "Active",
    HoldingState.BLOCKED: "Reserved",
    HoldingState.RETIRED: "Redeemed",
}


class IrecSandbox(Sandbox):
    """`approval_ms`: how long a redemption is Pending until an approver decides; 0: it is decided at once."""

    name = "irec"
    blocks = True

    def __init__(self, clock: SandboxClock | None = None, seed: int = 0, approval_ms: int = 0) -> None:
        super().__init__(clock, seed)
        self.approval_ms = approval_ms
        self.tokens: dict[str, int] = {}
        """Until when each is good."""

    def fill(self, units: int = 1_000_000_000, account: str = ACCOUNTS[0], device: str = "KHANES20001") -> SerialRange:
        """Issue certificates of so many watt hours to an account."""
        last = 1_000_000 + units - 1
        serials = parse(f"IREC-{device}-VN-2020-0101-0530-1.000000 to {format_mwh(last)}")
        self.book.issue(self.clock.now_ms, serials, account)
        return serials

    def routes(self) -> list[web.RouteDef]:
        base = "/api/irec/v1"
        return [
            web.post("/api/token", self._post_token),
            web.post(f"{base}/redemption-management", self._post_redemption),
            web.get(f"{base}/redemption-management", self._get_redemptions),
            web.get(f"{base}/account-management", self._get_accounts),
            web.get(f"{base}/account-management/{{code}}/items", self._get_items),
            web.get(f"{base}/account-management/{{code}}/transactions", self._get_transactions),
        ]

    def credentials(self) -> dict[str, str]:
        return {"username": "sandbox", "password": PASSWORD, "client-id": "hub", "client-secret": "sandbox"}

    def next_reference(self) -> str:
        return f"TESTACC-2026-{len(self.desk.orders) + 1:06d}"

    def empty_list(self) -> Any:
        return []

    def notice_of(self, entry: Entry) -> dict[str, Any]:
        return self._transaction(entry)

    async def _post_token(self, request: web.Request) -> web.Response:
        said = await request.post()
        if said.get("grant_type") != "password" or said.get("password") != PASSWORD:
            return web.json_response({"error": "invalid_grant", "message": "wrong credentials"}, status=400)
        token = f"token-{len(self.tokens) + 1}"
        self.tokens[token] = self.clock.now_ms + TOKEN_MS
        return web.json_response({"access_token": token, "refresh_token": "r", "expires_in": TOKEN_MS // 1000})

    async def _post_redemption(self, request: web.Request) -> web.Response:
        if not self._is_known(request):
            return _problem(401, "UNAUTHENTICATED", "token")
        try:
            body = json.loads(await request.read())
            wanted = [(str(i["item_code"]), parse_mwh(i["amount"], "amount")) for i in body["reservation_items"]]
            account, notes = str(body["source_account_code"]), str(body["notes"])
            good = body["destination_account_code"] == REDEMPTION_ACCOUNT and body["beneficiary_id"] == BENEFICIARY
            if not good or sum(amount for _, amount in wanted) != parse_mwh(body["rqd_volume"], "rqd_volume"):
                raise ValueError("accounts, beneficiary or volumes")
        except (ValueError, KeyError, TypeError) as error:
            return _problem(400, "INVALID_REQUEST", str(error))
        asked = [part for code, amount in wanted for part in self._choose(account, code, amount)]
        now, key = self.clock.now_ms, notes.rpartition("[")[2].rstrip("]")
        due_ms = now + self.approval_ms
        order = Order(
            self.next_reference(), key, Action.RETIRE, account, tuple(asked), now, due_ms, said={"notes": notes}
        )
        self.desk.receive(order)
        return web.json_response({"transaction": self._describe(order, now)}, status=201)

    def _choose(self, account: str, code: str, amount: int) -> list[SerialRange]:
        """The certificates of an item with the lowest numbers."""
        rows = self.book.rows(account, (HoldingState.ACTIVE,))
        spaces = {row.serials.space for row in rows if print_code(row.serials) == code}
        if not spaces:
            raise BookRefusal("NOT_ACTIVE", f"{code} has no active certificates in {account}")
        return self.book.choose(account, amount, spaces)

    async def _get_redemptions(self, request: web.Request) -> web.Response:
        at_ms, wanted = self.seen_at(request), request.query.get("source_account_code")
        orders = [order for order in self.desk.orders.values() if order.received_ms <= at_ms]
        return self._answer(request, [self._describe(order, at_ms) for order in orders if order.account == wanted])

    async def _get_accounts(self, request: web.Request) -> web.Response:
        rows = [{"code": code, "account_type": {"code": "Trade"}} for code in ACCOUNTS]
        return self._answer(request, rows)

    async def _get_items(self, request: web.Request) -> web.Response:
        return self._answer(request, [_item(row) for row in self.book.rows(request.match_info["code"])])

    async def _get_transactions(self, request: web.Request) -> web.Response:
        wanted = request.match_info["code"]
        rows = [e for e in self.book.entries if wanted == (e.account or e.to_account)]
        return self._answer(request, [self._transaction(entry) for entry in rows])

    def _answer(self, request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
        return web.json_response(rows) if self._is_known(request) else _problem(401, "UNAUTHENTICATED", "token")

    def _is_known(self, request: web.Request) -> bool:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.tokens.get(token, 0) > self.clock.now_ms

    def _describe(self, order: Order, at_ms: int) -> dict[str, Any]:
        """The redemption as it was at a time."""
        decided = order.decided_ms and order.decided_ms <= at_ms
        refused = order.refused_units if decided and order.status is OrderStatus.DONE else 0
        return {
            "code": order.reference,
            "type": "Redemption",
            "status": _STATUS[order.status] if decided else "Pending",
            "volume": format_mwh(order.units),
            "refused_volume": format_mwh(refused),
            "reason": order.reason if decided else "",
            "notes": order.said["notes"],
            "source_account": order.account,
            "destination_account": REDEMPTION_ACCOUNT,
            "time": _time(order.received_ms),
            "decided_time": _time(order.decided_ms) if decided else None,
            "items": _items(order.done if decided else ()),
            "verification_url": "https://sandbox.example/verify",
            "verification_key": "S4ELosCw",
        }

    def _transaction(self, entry: Entry) -> dict[str, Any]:
        order = self.desk.orders.get(entry.reference)
        return {
            "code": f"{entry.reference}/{entry.number}" if order is None else entry.reference,
            "type": _TYPES[entry.kind],
            "volume": format_mwh(entry.serials.units),
            "notes": order.said["notes"] if order is not None else "",
            "source_account": entry.account or entry.to_account,
            "destination_account": entry.to_account,
            "time": _time(entry.at_ms),
            "items": _items((entry.serials,)),
        }


def _items(ranges: Sequence[SerialRange]) -> dict[str, Any]:
    found: dict[str, list[dict[str, str]]] = {}
    for part in ranges:
        found.setdefault(print_code(part), []).append(_numbers(part))
    return {code: parts[0] if len(parts) == 1 else parts for code, parts in found.items()}


def _item(row: Holding) -> dict[str, Any]:
    asset = row.reference or "TESTASSET"
    return {"code": print_code(row.serials), "status": _ITEMS[row.state], "asset": asset, **_numbers(row.serials)}


def _numbers(part: SerialRange) -> dict[str, str]:
    first, _, last = print_range(part).removeprefix(part.prefix).partition(" to ")
    return {"start_cert_num": first, "end_cert_num": last, "volume": format_mwh(part.units)}


def _time(at_ms: int) -> dict[str, Any]:
    at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%d %H:%M:%S.%f")
    return {"date": at, "timezone_type": 3, "timezone": "UTC"}


def _problem(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": code, "message": message}, status=status)
