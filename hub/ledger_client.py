"""The hub's way to the ledger: hand in operations of one participant, ask, read, follow. gRPC only, asyncio.

A call either gives an answer or raises: nobody answered, it is not known whether it was ordered, or the node refuses to
be asked so. A refusal of a transaction is an answer. What is handed in and why is decided elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from keeling.submission import approval_message, compute_transaction_digest, format_submission, format_transaction
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from keeling.v1 import transaction_pb2
from keeling.v1.ledger_pb2_grpc import LedgerStub
from network.keys import Signer

CALL_S: Final = 10.0
PATIENCE_S: Final = 60.0
"""All tries of a call together, in seconds, unless the caller says otherwise."""
PAGE: Final = 500
_NEAR: Final = 64
"""Events read at a time where the first one of a block is looked for: the block before it has some too."""
_PASSES: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
    }
)


class LedgerError(Exception):
    """The ledger gave no answer. `reason` is the node's, where it gave one."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason: Final = reason


class LedgerUnreachable(LedgerError):
    """No node answered a question."""


class OutcomeUnknown(LedgerError):
    """It may have been ordered; ask by `number`, or hand in the same again."""

    def __init__(self, text: str, number: bytes) -> None:
        super().__init__(text)
        self.number: Final = number


class LedgerRefusal(LedgerError):
    """The node does not take the call as it is: not permitted, malformed, or too large."""


class NotOnLedger(LedgerError):
    """What was asked for does not exist."""


class WillNotAttest(Exception):
    """Another organisation does not attest a transaction; the text says why."""


async def _nobody(_: bytes) -> list[tuple[bytes, bytes]]:
    return []


class Signatory(NamedTuple):
    """Who signs for the hub: whoever hands in, and the keys that approve and attest besides."""

    submitter: Signer
    approvers: tuple[Signer, ...] = ()
    others: Callable[[bytes], Awaitable[list[tuple[bytes, bytes]]]] = _nobody
    """Asks other organisations to attest a transaction (its bytes): public keys and signatures. Never raises."""


class Receipt(NamedTuple):
    """What became of a transaction. `reason` is empty when it was accepted."""

    number: bytes
    height: int
    reason: str
    detail: str
    values: Mapping[str, str]
    duplicate: bool
    """It was decided before: this is the first receipt again."""

    @property
    def accepted(self) -> bool:
        return not self.reason


def make_number(now_ms: int, tail: bytes | None = None) -> bytes:
    """A transaction id (UUIDv7): random, or always the same for the same ten bytes of `tail` and time."""
    value = bytearray(now_ms.to_bytes(6, "big") + (os.urandom(10) if tail is None else tail[:10]))
    value[6] = 0x70 | value[6] & 0x0F
    value[8] = 0x80 | value[8] & 0x3F
    return bytes(value)


def wrap_operation(message: Message) -> op.Operation:
    """An operation message as a member of a transaction."""
    for field in op.Operation.DESCRIPTOR.fields:
        if field.message_type is message.DESCRIPTOR:
            wrapped = op.Operation()
            getattr(wrapped, field.name).CopyFrom(message)
            return wrapped
    raise TypeError(f"{type(message).__name__} is no operation")


