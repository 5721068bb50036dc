"""The dispatcher: looks at every live hold of its links, does the next step of each, and looks again.

Nothing here decides: `decide` does. Nothing here is kept: after a restart the same holds are looked at with nothing
remembered, and end the same.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from adapters.contract import Answer, Change, Found, Question, Report
from hub.dispatch.absorb import Call, absorb
from hub.dispatch.decide import compute_pause, decide
from hub.dispatch.hearing import OUTCOMES, is_about
from hub.dispatch.lines import Lines, LinkMemory
from hub.dispatch.memory import (
    INSTRUCTED,
    Pending,
    Remembered,
    begin,
    build_sight,
    describe_pending,
    describe_sender,
    name_anew,
)
from hub.dispatch.recording import Outcome, Recorded, record_capture, record_dispatch, record_release
from hub.dispatch.seat import Seat
from hub.dispatch.sight import Ask, Capture, Dispatch, Message, Release, Send, Standing, Step, Stuck, Wait
from hub.ledger_client import LedgerError, NotOnLedger
from hub.units import Names, Unnameable
from keeling.v1 import ledger_pb2 as pb

LIVE: Final = ("OPEN", INSTRUCTED)
BREATH_S: Final = 0.05
"""The least time between two rounds: what happens meanwhile is looked at together."""
LOOK_MS: Final = 30_000
"""The longest between two rounds, whatever is due."""
_STUCK_PAUSE_MS: Final = 900_000
"""What the ledger refused is tried again after this, in case somebody set it right."""


class Figures:
    """Counters for metrics. Plain numbers, written by the dispatcher alone."""

    def __init__(self) -> None:
        self.rounds = 0
        self.dispatched = 0
        self.sent = 0
        self.asked = 0
        self.captured_units = 0
        self.released_units = 0
        self.unseen_units = 0
        """Released because their registry showed nothing of them until it settled."""
        self.answers: dict[str, int] = {}


class Dispatcher:
    """One hub's dispatcher. For one event loop; `step` and `hear` may be called while `run` runs."""

    def __init__(self, seat: Seat) -> None:
        self.figures: Final = Figures()
        self.lines: Final = Lines(seat)
        self._seat = seat
        self._names = Names(seat.ledger)
        self._known: dict[bytes, Remembered] = {}
        self._accounts: dict[str, pb.Account] = {}
        self._settling: dict[str, int] = {}
        self._working: dict[bytes, asyncio.Lock] = {}
        self._inherited: dict[bytes, int] | None = None
        """Attempts that were on the ledger when this process first looked; None: it has not looked yet."""
        self._wake = asyncio.Event()

    # -- rounds

    async def step(self) -> int:
        """One round: every live hold as far as it goes now. Returns when the next is due, in ms of the hub's clock."""
        self.figures.rounds += 1
        holds = await self._find_holds()
        await self.lines.probe()
        gate = asyncio.Semaphore(self._seat.at_once)

        async def work(lane: list[pb.HoldInfo]) -> None:
            for hold in lane:
                async with gate:
                    await self._advance(hold)

        await asyncio.gather(*(work(lane) for lane in self._line_up(holds)))
        now = self._seat.now_ms()
        due = [known.due_ms for known in self._known.values() if known.due_ms]
        due += [link.breaker.trial_ms for link in self.lines.links() if link.breaker.is_open]
        return min([max(each, now) for each in due] + [now + LOOK_MS])

    async def run(self, stop: asyncio.Event) -> None:
        """Rounds until `stop`; `wake` starts the next one at once. The ledger not answering only delays."""
        ended = asyncio.ensure_future(stop.wait())
        while not stop.is_set():
            self._wake.clear()
            try:
                due = await self.step()
            except LedgerError:
                due = self._seat.now_ms() + 1_000
            woken = asyncio.ensure_future(self._wake.wait())
            pause = max(0, due - self._seat.now_ms()) / 1000
            await asyncio.wait({ended, woken}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
            await asyncio.wait({ended}, timeout=BREATH_S)
        ended.cancel()

    def wake(self) -> None:
        """Something happened (a new hold, a notice, a link that works again): look now."""
        self._wake.set()

    async def hear(self, registry: str, change: Change) -> bool:
        """Take a registry's news about a hold of ours: ask about it now. False: it is about none; attest it."""
        about = [known.hold.hold for known in self._known.values() if is_about(known, registry, change)]
        for hold_id in about or await self._find_instructed(registry, change):
            known = self._known.get(hold_id)
            for place, message in enumerate(known.messages if known is not None else ()):
                if known is not None:
                    known.messages[place] = message.ask_now()
            await self._advance(await self._seat.ledger.hold(hold_id))
            about = about or [hold_id]
        return bool(about)

    async def _find_instructed(self, registry: str, change: Change) -> list[bytes]:
        """Holds of ours, not looked at yet, that the ledger shows to be instructed on units of the news."""
        if change.serials is None or registry not in self._seat.adapters:
            return []
        try:
            parts = await self._names.find([change.serials])
        except Unnameable:
            return []
        found = []
        for hold_id in dict.fromkeys(part.hold for part in parts if part.state == INSTRUCTED):
            hold = await self._seat.ledger.hold(hold_id)
            account = await self._account(hold.account)
            ours = hold.registry == registry and account.link.hub == self._seat.participant
            keyed = change.key.partition("-")[0] == hold_id.hex()
            if ours and (keyed or (not change.key and change.kind in OUTCOMES[hold.purpose])):
                found.append(hold_id)
        return found

    @property
    def live(self) -> int:
        """How many holds were not over in the last round."""
        return len(self._known)

    def backlog(self) -> list[Pending]:
        """Everything that is not over, oldest first, as of the last round."""
        now = self._seat.now_ms()
        year = datetime.fromtimestamp(now / 1000, UTC).year
        ends = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp() * 1000)
        lines = [
            describe_pending(known, self._seat.adapters[known.hold.registry], now, ends)
            for known in self._known.values()
        ]
        return sorted(lines, key=lambda line: (line.since_ms or now, line.hold))

    async def _find_holds(self) -> list[pb.HoldInfo]:
        """Live holds that are ours to dispatch, in order of dispatch; the rest is forgotten."""
        self._accounts.clear()
        self._settling.clear()
        found = []
        for hold in await self._seat.ledger.live_holds():
            if hold.registry not in self._seat.adapters:
                continue
            account = await self._account(hold.account)
            if account.link.registry == hold.registry and account.link.hub == self._seat.participant:
                found.append(hold)
        if self._inherited is None:
            self._inherited = {hold.hold: hold.attempt for hold in found if hold.phase == INSTRUCTED}
        for registry in {hold.registry for hold in found}:
            await self._settling_ms(registry)  # once a round, not by every hold at the same time
        live = {hold.hold for hold in found}
        for gone in [each for each in self._known if each not in live]:
            self._forget(gone)
        return sorted(found, key=lambda hold: (hold.dispatched_ms or hold.expires_ms, hold.hold))

    def _line_up(self, holds: list[pb.HoldInfo]) -> list[list[pb.HoldInfo]]:
        """Holds that may be worked on at once, in lanes: one for each account whose registry wants them in order."""
        lanes: dict[tuple[str, bytes], list[pb.HoldInfo]] = {}
        for hold in holds:
            in_order = self._seat.adapters[hold.registry].capabilities.in_order
            lanes.setdefault((hold.account, b"" if in_order else hold.hold), []).append(hold)
        return list(lanes.values())

    async def _account(self, name: str) -> pb.Account:
        if name not in self._accounts:
            self._accounts[name] = await self._seat.ledger.account(name)
            self.lines.see(self._accounts[name])
        return self._accounts[name]

    async def _settling_ms(self, registry: str) -> int:
        if registry not in self._settling:
            self._settling[registry] = int((await self._seat.ledger.registry_policy(registry)).settling_ms)
        return self._settling[registry]

    def _forget(self, hold: bytes) -> None:
        self._known.pop(hold, None)
        self._working.pop(hold, None)

    # -- one hold

    async def _advance(self, hold: pb.HoldInfo) -> None:
        """Step after step until the hold waits, is over, or needs a person. It is read again after every record."""
        lock = self._working.setdefault(hold.hold, asyncio.Lock())
        async with lock:
            current: pb.HoldInfo | None = hold
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
        known = self._known.get(hold.hold)
        if known is None or known.unsendable or known.is_outdated_by(hold):
            told = known.told_attempt if known is not None else 0
            known = await begin(hold, await self._account(hold.account), self._seat, self._names)
            self._known[hold.hold], known.told_attempt = known, told
            known.maybe_mine = hold.attempt if self._inherited is None else self._inherited.get(hold.hold, 0)
        known.hold = hold
        if known.is_anothers and known.told_attempt != hold.attempt:
            known.told_attempt = hold.attempt
            about = {"hold": hold.hold.hex(), "registry": hold.registry, "attempt": hold.attempt, "hub": hold.hub}
            self._seat.tell("another process has the attempt", {**about, "why": describe_sender(known)})
        return known

    async def _decide(self, known: Remembered) -> Step:
        await self._account(known.hold.account)
        link = self._link(known)
        settling = await self._settling_ms(known.hold.registry)
        quiet = self.lines.quiet_until(known.hold.registry)
        return decide(build_sight(known, link, self._seat, settling, await self._is_busy(known), quiet))

    def _link(self, known: Remembered) -> LinkMemory:
        return next(link for link in self.lines.links() if link.account == known.hold.account)

    async def _is_busy(self, known: Remembered) -> bool:
        """Whether another instruction of the account comes first, where its registry takes one at a time: as the
        ledger says now, for another hub of ours may have dispatched it. Of two at the same time neither goes first."""
        hold = known.hold
        if not self._seat.adapters[hold.registry].capabilities.in_order:
            return False
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
                    await self.lines.turn(known.hold.registry)
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
                    self.figures.released_units += step.units
                    self.figures.unseen_units += step.units if isinstance(answer, Report) and answer.unseen else 0
                return self._go_on(known, recorded)

    async def _dispatch(self, known: Remembered, step: Dispatch) -> bool:
        began = self._seat.now_ms()
        settling = await self._settling_ms(known.hold.registry)
        if step.attempt > 1 and known.is_swapped:
            trouble = await name_anew(known, await self._account(known.hold.account), self._seat, self._names)
            if trouble:
                return self._stop(known, trouble)
        recorded = await record_dispatch(self._seat, known, step)
        if recorded.outcome is Outcome.DONE:
            self.figures.dispatched += 1
            known.mine, known.send_until_ms, known.changed = step.attempt, began + settling // 2, ""
            for place, message in enumerate(known.messages):
                if step.attempt == 1 or message.standing is Standing.NOTHING:
                    known.messages[place] = message._replace(standing=Standing.READY, not_before_ms=0, failures=0)
            return True
        if recorded.outcome in (Outcome.TAKEN, Outcome.UNSURE):
            known.maybe_mine = step.attempt if recorded.outcome is Outcome.UNSURE else known.maybe_mine
            pause = self._seat.now_ms() + compute_pause(began, began)
            for place, message in enumerate(known.messages):
                if message.standing is not Standing.ANSWERED:
                    waiting = message._replace(standing=Standing.UNSURE, not_before_ms=pause, why=recorded.detail)
                    known.messages[place] = waiting
            return True
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
        self.figures.sent += 1
        message = known.messages[place]
        known.messages[place] = message._replace(standing=Standing.UNSURE)
        answer, began, ended = await self.lines.call(self._link(known), lambda: adapter.instruct(message.instruction))
        return self._take_in(known, place, message, answer, began, ended, sent=True)

    async def _take_turn(self, known: Remembered) -> None:
        """Wait for a call's turn, unless this hold has it already."""
        if not known.has_turn:
            await self.lines.turn(known.hold.registry)
        known.has_turn = False

    async def _ask(self, known: Remembered, place: int) -> bool:
        adapter, message = self._seat.adapters[known.hold.registry], known.messages[place]
        await self._take_turn(known)
        self.figures.asked += 1
        references = (known.references[place],) if place in known.references else ()
        question = Question(message.instruction, references, known.hold.dispatched_ms)
        answer, began, ended = await self.lines.call(self._link(known), lambda: adapter.ask(question))
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
        lately = self.lines.throttled_lately(registry)
        call = Call(began, ended, known.hold.dispatched_ms, self._seat.jitter(), lately)
        can = self._seat.adapters[registry].capabilities
        taken = absorb(message, answer, call, can, sent=sent)
        known.note(place, taken.message)
        known.alert = taken.alert
        self.lines.keep_quiet(registry, taken.quiet_until_ms)
        name = type(answer).__name__
        self.figures.answers[name] = self.figures.answers.get(name, 0) + 1
        if isinstance(answer, Report):
            self._seat.keep(answer.evidence)
        return True

    async def _capture(self, known: Remembered, place: int) -> bool:
        message = known.messages[place]
        recorded = await record_capture(self._seat, self._names, known, message, self._grade(known))
        if recorded.outcome is Outcome.DONE:
            self.figures.captured_units += message.done_units - message.recorded_units
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
        known.stuck = why
        if now >= known.stuck_until_ms:
            known.stuck_until_ms = now + _STUCK_PAUSE_MS
        known.due_ms = known.stuck_until_ms
        return False
