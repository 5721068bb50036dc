"""Receipts of final transactions by their id, from the archive."""

from __future__ import annotations

from keeling.encoding import Ref
from keeling.reasons import Reason
from keeling.v1 import ledger_pb2 as pb
from node.archive import ArchivedAnswer, ArchivedBlock, read_archive
from node.core import tables as t
from node.indexes import read_old_id
from node.reads import receipts
from node.reads.errors import BadRequest, NotFound, NotKept
from node.reads.serials import serials_of
from node.reads.view import ReadState
from node.store.contract import Reads


def get_transaction(view: Reads, request: pb.GetTransactionRequest) -> pb.TransactionResult:
    """The first receipt of an id of `request.participant`, which must be given.

    `NotFound`: nothing bound the id up to this height (not handed in, not final yet, or refused for a reason that lets
    it come again). `NotKept`: it was decided in a block whose answers this node has dropped.
    """
    if len(request.id) != 16 or not request.participant:
        detail = "an id of 16 bytes and the participant it belongs to are needed"
        raise BadRequest(Reason.MISSING_FIELD, detail, field="participant" if len(request.id) == 16 else "id")
    state = ReadState(view)
    decided = state.get(t.IDS, request.id, request.participant)
    decided = decided or read_old_id(view, request.id, request.participant)
    if decided is None:
        detail = f"nothing is final under id {request.id.hex()} of {request.participant} up to height {state.height}"
        raise NotFound(Reason.TRANSACTION_NOT_FOUND, detail, id=request.id.hex(), height=state.height)
    archived = read_archive(view, decided.height)
    if archived is None:
        detail = f"{request.id.hex()} was decided at {decided.height}.{decided.ordinal}, which is not kept here"
        raise NotKept(Reason.NOT_KEPT, detail, height=decided.height)
    participant, answer, first_event = _find_answer(archived, decided.ordinal)
    place = Ref(decided.height, decided.ordinal)
    return receipts.convert_answer(answer, participant, place, archived.time_ms, first_event, serials_of(state))


def get_first_receipt(view: Reads, request: pb.GetTransactionRequest) -> pb.TransactionResult:
    """The first receipt of a decided id, for whoever hands it in again.

    Where the block's answers are not kept here (below the snapshot this node joined from, or of the network before this
    one) it is what the state knows: whether it was accepted, and where.
    """
    try:
        return get_transaction(view, request)
    except NotKept as error:
        decided = ReadState(view).get(t.IDS, request.id, request.participant)
        if decided is None:
            raise
        return pb.TransactionResult(
            id=request.id,
            participant=request.participant,
            digest=decided.digest,
            reason=decided.reason,
            reason_name=Reason(decided.reason).name,
            place=pb.Place(height=decided.height, ordinal=decided.ordinal),
            detail=f"{error.detail}: events and explanation are at a node that keeps them",
        )


def _find_answer(block: ArchivedBlock, ordinal: int) -> tuple[str, ArchivedAnswer, int]:
    """The answer at this ordinal of a block, its participant, and the ordinal of its first event."""
    first_event = len(block.sweeps)
    for submission in block.submissions:
        if ordinal >= len(submission.answers):
            ordinal -= len(submission.answers)
            first_event += sum(len(answer.events) for answer in submission.answers)
            continue
        before = submission.answers[:ordinal]
        return submission.participant, submission.answers[ordinal], first_event + sum(len(a.events) for a in before)
    raise LookupError(f"the archive has no answer {ordinal} where the state says one was given")
