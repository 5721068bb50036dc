"""Hubs of a rehearsal: each remembers nothing when it starts, has lines of its own, and can be lost at any moment."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, cast

from adapters.contract import Adapter
from hub.dispatch.run import Dispatcher
from hub.dispatch.seat import Ledger, Seat, describe_buyer
from hub.rehearsal.counters import Counter
from hub.rehearsal.mortality import ADAPTER_DOORS, LEDGER_DOORS, Door, Life
from hub.rehearsal.world import World

TIMEOUT_MS: Final = 20_000


class Hub:
    """A dispatcher and its lines. `close` lets go of everything, as the end of a process does."""

    def __init__(
        self,
        world: World,
        counters: Sequence[Counter],
        keep: Callable[[bytes], bytes],
        chance: random.Random,
        life: Life | None = None,
    ) -> None:
        """`life`: how long it lives; None: until it is closed."""
        self.life: Final = life or Life(None)
        self.adapters: dict[str, Adapter] = {each.registry: each.open_adapter(TIMEOUT_MS) for each in counters}
        mortal = {name: Door(adapter, self.life, ADAPTER_DOORS) for name, adapter in self.adapters.items()}
        seat = Seat(
            participant="hub",
            ledger=cast(Ledger, Door(world.ledgers["hub"], self.life, LEDGER_DOORS)),
            adapters=cast(dict[str, Adapter], mortal),
            keep=keep,
            now_ms=world.clock.now_ms,
            jitter=lambda: chance.randrange(1001),
            details=describe_buyer,
            timeout_ms=TIMEOUT_MS,
            # Time stands here while calls are made, so that waiting for a call's turn would wait for ever.
            limits={each.registry: () for each in counters},
        )
        self.dispatcher: Final = Dispatcher(seat)

    async def close(self) -> None:
        for adapter in self.adapters.values():
            await adapter.close()
