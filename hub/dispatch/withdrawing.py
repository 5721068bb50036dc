"""Taking back what was instructed under a hold, while its registry still allows: once for each attempt.

That it is taken back is final on the ledger before the registry hears of it, under an id made of hold and attempt: it
is found there after a restart and by every hub of ours, and carried on. Withdrawing names one transaction of the
registry, so that it may be handed in again. What becomes of the hold is the registry's word alone: it is asked about
the hold as ever, and its no releases it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from adapters.capabilities import Action
from adapters.contract import (
    Change,
    ChangeKind,
    Instruction,
    NothingFound,
    Question,
    Refused,
    Report,
    UnsendableError,
)
from adapters.web import format_json
from hub.dispatch.lines import Lines
from hub.dispatch.memory import INSTRUCTED, begin
from hub.dispatch.orders import CALLS_MOST, KIND, OLDEST_MS, Order, call_registry, hand_in_again
from hub.dispatch.seat import Seat
from hub.dispatch.sight import Message, Standing
from hub.ledger_client import make_number
from hub.units import Names
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

WITHDRAWN: Final = "withdrawal/"
"""How the name of the `Anchor` begins that is a withdrawal; hold and attempt follow."""
_LOOK_MS: Final = 60_000
"""Another hub may have recorded one: holds are looked at again this often."""


class CannotWithdraw(Exception):
    """Nothing is taken back; the text says why. `too_late`: the registry does not allow it any more."""

    def __init__(self, text: str, *, too_late: bool = False) -> None:
        super().__init__(text)
        self.too_late: Final = too_late


class Hearer(Protocol):
    """What of the dispatcher is needed."""

    async def hear(self, registry: str, change: Change) -> bool: ...


class _Name(NamedTuple):
    hold: bytes
    attempt: int

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(f"withdrawal|{self.hold.hex()}|{self.attempt}".encode()).digest()


@dataclass
class _Withdrawal:
    """One attempt that is being taken back. Written by `Withdrawing` alone."""

    registry: str
    orders: list[Order] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """What the registry said of all of it; empty: not all yet."""
        if not all(order.is_over for order in self.orders):
            return ""
        return "; ".join(order.refusal for order in self.orders if order.refusal) or "withdrawn"

    @property
    def why(self) -> str:
        said = [order.alert or order.message.why for order in self.orders if not order.is_over]
        return "being taken back" + "".join(f": {each}" for each in said if each)


class Withdrawing:
    """One hub's withdrawals. For one event loop; `step` may be called at any time, and after a restart finds all."""

    def __init__(self, seat: Seat, lines: Lines, dispatcher: Hearer) -> None:
        """`lines`: the dispatcher's, whose turn and quiet times hold for these too."""
        self._seat, self._lines, self._dispatcher = seat, lines, dispatcher
        self._names = Names(seat.ledger)
        self._open: dict[_Name, _Withdrawal] = {}
        self._ended: dict[_Name, str] = {}
        self._looked: dict[_Name, int] = {}
        self._working: dict[_Name, asyncio.Lock] = {}

    def describe(self, hold: bytes) -> str:
        """What is to be said of a hold in the backlog; empty: nobody takes it back."""
        for name, withdrawal in self._open.items():
            if name.hold == hold:
                return withdrawal.why
        refused = [said for name, said in self._ended.items() if name.hold == hold and said != "withdrawn"]
        return f"could not be taken back: {refused[-1]}" if refused else ""

    async def withdraw(self, hold: bytes, by: str, because: str) -> str:
        """Take back what was instructed, final on the ledger when this returns; the same again is the same.

        Returns how it stands: "withdrawn", or what it waits for. Raises `CannotWithdraw`, `LedgerError`.
        """
        info = await self._seat.ledger.hold(hold)
        account = await self._seat.ledger.account(info.account)
        name, recorded = _Name(info.hold, info.attempt), await self._is_recorded(info)
        if recorded and info.phase == "RELEASED":
            return "withdrawn"
        self._check(info, account)
        async with self._lock(name):
            if name not in self._open and name not in self._ended:
                try:
                    if recorded:
                        await self._take_up(info, account)
                    else:
                        await self._begin(info, account, by, because)
                except CannotWithdraw:
                    if recorded and (await self._seat.ledger.hold(hold)).phase == "RELEASED":
                        return "withdrawn"
                    raise
            await self._carry(name)
        said = self._ended.get(name, "")
        if said and said != "withdrawn":
            raise CannotWithdraw(f"{info.registry} does not take it back: {said}", too_late=True)
        withdrawal = self._open.get(name)
        return said or (withdrawal.why if withdrawal is not None else "withdrawn")

    async def step(self) -> None:
        """Find what was taken back elsewhere, and carry everything as far as it goes. Raises `LedgerError`."""
        able = {n for n, each in self._seat.adapters.items() if Action.WITHDRAW in each.capabilities.actions}
        live = {}
        for hold in await self._seat.ledger.live_holds() if able else ():
            if hold.registry in able and hold.phase == INSTRUCTED:
                live[_Name(hold.hold, hold.attempt)] = hold
        self._open = {name: each for name, each in self._open.items() if name in live}
        self._ended = {name: each for name, each in self._ended.items() if name in live}
        self._looked = {name: each for name, each in self._looked.items() if name in live}
        now = self._seat.now_ms()
        self._working = {name: each for name, each in self._working.items() if name in live or each.locked()}
        for name, hold in live.items():
            async with self._lock(name):
                known = name in self._open or name in self._ended
                if not known and now - self._looked.get(name, -_LOOK_MS) >= _LOOK_MS:
                    account = await self._seat.ledger.account(hold.account)
                    self._looked[name] = now
                    if account.link.hub == self._seat.participant and await self._is_recorded(hold):
                        await self._resume(hold, account)
                await self._carry(name)

    def _lock(self, name: _Name) -> asyncio.Lock:
        return self._working.setdefault(name, asyncio.Lock())

    async def _resume(self, hold: pb.HoldInfo, account: pb.Account) -> None:
        try:
            await self._take_up(hold, account)
        except CannotWithdraw as error:
            about = {"hold": hold.hold.hex(), "registry": hold.registry, "why": str(error)}
            self._seat.tell("a withdrawal waits", about)

    # -- what can be taken back

    def _check(self, hold: pb.HoldInfo, account: pb.Account) -> None:
        adapter = self._seat.adapters.get(hold.registry)
        if adapter is None or account.link.hub != self._seat.participant:
            raise CannotWithdraw(f"hold {hold.hold.hex()} is not carried by this hub, but by {account.link.hub}")
        if hold.phase == "OPEN":
            text = f"hold {hold.hold.hex()} is open: nothing was sent to {hold.registry} yet"
            raise CannotWithdraw(f"{text}; who placed it gives it back with `keeling release`")
        if hold.phase != INSTRUCTED:
            raise CannotWithdraw(f"hold {hold.hold.hex()} has ended: {hold.phase}", too_late=True)
        if Action.WITHDRAW not in adapter.capabilities.actions:
            raise CannotWithdraw(f"{hold.registry} takes nothing back that was sent to it")
        if self._seat.now_ms() - hold.dispatched_ms > OLDEST_MS:
            raise CannotWithdraw(f"hold {hold.hold.hex()} was dispatched too long ago: withdraw it at {hold.registry}")

    async def _find_messages(self, hold: pb.HoldInfo, account: pb.Account) -> list[tuple[Instruction, str]]:
        """What was sent and still waits, each with the registry's reference, as the registry shows it now."""
        known = await begin(hold, account, self._seat, self._names)
        if known.unsendable or known.changed:
            raise CannotWithdraw(known.unsendable or known.changed)
        adapter, waiting = self._seat.adapters[hold.registry], []
        for message in known.messages:
            question = Question(message.instruction, (), known.first_ms)
            found = await self._lines.ask(hold.registry, lambda question=question: adapter.ask(question))  # type: ignore[misc]
            if isinstance(found, Report) and found.pending_units and found.reference:
                waiting.append((message.instruction, found.reference))
            elif isinstance(found, NothingFound):
                raise CannotWithdraw(f"{hold.registry} does not show it yet: try again")
            elif not isinstance(found, Report | Refused):
                detail = f"{type(found).__name__}: {found.detail}"
                raise CannotWithdraw(f"{hold.registry} does not say how it stands now ({detail}): try again")
        if not waiting:
            await self._ask_about(hold.registry, hold.hold)
            raise CannotWithdraw(f"{hold.registry} has decided it already", too_late=True)
        return waiting

    def _word(self, hold: pb.HoldInfo, waiting: Sequence[tuple[Instruction, str]], standing: Standing) -> list[Order]:
        """The messages; raises `CannotWithdraw` where the registry has no words for them."""
        adapter, name = self._seat.adapters[hold.registry], _Name(hold.hold, hold.attempt)
        orders = []
        for instructed, reference in waiting:
            key = hashlib.sha256(name.digest + instructed.key.encode()).hexdigest()[:32]
            said = Instruction(key, Action.WITHDRAW, instructed.account, instructed.lots, answers=reference)
            try:
                adapter.compose(said)
            except UnsendableError as error:
                raise CannotWithdraw(f"it cannot be said to {hold.registry}: {error}") from error
            orders.append(Order(hold.registry, Message(said, standing), self._seat.now_ms(), reference))
        return orders

    # -- on the ledger

    async def _is_recorded(self, hold: pb.HoldInfo) -> bool:
        receipt = await self._seat.ledger.find_receipt(_number(hold))
        return receipt is not None and receipt.accepted

    async def _record(self, hold: pb.HoldInfo, waiting: list[tuple[Instruction, str]], by: str, why: str) -> None:
        """Why, kept as evidence; then that it is taken back."""
        adapter, name = self._seat.adapters[hold.registry], _Name(hold.hold, hold.attempt)
        bodies = [adapter.compose(each.message.instruction) for each in self._word(hold, waiting, Standing.READY)]
        document = {
            "registry": hold.registry,
            "hold": hold.hold.hex(),
            "attempt": hold.attempt,
            "withdrawn": [reference for _, reference in waiting],
            "by": by,
            "why": why,
            "at_ms": str(self._seat.now_ms()),
        }
        digest = self._seat.keep(format_json(document))
        said = op.Anchor(
            kind=KIND,
            name=f"{WITHDRAWN}{name.hold.hex()}/{name.attempt}",
            digest=hashlib.sha256(b"".join(bodies)).digest(),
        )
        proof = op.Anchor(kind=KIND, name=digest.hex()[:32], digest=digest)
        for receipt in (
            await self._seat.ledger.submit(proof),
            await self._seat.ledger.submit(said, number=_number(hold)),
        ):
            if not receipt.accepted and receipt.reason != "ID_USED_WITH_OTHER_CONTENT":
                raise CannotWithdraw(f"the ledger refuses: {receipt.reason}: {receipt.detail}")

    async def _begin(self, hold: pb.HoldInfo, account: pb.Account, by: str, why: str) -> None:
        waiting = await self._find_messages(hold, account)
        await self._record(hold, waiting, by, why)
        orders = self._word(hold, waiting, Standing.READY)
        self._open[_Name(hold.hold, hold.attempt)] = _Withdrawal(hold.registry, orders)

    async def _take_up(self, hold: pb.HoldInfo, account: pb.Account) -> None:
        """Go on with one that is on the ledger: every message may have been sent."""
        name = _Name(hold.hold, hold.attempt)
        self._looked.pop(name, None)  # where it cannot be taken up now, it is tried again at once
        waiting = await self._find_messages(hold, account)
        self._open[name] = _Withdrawal(hold.registry, self._word(hold, waiting, Standing.UNSURE))

    # -- at the registry

    async def _carry(self, name: _Name) -> None:
        """Send, or ask what became of it, until it waits or is over."""
        withdrawal = self._open.get(name)
        if withdrawal is None:
            return
        for order in withdrawal.orders:
            for _ in range(CALLS_MOST):
                if order.is_over or not order.is_due(self._lines, self._seat.now_ms()):
                    break
                await call_registry(self._seat, self._lines, order)
                if order.message.standing is Standing.NOTHING:
                    hand_in_again(order, self._seat.now_ms(), self._seat.jitter())
        if withdrawal.outcome:
            self._ended[name] = withdrawal.outcome
            del self._open[name]
            about = {"hold": name.hold.hex(), "registry": withdrawal.registry, "outcome": withdrawal.outcome}
            self._seat.tell("a withdrawal ended", about)
            await self._ask_about(withdrawal.registry, name.hold)

    async def _ask_about(self, registry: str, hold: bytes) -> None:
        """What becomes of the hold is what the registry says when it is asked about it."""
        news = Change(id=f"{WITHDRAWN}{hold.hex()}", kind=ChangeKind.NOTICE, at_ms=self._seat.now_ms(), key=hold.hex())
        await self._dispatcher.hear(registry, news)


def _number(hold: pb.HoldInfo) -> bytes:
    """The id of a withdrawal: of hold and attempt alone, so that the ledger takes one."""
    return make_number(hold.dispatched_ms, _Name(hold.hold, hold.attempt).digest)
