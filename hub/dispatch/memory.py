"""What the dispatcher remembers of a hold between two steps, and how it begins again when it remembers nothing.

All of it can be found out again: the messages from the hold, their fate from the registry, the rest from the ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NamedTuple

from adapters.capabilities import Action
from adapters.contract import Adapter, Report, UnsendableError
from hub.dispatch.lines import LinkMemory
from hub.dispatch.salting import NO_DIGESTS, Digests, compute_digests
from hub.dispatch.seat import Ledger, Seat
from hub.dispatch.sessions import find_session
from hub.dispatch.sight import Message, Sight
from hub.dispatch.wording import build_instruction, compose_all, join_ranges, split_for
from hub.ledger_client import NotOnLedger
from hub.reconcile.report import format_instant
from hub.units import Names, Unnameable
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

INSTRUCTED = "INSTRUCTED"
SILENT_MS = 86_400_000
"""An outcome that is so much later than expected needs a person: nothing ends an instructed hold by itself."""


@dataclass
class Remembered:
    """One hold. Written by the dispatcher's step on that hold alone."""

    hold: pb.HoldInfo
    messages: list[Message] = field(default_factory=list)
    ranges: list[op.Range] = field(default_factory=list)
    """The units the messages are about."""
    digests: Digests = NO_DIGESTS
    """What a dispatch of these messages may have on the ledger."""
    unsendable: str = ""
    mine: int = 0
    maybe_mine: int = 0
    """The newest attempt that may be this process's own without its knowing: it was on the ledger when the process
    first looked, or handing it in got no answer."""
    told_attempt: int = 0
    """The newest attempt of which the log says that another process has it."""
    told_why: str = ""
    """Why the log says last that a person is needed."""
    send_until_ms: int = 0
    first_ms: int = 0
    """When the first attempt was recorded, or earlier: nothing at the registry that is older can be this hold's."""
    references: dict[int, str] = field(default_factory=dict)
    stuck: str = ""
    stuck_until_ms: int = 0
    why: str = ""
    due_ms: int = 0
    alert: str = ""
    """Of the last answer, or the last record."""
    changed: str = ""
    """That the newest attempt on the ledger said something else; empty: it did not."""
    has_turn: bool = False
    """The next call to the registry is this hold's: its turn came before the attempt was recorded."""

    @property
    def is_anothers(self) -> bool:
        """Whether another process of this hub surely has the attempt that is on the ledger."""
        return self.hold.phase == INSTRUCTED and self.hold.attempt > max(self.mine, self.maybe_mine)

    def is_outdated_by(self, hold: pb.HoldInfo) -> bool:
        """Whether an open hold holds other units now: a part was given back, or swapped for what a registry used."""
        return hold.phase == "OPEN" and self.hold.ranges != hold.ranges

    @property
    def is_swapped(self) -> bool:
        """Whether the one message is about other units than the hold has now: a registry used some for another hold."""
        untouched = len(self.messages) == 1 and not self.hold.captured and not self.released_units
        return untouched and self.ranges != join_ranges(self.hold.ranges)

    @property
    def released_units(self) -> int:
        """Units given back of those that were instructed: what was given back before is in no message."""
        instructed = sum(message.instruction.units for message in self.messages)
        return self.hold.released - (self.hold.units - instructed) if self.messages else self.hold.released

    def note(self, place: int, message: Message) -> None:
        """Keep what became of a message, and what the registry calls it."""
        self.messages[place] = message
        if isinstance(message.answer, Report) and message.answer.reference:
            self.references[place] = message.answer.reference


class Pending(NamedTuple):
    """A line of the backlog."""

    hold: bytes
    account: str
    registry: str
    units: int
    phase: str
    attempt: int
    since_ms: int
    expected_ms: int
    """When an outcome may be expected; 0: it was not sent yet."""
    why: str
    alert: str
    late: bool
    at_risk: bool
    """It may still be unconfirmed at the end of the year (UTC)."""


