"""Orders to block units at their registry for a session of an exchange, and to let them out of it again, carried.

The registry's yes leaves the units restricted, its no frees them. After a restart, and by another hub, orders are
found by their restrictions and asked about; who may send, and until when, is as for holds (docs/decisions/0010). What
stands on the ledger of an order, and how it comes there, is in `ordering`.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple, Protocol

from adapters.contract import Change, ChangeKind, Holdings, HoldingState, Refused, Report
from hub.dispatch.conduct import Conduct, News
from hub.dispatch.lines import Lines
from hub.dispatch.ordering import WAITS, CannotOrder, Known, Register, Wanted, subtract_all
from hub.dispatch.orders import CALLS_MOST, call_registry
from hub.dispatch.seat import Seat
from hub.dispatch.sessions import Kind, OrderName, Reserved, count_units, list_reserved
from hub.dispatch.sight import Standing
from hub.dispatch.wording import join_ranges
from keeling.serials import SerialRange, print_range
from keeling.v1 import operations_pb2 as op

ENDED_KEPT: Final = 1_000
LOOK_MS: Final = 15_000
"""Another hub may have given an order: the ledger is looked at again this often."""
PAGES_MAX: Final = 10_000
"""Of a registry's books."""
_STUCK_MS: Final = 60_000
"""What the ledger refused is tried again after this."""
_DONE: Final = {Kind.BLOCK: "blocked", Kind.UNBLOCK: "free again"}


class Line(NamedTuple):
    """An order as people see it."""

    name: OrderName
    account: str
    registry: str
    serials: tuple[str, ...]
    units: int
    standing: str
    """"being blocked", "blocked", "being let out"; of an order that is over: "refused", "free again"."""
    why: str
    alert: str
    since_ms: int
    expected_ms: int
    """When the registry says it will decide; 0: it does not say."""


class Hearer(Protocol):
    """What of the dispatcher is needed."""

    async def hear(self, registry: str, change: Change) -> bool: ...


