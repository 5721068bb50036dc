"""What the dispatcher writes on the ledger about a hold: attempts, captures, releases. Each may be repeated unharmed.

A capture names ranges, so the same one again is refused; a release has an id made of what it releases, so two processes
release once; an attempt is won by whoever's transaction comes first.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import NamedTuple

from adapters.contract import Moment, Refused, Report
from hub.dispatch.memory import Remembered
from hub.dispatch.salting import write_document
from hub.dispatch.seat import Seat
from hub.dispatch.sight import Dispatch, Message, Release
from hub.dispatch.wording import compose_all, hide_words, join_ranges
from hub.ledger_client import OutcomeUnknown, Receipt, make_number
from hub.reconcile.rules import GRADES
from hub.units import Names, Unnameable
from keeling.v1 import operations_pb2 as op


class Outcome(StrEnum):
    """What became of a record."""

    DONE = "done"
    TAKEN = "taken"
    """Somebody else has this attempt."""
    UNSURE = "unsure"
    """Nobody said whether this attempt was recorded."""
    LATER = "later"
    """The ledger says not now; `Recorded.until_ms` when it says until when, `alert` where a person should know."""
    OVER = "over"
    """The hold has ended."""
    STUCK = "stuck"


class Recorded(NamedTuple):
    """The outcome, and the ledger's words."""

    outcome: Outcome
    detail: str = ""
    until_ms: int = 0
    alert: str = ""


_ID_STRIDE_MS = 30 * 86_400_000
_OVER = ("HOLD_ENDED", "HOLD_EXPIRED", "HOLD_NOT_FOUND")
_LATER = ("LINK_SUSPENDED", "NOT_SETTLED_YET", "UNITS_RESTRICTED", "NEEDS_APPROVAL")


def _read(receipt: Receipt) -> Recorded:
    if receipt.accepted:
        return Recorded(Outcome.DONE)
    detail = f"{receipt.reason}: {receipt.detail}"
    if receipt.reason == "ATTEMPT_TAKEN":
        return Recorded(Outcome.TAKEN, receipt.detail)
    if receipt.reason in _OVER:
        return Recorded(Outcome.OVER, detail)
    if receipt.reason in _LATER:
        alert = f"other attestors must sign too: {receipt.detail}" if receipt.reason == "NEEDS_APPROVAL" else ""
        return Recorded(Outcome.LATER, detail, int(receipt.values.get("until_ms", "0")), alert)
    return Recorded(Outcome.STUCK, detail)


async def record_dispatch(seat: Seat, known: Remembered, step: Dispatch) -> Recorded:
    """Record an attempt under an id nobody else has: accepted means that this process alone may send it.

    What will be sent goes on the shelf with its salt: by its SHA-256, which is what the ledger gets.
    """
    hold = known.hold
    bodies = compose_all(seat.adapters[hold.registry], (each.instruction for each in known.messages))
    document = write_document(bodies, seat.salt_keys[0], hold.hold)
    seat.keep(document)
    digest = hashlib.sha256(document).digest()
    said = op.Dispatch(hold=hold.hold, attempt=step.attempt, instruction=digest, lookup=step.lookup)
    try:
        return _read(await seat.ledger.submit(said))
    except OutcomeUnknown as error:
        return Recorded(Outcome.UNSURE, f"whether it was recorded is not known: {error}")


async def record_capture(seat: Seat, names: Names, known: Remembered, message: Message, grade: str) -> Recorded:
    """Take over the units the registry really used, but for those that are taken over already."""
    report = message.answer
    if not isinstance(report, Report):
        raise TypeError("only what a registry reported is captured")
    try:
        parts = await names.find(report.done)
    except Unnameable as error:
        return Recorded(Outcome.STUCK, f"the registry used units that are not known here: {error}")
    ours = known.hold.hold.hex()
    fresh = join_ranges(part.range for part in parts if ours not in part.captures)
    if not fresh:
        return Recorded(Outcome.DONE)
    evidence = op.Evidence(digest=seat.keep(report.evidence), grade=grade, reference=report.reference)
    said = op.Capture(hold=known.hold.hold, ranges=fresh, evidence=evidence, effective=_when(report.effective))
    try:
        return _read(await seat.ledger.submit(said, attests=True))
    except OutcomeUnknown as error:
        return Recorded(Outcome.LATER, str(error))


async def record_release(seat: Seat, known: Remembered, step: Release, grade: str) -> Recorded:
    """Give back what the registry will not do. Its id is made of what it says: the same again has no second effect.

    Only on the registry's word: keys of two people in one process do not make it two operators' decision.
    """
    message, hold = known.messages[step.place], known.hold
    answer = message.answer
    if not isinstance(answer, Report | Refused):
        raise TypeError("only on the registry's word is anything released")
    wanted = (await seat.ledger.registry_policy(hold.registry)).capture_grade
    if wanted and GRADES.index(grade) > GRADES.index(wanted):
        return Recorded(Outcome.STUCK, f"{hold.registry}'s record asks for evidence of grade {wanted}, this is {grade}")
    reference = answer.reference if isinstance(answer, Report) else message.instruction.key
    reason = hide_words(answer.reason, message.instruction.details, (hold.buyer, hold.holder))
    said = op.Release(
        hold=hold.hold,
        units=step.units,
        reason=(reason or "the registry did not do it")[:200],
        evidence=op.Evidence(digest=seat.keep(answer.evidence), grade=grade, reference=reference),
    )
    seed = b"".join([hold.hold, *(n.to_bytes(8, "big") for n in (hold.captured, hold.released, step.units))])
    number = make_number(_age_id(hold.dispatched_ms, seat.now_ms()), hashlib.sha256(seed).digest())
    try:
        recorded = _read(await seat.ledger.submit(said, number=number, attests=True))
    except OutcomeUnknown as error:
        return Recorded(Outcome.LATER, str(error))
    if recorded.detail.startswith("ID_USED_WITH_OTHER_CONTENT"):
        return Recorded(Outcome.LATER, "released already")
    return recorded


def _age_id(began_ms: int, now_ms: int) -> int:
    """The time in an id made of what it is about: the same for everybody, and young enough for the ledger.

    The ledger takes ids of the last 35 days; a registry may take longer to say no.
    """
    return began_ms + max(0, now_ms - began_ms) // _ID_STRIDE_MS * _ID_STRIDE_MS


def _when(moment: Moment | None) -> op.When | None:
    if moment is None:
        return None
    return op.When(ms=moment.ms, precision=op.When.INSTANT if moment.exact else op.When.DATE)
