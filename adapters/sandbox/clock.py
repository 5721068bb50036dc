"""The clock of a sandbox: it moves when an admin moves it, and what falls due on the way happens in order.

Nothing sleeps. With `follows` it runs along with the machine's clock (for measuring), from the same starting point.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Final

from adapters.sandbox.exchange_values import print_instant

START_MS: Final = 1_774_000_000_000
"""Where every sandbox begins unless told otherwise: 20 March 2026, 09:46:40 UTC."""


class SandboxClock:
    """Milliseconds since 1970. For one event loop."""

    def __init__(self, start_ms: int = START_MS, follows: bool = False) -> None:
        self._now_ms = start_ms
        self._follows = follows
        self._begun_ns = time.monotonic_ns()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._moved = asyncio.Event()

    @property
    def now_ms(self) -> int:
        """The time now."""
        return self._now_ms + ((time.monotonic_ns() - self._begun_ns) // 1_000_000 if self._follows else 0)

    def at(self, due_ms: int, happen: Callable[[], None]) -> None:
        """Let `happen` be called when the clock reaches `due_ms`; when that is past, at the next move or request."""
        heapq.heappush(self._due, (due_ms, next(self._numbers), happen))

    def advance(self, by_ms: int) -> None:
        """Move on; what falls due happens at its own time, in order."""
        self.move_to(self.now_ms + by_ms)

    def move_to(self, at_ms: int) -> None:
        """Move to a time not before now; raises `ValueError`."""
        if at_ms < self.now_ms:
            raise ValueError(
                f"it is {print_instant(self.now_ms)} there, and no clock goes back to {print_instant(at_ms)}"
            )
        while self._due and self._due[0][0] <= at_ms:
            due_ms, _, happen = heapq.heappop(self._due)
            self._now_ms += max(0, due_ms - self.now_ms)
            happen()
        self._now_ms += max(0, at_ms - self.now_ms)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def settle(self) -> None:
        """Let happen what is due now, without moving."""
        while self._due and self._due[0][0] <= self.now_ms:
            heapq.heappop(self._due)[2]()

    async def reach(self, at_ms: int) -> None:
        """Wait until the clock was moved to `at_ms`."""
        while self.now_ms < at_ms:
            await self._moved.wait()
