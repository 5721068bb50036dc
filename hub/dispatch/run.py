"""The dispatcher: looks at every live hold of its links, has each carried as far as it goes now, and looks again.

Nothing here is kept: after a restart the same holds are looked at with nothing remembered, and end the same. What is
done with one hold is in `carry`.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from datetime import UTC, datetime
from typing import Final

from adapters.contract import Change
from hub.dispatch.carry import Carrier
from hub.dispatch.figures import Figures
from hub.dispatch.hearing import OUTCOMES, is_about
from hub.dispatch.lines import Lines
from hub.dispatch.memory import INSTRUCTED, Pending, Remembered, describe_pending
from hub.dispatch.seat import Seat
from hub.ledger_client import LedgerError
from hub.units import Names, Unnameable
from keeling.v1 import ledger_pb2 as pb

BREATH_S: Final = 0.05
"""The least time between two rounds: what happens meanwhile is looked at together."""
LOOK_MS: Final = 30_000
"""The longest between two rounds, whatever is due."""
HOLD: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
"""The id of a hold in a key of ours."""
AGAIN_MS: Final = 1_000
"""How soon a round that failed begins again."""


class Dispatcher:
    """One hub's dispatcher. For one event loop; `step` and `hear` may be called while `run` runs."""

    def __init__(self, seat: Seat) -> None:
        self.figures: Final = Figures()
        self.lines: Final = Lines(seat)
        self._seat = seat
        self._names = Names(seat.ledger)
        self.carrier: Final = Carrier(seat, self.lines, self.figures, self._names)
        self._wakes: Final = {registry: asyncio.Event() for registry in seat.adapters}
        self._woken = 0
        """How often `wake` was called."""
        self._reading: asyncio.Future[list[pb.HoldInfo]] | None = None
        self._read_for = 0
        """What `_woken` was when that began."""
        self._readings = self._settled = 0
        """How many began, and the newest of those that ended."""

    # -- rounds

    async def step(self) -> int:
        """One round: every live hold as far as it goes now. Returns when the next is due, in ms of the hub's clock.

        Raises what went wrong with one of them when all others are as far as they go.
        """
        holds = await self._find_holds()
        registries = list(self._seat.adapters)
        raise_first(await asyncio.gather(*(self._carry(each, holds) for each in registries), return_exceptions=True))
        return self._find_due(registries)

    async def run(self, stop: asyncio.Event) -> None:
        """Rounds until `stop`; `wake` starts the next one at once. Each registry has its own: one that is slow, or has
        more to do than its limits let through, keeps no other waiting. What goes wrong in one is told and only delays.
        """
        serving = [asyncio.ensure_future(self._serve(each, stop)) for each in self._seat.adapters]
        try:
            await asyncio.gather(stop.wait(), *serving)
        finally:
            for each in serving:
                each.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
            if self._reading is not None:
                self._reading.cancel()

    async def _serve(self, registry: str, stop: asyncio.Event) -> None:
        """Rounds of one registry until `stop`."""
        ended, wake = asyncio.ensure_future(stop.wait()), self._wakes[registry]
        while not stop.is_set():
            wake.clear()
            try:
                await self._carry(registry, await self._read_together())
                due = self._find_due([registry])
            except LedgerError:
                due = self._seat.now_ms() + AGAIN_MS
            except Exception as error:  # noqa: BLE001 - one registry's trouble must not end the others
                *_, last = traceback.extract_tb(error.__traceback__)  # not its words: they may be about a buyer
                about = {"registry": registry, "error": f"{type(error).__name__} at {last.filename}:{last.lineno}"}
                self._seat.tell("a round failed and begins again", about)
                due = self._seat.now_ms() + AGAIN_MS
            woken = asyncio.ensure_future(wake.wait())
            pause = max(0, due - self._seat.now_ms()) / 1000
            await asyncio.wait({ended, woken}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
            await asyncio.wait({ended}, timeout=BREATH_S)
        ended.cancel()

    async def _carry(self, registry: str, holds: list[pb.HoldInfo]) -> None:
        """Those of one registry as far as they go; raises what went wrong with one of them when all others are."""
        await self.lines.probe(registry)
        gate = asyncio.Semaphore(self._seat.at_once)

        async def work(lane: list[pb.HoldInfo]) -> None:
            for hold in lane:
                async with gate:
                    await self.carrier.advance(hold)

        lanes = self._line_up([each for each in holds if each.registry == registry])
        raise_first(await asyncio.gather(*(work(lane) for lane in lanes), return_exceptions=True))

    def _find_due(self, registries: list[str]) -> int:
        """When the next round of these is due."""
        now = self._seat.now_ms()
        known = [each for each in self.carrier.known.values() if each.hold.registry in registries]
        links = [each for each in self.lines.links() if each.registry in registries]
        due = [each.due_ms for each in known if each.due_ms]
        due += [each.breaker.trial_ms for each in links if each.breaker.is_open]
        return min([max(each, now) for each in due] + [now + LOOK_MS])

    def wake(self) -> None:
        """Something happened (a new hold, a notice, a link that works again): look now."""
        self._woken += 1
        for wake in self._wakes.values():
            wake.set()

    async def _read_together(self) -> list[pb.HoldInfo]:
        """`_find_holds`, once for all rounds that begin while it is read and nothing new has happened since."""
        if self._reading is None or self._reading.done() or self._read_for != self._woken:
            self._reading, self._read_for = asyncio.ensure_future(self._find_holds()), self._woken
        return await asyncio.shield(self._reading)

    async def _find_holds(self) -> list[pb.HoldInfo]:
        """Live holds that are ours to dispatch, in order of dispatch; the rest is forgotten."""
        self.figures.rounds += 1
        self._readings += 1
        reading = self._readings
        self.carrier.begin_round()
        found = []
        for hold in await self._seat.ledger.live_holds():
            if hold.registry not in self._seat.adapters:
                continue
            account = await self.carrier.account(hold.account)
            if account.link.registry == hold.registry and account.link.hub == self._seat.participant:
                found.append(hold)
        if reading > self._settled:  # else a newer one has shown what is live
            self._settled = reading
            await self.carrier.settle_round(found)
        return sorted(found, key=lambda hold: (hold.dispatched_ms or hold.expires_ms, hold.hold))

    def _line_up(self, holds: list[pb.HoldInfo]) -> list[list[pb.HoldInfo]]:
        """Holds that may be worked on at once, in lanes: one for each account whose registry wants them in order."""
        lanes: dict[tuple[str, bytes], list[pb.HoldInfo]] = {}
        for hold in holds:
            in_order = self._seat.adapters[hold.registry].capabilities.in_order
            lanes.setdefault((hold.account, b"" if in_order else hold.hold), []).append(hold)
        return list(lanes.values())

    # -- what registries tell

    async def hear(self, registry: str, change: Change) -> bool:
        """Take a registry's news about a hold of ours: ask about it now. False: it is about none; attest it."""
        about = [each.hold.hold for each in self._find_known(change) if is_about(each, registry, change)]
        for hold_id in about or await self._find_instructed(registry, change):
            known = self.carrier.known.get(hold_id)
            for place, message in enumerate(known.messages if known is not None else ()):
                if known is not None:
                    known.messages[place] = message.ask_now()
            await self.carrier.advance(await self._seat.ledger.hold(hold_id))
            about = about or [hold_id]
        return bool(about)

    def _find_known(self, change: Change) -> list[Remembered]:
        """Holds that the news may be about: a key names one, which is not looked for among all."""
        if not change.key:
            return list(self.carrier.known.values())
        name = change.key.partition("-")[0]
        known = self.carrier.known.get(bytes.fromhex(name)) if HOLD.fullmatch(name) else None
        return [] if known is None else [known]

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
            account = await self.carrier.account(hold.account)
            ours = hold.registry == registry and account.link.hub == self._seat.participant
            keyed = change.key.partition("-")[0] == hold_id.hex()
            if ours and (keyed or (not change.key and change.kind in OUTCOMES[hold.purpose])):
                found.append(hold_id)
        return found

    # -- what people see

    @property
    def live(self) -> int:
        """How many holds were not over in the last round."""
        return len(self.carrier.known)

    def backlog(self) -> list[Pending]:
        """Everything that is not over, oldest first, as of the last round."""
        now = self._seat.now_ms()
        year = datetime.fromtimestamp(now / 1000, UTC).year
        ends = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp() * 1000)
        lines = [
            describe_pending(known, self._seat.adapters[known.hold.registry], now, ends)
            for known in self.carrier.known.values()
        ]
        return sorted(lines, key=lambda line: (line.since_ms or now, line.hold))


def raise_first(ended: list[BaseException | None]) -> None:
    """Raise the first of these outcomes that is an exception."""
    for failed in ended:
        if failed is not None:
            raise failed
