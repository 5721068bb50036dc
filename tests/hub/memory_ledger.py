"""A ledger in memory that answers as `LedgerClient` does: the real rules and reads, without a node.

`lose_answer` and `kill_at` say what happens at the next hand-in of a kind: whether it takes effect, and that its answer
never comes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from google.protobuf.message import Message

from hub.ledger_client import LedgerRefusal, NotOnLedger, OutcomeUnknown, Receipt, Signatory, make_number
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from network.keys import SeedSigner
from node.core.refusal import Refusal
from node.reads.accounts import get_account, list_accounts
from node.reads.batches import get_batch
from node.reads.errors import BadRequest, NotFound
from node.reads.find import find_lots
from node.reads.holds import get_hold, list_holds
from node.reads.lots import list_lots
from node.reads.members import list_records
from node.reads.questions import list_discrepancies
from node.reads.restrictions import get_restriction, list_restrictions
from node.reads.watch import read_events
from node.store.contract import Reads
from tests.node.reads.trading_world import IndexedWorld

Asked = TypeVar("Asked", bound=Message)
Told = TypeVar("Told", bound=Message)


class Killed(BaseException):
    """The process that made this call is gone. Nothing in the code under test may catch it."""


class MemoryLedger:
    """One participant's view of a world that several may share."""

    network = bytes(32)
    signatory = Signatory(SeedSigner(bytes([7] * 32)), ())
    """Who signs what is not handed in here: salts."""

    def __init__(self, world: IndexedWorld, participant: str, attestors: tuple[str, ...] = ()) -> None:
        self.world, self.participant, self.attestors = world, participant, attestors
        self.said: list[Message] = []
        self.receipts: dict[bytes, Receipt] = {}
        self.before: Callable[[Message], None] = lambda _: None
        """Called with each operation before it takes effect; may raise."""
        self.after: Callable[[Message], None] = lambda _: None
        """Called once it has, before the answer is given; may raise."""

    async def submit(self, *operations: Message, number: bytes | None = None, attests: bool = False) -> Receipt:
        number = number or make_number(self.world.now_ms)
        self.before(operations[0])
        approvals = self.attestors if attests else ()
        answer = self.world.run(self.participant, *operations, number=number, approvals=approvals)
        self.said += operations
        receipt = _read(number, answer.refusal, self.world.blocks[-1].header.height)
        if number in self.receipts and receipt.reason != "ID_USED_WITH_OTHER_CONTENT":
            receipt = self.receipts[number]._replace(duplicate=True)
        elif number not in self.receipts:
            self.receipts[number] = receipt
        self.after(operations[0])
        return receipt

    async def find_receipt(self, number: bytes) -> Receipt | None:
        return self.receipts.get(number)

    async def hold(self, hold: bytes) -> pb.HoldInfo:
        return self._read(get_hold, pb.GetHoldRequest(hold=hold))

    async def live_holds(self) -> list[pb.HoldInfo]:
        return list(self._read(list_holds, pb.ListRequest(open_only=True, page_size=1000)).holds)

    async def account(self, account: str) -> pb.Account:
        return self._read(get_account, pb.GetAccountRequest(account=account))

    async def batch(self, batch: str) -> pb.Batch:
        return self._read(get_batch, pb.GetBatchRequest(batch=batch))

    async def find_lots(self, space: str, first: int, last: int) -> pb.FindLotsResponse:
        request = pb.FindLotsRequest(space=space, first_number=str(first), last_number=str(last))
        return self._read(find_lots, request)

    async def accounts(self) -> list[pb.Account]:
        return list(self._read(list_accounts, pb.ListRequest(page_size=1000)).accounts)

    async def lots(self, *, account: str = "", batch: str = "", state: str = "") -> list[pb.Lot]:
        request = pb.ListLotsRequest(account=account, batch=batch, state=state, page_size=1000)
        return list(self._read(list_lots, request).lots)

    async def discrepancies(self, *, open_only: bool = True) -> list[pb.DiscrepancyInfo]:
        request = pb.ListRequest(open_only=open_only, page_size=1000)
        return list(self._read(list_discrepancies, request).discrepancies)

    async def restriction_history(self, batch: str, prefix: str) -> pb.RestrictionHistory:
        request = pb.GetRestrictionRequest(batch=batch, restriction=prefix, prefix=True)
        return self._read(get_restriction, request)

    async def restrictions(self, account: str, prefix: str = "") -> list[pb.RestrictionInfo]:
        request = pb.ListRestrictionsRequest(account=account, prefix=prefix, page_size=1000)
        return list(self._read(list_restrictions, request).restrictions)

    async def registry_policy(self, registry: str) -> op.RegistryPolicy:
        records = self._read(list_records, pb.ListRequest(page_size=1000)).records
        found = {record.version: record.registry for record in records if record.id == f"registry:{registry}"}
        if not found:
            raise NotOnLedger(f"there is no record registry:{registry}")
        return found[max(found)]

    async def programmes(self, registry: str) -> dict[str, op.Programme]:
        records = self._read(list_records, pb.ListRequest(page_size=1000)).records
        newest = {each.id: each for each in sorted(records, key=lambda each: each.version)}
        kept = {name: each.programme for name, each in newest.items() if each.HasField("programme")}
        return {name: rules for name, rules in kept.items() if rules.registry == registry and not rules.native}

    async def events_of(self, account: str, after: tuple[int, int]) -> AsyncIterator[pb.Event]:
        for event in read_events(self.world.store, after, account, most=100_000).events:
            yield event

    async def event_at(self, height: int, ordinal: int) -> pb.Event:
        before = (height, ordinal - 1) if ordinal else (height - 1, 0)
        for event in read_events(self.world.store, before).events:
            if (event.place.height, event.place.ordinal) == (height, ordinal):
                return event
        raise NotOnLedger(f"there is no event {height}.{ordinal}")

    def _read(self, method: Callable[[Reads, Asked], Told], request: Asked) -> Told:
        try:
            return method(self.world.store, request)
        except NotFound as error:
            raise NotOnLedger(str(error)) from error
        except BadRequest as error:
            raise LedgerRefusal(str(error), error.reason.name) from error


def _read(number: bytes, refusal: Refusal | None, height: int) -> Receipt:
    if refusal is None:
        return Receipt(number, height, "", "", {}, False)
    values = {name: str(value) for name, value in refusal.values}
    return Receipt(number, height, refusal.reason.name, str(refusal), values, False)


def lose_answer(of: type[Message], ledger: MemoryLedger, *, took_effect: bool) -> None:
    """The next operation of this kind gets no answer; it took effect or it did not."""

    def lose(operation: Message) -> None:
        if isinstance(operation, of):
            ledger.before = ledger.after = lambda _: None
            raise OutcomeUnknown("the line broke", b"")

    if took_effect:
        ledger.after = lose
    else:
        ledger.before = lose


def kill_at(of: type[Message], ledger: MemoryLedger, *, took_effect: bool) -> None:
    """The process dies when it hands in the next operation of this kind, before or after it took effect."""

    def die(operation: Message) -> None:
        if isinstance(operation, of):
            ledger.before = ledger.after = lambda _: None
            raise Killed

    if took_effect:
        ledger.after = die
    else:
        ledger.before = die
