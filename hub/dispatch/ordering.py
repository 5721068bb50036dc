"""Orders for sessions of an exchange on the ledger: what may be ordered, how it goes on record, and how it ends there.

The units are restricted before the registry hears of the order, in one transaction whose id is the order's: nobody else
has them from that height on, and of two orders for the same units the ledger takes one. What is said to the registry,
and when, is in `blocking`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from google.protobuf.message import Message as Operation

from adapters.capabilities import Action
from adapters.contract import Change, Instruction, Refused, Report, UnsendableError
from adapters.web import format_json
from hub.dispatch.lines import Lines
from hub.dispatch.orders import KIND, Order, derive_numbers
from hub.dispatch.seat import Seat
from hub.dispatch.sessions import (
    Kind,
    OrderName,
    Reserved,
    choose,
    count_units,
    find_free,
    find_laid,
    find_prefix,
    find_within,
    list_reserved,
)
from hub.dispatch.sight import Message, Standing
from hub.dispatch.wording import join_ranges
from hub.ledger_client import NotOnLedger
from hub.restrictions import subtract
from hub.units import Names, Unnameable
from keeling.serials import SerialRange, print_range
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

_ACTIONS: Final = {Kind.BLOCK: Action.BLOCK, Kind.UNBLOCK: Action.UNBLOCK}
WAITS: Final = {Kind.BLOCK: "being blocked", Kind.UNBLOCK: "being let out"}
_REASON_MAX: Final = 200


class CannotOrder(Exception):
    """Nothing was ordered; the text says why. `reason`: the ledger's, where it refused; `used`: by another order."""

    def __init__(self, text: str, reason: str = "", *, used: bool = False) -> None:
        super().__init__(text)
        self.reason, self.used = reason, used


class Wanted(NamedTuple):
    """What somebody wants blocked, or let out."""

    name: OrderName
    account: str
    units: int
    """The first so many; 0: exactly `serials`."""
    serials: tuple[SerialRange, ...]
    by: str
    because: str


