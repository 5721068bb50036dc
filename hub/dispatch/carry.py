"""Carrying one hold to its registry and back, step after step, as far as it goes now.

Which holds there are, and when they are looked at, is in `run`; nothing here decides: `decide` does.
"""

from __future__ import annotations

import asyncio
from typing import Final

from adapters.contract import Answer, Found, Question, Report
from hub.dispatch.absorb import Call, absorb
from hub.dispatch.decide import compute_pause, decide
from hub.dispatch.figures import Figures
from hub.dispatch.lines import Lines, LinkMemory
from hub.dispatch.memory import INSTRUCTED, Remembered, begin, build_sight, describe_sender, name_anew
from hub.dispatch.recording import Outcome, Recorded, record_capture, record_dispatch, record_release
from hub.dispatch.seat import Seat
from hub.dispatch.sight import Ask, Capture, Dispatch, Message, Release, Send, Standing, Step, Stuck, Wait
from hub.ledger_client import NotOnLedger
from hub.units import Names
from keeling.v1 import ledger_pb2 as pb

LIVE: Final = ("OPEN", INSTRUCTED)
_STUCK_PAUSE_MS: Final = 900_000
"""What the ledger refused is tried again after this, in case somebody set it right."""


class Carrier:
    """All that is remembered of a hub's live holds, and every step on one of them. For one event loop."""

    def __init__(self, seat: Seat, lines: Lines, figures: Figures, names: Names) -> None:
        self.known: Final[dict[bytes, Remembered]] = {}
        self._seat, self._lines, self._figures, self._names = seat, lines, figures, names
        self._accounts: dict[str, pb.Account] = {}
        self._settling: dict[str, int] = {}
        self._working: dict[bytes, asyncio.Lock] = {}
        self._inherited: dict[bytes, int] | None = None
        """Attempts that were on the ledger when this process first looked; None: it has not looked yet."""

    # -- what is read once a round

    def begin_round(self) -> None:
        """Accounts and records are read anew."""
        self._accounts.clear()
        self._settling.clear()

    async def settle_round(self, holds: list[pb.HoldInfo]) -> None:
        """These are all live holds: the rest is forgotten, and what all of them need is read once."""
        if self._inherited is None:
            self._inherited = {hold.hold: hold.attempt for hold in holds if hold.phase == INSTRUCTED}
        for registry in {hold.registry for hold in holds}:
            await self._settling_ms(registry)
        live = {hold.hold for hold in holds}
        for gone in [each for each in self.known if each not in live]:
            if gone not in self._working or not self._working[gone].locked():
                self._forget(gone)  # else whoever is at it does so

    async def account(self, name: str) -> pb.Account:
        """An account as it was when it was first read in this round."""
        if name not in self._accounts:
            self._accounts[name] = await self._seat.ledger.account(name)
            self._lines.see(self._accounts[name])
        return self._accounts[name]

    async def _settling_ms(self, registry: str) -> int:
        if registry not in self._settling:
            self._settling[registry] = int((await self._seat.ledger.registry_policy(registry)).settling_ms)
        return self._settling[registry]

    def _forget(self, hold: bytes) -> None:
        self.known.pop(hold, None)
        self._working.pop(hold, None)

    # -- one hold

    async def advance(self, hold: pb.HoldInfo) -> None:
        """Step after step until the hold waits, is over, or needs a person. It is read again after every record."""
        lock = self._working.setdefault(hold.hold, asyncio.Lock())
        async with lock:
            known = self.known.get(hold.hold)
            # It may have been read before what was done with it since.
            newer = known is not None and known.hold.height > hold.height
            current: pb.HoldInfo | None = known.hold if known is not None and newer else hold
            try:
                while current is not None and current.phase in LIVE:
                    known = await self._remember(current)
                    step = await self._decide(known)
                    if not await self._perform(known, step):
                        return
                    calls = isinstance(step, Send | Ask)
                    current = known.hold if calls else await self._seat.ledger.hold(hold.hold)
            except NotOnLedger:
                current = None
        self._forget(hold.hold)

    async def _remember(self, hold: pb.HoldInfo) -> Remembered:
        known = self.known.get(hold.hold)
        if known is None or known.unsendable or known.is_outdated_by(hold) or (hold.attempt > 1 and not known.first_ms):
            told, why = (known.told_attempt, known.told_why) if known is not None else (0, "")
            known = await begin(hold, await self.account(hold.account), self._seat, self._names)
            self.known[hold.hold], known.told_attempt, known.told_why = known, told, why
            known.maybe_mine = hold.attempt if self._inherited is None else self._inherited.get(hold.hold, 0)
        known.hold = hold
        known.first_ms = known.first_ms or hold.dispatched_ms
        if known.is_anothers and known.told_attempt != hold.attempt:
            known.told_attempt = hold.attempt
            why = describe_sender(known)
            self._tell("another process has the attempt", known, attempt=hold.attempt, hub=hold.hub, why=why)
        return known

    async def _decide(self, known: Remembered) -> Step:
        await self.account(known.hold.account)
        link = self._link(known)
        settling = await self._settling_ms(known.hold.registry)
        quiet = self._lines.quiet_until(known.hold.registry)
        return decide(build_sight(known, link, self._seat, settling, await self._is_busy(known), quiet))

    def _link(self, known: Remembered) -> LinkMemory:
        return next(link for link in self._lines.links() if link.account == known.hold.account)

    async def _is_busy(self, known: Remembered) -> bool:
        """Whether another instruction of the account comes first, where its registry takes one at a time: as the
        ledger says now, for another hub of ours may have dispatched it. Of two at the same time neither goes first."""
        hold = known.hold
        if not self._seat.adapters[hold.registry].capabilities.in_order:
            return False
        if hold.phase != INSTRUCTED and any(
            other.hold.phase == INSTRUCTED and other.hold.account == hold.account for other in self.known.values()
        ):
            return True  # as it was last read; what ended since is forgotten in the next round
        live = await self._seat.ledger.live_holds()
        others = [each for each in live if each.account == hold.account and each.hold != hold.hold]
        ahead = [each.dispatched_ms for each in others if each.phase == INSTRUCTED]
        return bool(ahead) and (hold.phase != INSTRUCTED or min(ahead) <= hold.dispatched_ms)

    async def _perform(self, known: Remembered, step: Step) -> bool:
        """Do one step; False: nothing more can be done now."""
        known.due_ms, known.why = 0, ""
        match step:
            case Wait():
                known.due_ms, known.why = step.until_ms, step.why
                return False
            case Stuck():
                return self._stop(known, step.why)
            case Dispatch():
                if not known.has_turn:
                    # First its turn, then the record: an attempt that waits in line could outlast its own window.
                    await self._lines.turn(known.hold.registry)
                    known.has_turn = True
                    return True
                return await self._dispatch(known, step)
            case Send():
                return await self._send(known, step.place)
            case Ask():
                return await self._ask(known, step.place)
            case Capture():
                return await self._capture(known, step.place)
            case Release():
                recorded = await record_release(self._seat, known, step, self._grade(known))
                if recorded.outcome is Outcome.DONE:
                    answer = known.messages[step.place].answer
                    self._tell("released", known, units=step.units)
                    self._figures.released_units += step.units
                    self._figures.unseen_units += step.units if isinstance(answer, Report) and answer.unseen else 0
                return self._go_on(known, recorded)

    async def _dispatch(self, known: Remembered, step: Dispatch) -> bool:
        began = self._seat.now_ms()
        settling = await self._settling_ms(known.hold.registry)
        if step.attempt > 1 and known.is_swapped:
            trouble = await name_anew(known, await self.account(known.hold.account), self._seat, self._names)
            if trouble:
                return self._stop(known, trouble)
        recorded = await record_dispatch(self._seat, known, step)
        if recorded.outcome is Outcome.DONE:
            self._figures.dispatched += 1
            self._tell("dispatched", known, attempt=step.attempt, account=known.hold.account)
            known.mine, known.send_until_ms, known.changed = step.attempt, began + settling // 2, ""
            for place, message in enumerate(known.messages):
                if step.attempt == 1 or (message.standing is Standing.NOTHING and not message.refused_again):
                    known.messages[place] = message._replace(standing=Standing.READY, not_before_ms=0, failures=0)
            return True
        if recorded.outcome is Outcome.UNSURE:
            known.maybe_mine = step.attempt
        now = self._seat.now_ms()
        later = recorded.outcome is Outcome.LATER
        if later or recorded.outcome in (Outcome.TAKEN, Outcome.UNSURE):
            # LATER: by ledger time it may not have settled when it was looked for, this clock may run ahead.
            pause = now + compute_pause((later and known.hold.dispatched_ms) or now, now)
            for place, message in enumerate(known.messages):
                if message.standing is not Standing.ANSWERED:
                    waiting = message._replace(standing=Standing.UNSURE, not_before_ms=pause, why=recorded.detail)
                    known.messages[place] = waiting
        return self._go_on(known, recorded)

    async def _send(self, known: Remembered, place: int) -> bool:
        """Send what this process alone may send, if its attempt is still the newest when its turn comes."""
        adapter, hold = self._seat.adapters[known.hold.registry], known.hold.hold
        await self._take_turn(known)
        known.hold = await self._seat.ledger.hold(hold)
        current = known.hold.phase == INSTRUCTED and known.hold.attempt == known.mine
        if not current or known.is_swapped or self._seat.now_ms() >= known.send_until_ms:
            known.messages[place] = known.messages[place]._replace(standing=Standing.UNSURE)
            return True
        self._figures.sent += 1
        message = known.messages[place]
        known.messages[place] = message._replace(standing=Standing.UNSURE)
        answer, began, ended = await self._lines.call(self._link(known), lambda: adapter.instruct(message.instruction))
        return self._take_in(known, place, message, answer, began, ended, sent=True)

    async def _take_turn(self, known: Remembered) -> None:
        """Wait for a call's turn, unless this hold has it already."""
        if not known.has_turn:
            await self._lines.turn(known.hold.registry)
        known.has_turn = False

    async def _ask(self, known: Remembered, place: int) -> bool:
        adapter, message = self._seat.adapters[known.hold.registry], known.messages[place]
        await self._take_turn(known)
        self._figures.asked += 1
        references = (known.references[place],) if place in known.references else ()
        question = Question(message.instruction, references, known.first_ms)
        answer, began, ended = await self._lines.call(self._link(known), lambda: adapter.ask(question))
        return self._take_in(known, place, message, answer, began, ended, sent=False)

    def _take_in(
        self,
        known: Remembered,
        place: int,
        message: Message,
        answer: Answer | Found,
        began: int,
        ended: int,
        *,
        sent: bool,
    ) -> bool:
        registry = known.hold.registry
        lately = self._lines.throttled_lately(registry)
        shown = place in known.references or isinstance(message.answer, Report)
        again, since = known.hold.attempt > 1, known.hold.dispatched_ms
        call = Call(began, ended, since, self._seat.jitter(), lately, again=again, shown=shown)
        can = self._seat.adapters[registry].capabilities
        taken = absorb(message, answer, call, can, sent=sent)
        known.note(place, taken.message)
        self._call_person(known, taken.alert)
        known.alert = taken.alert
        self._lines.keep_quiet(registry, taken.quiet_until_ms)
        name = type(answer).__name__
        self._figures.answers[name] = self._figures.answers.get(name, 0) + 1
        if isinstance(answer, Report):
            self._seat.keep(answer.evidence)
        if sent:
            why = "" if isinstance(answer, Report) else taken.message.why or getattr(answer, "reason", "")
            self._tell("sent", known, answer=name, reference=known.references.get(place, ""), why=why)
        return True

    async def _capture(self, known: Remembered, place: int) -> bool:
        message = known.messages[place]
        recorded = await record_capture(self._seat, self._names, known, message, self._grade(known))
        if recorded.outcome is Outcome.DONE:
            captured = message.done_units - message.recorded_units
            self._tell("captured", known, units=captured, reference=known.references.get(place, ""))
            self._figures.captured_units += captured
            known.messages[place] = message._replace(recorded_units=message.done_units)
        return self._go_on(known, recorded)

    def _grade(self, known: Remembered) -> str:
        return self._seat.adapters[known.hold.registry].capabilities.grade

    def _go_on(self, known: Remembered, recorded: Recorded) -> bool:
        match recorded.outcome:
            case Outcome.STUCK:
                return self._stop(known, recorded.detail)
            case Outcome.LATER:
                now = self._seat.now_ms()
                known.due_ms = max(recorded.until_ms, now + compute_pause(known.hold.dispatched_ms or now, now))
                known.why = recorded.detail
                known.alert = recorded.alert or known.alert
                return False
        return True

    def _stop(self, known: Remembered, why: str) -> bool:
        """Leave the hold to a person; it is tried again after a while."""
        now = self._seat.now_ms()
        self._call_person(known, why)
        known.stuck = why
        if now >= known.stuck_until_ms:
            known.stuck_until_ms = now + _STUCK_PAUSE_MS
        known.due_ms = known.stuck_until_ms
        return False

    def _call_person(self, known: Remembered, why: str) -> None:
        if why and why != known.told_why:
            known.told_why = why
            self._tell("a hold needs a person", known, why=why)

    def _tell(self, said: str, known: Remembered, **about: object) -> None:
        self._seat.tell(said, {"hold": known.hold.hold.hex(), "registry": known.hold.registry, **about})
