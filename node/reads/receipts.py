"""Receipts: archived answers as the messages clients get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keeling.encoding import Ref
from keeling.events import EVENT
from keeling.meanings import MEANINGS
from keeling.reasons import Reason
from keeling.v1 import ledger_pb2 as pb
from node.archive import ArchivedAnswer, ArchivedBlock, ArchivedSubmission
from node.reads.messages import PrintSerials, convert_event

_NAMES: Final = {int(reason): reason.name for reason in Reason}
"""Looked up for every receipt; asking the enum was a quarter of what a receipt cost."""


def convert_answer(
    answer: ArchivedAnswer,
    participant: str,
    place: Ref | None,
    time_ms: int,
    first_event: int,
    serials: PrintSerials | None,
    brief: bool = False,
) -> pb.TransactionResult:
    """One receipt. `first_event` is the ordinal of its first event in the block; `place` None in a dry run.

    `serials` prints ranges as their registry does; brief receipts are without events.
    """
    result = pb.TransactionResult(
        id=answer.id,
        participant=participant,
        digest=answer.digest,
        reason=answer.reason,
        reason_name=_NAMES[answer.reason],
        time_ms=time_ms,
    )
    if place is not None:
        at = result.place
        at.height, at.ordinal = place
    if answer.reason:
        meaning = MEANINGS[Reason(answer.reason)]
        result.detail, result.advice = answer.detail or meaning.text, meaning.advice
        for name, value in answer.values:
            result.values.add(name=name, value=value)
    if not brief:
        height = place.height if place is not None else 0
        for offset, raw in enumerate(answer.events):
            where = Ref(height, first_event + offset)
            result.events.append(convert_event(EVENT.decode(raw), where, time_ms, serials))
    return result


def convert_submission(
    submission: ArchivedSubmission,
    place: Ref,
    time_ms: int,
    first_event: int,
    serials: PrintSerials | None,
    brief: bool,
) -> Iterator[pb.TransactionResult]:
    """The receipts of a final submission whose first transaction is at `place`."""
    for ordinal, answer in enumerate(submission.answers):
        at = Ref(place.height, place.ordinal + ordinal)
        yield convert_answer(answer, submission.participant, at, time_ms, first_event, serials, brief)
        first_event += len(answer.events)


def convert_dry_run(block: ArchivedBlock, serials: PrintSerials | None) -> Iterator[pb.TransactionResult]:
    """What would be answered; without places, because nothing happened."""
    for submission in block.submissions:
        for answer in submission.answers:
            yield convert_answer(answer, submission.participant, None, block.time_ms, 0, serials)
