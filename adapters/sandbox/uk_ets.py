"""A sandbox of the UK Emissions Trading Registry: proposals, tasks, delays in working time. Not the real thing.

Paths, fields, statuses and check codes are those of the registry's public code; where that is silent,
`adapters.uk_ets.basis` says what was assumed. Units are reserved from the proposal until it is executed or ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, TypeVar

from aiohttp import web

from adapters.capabilities import Action
from adapters.contract import HoldingState
from adapters.sandbox.acts import Settings, read_number, read_switch
from adapters.sandbox.book import BookRefusal, Entry
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.desk import Order, OrderStatus
from adapters.sandbox.server import Sandbox, describe_entry
from adapters.uk_ets.hours import compute_execution
from keeling.serials import SerialRange, parse
from keeling.serials.uk_account import AccountNumberError, format_account, parse_account

T = TypeVar("T")
INITIATOR: Final = "sandbox-representative-1"
APPROVER: Final = "sandbox-representative-2"
OURS: Final = format_account("UK", 100, 10000025, 0)
TRUSTED: Final = format_account("UK", 100, 10000031, 0)
OUTSIDE: Final = format_account("UK", 100, 10000052, 0)
SURRENDER: Final = format_account("UK", 100, 10000071, 0)
DELETION: Final = format_account("UK", 100, 10000072, 0)
CANCEL_CLOSES_MS: Final = 7_200_000
_NEVER_MS: Final = 32_503_680_000_000
_ACTIONS: Final = {
    "TransferAllowances": (Action.TRANSFER, ""),
    "SurrenderAllowances": (Action.USE, SURRENDER),
    "DeletionOfAllowances": (Action.CANCEL, DELETION),
}
_TYPES: Final = {action: name for name, (action, _) in _ACTIONS.items()}
_HOLDERS: Final = {SURRENDER: "UK_SURRENDER_ACCOUNT", DELETION: "UK_DELETION_ACCOUNT"}


class UkEtsSandbox(Sandbox):
    """`approval_ms`: after how long the second representative approves by himself; None: he waits to be told.

    `cancel_closes_ms`: for so long before its execution a delayed transfer cannot be cancelled any more; 0: until then.
    """

    name = "uk_ets"
    blocks = True
    settings: ClassVar[Settings] = {
        "approval_ms": read_number,
        "cancel_closes_ms": read_number,
        "reconciling": read_switch,
    }

    def __init__(self, clock: SandboxClock | None = None, seed: int = 0, approval_ms: int | None = 1_800_000) -> None:
        super().__init__(clock, seed)
        self.approval_ms = approval_ms
        self.cancel_closes_ms = CANCEL_CLOSES_MS
        self.reconciling = False
        self.trusted = {TRUSTED}
        self._approved: dict[str, int] = {}
        self._rejected: set[str] = set()

    def fill(self, units: int = 1_000_000, account: str = OURS, first: int = 10_000_002_000) -> SerialRange:
        """Issue one block to an account."""
        serials = parse(f"UKA-{first}-{first + units - 1}")
        self.book.issue(self.clock.now_ms, serials, account)
        return serials

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api-registry/transactions.propose", self._propose),
            web.post("/api-registry/transactions.cancel", self._cancel),
            web.post("/api-registry/tasks.complete", self._complete),
            web.get("/api-registry/transactions.get", self._get),
            web.get("/api-registry/transactions.list", self._list),
            web.get("/api-registry/unit-blocks.report", self._blocks),
        ]

    def credentials(self) -> dict[str, str]:
        return {"initiator": INITIATOR, "approver": APPROVER}

    def next_reference(self) -> str:
        return f"UK{1_000_000 + len(self.desk.orders)}"

    def empty_list(self) -> Any:
        return {"page": 0, "pageSize": 100, "totalResults": 0, "items": []}

    def notice_of(self, entry: Entry) -> dict[str, Any]:
        order = self.desk.orders.get(entry.reference)
        return describe_entry(entry) if order is None else self._describe(order, self.clock.now_ms)

    # -- writing

    async def _propose(self, request: web.Request) -> web.Response:
        if _who(request) != INITIATOR:
            return _errors(401, ("", "not signed in"))
        try:
            body = json.loads(await request.read())
            action, to_account = _ACTIONS[body["type"]]
            account, units = str(body["transferringAccountFullIdentifier"]), int(body["blocks"][0]["quantity"])
        except (ValueError, KeyError, IndexError, TypeError):
            return _errors(400, ("", "type, accounts and blocks are required"))
        to_account = to_account or str(body.get("acquiringAccountFullIdentifier", ""))
        wrong = self._check(account, to_account, units)
        if wrong is not None:
            return _errors(406, wrong)
        try:
            asked = tuple(self.book.choose(account, units))
        except BookRefusal as refusal:
            return _errors(406, ("3005", f"The quantity exceeds the balance: {refusal}"))
        now, key = self.clock.now_ms, str(body.get("reference", ""))
        order = Order(self.next_reference(), key, action, account, asked, now, _NEVER_MS, to_account)
        self.desk.receive(order)
        if self.approval_ms is not None:
            self.clock.at(now + self.approval_ms, lambda: self._approve(order))
        found = {"requestIdentifier": _task(order), "transactionIdentifier": order.reference, "approvalRequired": True}
        return web.json_response({**found, "transactionType": body["type"], "errors": None})

    def _check(self, account: str, to_account: str, units: int) -> tuple[str, str] | None:
        for side, number in (("1", account), ("2", to_account)):
            try:
                parse_account(number)
            except AccountNumberError as error:
                return (f"{side}001", str(error))
        if to_account not in (OURS, TRUSTED, OUTSIDE, *_HOLDERS):
            return ("2002", "You cannot transfer to this account")
        if account == to_account:
            return ("2508", "The acquiring account is the transferring account")
        if units < 1:
            return ("3008", "The quantity must be a positive integer")
        return ("3016", "A reconciliation is in progress") if self.reconciling else None

    def _approve(self, order: Order) -> None:
        if order.status is not OrderStatus.WAITING or order.reference in self._approved:
            return
        now = self.clock.now_ms
        self._approved[order.reference] = now
        delayed = order.action is Action.TRANSFER
        due_ms = compute_execution(now, trusted=order.to_account in self.trusted) if delayed else now
        self.desk.postpone(order.reference, due_ms)

    async def _complete(self, request: web.Request) -> web.Response:
        said = await request.post()
        found = [order for order in self.desk.orders.values() if str(_task(order)) == said.get("requestId")]
        if _who(request) != APPROVER:
            return _errors(403, ("", "the initiator of a task cannot complete it"))
        if not found or found[0].reference in self._approved or found[0].status is not OrderStatus.WAITING:
            return _errors(400, ("", "no such open task"))
        if said.get("taskOutcome") == "APPROVED":
            self._approve(found[0])
        else:
            self._rejected.add(found[0].reference)
            self.desk.withdraw(found[0].reference)
        return web.json_response({"requestIdentifier": _task(found[0]), "taskDetailsDTO": None})

    async def _cancel(self, request: web.Request) -> web.Response:
        said = await request.post()
        order = self.desk.orders.get(str(said.get("transactionIdentifier")))
        if _who(request) != INITIATOR:
            return _errors(401, ("", "not signed in"))
        if order is None or not said.get("comment"):
            return _errors(400, ("", "transaction and comment are required"))
        now = self.clock.now_ms
        if self._status(order, now) != "DELAYED":
            return _errors(400, ("", "Only transactions in 'Delayed' status can be manually cancelled"))
        if order.due_ms - now < self.cancel_closes_ms:
            return _errors(400, ("", "the transaction is too near to its execution to be cancelled"))
        self.desk.withdraw(order.reference)
        return web.Response(status=200)

    # -- reading

    async def _get(self, request: web.Request) -> web.Response:
        at_ms = self.seen_at(request)
        order = self.desk.orders.get(request.query.get("transactionIdentifier", ""))
        if _who(request) not in (INITIATOR, APPROVER):
            return _errors(401, ("", "not signed in"))
        if order is None or order.received_ms > at_ms:
            return _errors(404, ("", "no such transaction"))
        return web.json_response(self._describe(order, at_ms))

    async def _list(self, request: web.Request) -> web.Response:
        at_ms, asked = self.seen_at(request), request.query
        since_ms = _day_ms(asked.get("transactionLastUpdateDateFrom", "1970-01-01"))
        account = asked.get("transferringAccountNumber", "")
        found = [
            order
            for order in self.desk.orders.values()
            if order.received_ms <= at_ms and account in order.account and self._updated(order, at_ms) >= since_ms
        ]

        def show(order: Order) -> dict[str, Any]:
            return {
                "id": order.reference,
                "type": _TYPES[order.action],
                "units": {"quantity": order.units, "type": "ALLOWANCE"},
                "transferringAccount": _side(order.account),
                "acquiringAccount": _side(order.to_account),
                "lastUpdated": _instant(self._updated(order, at_ms)),
                "status": self._status(order, at_ms),
            }

        return _page(request, found, show)

    async def _blocks(self, request: web.Request) -> web.Response:
        waiting = [order for order in self.desk.orders.values() if order.status is OrderStatus.WAITING]
        rows = []
        for row in self.book.rows():
            held = [order.reference for order in waiting if any(row.serials.overlaps(part) for part in order.asked)]
            rows.append(
                {
                    "startBlock": row.serials.first,
                    "endBlock": row.serials.last,
                    "quantity": row.serials.units,
                    "unitType": "ALLOWANCE",
                    "originatingCountryCode": "UK",
                    "accountNumber": row.account,
                    "holdingAccountType": _HOLDERS.get(row.account, "TRADING_ACCOUNT"),
                    "lastTransaction": row.reference,
                    "reservedForTransaction": held[0] if held and row.state is HoldingState.BLOCKED else None,
                }
            )
        return _page(request, rows, lambda row: row)

    def _status(self, order: Order, at_ms: int) -> str:
        """The status as it was at a time."""
        if order.decided_ms and order.decided_ms <= at_ms:
            match order.status:
                case OrderStatus.REFUSED:
                    return "TERMINATED"
                case OrderStatus.WITHDRAWN:
                    return "REJECTED" if order.reference in self._rejected else "MANUALLY_CANCELLED"
                case OrderStatus.UNDONE:
                    return "REVERSED"
            return "COMPLETED"
        return "DELAYED" if self._approved.get(order.reference, at_ms + 1) <= at_ms else "AWAITING_APPROVAL"

    def _updated(self, order: Order, at_ms: int) -> int:
        """When its status was set that shows at a time."""
        match self._status(order, at_ms):
            case "AWAITING_APPROVAL":
                return order.received_ms
            case "DELAYED":
                return self._approved[order.reference]
        return order.decided_ms

    def _describe(self, order: Order, at_ms: int) -> dict[str, Any]:
        status = self._status(order, at_ms)
        decided = status not in ("AWAITING_APPROVAL", "DELAYED")
        blocks = order.done if decided and order.done else order.asked
        ended = {"details": order.reason, "errorCode": 10005} if status == "TERMINATED" else None
        updated = self._updated(order, at_ms)
        return {
            "identifier": order.reference,
            "type": _TYPES[order.action],
            "status": status,
            "quantity": order.units,
            "unitType": "ALLOWANCE",
            "taskIdentifier": _task(order),
            "reference": order.key,
            "transferringAccountFullIdentifier": order.account,
            "transferringAccountName": "Asha Textiles trading account",
            "acquiringAccountFullIdentifier": order.to_account,
            "blocks": [
                {"startBlock": part.first, "endBlock": part.last, "type": "ALLOWANCE", "originatingCountryCode": "UK"}
                for part in blocks
            ],
            "started": _instant(order.received_ms),
            "lastUpdated": _instant(updated),
            "executionDateTime": _instant(order.due_ms) if status == "DELAYED" else None,
            "responses": [ended] if ended else [],
        }


def _side(account: str) -> dict[str, Any]:
    return {"title": account, "ukRegistryFullIdentifier": account, "accountHolderName": "Asha Textiles"}


def _task(order: Order) -> int:
    return 5_000_000 + int(order.reference.removeprefix("UK"))


def _who(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _errors(status: int, *found: tuple[str, str]) -> web.Response:
    details = [{"code": code or None, "message": message} for code, message in found]
    return web.json_response({"errorDetails": details}, status=status)


def _page(request: web.Request, rows: Sequence[T], show: Callable[[T], dict[str, Any]]) -> web.Response:
    page, size = int(request.query.get("page", "0")), int(request.query.get("pageSize", "20"))
    found = [show(row) for row in rows[page * size : (page + 1) * size]]
    return web.json_response({"page": page, "pageSize": size, "totalResults": len(rows), "items": found})


def _day_ms(text: str) -> int:
    day = datetime.fromisoformat(text[:10]).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return day.days * 86_400_000


def _instant(at_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).isoformat()
