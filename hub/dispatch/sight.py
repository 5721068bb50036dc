"""What the dispatcher sees of one hold when it decides, and what it may decide. Plain values.

From the ledger come the hold, its link and the registry's settling time; the rest is this process's memory, which may
be lost at any time and is then as if every message were `UNSURE`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from adapters.contract import Instruction, Refused, Report


class Standing(StrEnum):
    """What this process knows of one message of the attempt that is on the ledger."""

    READY = "ready"
    """This process dispatched it, and it surely had no effect yet: it may be sent, within the window."""
    UNSURE = "unsure"
    """It may have had effect: only asking tells."""
    ANSWERED = "answered"
    """The registry reported on it, or refused it for good."""
    NOTHING = "nothing"
    """A look-up by everything that is known found nothing."""


class Message(NamedTuple):
    """One message of a hold and what is known of it."""

    instruction: Instruction
    standing: Standing = Standing.UNSURE
    answer: Report | Refused | None = None
    recorded_units: int = 0
    """Of what the registry did, how many units this process knows to be captured."""
    nothing: bytes = b""
    """SHA-256 of the look-up that found nothing."""
    nothing_ms: int = 0
    """When that look-up began."""
    seen_ms: int = 0
    """When the look-up began that gave `answer`; 0: it was the answer to the sending itself."""
    not_before_ms: int = 0
    """Leave it alone until then."""
    failures: int = 0
    """Calls in a row that gave no answer."""
    why: str = ""
    """Why it waits, for people."""

    @property
    def pending_units(self) -> int:
        """Units of which the outcome is still open."""
        if self.standing is not Standing.ANSWERED:
            return self.instruction.units
        return self.answer.pending_units if isinstance(self.answer, Report) else 0

    def ask_now(self) -> Message:
        """The same, to be asked about at once: news may be of what a look-up could not find yet."""
        standing = Standing.UNSURE if self.standing is Standing.NOTHING else self.standing
        return self._replace(not_before_ms=0, standing=standing)

    @property
    def refused_again(self) -> bool:
        """The registry refused it when it was sent again: that may be because the first did happen, so that the no
        counts when a look-up finds nothing once the registry has settled."""
        return isinstance(self.answer, Refused) and self.standing is not Standing.ANSWERED

    def close_refused(self, settled_ms: int) -> Message:
        """The same, with a no to what was sent again believed, if nothing was found when it had settled."""
        looked = self.standing is Standing.NOTHING and self.nothing_ms >= settled_ms
        return self._replace(standing=Standing.ANSWERED) if self.refused_again and looked else self

    def close_unseen(self, settled_ms: int) -> Message:
        """The same, with what nobody could see until the settling time was over taken as not done."""
        answer = self.answer
        if not isinstance(answer, Report) or not answer.unseen or self.seen_ms < settled_ms:
            return self
        refused = answer.refused_units + answer.pending_units
        return self._replace(answer=answer._replace(pending_units=0, refused_units=refused))

    @property
    def taken_back(self) -> bool:
        """The registry did it and took it back."""
        return isinstance(self.answer, Report) and self.answer.undone

    @property
    def done_units(self) -> int:
        """Units the registry did, and has not taken back."""
        return self.answer.done_units if isinstance(self.answer, Report) and not self.answer.undone else 0

    @property
    def refused_units(self) -> int:
        """Units the registry will not do, or took back before they were captured."""
        if isinstance(self.answer, Refused):
            return self.instruction.units
        if not isinstance(self.answer, Report):
            return 0
        return self.answer.refused_units + (self.answer.done_units if self.answer.undone else 0)


class Sight(NamedTuple):
    """Everything the next step depends on. Times in ms; `now_ms` is the hub's clock."""

    now_ms: int
    instructed: bool
    """The hold is INSTRUCTED; else it is OPEN."""
    attempt: int
    """The newest attempt on the ledger; 0: none."""
    dispatched_ms: int
    expires_ms: int
    captured_units: int
    released_units: int
    held_units: int
    """What the hold still has."""
    link_stopped: str
    """Why the link does not work now; empty: it does."""
    link_stopped_until_ms: int
    settling_ms: int
    messages: tuple[Message, ...]
    unsendable: str = ""
    """Why the instruction cannot be said in the registry's language."""
    mine: int = 0
    """The attempt that this process dispatched itself and saw accepted; 0: none."""
    send_until_ms: int = 0
    """After this, what is READY may not be sent any more: somebody else may dispatch the next attempt."""
    timeout_ms: int = 20_000
    """The longest a call to the registry takes."""
    busy: bool = False
    """The registry takes one instruction of an account at a time, and has one."""
    quiet: str = ""
    """Why the registry is left alone now; empty: it is not."""
    quiet_until_ms: int = 0
    stuck: str = ""
    """The ledger refused what the registry did; a person must look."""


class Dispatch(NamedTuple):
    """Record the next attempt on the ledger. `lookup`: SHA-256 of what found nothing, from the second attempt on."""

    attempt: int
    lookup: bytes


class Send(NamedTuple):
    """Send this message."""

    place: int


class Ask(NamedTuple):
    """Look this message up."""

    place: int


class Capture(NamedTuple):
    """Take over what the registry did of this message."""

    place: int


class Release(NamedTuple):
    """Give back what the registry will not do, after everything it did was captured."""

    units: int
    place: int
    """A message whose answer is the evidence."""


class Wait(NamedTuple):
    """Nothing until then (0: until something changes), and why."""

    until_ms: int
    why: str


class Stuck(NamedTuple):
    """A person must look."""

    why: str


Step = Dispatch | Send | Ask | Capture | Release | Wait | Stuck
