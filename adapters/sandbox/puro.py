"""A sandbox of Puro: MyPuro's retirement and lists, the Registry API's lists. Not the real thing, and says so.

Where the documentation is silent, `adapters.puro.basis` says what was assumed. The sandbox checks what the real one
says it checks, and does the same key once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, TypeVar

from aiohttp import web

from adapters.capabilities import Action
from adapters.contract import ChangeKind, Holding, HoldingState
from adapters.sandbox.acts import Settings, read_number, read_switch
from adapters.sandbox.book import BookRefusal, Entry
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.desk import Order, OrderStatus
from adapters.sandbox.server import Sandbox
from keeling.serials import SerialError, SerialRange, parse, parse_segments, print_range

KEY_ID: Final = "sandbox"
KEY_SECRET: Final = "sandbox-secret"
ACCOUNTS: Final = ("f4826423-21b9-4ee0-905d-311e758ee750", "3fa85f64-5717-4562-b3fc-2c963f66afa6")
"""Two account numbers; the UUIDs are those of the documentation's examples."""
ISSUANCE: Final = "40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d"
T = TypeVar("T")
_RETIREMENT: Final = "Retirement"
_KEY: Final = re.compile(r"[\w-]{1,64}", re.ASCII)
_STATUS: Final = {
    OrderStatus.WAITING: "PENDING",
    OrderStatus.PARTLY: "PARTIALLY_COMPLETED",
    OrderStatus.DONE: "COMPLETED",
    OrderStatus.REFUSED: "REJECTED",
    OrderStatus.WITHDRAWN: "REJECTED",
    OrderStatus.UNDONE: "REVERSED",
}