class LedgerClient:
    """One participant at one node. For one event loop; calls may run at once."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        network: bytes,
        participant: str,
        signatory: Signatory,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.participant: Final = participant
        self.call_s = CALL_S
        """One try of a call, in seconds."""
        self.channel: Final = channel
        self.network: Final = network
        """Its id: SHA-256 of the genesis file."""
        self._stub: Any = LedgerStub(channel)
        self.signatory: Final = signatory
        self._now_ms = now_ms
        self._patience_s = patience_s

    # -- handing in

    async def submit(self, *operations: Message, number: bytes | None = None, attests: bool = False) -> Receipt:
        """Hand in one transaction and wait until it is final; the same bytes are sent again until there is an answer.

        `attests`: the keys that attest sign too. Raises `OutcomeUnknown`, `LedgerRefusal`.
        """
        number = number or make_number(self._now_ms())
        request = pb.SubmitRequest(submissions=[await self.sign(number, operations, attests=attests)], brief=True)
        try:
            response: pb.SubmitResponse = await self._call(self._stub.Submit, request)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _PASSES:
                raise _explain(error) from error
            raise OutcomeUnknown(f"no answer to transaction {number.hex()}: {error.details()}", number) from error
        return _read_result(response.results[0])

    async def find_receipt(self, number: bytes) -> Receipt | None:
        """The receipt of a transaction of ours; None: it is not final."""
        try:
            found = await self._ask(
                self._stub.GetTransaction, pb.GetTransactionRequest(id=number, participant=self.participant)
            )
        except NotOnLedger:
            return None
        return _read_result(found)

    async def sign(self, number: bytes, operations: Sequence[Message], *, attests: bool) -> bytes:
        """The submission as it is handed in, with every signature there is."""
        message = transaction_pb2.Transaction(id=number, participant=self.participant)
        message.operations.extend(wrap_operation(each) for each in operations)
        raw = format_transaction(message)
        said = approval_message(self.network, compute_transaction_digest(raw))
        signers = self.signatory.approvers if attests else ()
        approvals = [(each.public_key, each.sign(said)) for each in signers]
        approvals += await self.signatory.others(raw) if attests else []
        submitter = self.signatory.submitter
        return format_submission(self.network, submitter.public_key, [(raw, approvals)], submitter.sign)

    # -- reading

    async def hold(self, hold: bytes) -> pb.HoldInfo:
        """A hold; raises `NotOnLedger`."""
        return await self._ask(self._stub.GetHold, pb.GetHoldRequest(hold=hold))  # type: ignore[no-any-return]

    async def live_holds(self) -> list[pb.HoldInfo]:
        """Every hold that is OPEN or INSTRUCTED."""
        request = pb.ListRequest(open_only=True)
        return [hold async for page in self._pages(self._stub.ListHolds, request) for hold in page.holds]

    async def account(self, account: str) -> pb.Account:
        """An account with its link; raises `NotOnLedger`."""
        return await self._ask(self._stub.GetAccount, pb.GetAccountRequest(account=account))  # type: ignore[no-any-return]

    async def accounts(self) -> list[pb.Account]:
        """All accounts."""
        pages = self._pages(self._stub.ListAccounts, pb.ListRequest())
        return [account async for page in pages for account in page.accounts]

    async def batch(self, batch: str) -> pb.Batch:
        """A batch; raises `NotOnLedger`."""
        return await self._ask(self._stub.GetBatch, pb.GetBatchRequest(batch=batch))  # type: ignore[no-any-return]

    async def find_lots(self, space: str, first: int, last: int) -> pb.FindLotsResponse:
        """Lots of registry numbers; raises `NotOnLedger`, and `LedgerRefusal` for more than a hundred lots."""
        request = pb.FindLotsRequest(space=space, first_number=str(first), last_number=str(last))
        return await self._ask(self._stub.FindLots, request)  # type: ignore[no-any-return]

    async def lots(self, *, account: str = "", batch: str = "", state: str = "") -> list[pb.Lot]:
        """Lots of an account or a batch."""
        request = pb.ListLotsRequest(account=account, batch=batch, state=state)
        return [lot async for page in self._pages(self._stub.ListLots, request) for lot in page.lots]

    async def registry_policy(self, registry: str) -> op.RegistryPolicy:
        """How the registry's word is taken: the newest version of its record; raises `NotOnLedger`."""
        found = await self._find_record(f"registry:{registry}")
        if found is None:
            raise NotOnLedger(f"there is no record registry:{registry}")
        return found.registry

    async def programmes(self, registry: str) -> dict[str, op.Programme]:
        """The programmes whose units an outside registry records, by name: the newest version of each record."""
        found: dict[str, op.SetRecord] = {}
        async for page in self._pages(self._stub.ListRecords, pb.ListRequest()):
            for each in page.records:
                if each.HasField("programme") and (each.id not in found or found[each.id].version < each.version):
                    found[each.id] = each
        kept = {name: each.programme for name, each in found.items()}
        return {name: rules for name, rules in kept.items() if rules.registry == registry and not rules.native}

    async def authorities(self, party: str) -> frozenset[str]:
        """Whose approval is the Party's word, by the newest version of its record; none: there is no such record."""
        found = await self._find_record(f"party:{party}")
        return frozenset(found.party.authorities) if found is not None else frozenset()

    async def _find_record(self, record: str) -> op.SetRecord | None:
        found: dict[int, op.SetRecord] = {}
        async for page in self._pages(self._stub.ListRecords, pb.ListRequest()):
            found |= {each.version: each for each in page.records if each.id == record}
        return found[max(found)] if found else None

    async def discrepancies(self, *, open_only: bool = True) -> list[pb.DiscrepancyInfo]:
        """Where ledger and registries disagree."""
        pages = self._pages(self._stub.ListDiscrepancies, pb.ListRequest(open_only=open_only))
        return [item async for page in pages for item in page.discrepancies]

    async def restriction_history(self, batch: str, prefix: str) -> pb.RestrictionHistory:
        """When restrictions so called began and ended on units of a batch; `NotOnLedger` where none ever did."""
        request = pb.GetRestrictionRequest(batch=batch, restriction=prefix, prefix=True)
        return await self._ask(self._stub.GetRestriction, request)  # type: ignore[no-any-return]

    async def restrictions(self, account: str, prefix: str = "") -> list[pb.RestrictionInfo]:
        """What restricts units of an account now; with a prefix what is called so."""
        pages = self._pages(self._stub.ListRestrictions, pb.ListRestrictionsRequest(account=account, prefix=prefix))
        return [item async for page in pages for item in page.restrictions]

    async def status(self) -> pb.Status:
        """Who the node is and how far."""
        return await self._ask(self._stub.GetStatus, pb.GetStatusRequest())  # type: ignore[no-any-return]

    async def watch(
        self, after: tuple[int, int] | None, *, until_now: bool = False, most: int = 0
    ) -> AsyncIterator[pb.WatchResponse]:
        """Events after a cursor, then new ones, until there were `most` of them (0: no limit); raises `LedgerError`
        when the stream breaks: go on from its cursor."""
        request = pb.WatchRequest(until_now=until_now, most=most)
        if after is not None:
            request.after.height, request.after.ordinal = after
        try:
            async for page in self._stub.Watch(request):
                yield page
        except grpc.aio.AioRpcError as error:
            raise _explain(error) from error

    async def events_of(self, account: str, after: tuple[int, int]) -> AsyncIterator[pb.Event]:
        """Events about an account after a place, up to now; raises `LedgerError` when the stream breaks."""
        request = pb.WatchRequest(account=account, until_now=True)
        request.after.height, request.after.ordinal = after
        try:
            async for page in self._stub.Watch(request):
                for event in page.events:
                    yield event
        except grpc.aio.AioRpcError as error:
            raise _explain(error) from error

    async def event_at(self, height: int, ordinal: int) -> pb.Event:
        """One event by its place; raises `NotOnLedger`."""
        place = (height, ordinal)
        after, most = ((height, ordinal - 1), 1) if ordinal else ((height - 1, 0) if height > 1 else None, _NEAR)
        while after is None or after < place:
            cursor = after
            async for page in self.watch(after, until_now=True, most=most):
                for event in page.events:
                    if (event.place.height, event.place.ordinal) == place:
                        return event
                cursor = (page.cursor.height, page.cursor.ordinal)
            if cursor == after:
                break
            after = cursor
        raise NotOnLedger(f"there is no event {height}.{ordinal}")

    async def _pages(self, method: Any, request: Any) -> AsyncIterator[Any]:
        request.page_size = PAGE
        while True:
            page = await self._ask(method, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _ask(self, method: Any, request: Message) -> Any:
        try:
            return await self._call(method, request)
        except grpc.aio.AioRpcError as error:
            raise _explain(error) from error

    async def _call(self, method: Any, request: Message) -> Any:
        tries = AsyncRetrying(
            retry=retry_if_exception(_passes),
            wait=wait_random_exponential(multiplier=0.05, max=5),
            stop=stop_after_delay(self._patience_s),
            reraise=True,
        )
        async for attempt in tries:
            with attempt:
                return await method(request, timeout=self.call_s)
        raise AssertionError("tenacity ends with an answer or an error")


def digest_of(evidence: bytes) -> bytes:
    """SHA-256: what of a document goes on the ledger."""
    return hashlib.sha256(evidence).digest()


def _passes(error: BaseException) -> bool:
    return isinstance(error, grpc.aio.AioRpcError) and error.code() in _PASSES


def _explain(error: grpc.aio.AioRpcError) -> LedgerError:
    reason = ""
    detailed = rpc_status.from_call(error)  # type: ignore[arg-type]
    for item in detailed.details if detailed is not None else ():
        info = error_details_pb2.ErrorInfo()
        if item.Unpack(info) and info.domain == "keeling":
            reason = info.reason
    text = error.details() or str(error.code())
    if error.code() is grpc.StatusCode.NOT_FOUND:
        return NotOnLedger(text, reason)
    if error.code() in _PASSES:
        return LedgerUnreachable(text, reason)
    return LedgerRefusal(text, reason)


def _read_result(found: pb.TransactionResult) -> Receipt:
    return Receipt(
        found.id,
        found.place.height,
        found.reason_name if found.reason else "",
        found.detail,
        {value.name: value.value for value in found.values},
        found.duplicate,
    )