def build_sight(known: Remembered, link: LinkMemory, seat: Seat, settling_ms: int, busy: bool, quiet_ms: int) -> Sight:
    """Everything the next decision depends on, as of now."""
    hold, now = known.hold, seat.now_ms()
    messages, asked = known.messages, ""
    if quiet_ms > now:
        asked = f"{hold.registry} asked to be left alone until {format_instant(quiet_ms)}"
        later = [m._replace(not_before_ms=quiet_ms, why=asked) for m in messages]
        messages = [max(pair, key=lambda m: m.not_before_ms) for pair in zip(messages, later, strict=True)]
    if link.breaker.is_open and not link.breaker.lets_try(now):
        rest = link.breaker.trial_ms
        messages = [m._replace(not_before_ms=max(m.not_before_ms, rest), why=link.breaker.describe()) for m in messages]
    return Sight(
        now_ms=now,
        instructed=hold.phase == INSTRUCTED,
        attempt=hold.attempt,
        dispatched_ms=hold.dispatched_ms,
        expires_ms=hold.expires_ms,
        captured_units=hold.captured,
        released_units=known.released_units,
        held_units=sum(item.units for item in hold.ranges),
        link_stopped=link.stopped,
        link_stopped_until_ms=link.stopped_until_ms,
        settling_ms=settling_ms,
        messages=tuple(messages),
        unsendable=known.unsendable,
        mine=known.mine,
        send_until_ms=known.send_until_ms,
        timeout_ms=seat.timeout_ms,
        busy=busy,
        quiet=asked,
        quiet_until_ms=quiet_ms,
        stuck=known.stuck if now < known.stuck_until_ms else "",
    )


async def begin(hold: pb.HoldInfo, account: pb.Account, seat: Seat, names: Names) -> Remembered:
    """Remember a hold for the first time, or again after a restart: every message may have been sent."""
    known = Remembered(hold)
    try:
        known.first_ms = await _find_first(hold, seat.ledger)
        async for ranges in _find_ranges(hold, seat.ledger):
            await _word(known, ranges, account, seat, names)
            if known.digests.match(hold.instruction):
                break
        await _recall_reference(known, seat.ledger)
    except (Unnameable, UnsendableError) as error:
        known.unsendable = f"cannot be said to {hold.registry}: {error}{_hint(error, hold)}"
        return known
    if hold.phase == INSTRUCTED and not known.digests.match(hold.instruction):
        why = "the hub's key, its `ledger.salt` or the words about the hold have changed"
        known.changed = f"what would be sent now is not what was dispatched: {why}"
    return known


async def name_anew(known: Remembered, account: pb.Account, seat: Seat, names: Names) -> str:
    """Nothing came of the last attempt, and units it named were swapped since: the next is about those held now.

    Returns what stands in the way; empty: nothing.
    """
    (before,) = known.messages
    try:
        await _word(known, join_ranges(known.hold.ranges), account, seat, names)
    except (Unnameable, UnsendableError) as error:
        return f"cannot be said to {known.hold.registry}: {error}"
    known.messages[0] = before._replace(instruction=known.messages[0].instruction)
    return ""


async def _word(known: Remembered, ranges: list[op.Range], account: pb.Account, seat: Seat, names: Names) -> None:
    """Make the messages of a hold about these units. Raises `Unnameable`, `UnsendableError`."""
    hold, adapter = known.hold, seat.adapters[known.hold.registry]
    there = await seat.ledger.account(hold.to_account) if hold.to_account else None
    to_account = there.link.registry_account if there is not None else ""
    lots = await names.to_serials(ranges)
    details = dict(seat.details(hold))
    if Action.BLOCK in adapter.capabilities.actions:
        details |= await find_session(seat.ledger, hold)
    whole = build_instruction(hold, account.link.registry_account, to_account, lots, details)
    instructions = split_for(adapter, whole)
    known.digests = compute_digests(compose_all(adapter, instructions), seat.salt_keys, hold.hold)
    known.messages = [Message(instruction) for instruction in instructions]
    known.ranges = ranges


async def _find_first(hold: pb.HoldInfo, ledger: Ledger) -> int:
    """`Remembered.first_ms`. The ledger keeps when the newest attempt was recorded; of a first one that was not the
    last, when the hold was placed: a part that was done then is asked about long afterwards.
    """
    if hold.attempt <= 1:
        return int(hold.dispatched_ms)
    try:
        return int((await ledger.event_at(hold.opened.height, hold.opened.ordinal)).time_ms)
    except NotOnLedger as error:
        raise Unnameable(f"when it was first instructed cannot be read: {error}") from error