@dataclass
class Known:
    """One order. Written by `Blocking` under `lock` alone."""

    name: OrderName
    account: str
    ranges: list[op.Range]
    """All units it was given for; of what is blocked, those that still are."""
    lots: tuple[SerialRange, ...]
    order: Order
    attempt: int
    attempt_ms: int
    send_until_ms: int = 0
    """After this, what is READY may not be sent any more: somebody else may record the next attempt."""
    done: bool = False
    """The registry has blocked them, and that is on record."""
    refused: str = ""
    """Why the registry did not take the message, where nothing shows of it."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Register:
    """The orders of one hub on the ledger. Raises `LedgerError` where it does not answer."""

    def __init__(self, seat: Seat, lines: Lines) -> None:
        self.names: Final = Names(seat.ledger)
        self._seat, self._lines = seat, lines

    # -- a new one

    async def give(self, wanted: Wanted) -> Known:
        """Choose, restrict, and put on record what will be sent, in one transaction. Raises `CannotOrder`."""
        account = await self._find_account(wanted)
        name, registry = wanted.name, account.link.registry
        lifted = await self._list_blocked(wanted) if name.kind is Kind.UNBLOCK else []
        ranges = await self._choose(wanted, lifted)
        lots = await self.names.to_serials(ranges)
        said = self._word(name, account.link.registry_account, lots, registry)
        body = self._seat.adapters[registry].compose(said)
        settling, began = await self.settling_ms(registry), self._seat.now_ms()
        reason = f"{WAITS[name.kind]} for the session of {name.session} at {name.exchange}"
        evidence = op.Evidence(
            digest=self._keep_document(wanted, registry, lots), grade="D", reference=name.number.hex()
        )
        operations: list[Operation] = [
            op.Unrestrict(restriction=each.text, ranges=common, reason=reason)
            for each, common in find_within(ranges, lifted)
        ]
        operations += [
            op.Restrict(restriction=name.text, ranges=ranges, reason=reason, evidence=evidence, account=wanted.account),
            op.Anchor(kind=KIND, name=f"order/{name.number.hex()}", digest=hashlib.sha256(body).digest()),
        ]
        receipt = await self._seat.ledger.submit(*operations, number=name.number, attests=True)
        if not receipt.accepted:
            used = receipt.reason == "ID_USED_WITH_OTHER_CONTENT"
            raise CannotOrder(f"{receipt.reason}: {receipt.detail}", receipt.reason, used=used)
        standing = Standing.UNSURE if receipt.duplicate else Standing.READY
        order = Order(registry, Message(said, standing), began)
        return Known(name, wanted.account, ranges, lots, order, 1, began, began + settling // 2)

    async def find_record(self, number: bytes, what: str) -> bool:
        """Whether the ledger has an order, or what became of it ("done", "attempt/2")."""
        for each in [number] if not what else self._derive(number, what):
            receipt = await self._seat.ledger.find_receipt(each)
            if receipt is not None and receipt.accepted:
                return True
        return False

    def _derive(self, number: bytes, what: str) -> list[bytes]:
        seed = f"order|{number.hex()}|{what}".encode()
        return derive_numbers(int.from_bytes(number[:6], "big"), self._seat.now_ms(), seed)

    async def settling_ms(self, registry: str) -> int:
        """After which time a look-up that finds nothing proves that nothing happened."""
        return int((await self._seat.ledger.registry_policy(registry)).settling_ms)

    # -- what can be ordered

    async def _find_account(self, wanted: Wanted) -> pb.Account:
        account = await self._seat.ledger.account(wanted.account)
        link = account.link
        adapter = self._seat.adapters.get(link.registry)
        if adapter is None or link.hub != self._seat.participant:
            raise CannotOrder(f"{wanted.account} is not carried by this hub")
        if _ACTIONS[wanted.name.kind] not in adapter.capabilities.actions:
            raise CannotOrder(f"{link.registry} blocks nothing for a session")
        stopped = self._lines.see(account).stopped
        if stopped and wanted.name.kind is Kind.BLOCK:
            raise CannotOrder(
                f"the link of {wanted.account} to {link.registry} is stopped: {stopped}", "LINK_SUSPENDED"
            )
        if await self.settling_ms(link.registry) // 2 < self._seat.timeout_ms:
            raise CannotOrder(f"the record of {link.registry} settles sooner than two calls take")
        return account

    async def _choose(self, wanted: Wanted, lifted: Sequence[Reserved]) -> list[op.Range]:
        ledger = self._seat.ledger
        if wanted.serials:
            try:
                return join_ranges(await self.names.to_ranges(wanted.serials))
            except Unnameable as error:
                raise CannotOrder(str(error)) from error
        if wanted.name.kind is Kind.BLOCK:
            there = await find_free(ledger, wanted.account)
        else:
            there = join_ranges(item for each in lifted for item in each.ranges)
        chosen = choose(there, wanted.units)
        if count_units(chosen) < wanted.units:
            what = "free" if wanted.name.kind is Kind.BLOCK else "blocked for this session"
            text = f"{wanted.units} units wanted, {count_units(chosen)} are {what} in {wanted.account}"
            raise CannotOrder(text, "INSUFFICIENT_UNITS")
        return chosen

    async def _list_blocked(self, wanted: Wanted) -> list[Reserved]:
        """What is blocked for this session, for sure: an order that the registry has not answered is left alone."""
        prefix = find_prefix(Kind.BLOCK, wanted.name.exchange, wanted.name.session)
        found = await list_reserved(self._seat.ledger, wanted.account, prefix)
        return [each for each in found if await self.find_record(each.name.number, "done")]

    def _word(self, name: OrderName, account: str, lots: tuple[SerialRange, ...], registry: str) -> Instruction:
        """The message; raises `CannotOrder` where the registry has no words for it."""
        details = {"session": name.session, "exchange": name.exchange}
        to_account = name.exchange if name.kind is Kind.BLOCK else ""
        said = Instruction(name.number.hex(), _ACTIONS[name.kind], account, lots, to_account, details=details)
        try:
            self._seat.adapters[registry].compose(said)
        except UnsendableError as error:
            raise CannotOrder(f"it cannot be said to {registry}: {error}") from error
        return said

    def _keep_document(self, wanted: Wanted, registry: str, lots: Sequence[SerialRange]) -> bytes:
        document = {
            "registry": registry,
            "order": wanted.name.kind.value,
            "exchange": wanted.name.exchange,
            "session": wanted.name.session,
            "account": wanted.account,
            "serials": [print_range(lot) for lot in lots],
            "by": wanted.by,
            "why": wanted.because,
            "at_ms": str(self._seat.now_ms()),
        }
        return self._seat.keep(format_json(document))

    # -- one that is there

    async def list_accounts(self) -> list[pb.Account]:
        """Accounts of ours at registries that block for sessions."""
        able = {n for n, each in self._seat.adapters.items() if Action.BLOCK in each.capabilities.actions}
        accounts = await self._seat.ledger.accounts() if able else []
        ours = [each for each in accounts if each.link.registry in able and each.link.hub == self._seat.participant]
        for account in ours:
            self._lines.see(account)
        return ours

    async def take_up(self, account: pb.Account, there: Reserved) -> Known | None:
        """An order that the ledger shows: all of it may have been sent. None: what it was cannot be read any more."""
        name, registry, now = there.name, account.link.registry, self._seat.now_ms()
        done = name.kind is Kind.BLOCK and await self.find_record(name.number, "done")
        try:
            since_ms, ranges = now, list(there.ranges)
            if not done:
                since_ms, ranges = await find_laid(self._seat.ledger, there)
            lots = await self.names.to_serials(ranges)
            said = self._word(name, account.link.registry_account, lots, registry)
        except (NotOnLedger, Unnameable, CannotOrder) as error:
            about = {"order": name.number.hex(), "registry": registry, "why": str(error)}
            self._seat.tell("an order cannot be carried on", about)
            return None
        attempt = 1
        while not done and await self.find_record(name.number, f"attempt/{attempt + 1}"):
            attempt += 1
        order = Order(registry, Message(said), since_ms)
        return Known(name, account.account, ranges, lots, order, attempt, now, done=done)

    async def try_again(self, known: Known) -> None:
        """Record the next attempt, after a look-up that found nothing: who does it may send, as with the first."""
        began, settling = self._seat.now_ms(), await self.settling_ms(known.order.registry)
        message, what = known.order.message, f"attempt/{known.attempt + 1}"
        said = op.Anchor(kind=KIND, name=f"order/{known.name.number.hex()}/{what}", digest=message.nothing)
        receipt = await self._seat.ledger.submit(said, number=self._derive(known.name.number, what)[0])
        known.attempt, known.attempt_ms, known.send_until_ms = known.attempt + 1, began, began + settling // 2
        mine = receipt.accepted and not receipt.duplicate
        known.order.message = message._replace(standing=Standing.READY if mine else Standing.UNSURE, failures=0)

    # -- how it ends

    async def end(self, known: Known, done: list[op.Range], answer: Report | Refused) -> str:
        """Put on record what became of an order, in one transaction; returns why the ledger refuses, if it does."""
        name, registry = known.name, known.order.registry
        left = subtract_all(known.ranges, done)
        grade = self._seat.adapters[registry].capabilities.grade
        reference = answer.reference if isinstance(answer, Report) and answer.reference else name.number.hex()
        evidence = op.Evidence(digest=self._seat.keep(answer.evidence), grade=grade, reference=reference)
        why = f"{registry}: {answer.reason or 'not done'}"[:_REASON_MAX]
        blocked, freed = (done, left) if name.kind is Kind.BLOCK else (left, known.ranges)
        operations: list[Operation] = []
        if freed:
            told = why if left else f"{registry} let them out of the session of {name.session} at {name.exchange}"
            reason = told[:_REASON_MAX]
            operations.append(op.Unrestrict(restriction=name.text, ranges=freed, reason=reason, evidence=evidence))
        if name.kind is Kind.UNBLOCK and left:
            again = name._replace(kind=Kind.BLOCK)  # what the registry keeps blocked stays so here
            operations.append(
                op.Restrict(restriction=again.text, ranges=left, reason=why, evidence=evidence, account=known.account)
            )
        if blocked:
            operations.append(op.Anchor(kind=KIND, name=f"order/{name.number.hex()}/done", digest=evidence.digest))
        what = "done" if blocked else "over"
        number = self._derive(name.number, what)[0]
        receipt = await self._seat.ledger.submit(*operations, number=number, attests=True)
        if receipt.accepted or await self.find_record(name.number, what):
            return ""
        return f"the ledger refuses: {receipt.reason}: {receipt.detail}"

    async def let_go(self, known: Known, ranges: list[op.Range], change: Change) -> bool:
        """Lift what the registry let out by itself; False: it was lifted before."""
        registry = known.order.registry
        digest = self._seat.keep(change.evidence or repr(change[:7]).encode())
        grade = self._seat.adapters[registry].capabilities.grade
        evidence = op.Evidence(digest=digest, grade=grade, reference=(change.reference or change.id)[:_REASON_MAX])
        reason = f"{change.id}: {registry} let them out by itself"[:_REASON_MAX]
        said = op.Unrestrict(restriction=known.name.text, ranges=ranges, reason=reason, evidence=evidence)
        return (await self._seat.ledger.submit(said, attests=True)).accepted


def subtract_all(ranges: Sequence[op.Range], others: Sequence[op.Range]) -> list[op.Range]:
    """What is left of ranges without others."""
    return join_ranges(item for each in ranges for item in subtract(each, [o for o in others if o.batch == each.batch]))