class PuroSandbox(Sandbox):
    """`approval_ms`: how long a retirement is PENDING before it is decided; 0: it is decided at once.

    `from_start`: units come from the start of the bundle, whichever part of it was named.
    """

    name = "puro"
    blocks = True
    settings: ClassVar[Settings] = {"approval_ms": read_number, "from_start": read_switch}

    def __init__(self, clock: SandboxClock | None = None, seed: int = 0, approval_ms: int = 0) -> None:
        super().__init__(clock, seed)
        self.approval_ms = approval_ms
        self.from_start = False

    def fill(self, units: int = 1_000_000, account: str = ACCOUNTS[0], issuance: str = ISSUANCE) -> SerialRange:
        """Issue one bundle to an account."""
        serials = parse(f"PURO_PR_CORC100+_FI_643002_2024_{issuance}_1-{units}")
        self.book.issue(self.clock.now_ms, serials, account)
        return serials

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/mypuro/transactions/retirement", self._retire),
            web.get("/mypuro/transactions", self._list),
            web.get("/mypuro/transactions/{id}", self._get),
            web.get("/mypuro/accounts/{account}/balance", self._balance),
            web.get("/registry/certificates", self._certificates),
            web.get("/registry/transactions", self._events),
        ]

    def credentials(self) -> dict[str, str]:
        return {"key-id": KEY_ID, "key-secret": KEY_SECRET}

    def notice_of(self, entry: Entry) -> dict[str, Any]:
        return _event(entry)

    # -- writing

    async def _retire(self, request: web.Request) -> web.Response:
        denied = _check_key(request)
        if denied is not None:
            return denied
        key = request.headers.get("Idempotency-Key", "")
        if not _KEY.fullmatch(key):
            return _problem(400, "INVALID_KEY", "Idempotency-Key must match ^[\\w-]{1,64}$")
        raw = await request.read()
        fingerprint = hashlib.sha256(raw).digest()
        known = self.desk.with_key(key)
        if known is not None:
            if known.fingerprint != fingerprint:
                return _problem(422, "KEY_REUSED", "Idempotency-Key is already used")
            return web.json_response(_transaction(known, self.clock.now_ms), status=200)
        try:
            account, ranges, said = _read_body(raw)
        except ValueError as error:
            return _problem(400, "INVALID_REQUEST", str(error))
        if account not in ACCOUNTS:
            return _problem(404, "NOT_FOUND", "no such account, or not yours")
        order = Order(
            reference=f"3fa85f64-5717-4562-b3fc-{len(self.desk.orders) + 1:012x}",
            key=key,
            action=Action.RETIRE,
            account=account,
            asked=tuple(self._from_start(account, ranges) if self.from_start else _first_parts(ranges)),
            received_ms=self.clock.now_ms,
            due_ms=self.clock.now_ms + self.approval_ms,
            fingerprint=fingerprint,
            said=said,
        )
        self.desk.receive(order)
        return web.json_response(_transaction(order, self.clock.now_ms), status=201)

    def _from_start(self, account: str, wanted: list[tuple[SerialRange, int]]) -> list[SerialRange]:
        """Units from the start of the active bundle each range begins in; of one bundle, one after the other."""
        taken: dict[tuple[str, int], int] = {}
        found = []
        rows = self.book.rows(account, (HoldingState.ACTIVE,))
        for item, amount in wanted:
            bundle = next((r.serials for r in rows if r.serials.overlaps(item.part(item.first, item.first))), None)
            if bundle is None:
                raise BookRefusal("NOT_ACTIVE", f"{item.first} of {item.space} is in no active bundle of the account")
            at = bundle.first + taken.get((bundle.space, bundle.first), 0)
            if at + amount - 1 > bundle.last:
                raise BookRefusal("INSUFFICIENT_QUANTITY", f"{amount} units are more than the bundle has")
            found.append(bundle.part(at, at + amount - 1))
            taken[bundle.space, bundle.first] = at + amount - bundle.first
        return found

    # -- reading

    async def _list(self, request: web.Request) -> web.Response:
        denied = _check_key(request)
        if denied is not None:
            return denied
        at_ms = self.seen_at(request)
        key, account = request.query.get("idempotencyKey"), request.query.get("sourceAccountNumber")
        orders = self.desk.orders.values() if request.query.get("type", _RETIREMENT) == _RETIREMENT else ()
        asked = [
            order
            for order in orders
            if order.received_ms <= at_ms and key in (None, order.key) and account in (None, order.account)
        ]
        return _page(request, asked, lambda order: _transaction(order, at_ms))

    async def _get(self, request: web.Request) -> web.Response:
        denied = _check_key(request)
        if denied is not None:
            return denied
        order, at_ms = self.desk.orders.get(request.match_info["id"]), self.seen_at(request)
        if order is None or order.received_ms > at_ms:
            return _problem(404, "NOT_FOUND", "no such transaction, or not yours")
        return web.json_response(_transaction(order, at_ms))

    async def _balance(self, request: web.Request) -> web.Response:
        denied = _check_key(request)
        if denied is not None:
            return denied
        account = request.match_info["account"]
        return web.json_response(
            {"accountNumber": account, "balance": self.book.units(account, (HoldingState.ACTIVE,))}
        )

    async def _certificates(self, request: web.Request) -> web.Response:
        denied = _check_key(request)
        if denied is not None:
            return denied
        return _page(request, self.book.rows(states=(HoldingState.ACTIVE, HoldingState.BLOCKED)), _bundle)

    async def _events(self, request: web.Request) -> web.Response:
        denied = _check_key(request)
        if denied is not None:
            return denied
        return _page(request, self.book.entries, _event)


def _first_parts(wanted: list[tuple[SerialRange, int]]) -> list[SerialRange]:
    return [item.part(item.first, item.first + amount - 1) for item, amount in wanted]


def _check_key(request: web.Request) -> web.Response | None:
    expected = "Basic " + base64.b64encode(f"{KEY_ID}:{KEY_SECRET}".encode()).decode()
    if request.headers.get("Authorization") != expected:
        return _problem(401, "UNAUTHORIZED", "no valid API key")
    return None


