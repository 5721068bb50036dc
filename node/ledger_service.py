"""The Ledger service over gRPC: `keeling/v1/ledger.proto` says what each call promises.

Submitting goes through the door and the replica; every read sees one frozen view of the store and is answered by
`node.reads` on a thread. Nothing here decides anything.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from google.rpc import code_pb2

from keeling.reasons import Reason
from keeling.submission import MAX_TRANSACTIONS
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import ledger_pb2_grpc as rpc
from node import reads
from node.core.refusal import Refusal
from node.core.state import State
from node.door import Admitted, KeyTurnedAway, TurnedAway, admit, check_answers
from node.dry_run import dry_run
from node.errors import abort, abort_failed, abort_refused
from node.intake import Answered, Full, Observing, Poisonous
from node.ledger import StateReader, read_height
from node.peers.links import LinkState
from node.reads.errors import ReadRefused
from node.reads.receipts import convert_dry_run, convert_submission
from node.reads.serials import serials_of
from node.reads.view import ReadState
from node.reads.watch import read_events
from node.replica import Replica
from node.reporting import Reporter
from node.store.contract import Reads, Store, StoreError
from node.upkeep import Upkeep
from node.verify import Verifier

Context = Any
WATCH_PAGE: Final = 1_000
"""Events in one message of a stream."""
SLOW_READER_S: Final = 60.0
"""A stream whose reader takes nothing for this long is ended, with the cursor to resume from."""


BEHIND_S: Final = 15.0
"""A caller whose key is not known waits so long at most for this node to catch up, and half of the time it gave."""

M = TypeVar("M", bound=Message)


class LedgerService(rpc.LedgerServicer):
    """One per node; all calls run on its event loop, reads on threads."""

    def __init__(
        self,
        replica: Replica,
        store: Store,
        verifier: Verifier,
        participant: str,
        author: bytes,
        clock_ms: Callable[[], int],
        transactions_max: int = MAX_TRANSACTIONS,
        call_bytes_max: int = 4 << 20,
        slow_reader_s: float = SLOW_READER_S,
        upkeep: Upkeep | None = None,
        links: Callable[[], Sequence[LinkState]] = tuple,
    ) -> None:
        self._replica = replica
        self._store = store
        self._verifier = verifier
        self._participant = participant
        self._author = author
        self._clock_ms = clock_ms
        self._transactions_max = transactions_max
        self._slow_reader_s = slow_reader_s
        self._reporter = Reporter(replica, participant, transactions_max, call_bytes_max, clock_ms, upkeep, links)

    # -- reading: each call one frozen view, on a thread --------------------------------------------------------------

    async def _read(self, read: Callable[[Reads, Any], M], request: Message, context: Context) -> M:
        def on_view() -> M:
            with self._store.snapshot() as view:
                return read(view, request)

        try:
            return await asyncio.to_thread(on_view)
        except ReadRefused as error:
            await abort(context, error.code, error.reason.name, str(error), **error.values)
        except StoreError:
            await abort_failed(context)

    async def GetTransaction(self, request: pb.GetTransactionRequest, context: Context) -> pb.TransactionResult:
        asked = pb.GetTransactionRequest(id=request.id, participant=request.participant or self._participant)
        return await self._read(reads.get_transaction, asked, context)

    async def ListParticipants(self, request: pb.ListRequest, context: Context) -> pb.ListParticipantsResponse:
        return await self._read(reads.list_participants, request, context)

    async def ListRecords(self, request: pb.ListRequest, context: Context) -> pb.ListRecordsResponse:
        return await self._read(reads.list_records, request, context)

    async def GetGovernance(self, request: pb.GetGovernanceRequest, context: Context) -> pb.Governance:
        return await self._read(reads.get_governance, request, context)

    async def ListMotions(self, request: pb.ListRequest, context: Context) -> pb.ListMotionsResponse:
        return await self._read(reads.list_motions, request, context)

    async def GetAccount(self, request: pb.GetAccountRequest, context: Context) -> pb.Account:
        return await self._read(reads.get_account, request, context)

    async def ListAccounts(self, request: pb.ListRequest, context: Context) -> pb.ListAccountsResponse:
        return await self._read(reads.list_accounts, request, context)

    async def GetBatch(self, request: pb.GetBatchRequest, context: Context) -> pb.Batch:
        return await self._read(reads.get_batch, request, context)

    async def ListBatches(self, request: pb.ListRequest, context: Context) -> pb.ListBatchesResponse:
        return await self._read(reads.list_batches, request, context)

    async def ListLots(self, request: pb.ListLotsRequest, context: Context) -> pb.ListLotsResponse:
        return await self._read(reads.list_lots, request, context)

    async def FindLots(self, request: pb.FindLotsRequest, context: Context) -> pb.FindLotsResponse:
        return await self._read(reads.find_lots, request, context)

    async def GetHold(self, request: pb.GetHoldRequest, context: Context) -> pb.HoldInfo:
        return await self._read(reads.get_hold, request, context)

    async def ListHolds(self, request: pb.ListRequest, context: Context) -> pb.ListHoldsResponse:
        return await self._read(reads.list_holds, request, context)

    async def ListProposals(self, request: pb.ListRequest, context: Context) -> pb.ListProposalsResponse:
        return await self._read(reads.list_proposals, request, context)

    async def ListDiscrepancies(self, request: pb.ListRequest, context: Context) -> pb.ListDiscrepanciesResponse:
        return await self._read(reads.list_discrepancies, request, context)

    async def GetRestriction(self, request: pb.GetRestrictionRequest, context: Context) -> pb.RestrictionHistory:
        return await self._read(reads.get_restriction, request, context)

    async def ListRestrictions(
        self, request: pb.ListRestrictionsRequest, context: Context
    ) -> pb.ListRestrictionsResponse:
        return await self._read(reads.list_restrictions, request, context)

    async def GetAvailability(self, request: pb.GetAvailabilityRequest, context: Context) -> pb.Availability:
        return await self._read(reads.get_availability, request, context)

    async def ListAuthorizations(self, request: pb.ListRequest, context: Context) -> pb.ListAuthorizationsResponse:
        return await self._read(reads.list_authorizations, request, context)

    async def GetAuthorization(self, request: pb.GetAuthorizationRequest, context: Context) -> pb.AuthorizationInfo:
        return await self._read(reads.get_authorization, request, context)

    async def GetPartyYears(self, request: pb.GetPartyYearsRequest, context: Context) -> pb.PartyYears:
        return await self._read(reads.get_party_years, request, context)

    # -- handing in -------------------------------------------------------------------------------------------------

    async def _admit(self, request: pb.SubmitRequest, context: Context) -> list[Admitted]:
        if not request.submissions:
            await abort_refused(context, Refusal(Reason.MALFORMED, "the call carries no submission"))
        upgrade = self._replica.chain.outlook.upgrade
        if upgrade:
            await abort(context, code_pb2.UNAVAILABLE, "NODE_OBSERVES", upgrade)
        try:
            admitted = await self._pass_door(list(request.submissions), context)
            answers = await self._verifier.check_many([claim for item in admitted for claim in item.claims])
            check_answers(admitted, answers)
        except TurnedAway as away:
            await abort_refused(context, away.refusal)
        except StoreError:  # the writer met it as well, says so in the log, and stops the node
            text = "this node cannot use its store and is about to stop; nothing was ordered, hand in at another"
            await abort(context, code_pb2.UNAVAILABLE, "NODE_FAILED", text)
        return admitted

    async def _pass_door(self, raws: list[bytes], context: Context) -> list[Admitted]:
        """A node that is behind, as after a restart, first catches up before it says of a key that it may not."""

        def look() -> list[Admitted]:
            network = self._replica.chain.genesis.network
            return admit(raws, network, State(StateReader(self._store)), self._transactions_max)

        following = self._replica.following
        try:
            return look()
        except KeyTurnedAway as away:
            if following.is_current:
                raise
            if not await following.wait_current(min(BEHIND_S, (context.time_remaining() or math.inf) / 2)):
                text = f"this node is behind the others or does not hear them, and by what it has: {away.refusal}"
                await abort(context, code_pb2.UNAVAILABLE, "NODE_BEHIND", f"{text}; try again, or hand in at another")
        return look()

    async def Submit(self, request: pb.SubmitRequest, context: Context) -> pb.SubmitResponse:
        admitted = await self._admit(request, context)
        try:
            answered = await asyncio.shield(asyncio.ensure_future(self._replica.submit(admitted)))
        except Full as full:
            await abort(context, code_pb2.RESOURCE_EXHAUSTED, "NODE_FULL", str(full))
        except Observing as observing:
            await abort(context, code_pb2.UNAVAILABLE, "NODE_OBSERVES", str(observing))
        except Poisonous as poisonous:
            await abort(context, code_pb2.FAILED_PRECONDITION, "NOT_OFFERED_AGAIN", str(poisonous))
        except Exception as error:  # noqa: BLE001 - the writer stopped: nothing may claim an outcome
            text = f"the node stopped while this was under way, ask for it by id: {error}"
            await abort(context, code_pb2.UNAVAILABLE, "OUTCOME_UNKNOWN", text)
        try:
            return await asyncio.to_thread(self._receipts, answered, request.brief)
        except StoreError:
            text = "this is final, and the node cannot read its store: ask another node for it by id"
            await abort(context, code_pb2.UNAVAILABLE, "NODE_FAILED", text)

    def _receipts(self, answered: list[Answered], brief: bool) -> pb.SubmitResponse:
        """The receipts; where a transaction was decided before, its first one again."""
        with self._store.snapshot() as view:
            serials = None if brief else serials_of(ReadState(view))
            response = pb.SubmitResponse()
            for item in answered:
                first = item.first_event
                found = convert_submission(item.submission, item.place, item.time_ms, first, serials, brief)
                response.results.extend(found)
            self._replace_duplicates(view, response)
            return response

    @staticmethod
    def _replace_duplicates(view: Reads, response: pb.SubmitResponse) -> None:
        for again in response.results:
            if again.reason == Reason.DUPLICATE:
                request = pb.GetTransactionRequest(id=again.id, participant=again.participant)
                first = reads.get_first_receipt(view, request)
                first.duplicate = True
                again.CopyFrom(first)

    async def DryRun(self, request: pb.SubmitRequest, context: Context) -> pb.SubmitResponse:
        admitted = await self._admit(request, context)
        raws = [item.submission.raw for item in admitted]

        def on_view() -> pb.SubmitResponse:
            with self._store.snapshot() as view:
                genesis, check = self._replica.chain.genesis, self._verifier.check
                block = dry_run(view, genesis, raws, self._author, self._clock_ms(), check)
                return pb.SubmitResponse(results=convert_dry_run(block, serials_of(ReadState(view))))

        try:
            return await asyncio.to_thread(on_view)
        except StoreError:
            await abort_failed(context)

    # -- status and events ------------------------------------------------------------------------------------------

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.Status:
        return await self._read(lambda view, _: self._reporter.report(view), request, context)

    async def Watch(self, request: pb.WatchRequest, context: Context) -> None:  # type: ignore[override]
        after = (request.after.height, request.after.ordinal) if request.HasField("after") else None
        left = request.most or None
        while left != 0:
            most = WATCH_PAGE if left is None else min(left, WATCH_PAGE)
            try:
                page, cursor, height = await asyncio.to_thread(self._read_events, after, request.account, most)
            except ReadRefused as error:
                await abort(context, error.code, error.reason.name, str(error), **error.values)
            except StoreError:
                await abort_failed(context)
            moved = cursor != after
            after = cursor
            if page.events:
                try:
                    await asyncio.wait_for(context.write(page), self._slow_reader_s)
                except TimeoutError:
                    text = f"the reader took nothing for {self._slow_reader_s:g} s; resume from the last cursor it has"
                    await abort(context, code_pb2.RESOURCE_EXHAUSTED, "SLOW_READER", text)
                left = None if left is None else left - len(page.events)
            if moved:
                continue
            if request.until_now:
                return
            await self._replica.wait_above(height)

    def _read_events(
        self, after: tuple[int, int] | None, account: str, most: int
    ) -> tuple[pb.WatchResponse, tuple[int, int], int]:
        with self._store.snapshot() as view:
            events, cursor = read_events(view, after, account, most)
            page = pb.WatchResponse(events=events, cursor=pb.Cursor(height=cursor[0], ordinal=cursor[1]))
            return page, cursor, read_height(view)