class Blocking:
    """One hub's orders for sessions. For one event loop; `step` may be called at any time, and after a restart finds
    all. Raises `LedgerError` where the ledger does not answer."""

    def __init__(self, seat: Seat, lines: Lines, dispatcher: Hearer) -> None:
        """`lines`: the dispatcher's, whose turn and quiet times hold for these too."""
        self.conduct: Final = Conduct(seat)
        self.ended: Final[deque[Line]] = deque(maxlen=ENDED_KEPT)
        """What came to an end lately, in order."""
        self._seat, self._lines, self._dispatcher = seat, lines, dispatcher
        self._register = Register(seat, lines)
        self._known: dict[bytes, Known] = {}
        self._looked_ms = -LOOK_MS

    def list_orders(self) -> list[Line]:
        """What waits or is blocked, in the order in which it was ordered."""
        return [_show(self._known[number]) for number in sorted(self._known)]

    def list_news(self) -> list[News]:
        """What people should know of links: which are stopped now, and what registries said of accounts lately."""
        stops = [News(each.registry, each.account, 0, each.stopped) for each in self._lines.links() if each.stopped]
        said = [each for each in self.conduct.list_news() if not any(each.text in stop.text for stop in stops)]
        return stops + said

    async def order(self, wanted: Wanted) -> Line:
        """Give an order, final on the ledger when this returns; the same again is the same. Raises `CannotOrder`."""
        number = wanted.name.number
        if number not in self._known and await self._register.find_record(number, ""):
            await self._look()
            if number not in self._known:
                return self._find_ended(wanted)
        if number not in self._known:
            self._known[number] = await self._register.give(wanted)
        known = self._known[number]
        if (known.name, known.account) != (wanted.name, wanted.account):
            raise CannotOrder("another order has this id", used=True)
        await self._carry(known)
        over = [line for line in self.ended if line.name.number == number]
        return over[-1] if over else _show(known)

    def _find_ended(self, wanted: Wanted) -> Line:
        for line in self.ended:
            if (line.name, line.account) == (wanted.name, wanted.account):
                return line
        raise CannotOrder("another order has this id, or it is over", used=True)

    async def step(self) -> None:
        """Find what was ordered elsewhere, and carry everything as far as it goes."""
        if self._seat.now_ms() - self._looked_ms >= LOOK_MS:
            await self._look()
        for known in list(self._known.values()):
            await self._carry(known)

    async def hear(self, registry: str, change: Change) -> bool:
        """Take a registry's news about a hold or an order of ours: asked about now. False: it is about neither."""
        if await self._dispatcher.hear(registry, change):
            return True
        judged = await self.conduct.hear(registry, change)
        about = []
        for known in self._known.values():
            there = known.order.message.instruction.account
            waits = not known.done and known.order.registry == registry and there in judged
            if waits or known.name.number.hex() == change.key:
                about.append(known)
        for known in about:
            known.order.message = known.order.message.ask_now()
            await self._carry(known)
        if about or judged or await self._let_go(registry, change):
            return True
        key = change.key if len(change.key) == 32 and set(change.key) <= set("0123456789abcdef") else ""
        return bool(key) and await self._register.find_record(bytes.fromhex(key), "")

    # -- what the registry lets out unasked

    async def _let_go(self, registry: str, change: Change) -> bool:
        """Units that the registry says it let out of a block of ours by itself: free again, if its books say so now.

        The news alone may be old, and of a block before this one.
        """
        serials = change.serials
        if change.kind is not ChangeKind.UNBLOCKED or serials is None:
            return False
        freed = False
        for known in [each for each in self._known.values() if each.done and each.order.registry == registry]:
            async with known.lock:
                common = [each for each in (_cut(lot, serials) for lot in known.lots) if each is not None]
                there = known.order.message.instruction.account
                active = await self._find_active(registry, there, common) if common else []
                ranges = await self._register.names.to_ranges(active)
                freed = bool(ranges and await self._register.let_go(known, join_ranges(ranges), change)) or freed
        if freed:
            await self._look()
        return freed

    async def _find_active(self, registry: str, account: str, serials: list[SerialRange]) -> list[SerialRange]:
        """Which of these are free in the registry's books now; none where it does not show them."""
        adapter, found, page = self._seat.adapters[registry], list[SerialRange](), ""
        for _ in range(PAGES_MAX):
            books = await self._lines.ask(registry, lambda page=page: adapter.snapshot(page))  # type: ignore[misc]
            if not isinstance(books, Holdings):
                return []
            rows = [row.serials for row in books.rows if (row.account, row.state) == (account, HoldingState.ACTIVE)]
            found += [part for row in rows for each in serials if (part := _cut(each, row)) is not None]
            page = books.next_page
            if not page:
                return found
        return []

    # -- after a restart, or of another hub

    async def _look(self) -> None:
        """Take up every order that the ledger shows and this process does not know; forget those that are over."""
        self._looked_ms = self._seat.now_ms()
        there: set[bytes] = set()
        before = set(self._known)
        for account in await self._register.list_accounts():
            for each in await list_reserved(self._seat.ledger, account.account):
                number = each.name.number
                there.add(number)
                if number in self._known:
                    await self._see_rest(self._known[number], each)
                    continue
                found = await self._register.take_up(account, each)
                if found is not None:
                    self._known.setdefault(number, found)
        for number in before - there:
            if number in self._known and not self._known[number].lock.locked():
                del self._known[number]

    async def _see_rest(self, known: Known, there: Reserved) -> None:
        """Of what is blocked, some may have been sold or let out."""
        if known.done and known.ranges != list(there.ranges):
            known.ranges = list(there.ranges)
            known.lots = await self._register.names.to_serials(known.ranges)

    # -- at the registry

    async def _carry(self, known: Known) -> None:
        """Send, or ask what became of it, until it waits or is over."""
        async with known.lock:
            for _ in range(CALLS_MOST):
                if known.done or self._known.get(known.name.number) is not known:
                    return
                if known.order.is_over:
                    await self._settle(known)
                    return
                if not await self._may_call(known):
                    return
                sending = known.order.message.standing is Standing.READY
                found = await call_registry(self._seat, self._lines, known.order)
                if isinstance(found, Refused) and not found.final and sending:
                    known.refused = found.reason

    async def _may_call(self, known: Known) -> bool:
        """Whether the registry is called now; records the next attempt where it may be sent again."""
        message, now = known.order.message, self._seat.now_ms()
        if not known.order.is_due(self._lines, now):
            return False
        if message.standing is Standing.READY and now >= known.send_until_ms:
            known.order.message = message._replace(standing=Standing.UNSURE)
        if message.standing is not Standing.NOTHING:
            return True
        settled_ms = known.attempt_ms + await self._register.settling_ms(known.order.registry)
        if now < settled_ms:
            why = "nothing found yet; the registry may still be at it"
            known.order.message = message._replace(not_before_ms=settled_ms, why=why)
            return False
        if message.nothing_ms < settled_ms:
            known.order.message = message._replace(standing=Standing.UNSURE)
        elif known.refused:
            await self._end(known, [], Refused(known.refused, final=True))
            return False
        else:
            await self._register.try_again(known)
        return True

    # -- what becomes of it

    async def _settle(self, known: Known) -> None:
        """Take over what the registry did, and free what it did not."""
        answer = known.order.message.answer
        if isinstance(answer, Refused):
            out: list[SerialRange] = []
            if known.name.kind is Kind.UNBLOCK:  # it may be out already, and be refused for that
                there = known.order.message.instruction.account
                out = await self._find_active(known.order.registry, there, list(known.lots))
            await self._end(known, join_ranges(await self._register.names.to_ranges(out)), answer)
        elif isinstance(answer, Report):
            done = [] if answer.undone else join_ranges(await self._register.names.to_ranges(answer.done))
            if subtract_all(done, known.ranges):
                self._delay(known, f"{known.order.registry} used other units than those ordered: a person must look")
            else:
                await self._end(known, done, answer)

    async def _end(self, known: Known, done: list[op.Range], answer: Report | Refused) -> None:
        refused = await self._register.end(known, done, answer)
        if refused:
            self._delay(known, refused)
            return
        kind, left, over = known.name.kind, subtract_all(known.ranges, done), _show(known)._replace(alert="")
        if left:
            self.ended.append(over._replace(standing="refused", why=answer.reason, units=count_units(left)))
            about = {"order": known.name.number.hex(), "registry": known.order.registry, "why": answer.reason}
            self._seat.tell("a registry refused an order", about)
        elif kind is Kind.UNBLOCK:
            self.ended.append(over._replace(standing=_DONE[kind], why=""))
        known.done, known.order.alert = True, ""
        if kind is Kind.BLOCK and done:
            known.ranges = done
        else:
            del self._known[known.name.number]
        self._looked_ms = -LOOK_MS  # what is blocked now is read anew

    def _delay(self, known: Known, text: str) -> None:
        known.order.alert = text
        known.order.message = known.order.message._replace(not_before_ms=self._seat.now_ms() + _STUCK_MS)


def _cut(one: SerialRange, other: SerialRange) -> SerialRange | None:
    if not one.overlaps(other):
        return None
    return one._replace(first=max(one.first, other.first), last=min(one.last, other.last))


def _show(known: Known) -> Line:
    kind, order = known.name.kind, known.order
    answer = order.message.answer
    return Line(
        name=known.name,
        account=known.account,
        registry=order.registry,
        serials=tuple(print_range(lot) for lot in known.lots),
        units=count_units(known.ranges),
        standing=_DONE[kind] if known.done else WAITS[kind],
        why="" if known.done else order.message.why or "on its way",
        alert=order.alert,
        since_ms=order.began_ms,
        expected_ms=answer.due_ms if isinstance(answer, Report) and not known.done else 0,
    )
