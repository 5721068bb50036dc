"""What to do next about one hold. Pure: the same sight gives the same step.

The rules, in their order (design §6, units and rules §3): what the registry did is taken over first; what may have had
effect is asked about, never repeated; what surely had none is sent again within this process's own attempt; after the
settling time, and a look-up that found nothing, a new attempt is recorded before anything is sent again.
"""

from __future__ import annotations

import hashlib
from typing import Final

from hub.dispatch.sight import (
    Ask,
    Capture,
    Dispatch,
    Message,
    Release,
    Send,
    Sight,
    Standing,
    Step,
    Stuck,
    Wait,
)

ASK_SOONEST_MS: Final = 1_000
ASK_LATEST_MS: Final = 900_000
_BACKOFF_FIRST_MS: Final = 500
_BACKOFF_MOST_MS: Final = 300_000
"""Where a registry says nothing: exponential with full jitter, five minutes at most."""


def decide(sight: Sight) -> Step:
    """The next step."""
    if sight.stuck:
        return Stuck(sight.stuck)
    if not sight.instructed:
        return _decide_open(sight)
    if sight.unsendable:
        return Stuck(sight.unsendable)  # what cannot be said cannot be asked about either
    settled_ms = sight.dispatched_ms + sight.settling_ms
    closed = [message.close_unseen(settled_ms).close_refused(settled_ms) for message in sight.messages]
    sight = sight._replace(messages=tuple(closed))
    if sight.captured_units and any(message.taken_back for message in sight.messages):
        return Stuck("the registry took back what was captured: a reversal is due, and the rest needs a person")
    for place, message in enumerate(sight.messages):
        if message.done_units > message.recorded_units:
            return Capture(place)
    waits: list[Wait] = []
    for place, message in enumerate(sight.messages):
        step = _decide_message(sight, place, message)
        if not isinstance(step, Wait):
            return step
        if step.why:
            waits.append(step)
    if waits:
        return min(waits, key=lambda wait: (wait.until_ms == 0, wait.until_ms))
    again = [message for message in sight.messages if message.standing is Standing.NOTHING]
    if again:
        return _decide_again(sight, again)
    refused = sum(message.refused_units for message in sight.messages) - sight.released_units
    if refused > 0 and sight.held_units:
        place = next(n for n, message in enumerate(sight.messages) if message.refused_units)
        return Release(min(refused, sight.held_units), place)
    return Stuck(f"the registry has answered everything and {sight.held_units} units are still held")


def _decide_open(sight: Sight) -> Step:
    if sight.now_ms >= sight.expires_ms:
        return Wait(0, "expired: the ledger releases it")
    if sight.unsendable:
        return Stuck(sight.unsendable)
    return _check_link(sight) or Dispatch(1, b"")


def _check_link(sight: Sight) -> Step | None:
    """What keeps an attempt from being recorded now."""
    if sight.settling_ms // 2 < sight.timeout_ms:
        return Stuck(
            f"the registry's record settles within {sight.settling_ms} ms; it must be at least twice the time of a "
            f"call ({sight.timeout_ms} ms), or two hubs could send at once"
        )
    if sight.link_stopped:
        return Wait(sight.link_stopped_until_ms, sight.link_stopped)
    if sight.quiet:
        return Wait(sight.quiet_until_ms, sight.quiet)  # what is recorded now could not leave within its window
    return Wait(0, "another instruction of this account is under way") if sight.busy else None


def _decide_message(sight: Sight, place: int, message: Message) -> Step:
    """What this message needs; a wait without a reason when it needs nothing by itself."""
    if message.standing is Standing.ANSWERED and not message.pending_units:
        return Wait(0, "")
    if sight.now_ms < message.not_before_ms:
        return Wait(message.not_before_ms, message.why or "waiting to ask again")
    if message.standing is Standing.READY and sight.mine == sight.attempt:
        if sight.now_ms >= sight.send_until_ms:
            return Ask(place)
        if sight.busy:
            return Wait(sight.send_until_ms, "an instruction of this account that was dispatched before is under way")
        return Wait(sight.link_stopped_until_ms, sight.link_stopped) if sight.link_stopped else Send(place)
    if message.standing is Standing.NOTHING:
        settled_ms = sight.dispatched_ms + sight.settling_ms
        if sight.now_ms < settled_ms:
            return Wait(settled_ms, "nothing found yet; the registry may still be at it")
        return Wait(0, "") if message.nothing_ms >= settled_ms else Ask(place)
    return Ask(place)


def _decide_again(sight: Sight, again: list[Message]) -> Step:
    """Everything is answered but what was surely not received: a new attempt, if the link works."""
    lookup = hashlib.sha256(b"".join(message.nothing for message in again)).digest()
    return _check_link(sight) or Dispatch(sight.attempt + 1, lookup)


def compute_backoff(failures: int, jitter: int) -> int:
    """How long to wait after so many failures in a row, in ms; `jitter` 0 to 1000 spreads it over the whole span."""
    span = min(_BACKOFF_MOST_MS, _BACKOFF_FIRST_MS << min(failures, 20))
    return span * max(jitter, 100) // 1000


def compute_pause(dispatched_ms: int, now_ms: int) -> int:
    """How long to wait before asking again about what is open: a fifth of how long it has been, within limits."""
    return max(ASK_SOONEST_MS, min(ASK_LATEST_MS, (now_ms - dispatched_ms) // 5))
