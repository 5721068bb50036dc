"""The desk of a registry: orders come in, are decided now or when they fall due, and the books follow.

How orders are spoken over HTTP is a registry's own module. Decisions are what a registry may really do: the units asked
for, other ones of the account, a part of them, or none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from adapters.capabilities import Action
from adapters.contract import (
    ChangeKind,
    HoldingState,
)
from adapters.sandbox.book import Book, BookRefusal
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.faults import FaultKind, Faults
from keeling.serials import SerialRange

_BECOMES: Final = {
    Action.RETIRE: (ChangeKind.RETIRED, HoldingState.RETIRED),
    Action.CANCEL: (ChangeKind.CANCELLED, HoldingState.CANCELLED),
    Action.USE: (ChangeKind.USED, HoldingState.USED),
    Action.TRANSFER: (ChangeKind.TRANSFERRED, HoldingState.ACTIVE),
    Action.BLOCK: (ChangeKind.BLOCKED, HoldingState.BLOCKED),
    Action.UNBLOCK: (ChangeKind.UNBLOCKED, HoldingState.ACTIVE),
}


class OrderStatus(StrEnum):
    """Where an order stands. PARTLY: some units are done, the rest still waits."""

    WAITING = "waiting"
    PARTLY = "partly"
    DONE = "done"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    UNDONE = "undone"


@dataclass
class Order:
    """What was asked of the registry, and what became of it. Written by the desk alone."""

    reference: str
    key: str
    action: Action
    account: str
    asked: tuple[SerialRange, ...]
    received_ms: int
    due_ms: int
    to_account: str = ""
    fingerprint: bytes = b""
    said: dict[str, str] = field(default_factory=dict)
    status: OrderStatus = OrderStatus.WAITING
    done: tuple[SerialRange, ...] = ()
    refused_units: int = 0
    reason: str = ""
    decided_ms: int = 0
    set_aside: bool = False
    """Its units are blocked while it waits."""

    @property
    def units(self) -> int:
        return sum(item.units for item in self.asked)

    @property
    def waiting_units(self) -> int:
        """Units that may still be done."""
        if self.status not in (OrderStatus.WAITING, OrderStatus.PARTLY):
            return 0
        return self.units - sum(item.units for item in self.done) - self.refused_units


class Desk:
    """Orders by reference, in the order they came."""

    def __init__(self, book: Book, clock: SandboxClock, faults: Faults, *, blocks: bool = False) -> None:
        """`blocks`: units of a waiting order are blocked until it is decided; else the owner could still move them."""
        self.book: Final = book
        self.orders: dict[str, Order] = {}
        self.decided: list[Callable[[Order], None]] = []
        """Called after every decision: what pushes notices."""
        self._by_key: dict[str, Order] = {}
        self._clock = clock
        self._faults = faults
        self._blocks = blocks

    def with_key(self, key: str) -> Order | None:
        """The first order that came with this key."""
        return self._by_key.get(key) if key else None

    def receive(self, order: Order) -> Order:
        """Take an order whose units are the account's, and decide it now or when it falls due; else `BookRefusal`."""
        before = HoldingState.BLOCKED if order.action == Action.UNBLOCK else HoldingState.ACTIVE
        self.book.check(order.account, order.asked, before)
        self.orders[order.reference] = order
        if order.key:
            self._by_key.setdefault(order.key, order)
        if self._blocks and order.due_ms > self._clock.now_ms:
            self.book.set_aside(order.account, order.asked)
            order.set_aside = True
        if order.due_ms <= self._clock.now_ms:
            self._decide(order)
        else:
            self._clock.at(order.due_ms, lambda: self._decide(order))
        return order

    def postpone(self, reference: str, due_ms: int) -> Order:
        """Let a waiting order fall due at another time, later or sooner; decided now if that is past."""
        order = self.orders[reference]
        order.due_ms = due_ms
        if due_ms <= self._clock.now_ms:
            self._decide(order)
        else:
            self._clock.at(due_ms, lambda: self._decide(order))
        return order

    def withdraw(self, reference: str) -> Order:
        """Cancel an order that is still waiting; raises `BookRefusal` otherwise."""
        order = self.orders.get(reference)
        if order is None or order.status is not OrderStatus.WAITING:
            raise BookRefusal("TOO_LATE", f"{reference} is not waiting any more")
        self._unblock(order)
        order.status, order.refused_units, order.reason = OrderStatus.WITHDRAWN, order.units, "withdrawn"
        self._finish(order)
        return order

    def refuse(self, reference: str, reason: str) -> Order:
        """Say no to an order that is still waiting; any other is left as it is."""
        order = self.orders[reference]
        if order.status is OrderStatus.WAITING:
            self._unblock(order)
            order.status, order.refused_units, order.reason = OrderStatus.REFUSED, order.units, reason
            self._finish(order)
        return order

    def undo(self, reference: str) -> list[SerialRange]:
        """The registry takes back what it had done."""
        ranges = self.book.undo(self._clock.now_ms, reference)
        order = self.orders.get(reference)
        if order is not None:
            order.status = OrderStatus.UNDONE
            self._finish(order)
        return ranges

    def complete(self, reference: str) -> Order:
        """Do the units that were left pending."""
        order = self.orders[reference]
        if order.status is OrderStatus.PARTLY:
            self._do(order, self._left(order))
            order.status = OrderStatus.DONE
            self._finish(order)
        return order

    def _decide(self, order: Order) -> None:
        if order.status is not OrderStatus.WAITING or order.due_ms > self._clock.now_ms:
            return
        self._unblock(order)
        kinds = (FaultKind.REFUSE, FaultKind.PARTIAL, FaultKind.PARTIAL_OPEN, FaultKind.OTHER_SERIALS)
        fault = self._faults.take(kinds, f"DESK {order.action} {order.account}")
        try:
            if fault is not None and fault.kind is FaultKind.REFUSE:
                raise BookRefusal("DECLINED", "declined by the registry")
            units, ranges = order.units, list(order.asked)
            if fault is not None and fault.kind is FaultKind.OTHER_SERIALS:
                ranges = self.book.choose(order.account, units, {item.space for item in order.asked}, pieces=2)
            elif fault is not None:
                ranges = _first_units(ranges, max(1, units * fault.value // 1000))
            self._do(order, ranges)
        except BookRefusal as refusal:
            order.status, order.refused_units = OrderStatus.REFUSED, order.units
            order.reason = f"{refusal.code}: {refusal}"
            self._finish(order)
            return
        order.status = OrderStatus.DONE
        if fault is not None and fault.kind is FaultKind.PARTIAL:
            order.refused_units, order.reason = order.units - sum(r.units for r in order.done), "only in part"
        elif (
            fault is not None
            and fault.kind is FaultKind.PARTIAL_OPEN
            and order.units > sum(r.units for r in order.done)
        ):
            order.status = OrderStatus.PARTLY
        self._finish(order)

    def _do(self, order: Order, ranges: list[SerialRange]) -> None:
        kind, state = _BECOMES[order.action]
        before = HoldingState.BLOCKED if order.action == Action.UNBLOCK else HoldingState.ACTIVE
        self.book.change(
            self._clock.now_ms,
            kind,
            order.account,
            ranges,
            state=state,
            reference=order.reference,
            key=order.key,
            to_account=order.to_account,
            before=before,
        )
        order.done += tuple(ranges)

    def _unblock(self, order: Order) -> None:
        if order.set_aside:
            self.book.set_aside(order.account, order.asked, back=True)
            order.set_aside = False

    def _left(self, order: Order) -> list[SerialRange]:
        done = sum(item.units for item in order.done)
        whole = list(order.asked)
        return _without_first(whole, done)

    def _finish(self, order: Order) -> None:
        order.decided_ms = self._clock.now_ms
        for tell in self.decided:
            tell(order)


def _first_units(ranges: list[SerialRange], units: int) -> list[SerialRange]:
    found = []
    for item in ranges:
        if units:
            size = min(units, item.units)
            found.append(item.part(item.first, item.first + size - 1))
            units -= size
    return found


def _without_first(ranges: list[SerialRange], units: int) -> list[SerialRange]:
    found = []
    for item in ranges:
        skipped = min(units, item.units)
        units -= skipped
        if skipped < item.units:
            found.append(item.part(item.first + skipped, item.last))
    return found