async def _recall_reference(known: Remembered, ledger: Ledger) -> None:
    """What the registry calls the one message, from the evidence of a part that was captured: without it, a registry
    that is asked by it alone shows nothing of the rest."""
    hold = known.hold
    if hold.phase != INSTRUCTED or not hold.captured or len(known.messages) != 1:
        return
    async for event in ledger.events_of(hold.account, (hold.opened.height, hold.opened.ordinal)):
        facts = {fact.name: fact.value for fact in event.facts}
        if facts.get("hold") == hold.hold.hex() and facts.get("reference"):
            known.references[0] = facts["reference"]


def _hint(error: Exception, hold: pb.HoldInfo) -> str:
    """Where words come from, for who reads the backlog."""
    if not isinstance(error, UnsendableError):
        return ""
    buyer = hold.buyer or hold.holder
    return f" (words for {hold.registry} are in the hub's configuration: its `words`, or `buyers` for {buyer})"


async def _find_ranges(hold: pb.HoldInfo, ledger: Ledger) -> AsyncIterator[list[op.Range]]:
    """What is instructed. Of an open hold: what it holds. Of an instructed one what it held when it was first
    dispatched; the digest on the ledger tells which of these that was: what it holds, if nothing was captured or given
    back or swapped since; what it was placed on; what its dispatch moved, which takes longest to find.
    """
    if hold.phase != INSTRUCTED or not (hold.captured or hold.released):
        yield join_ranges(hold.ranges)
    if hold.phase != INSTRUCTED:
        return
    place = hold.opened.height, hold.opened.ordinal
    try:
        if hold.captured or hold.released:
            event = await ledger.event_at(*place)
            yield join_ranges(move.range for move in event.moves)
        async for event in ledger.events_of(hold.account, place):
            if event.kind == "DISPATCHED" and event.subject == hold.hold.hex() and event.moves:
                yield join_ranges(move.range for move in event.moves)
                return
    except NotOnLedger as error:
        raise Unnameable(f"what was instructed cannot be read: {error}") from error


def describe_sender(known: Remembered) -> str:
    """Who has the attempt that is on the ledger, and what this process does about it; empty: it has it itself.

    The ledger names the participant alone, and processes of one hub share its name: that it was another one is known
    from not having dispatched it here.
    """
    hold = known.hold
    if hold.phase != INSTRUCTED or hold.attempt == known.mine:
        return ""
    who = f"another process of {hold.hub}" + ("" if known.is_anothers else ", or by this one before it lost track")
    since = format_instant(hold.dispatched_ms)
    return f"attempt {hold.attempt} was dispatched at {since} by {who}: this process asks about it and does not send it"


_SILENCE = "long overdue: ask the registry itself; two people may end it with evidence (keeling release)"


def describe_pending(known: Remembered, adapter: Adapter, now_ms: int, year_ends_ms: int) -> Pending:
    """The hold's line of the backlog."""
    hold = known.hold
    sent = hold.phase == INSTRUCTED
    expected = 0
    if known.messages:
        from_ms = hold.dispatched_ms if sent else now_ms
        expected = max(adapter.expects(message.instruction, from_ms) for message in known.messages)
        told = [m.answer.due_ms for m in known.messages if isinstance(m.answer, Report) and m.answer.due_ms]
        expected = max(told, default=expected)
    silent = sent and 0 < expected < now_ms - SILENT_MS
    return Pending(
        hold=hold.hold,
        account=hold.account,
        registry=hold.registry,
        units=sum(item.units for item in hold.ranges),
        phase=hold.phase,
        attempt=hold.attempt,
        since_ms=hold.dispatched_ms if sent else 0,
        expected_ms=expected if sent else 0,
        why="; ".join(each for each in (describe_sender(known), known.stuck or known.why) if each),
        alert=known.stuck or known.unsendable or known.alert or known.changed or (_SILENCE if silent else ""),
        late=sent and 0 < expected < now_ms,
        at_risk=expected >= year_ends_ms,
    )
