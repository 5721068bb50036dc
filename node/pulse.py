"""A signal that something changed, for any number of tasks of one event loop that then look for themselves."""

from __future__ import annotations

import asyncio


class Pulse:
    """`beat` wakes everybody who waits in `next` at that moment, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def beat(self) -> None:
        """Something changed."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def next(self, timeout_s: float | None = None) -> None:
        """Return at the next beat, or when the time is over."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        timer = None if timeout_s is None else loop.call_later(timeout_s, _end, future)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