def _read_body(raw: bytes) -> tuple[str, list[tuple[SerialRange, int]], dict[str, str]]:
    try:
        body = json.loads(raw)
        account = str(body["sourceAccountNumber"])
        wanted = [(parse(str(item["bundle"])), int(item["amount"])) for item in body["certificateBundles"]]
    except (ValueError, KeyError, TypeError, SerialError) as error:
        raise ValueError(f"the body is not as documented: {error}") from error
    if not wanted or any(not 0 < amount <= item.units for item, amount in wanted):
        raise ValueError("each bundle has an amount of at least 1 and at most what it holds")
    if not re.fullmatch(r"\d+\.\d{1,2}", str(body.get("unitPrice")), re.ASCII) or not body.get("currency"):
        raise ValueError("unitPrice and currency are needed")
    name = str(body.get("beneficiaryName", ""))
    if not 0 < len(name) <= 100:
        raise ValueError("beneficiaryName has 1 to 100 characters")
    return account, wanted, {"beneficiaryName": name}


def _transaction(order: Order, at_ms: int) -> dict[str, Any]:
    """The order as lists show it at a time: one that was decided later is still pending."""
    decided = order.decided_ms and order.decided_ms <= at_ms
    status = _STATUS[order.status] if decided else "PENDING"
    row: dict[str, Any] = {
        "transactionId": order.reference,
        "type": _RETIREMENT,
        "status": status,
        "volume": order.units,
        "sourceAccountNumber": order.account,
        "idempotencyKey": order.key,
        "bundles": [{"certificates": _short(item)} for item in order.done] if decided else [],
        "retirementDetails": {"beneficiaryName": order.said.get("beneficiaryName", "")},
    }
    if decided:
        row["completedOn"] = _instant(order.decided_ms)
        row["rejectedVolume"] = order.refused_units if status == "COMPLETED" else 0
        row["reason"] = order.reason
    return row


def _bundle(row: Holding) -> dict[str, Any]:
    return {
        "certificates": _short(row.serials),
        "volume": row.serials.units,
        "accountNumber": row.account,
        "issuanceId": row.serials.space.partition(":")[2],
        "creditType": "CORC100+",
    }


def _event(entry: Entry) -> dict[str, Any]:
    kinds = {ChangeKind.ISSUED: "Issuance", ChangeKind.TRANSFERRED: "Transfer", ChangeKind.CANCELLED: "Withdrawal"}
    issued = _describe_issuance(entry.serials) if entry.kind is ChangeKind.ISSUED else None
    return ({"issuanceDetails": issued} if issued else {}) | {
        "transactionId": entry.reference,
        "type": kinds.get(entry.kind, _RETIREMENT),
        "status": "REVERSED" if entry.kind is ChangeKind.REVERSED else "COMPLETED",
        "volume": entry.serials.units,
        "completedOn": _instant(entry.at_ms),
        "sourceAccountNumber": entry.account or entry.to_account,
        "idempotencyKey": entry.key,
        "bundles": [{"certificates": _short(entry.serials)}],
    }


def _describe_issuance(serials: SerialRange) -> dict[str, str] | None:
    """What the long form of its serials says."""
    if serials.scheme != "puro":
        return None
    named = parse_segments(print_range(serials), "puro")
    told = {"productionFacilityCode": named["project"], "vintage": named["vintage"], "countryCode": named["country"]}
    return {"issuanceId": named["issuance"], **told}


def _page(request: web.Request, rows: Sequence[T], show: Callable[[T], dict[str, Any]]) -> web.Response:
    try:
        limit, offset = int(request.query.get("limit", "20")), int(request.query.get("offset", "0"))
    except ValueError:
        return _problem(400, "INVALID_REQUEST", "limit and offset are numbers")
    if not 1 <= limit <= 100 or offset < 0:
        return _problem(400, "INVALID_REQUEST", "limit is 1 to 100, offset from 0")
    found = {"total": len(rows), "offset": offset, "limit": limit}
    return web.json_response({"pagination": found, "data": [show(row) for row in rows[offset : offset + limit]]})


def _problem(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": code, "message": message}, status=status)


def _short(serials: SerialRange) -> str:
    return f"{serials.space.partition(':')[2]}_{serials.first}-{serials.last}"


def _instant(at_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).isoformat()
