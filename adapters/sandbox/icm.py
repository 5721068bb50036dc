"""A sandbox of India's carbon registry: plant accounts, blocks for sessions, breaches, bans, banking. Not real.

What a session's check and a ban follow is in `icm_conduct`; what was assumed, in `adapters.icm.basis`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from adapters.capabilities import Action
from adapters.contract import ChangeKind, HoldingState
from adapters.icm.mapping import OPERATIONS
from adapters.icm.sessions import CONFIRMED, EXCHANGES, REPORTED, day_of, instant, read_session
from adapters.sandbox.acts import Act, Values, read_serials, read_text
from adapters.sandbox.article6 import subtract
from adapters.sandbox.book import BookRefusal, Entry
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.desk import Order, OrderStatus
from adapters.sandbox.exchange_values import print_instant
from adapters.sandbox.icm_conduct import Breach, Conduct, Debarment
from adapters.sandbox.server import Sandbox
from adapters.web import parse_json
from keeling.serials import SerialError, SerialRange, parse, print_range

Answer = Callable[[web.Request], Awaitable[web.Response]]

TOKEN: Final = "sandbox-token"
PLANT: Final = "GCI-OE-CEM0042"
BUYER: Final = "GCI-OE-ALU0007"
_ACTIONS: Final = {operation: action for action, operation in OPERATIONS.items()}
_EVENTS: Final = {
    ChangeKind.ISSUED: "ISSUED",
    ChangeKind.BLOCKED: "BLOCKED",
    ChangeKind.UNBLOCKED: "RELEASED",
    ChangeKind.TRANSFERRED: "TRANSFERRED",
    ChangeKind.USED: "SURRENDERED",
    ChangeKind.RETIRED: "EXTINGUISHED",
    ChangeKind.CANCELLED: "CANCELLED",
    ChangeKind.REVERSED: "REVERSED",
}
_STATUS: Final = {
    OrderStatus.WAITING: "PENDING",
    OrderStatus.PARTLY: "PARTIAL",
    OrderStatus.DONE: "DONE",
    OrderStatus.REFUSED: "REFUSED",
    OrderStatus.WITHDRAWN: "REFUSED",
    OrderStatus.UNDONE: "REVERSED",
}


class IcmSandbox(Sandbox):
    """Orders are decided at once, but blocks for a session when the registry confirms availability."""

    name = "icm"

    def __init__(self, clock: SandboxClock | None = None, seed: int = 0, debarment: Debarment | None = None) -> None:
        super().__init__(clock, seed)
        self.conduct: Final = Conduct(debarment or Debarment())
        self.log: list[dict[str, Any]] = []
        self.banked_years: set[str] = set()
        self._orders: dict[str, Order] = {}
        self._reserved: dict[tuple[str, str], list[SerialRange]] = {}
        self._entries_logged = 0
        self._pushed = 0

    def fill(self, units: int = 95_000, account: str = PLANT, year: str = "2025-26") -> SerialRange:
        """Issue one block to a plant's account."""
        serials = parse(f"IN-CCC-OE-{account.rpartition('-')[2]}-{year}-1-{units}")
        self.book.issue(self.clock.now_ms, serials, account)
        return serials

    def credentials(self) -> dict[str, str]:
        return {"token": TOKEN}

    def close_year(self, year: str) -> None:
        """End a compliance year: what is left of its certificates is banked."""
        self.banked_years.add(year)
        for row in self.book.rows(states=(HoldingState.ACTIVE,)):
            if _year_of(row.serials) == year:
                self.announce("BANKED", row.account, {"year": year}, row.serials)

    def acts(self) -> dict[str, Act]:
        return super().acts() | {"offer": self._offer, "close-year": self._close_year}

    def _offer(self, values: Values) -> Any:
        """What the plant offers in a session at another door than ours."""
        said = {"exchange": read_text(values, "exchange"), "session": read_text(values, "session")}
        if said["exchange"] not in EXCHANGES:
            raise ValueError(f"exchange is one of {', '.join(EXCHANGES)}")
        now, due_ms = self.clock.now_ms, instant(read_session(said["session"]), CONFIRMED)
        reference, account, asked = self.next_reference(), read_text(values, "account"), read_serials(values)
        key = f"OWN-{reference}"
        order = Order(reference, key, Action.BLOCK, account, asked, now, due_ms, said["exchange"], said=said)
        self._orders[key] = order
        self._take(order)
        return {"order": reference, "units": order.units, "status": order.status, "reason": order.reason}

    def _close_year(self, values: Values) -> Any:
        """A compliance year ends: what is left of its certificates is banked."""
        self.close_year(read_text(values, "year"))
        return {"banked_years": sorted(self.banked_years)}

    def announce(self, event: str, account: str, facts: dict[str, str], block: SerialRange | None = None) -> None:
        """Write something into the log that is no event of the books."""
        self._log_entries()
        self._write(event, self.clock.now_ms, (account, ""), block, ("", ""), facts)
        self.tell()

    def tell(self) -> None:
        self._log_entries()
        for event in self.log[self._pushed :]:
            self.notices.put(f"icm.{event['event'].lower()}", event)
        self._pushed = len(self.log)
        self._told = len(self.book.entries)
        super().tell()

    def _log_entries(self) -> None:
        fresh, self._entries_logged = self.book.entries[self._entries_logged :], len(self.book.entries)
        for entry in fresh:
            self._log_entry(entry)

    def _log_entry(self, entry: Entry) -> None:
        order = self.desk.orders.get(entry.reference)
        facts = dict(order.said) if order is not None else {}
        places, ids = (entry.account, entry.to_account), (entry.reference, entry.key)
        self._write(_EVENTS[entry.kind], entry.at_ms, places, entry.serials, ids, facts)

    def _write(
        self,
        event: str,
        at_ms: int,
        places: tuple[str, str],
        block: SerialRange | None,
        ids: tuple[str, str],
        facts: dict[str, str],
    ) -> None:
        self.log.append(
            {
                "id": f"ICM-E{len(self.log) + 1:08d}",
                "event": event,
                "at": print_instant(at_ms),
                "account": places[0],
                "toAccount": places[1],
                "block": None if block is None else print_range(block),
                "orderId": ids[0],
                "key": ids[1],
                "facts": facts,
            }
        )

    # -- orders

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/icm/v1/orders", _known(self._order)),
            web.get("/icm/v1/orders", _known(self._list_orders)),
            web.get("/icm/v1/events", _known(self._list_events)),
            web.get("/icm/v1/holdings", _known(self._list_holdings)),
            web.get("/icm/v1/accounts/{account}/balance", _known(self._balance)),
        ]

    async def _order(self, request: web.Request) -> web.Response:
        key, raw = request.headers.get("Idempotency-Key", ""), await request.read()
        if not re.fullmatch(r"[\w-]{1,64}", key, re.ASCII):
            return _problem(400, "INVALID_KEY", "an Idempotency-Key has 1 to 64 letters, digits, _ or -")
        known, fingerprint = self._orders.get(key), hashlib.sha256(raw).digest()
        if known is not None:
            if known.fingerprint != fingerprint:
                return _problem(422, "KEY_REUSED", "the key was used for another order")
            return web.json_response(self._show(known, self.clock.now_ms))
        try:
            order = self._read_order(key, raw, fingerprint)
        except (ValueError, KeyError, TypeError, SerialError) as error:
            return _problem(400, "INVALID_ORDER", str(error))
        self._orders[key] = order
        self._take(order)
        return web.json_response(self._show(order, self.clock.now_ms), status=201)

    def _read_order(self, key: str, raw: bytes, fingerprint: bytes) -> Order:
        body = parse_json(raw)
        action = _ACTIONS[str(body["operation"])]
        blocks = tuple(parse(str(item)) for item in body["blocks"])
        if sum(item.units for item in blocks) != body["quantity"] or not blocks:
            raise ValueError("the blocks do not hold the quantity")
        said = {name: str(body[name]) for name in ("exchange", "session", "complianceYear") if name in body}
        due_ms = self.clock.now_ms
        if action is Action.BLOCK:
            due_ms = instant(read_session(said["session"]), CONFIRMED)
        return Order(
            reference=self.next_reference(),
            key=key,
            action=action,
            account=str(body["account"]),
            asked=blocks,
            received_ms=self.clock.now_ms,
            due_ms=due_ms,
            to_account=str(body.get("toAccount", "")),
            fingerprint=fingerprint,
            said=said,
        )

    def _take(self, order: Order) -> None:
        """Put the order before the desk; what it finds wrong is a decision, kept like any other."""
        today = day_of(self.clock.now_ms)
        try:
            if order.action is Action.BLOCK:
                until = self.conduct.debarred_until(order.account, today)
                if until is not None:
                    raise BookRefusal("DEBARRED", f"no orders of {order.account} until {until}")
                if self.clock.now_ms > instant(read_session(order.said["session"]), REPORTED):
                    raise BookRefusal("TOO_LATE", f"the session of {order.said['session']} was reported")
                self.clock.at(order.due_ms, lambda: self._confirm(order.account, order.said["session"]))
            leaves = order.action in (Action.TRANSFER, Action.UNBLOCK)
            if leaves:
                self._check_session(order)
            self.desk.receive(order)
            if leaves:
                self._leave_session(order)
        except BookRefusal as refusal:
            self.desk.orders[order.reference] = order
            self.desk.refuse(order.reference, f"{refusal.code}: {refusal}")
        if order.action is Action.BLOCK and order.due_ms <= self.clock.now_ms:
            self.clock.settle()

    def _check_session(self, order: Order) -> None:
        """Sold or released certificates come out of the block for this exchange and session, and of no other."""
        name = (order.said["exchange"], order.said["session"])
        reserved = self._reserved.get(name, [])
        if any(subtract(item, reserved) for item in order.asked):
            raise BookRefusal("NOT_BLOCKED", f"not all of it is blocked for {' '.join(name)}")
        if order.action is Action.TRANSFER:
            self.book.set_aside(order.account, order.asked, back=True)

    def _leave_session(self, order: Order) -> None:
        """What is done, or may still be, is out of the block; what was refused stays in it."""
        name = (order.said["exchange"], order.said["session"])
        gone = order.asked if order.status is OrderStatus.PARTLY else order.done
        self._reserved[name] = [left for item in self._reserved[name] for left in subtract(item, gone)]
        if order.action is Action.TRANSFER:
            left = [part for item in order.asked for part in subtract(item, gone)]
            self.book.set_aside(order.account, left)

    def _confirm(self, account: str, session: str) -> None:
        """16:00: what the seller offers on all exchanges together must be there, or none of it is taken."""
        waiting = [
            order
            for order in self.desk.orders.values()
            if order.action is Action.BLOCK
            and order.status is OrderStatus.WAITING
            and (order.account, order.said["session"]) == (account, session)
        ]
        offered = sum(order.units for order in waiting)
        free = self.book.units(account, (HoldingState.ACTIVE,))
        if not waiting:
            return
        if offered <= free:
            for order in waiting:
                self.desk.postpone(order.reference, self.clock.now_ms)
                name = (order.said["exchange"], session)
                self._reserved[name] = self._reserved.get(name, []) + list(order.done)
            return
        exchanges = " and ".join(sorted({order.said["exchange"] for order in waiting}))
        breach = Breach(account, read_session(session), offered, free)
        until = self.conduct.record(breach)
        number = self.conduct.breaches(account, breach.session)
        reason = f"OVER_BID: {offered} offered at {exchanges}, {free} free; breach {number} of the quarter"
        for order in waiting:
            self.desk.refuse(order.reference, reason)
        facts = {"session": session, "offered": str(offered), "free": str(free), "breaches": str(number)}
        self.announce("BREACH", account, facts)
        if until is not None:
            self.announce("DEBARRED", account, {"until": until.isoformat()})

    # -- reading

    async def _list_orders(self, request: web.Request) -> web.Response:
        at_ms, asked = self.seen_at(request), request.query
        rows = [
            self._show(order, at_ms)
            for order in self._orders.values()
            if order.received_ms <= at_ms
            and asked.get("key", order.key) == order.key
            and asked.get("orderId", order.reference) == order.reference
        ]
        return web.json_response({"orders": rows})

    def _show(self, order: Order, at_ms: int) -> dict[str, Any]:
        decided = order.status is not OrderStatus.WAITING and order.decided_ms <= at_ms
        return {
            "orderId": order.reference,
            "key": order.key,
            "status": _STATUS[order.status] if decided else "PENDING",
            "quantity": order.units,
            "done": [print_range(item) for item in order.done] if decided else [],
            "refusedQuantity": order.refused_units if decided else 0,
            "reason": order.reason if decided else "",
            "decidedAt": print_instant(order.decided_ms) if decided else None,
            "dueAt": print_instant(order.due_ms) if not decided else None,
        }

    async def _list_events(self, request: web.Request) -> web.Response:
        self._log_entries()
        since, limit = _read_place(request, "since")
        rows = self.log[since : since + limit]
        at = print_instant(self.clock.now_ms)
        return web.json_response({"events": rows, "since": since, "total": len(self.log), "asOf": at})

    async def _list_holdings(self, request: web.Request) -> web.Response:
        offset, limit = _read_place(request, "offset")
        rows = self.book.rows()
        shown = [
            {
                "block": print_range(row.serials),
                "quantity": row.serials.units,
                "account": row.account,
                "state": str(row.state),
                "orderId": row.reference,
            }
            for row in rows[offset : offset + limit]
        ]
        units = sum(row.serials.units for row in rows)
        at = print_instant(self.clock.now_ms)
        page = {"holdings": shown, "offset": offset, "total": len(rows), "quantity": units, "asOf": at}
        return web.json_response(page)

    async def _balance(self, request: web.Request) -> web.Response:
        account, today = request.match_info["account"], day_of(self.clock.now_ms)
        active = self.book.rows(account, (HoldingState.ACTIVE,))
        banked = sum(row.serials.units for row in active if _year_of(row.serials) in self.banked_years)
        until = self.conduct.debarred_until(account, today)
        found = {
            "free": self.book.units(account, (HoldingState.ACTIVE,)) - banked,
            "blocked": self.book.units(account, (HoldingState.BLOCKED,)),
            "banked": banked,
            "surrendered": self.book.units(account, (HoldingState.USED,)),
            "extinguished": self.book.units(account, (HoldingState.RETIRED, HoldingState.CANCELLED)),
            "breaches": self.conduct.breaches(account, today),
            "debarredUntil": until.isoformat() if until else "",
        }
        return web.json_response(found)


def _known(answer: Answer) -> Answer:
    async def handle(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _problem(401, "UNAUTHORIZED", "no valid token")
        try:
            return await answer(request)
        except ValueError as error:
            return _problem(400, "INVALID_REQUEST", str(error))

    return handle


def _read_place(request: web.Request, name: str) -> tuple[int, int]:
    return max(0, int(request.query.get(name, "0"))), min(200, max(1, int(request.query.get("limit", "200"))))


def _year_of(serials: SerialRange) -> str:
    return "-".join(serials.prefix.split("-")[4:6])


def _problem(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": code, "message": message}, status=status)
