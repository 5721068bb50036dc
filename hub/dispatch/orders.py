"""One message to a registry that is no hold's: said when its record is final, asked about until it is answered.

What is ordered, how it goes on record and what follows from the answer is in `answering`, `withdrawing` and `blocking`.
A message that may have had effect is never sent again from here: its owner says when, by making it READY.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from adapters.contract import Answer, Found, Question, Refused
from hub.dispatch.absorb import Call, absorb
from hub.dispatch.decide import compute_backoff
from hub.dispatch.lines import Lines
from hub.dispatch.seat import Seat
from hub.dispatch.sight import Message, Standing
from hub.ledger_client import make_number

KIND: Final = "evidence"
"""The kind of the `Anchor` that is the record of an order."""
CALLS_MOST: Final = 4
"""In one round, for one order."""
ID_STRIDE_MS: Final = 30 * 86_400_000
OLDEST_MS: Final = 34 * 86_400_000
"""What is older cannot be ordered here: the ledger takes no id of it any more."""


@dataclass
class Order:
    """A message whose record is final. Written by who made it, and by `call_registry`."""

    registry: str
    message: Message
    began_ms: int
    """When it went on record: nothing older can be it."""
    reference: str = ""
    """What the registry calls what it is about, or what became of it; empty: not known."""
    alert: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the registry has said what became of all of it."""
        return self.message.standing is Standing.ANSWERED and not self.message.pending_units

    @property
    def refusal(self) -> str:
        """The registry's final no; empty: it said none."""
        answer = self.message.answer
        return answer.reason if isinstance(answer, Refused) else ""

    def is_due(self, lines: Lines, now_ms: int) -> bool:
        """Whether the registry may be called about it now."""
        return now_ms >= max(self.message.not_before_ms, lines.quiet_until(self.registry))


async def call_registry(seat: Seat, lines: Lines, order: Order) -> Answer | Found:
    """Send it if it is READY, else ask what became of it; takes in the answer, and returns it."""
    message, adapter = order.message, seat.adapters[order.registry]
    sending = message.standing is Standing.READY
    await lines.turn(order.registry)
    began = seat.now_ms()
    if sending:
        order.message = message._replace(standing=Standing.UNSURE)
        found: Answer | Found = await adapter.instruct(message.instruction)
    else:
        references = (order.reference,) if order.reference else ()
        found = await adapter.ask(Question(message.instruction, references, order.began_ms))
    ended, lately = seat.now_ms(), lines.throttled_lately(order.registry)
    call = Call(began, ended, order.began_ms, seat.jitter(), lately)
    taken = absorb(message, found, call, adapter.capabilities, sent=sending)
    lines.keep_quiet(order.registry, taken.quiet_until_ms)
    order.alert, order.message = taken.alert, taken.message
    if isinstance(found, Refused) and not found.final:
        order.message = taken.message._replace(standing=Standing.UNSURE)  # it may be over: asked before again
    return found


def hand_in_again(order: Order, now_ms: int, jitter: int) -> None:
    """Make READY what a look-up did not find, each time for later. Only for what names one transaction of the registry,
    which it answers, or takes back, once however often it is said."""
    failures = order.message.failures
    again = now_ms + compute_backoff(failures, jitter)
    order.message = order.message._replace(standing=Standing.READY, not_before_ms=again, failures=failures + 1)


def derive_numbers(began_ms: int, now_ms: int, seed: bytes) -> list[bytes]:
    """All ids that a record about something that began then may have, the one to use now first.

    The same for everybody, and young enough for the ledger, which takes ids of the last 35 days.
    """
    tail, newest = hashlib.sha256(seed).digest(), (now_ms - began_ms) // ID_STRIDE_MS
    return [make_number(began_ms + n * ID_STRIDE_MS, tail) for n in range(newest, min(newest, 0) - 1, -1)]
