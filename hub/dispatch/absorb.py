"""What an answer changes in what is known of a message. Pure.

Only a report, a final no, or a complete look-up that found nothing settles anything; everything else makes the message
wait, and after a sending that may have had effect, be asked about.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from adapters.capabilities import Capabilities, LookUp
from adapters.contract import (
    Answer,
    Found,
    NothingFound,
    Refused,
    Report,
    Throttled,
    Unauthorised,
    Unavailable,
    Unknown,
)
from hub.dispatch.decide import compute_backoff, compute_pause
from hub.dispatch.sight import Message, Standing
from hub.reconcile.report import format_instant

LOOK_AHEAD_MS: Final = 6 * 3_600_000
"""The longest that a registry is left alone because it said when it will decide."""
LONG_MS: Final = 86_400_000
"""A registry that wants to be left alone for longer is obeyed, and a person is told."""
RIGHTS_PAUSE_MS: Final = 60_000
"""Wrong credentials and refused messages do not get better by asking often."""


class Call(NamedTuple):
    """The circumstances of one call."""

    began_ms: int
    ended_ms: int
    dispatched_ms: int
    jitter: int
    throttled_lately: bool
    """The registry said 429 not long ago: a 401 is taken for more of it."""
    again: bool = False
    """An earlier attempt may have had effect, though nothing was found of it."""
    shown: bool = False
    """The registry showed it before: that it finds nothing now proves nothing."""


class Absorbed(NamedTuple):
    """The message afterwards; `quiet_until_ms`: the whole registry is left alone until then; `alert`: for a person."""

    message: Message
    quiet_until_ms: int = 0
    alert: str = ""


def absorb(message: Message, answer: Answer | Found, call: Call, can: Capabilities, *, sent: bool) -> Absorbed:
    """The message after an answer to a sending (`sent`) or to a question."""
    match answer:
        case Report() if not _adds_up(answer, message.instruction.units):
            told = f"{answer.done_units} done, {answer.pending_units} pending, {answer.refused_units} refused"
            said = f"an answer that does not add up: {told} of {message.instruction.units} units"
            if sent:
                return Absorbed(
                    message._replace(standing=Standing.UNSURE, not_before_ms=0, failures=0, why=said), 0, said
                )
            pause = compute_backoff(message.failures, call.jitter)
            return Absorbed(_delay(message, call.ended_ms + pause, said), alert=said)
        case Report():
            seen = message._replace(seen_ms=0 if sent else call.began_ms)
            pause = _compute_pause(answer, call, can) if answer.pending_units else 0
            return Absorbed(_settle(seen, answer, call.ended_ms + pause, _explain(answer)))
        case Refused() if answer.final and sent and call.again:
            why = f"refused when it was sent again ({answer.reason}); looked for once more"
            refused = message._replace(standing=Standing.UNSURE, answer=answer, not_before_ms=0, failures=0)
            return Absorbed(refused._replace(why=why))
        case Refused() if answer.final:
            return Absorbed(_settle(message, answer, 0, ""))
        case NothingFound() if call.shown:
            said = "the registry showed it before and finds nothing of it now: ask the registry itself"
            pause = compute_backoff(message.failures, call.jitter)
            return Absorbed(_delay(message, call.ended_ms + pause, said), alert=said)
        case NothingFound() if not sent and answer.by >= can.looked_up_by - {LookUp.REFERENCE}:
            digest = hashlib.sha256(answer.evidence).digest()
            known = message._replace(standing=Standing.NOTHING, nothing=digest, nothing_ms=call.began_ms, failures=0)
            if 0 < answer.as_of_ms < call.began_ms:  # books of then prove nothing of what came after
                pause = compute_pause(call.dispatched_ms, call.ended_ms)
                known = known._replace(nothing_ms=answer.as_of_ms, not_before_ms=call.ended_ms + pause)
                return Absorbed(known._replace(why=f"nothing found as of {format_instant(answer.as_of_ms)}"))
            return Absorbed(known._replace(not_before_ms=0, why="nothing found yet"))
        case Throttled():
            return _throttle(message, answer.retry_after_ms, call)
        case Unauthorised() if call.throttled_lately:
            return _throttle(message, None, call)
        case Refused() | Unauthorised():
            said = answer.reason if isinstance(answer, Refused) else f"credentials not accepted: {answer.detail}"
            until = call.ended_ms + max(RIGHTS_PAUSE_MS, compute_backoff(message.failures, call.jitter))
            return Absorbed(_delay(message, until, said), alert=said)
        case Unavailable():
            wait = answer.retry_after_ms
            pause = compute_backoff(message.failures, call.jitter) if wait is None else wait
            return Absorbed(_delay(message, call.ended_ms + pause, answer.detail))
    detail = answer.detail if not isinstance(answer, NothingFound) else "the look-up was not complete"
    if sent:
        alert = detail if isinstance(answer, Unknown) and answer.answered else ""
        return Absorbed(message._replace(standing=Standing.UNSURE, not_before_ms=0, failures=0, why=detail), 0, alert)
    pause = compute_backoff(message.failures, call.jitter)
    return Absorbed(_delay(message, call.ended_ms + pause, detail))


def _adds_up(answer: Report, units: int) -> bool:
    """Whether each unit asked for is done, pending or refused, once."""
    parts = (answer.done_units, answer.pending_units, answer.refused_units)
    return min(parts) >= 0 and sum(parts) == units


def _compute_pause(answer: Report, call: Call, can: Capabilities) -> int:
    """A registry that says when it will decide is asked then; now and then before, for it may be sooner.

    What nobody can see is not asked about more often than a few times in each of the registry's cycles.
    """
    told_ms = can.cycle_ms if answer.unseen else answer.due_ms - call.ended_ms
    return max(compute_pause(call.dispatched_ms, call.ended_ms), min(told_ms, LOOK_AHEAD_MS))


def _explain(answer: Report) -> str:
    if not answer.pending_units:
        return ""
    if answer.unseen:
        return f"nothing shows what became of {answer.pending_units} units; not done, if that stays so until it settled"
    return "the registry has it and has not decided"


def _settle(message: Message, answer: Report | Refused, until_ms: int, why: str) -> Message:
    return message._replace(standing=Standing.ANSWERED, answer=answer, not_before_ms=until_ms, failures=0, why=why)


def _delay(message: Message, until_ms: int, why: str) -> Message:
    return message._replace(not_before_ms=until_ms, failures=message.failures + 1, why=why)


def _throttle(message: Message, told_ms: int | None, call: Call) -> Absorbed:
    pause = compute_backoff(message.failures, call.jitter) if told_ms is None else told_ms
    until = call.ended_ms + pause
    why = f"throttled until {format_instant(until)}"
    return Absorbed(_delay(message, until, why), until, why if pause > LONG_MS else "")
