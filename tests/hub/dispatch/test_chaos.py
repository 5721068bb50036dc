"""Many holds, a registry that fails in every way by chance, hubs that are killed and restarted: no ghost, no double.

The registry does every message it gets; its books, not the hubs, are the proof.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from adapters.sandbox.faults import Fault, FaultKind
from hub.dispatch.run import Dispatcher
from tests.hub.dispatch.stage import Stage, play
from tests.hub.dispatch.test_crashes import forgetful
from tests.hub.memory_ledger import Killed, MemoryLedger

HOLDS = 12
UNITS = 10
WEATHER = [
    Fault(FaultKind.CUT_BEFORE, times=-1, permille=60),
    Fault(FaultKind.CUT_AFTER, times=-1, permille=80),
    Fault(FaultKind.HTML_AFTER, times=-1, permille=40),
    Fault(FaultKind.SERVER_ERROR, times=-1, permille=40),
    Fault(FaultKind.THROTTLE, times=-1, permille=60, value=7),
    Fault(FaultKind.THROTTLE_AS_401, times=-1, permille=20),
    Fault(FaultKind.MAINTENANCE, times=-1, permille=20, value=60),
    Fault(FaultKind.ERROR_IN_OK, times=-1, permille=20),
    Fault(FaultKind.REFUSE, "DESK", times=-1, permille=100),
    Fault(FaultKind.PARTIAL, "DESK", times=-1, permille=100, value=500),
    Fault(FaultKind.PARTIAL_OPEN, "DESK", times=-1, permille=50, value=500),
]


class Mortal(MemoryLedger):
    """A hub's own line to the shared ledger, on which its process dies now and then, before or after the effect."""

    def __init__(self, whole: MemoryLedger, randomness: random.Random) -> None:
        super().__init__(whole.world, whole.participant)
        self.before = self.after = lambda _: self._maybe(randomness)

    def _maybe(self, randomness: random.Random) -> None:
        if randomness.randrange(100) < 25:
            raise Killed


@pytest.mark.parametrize("approval_ms", [0, 40_000])
@pytest.mark.parametrize("seed", range(4))
def test_every_hold_ends_as_the_registrys_books_say(seed: int, approval_ms: int) -> None:
    async def story(stage: Stage) -> None:
        forgetful(stage)
        randomness = random.Random(seed)
        stage.sandbox.faults.__init__(seed)  # type: ignore[misc]
        stage.sandbox.faults.add(*WEATHER)
        holds = [stage.place(f"hold {n}", UNITS, first=1 + 20 * n) for n in range(HOLDS)]
        hubs: list[Any] = [None, None]
        deaths: list[int] = []

        async def a_round() -> None:
            for place in (0, 1):
                hub: Dispatcher = hubs[place] or stage.hub(ledger=Mortal(stage.ledger, randomness))
                hubs[place] = hub
                try:
                    await hub.step()
                except Killed:
                    hubs[place] = None
                    deaths.append(place)
                stage.later(randomness.randrange(1, 20_000))

        for _ in range(40):
            await a_round()
        assert deaths
        assert sum(stage.sandbox.faults.met.values()) > 20, "the weather was too good to prove anything"
        stage.sandbox.faults.clear()
        for reference, order in list(stage.sandbox.desk.orders.items()):
            if order.waiting_units and order.done:
                stage.sandbox.desk.complete(reference)
        for _ in range(60):
            await a_round()
        assert max([(await stage.hold(hold)).attempt for hold in holds]) > 1
        effects, retired = stage.effects, 0
        for hold in holds:
            found = await stage.hold(hold)
            assert found.phase in ("CAPTURED", "RELEASED"), found
            assert found.captured == effects.get(hold.hex(), 0), "a ghost or a loss"
            assert found.captured + found.released == UNITS
            retired += found.captured
        assert set(effects) <= {hold.hex() for hold in holds}
        assert stage.retired_units() == retired == sum(effects.values())

    play(story, approval_ms)
