"""How fast a registry is driven: a token bucket for each of its limits, a little below it. Waiting is asyncio's.

A bucket of b tokens, refilled so that b and the refill of any span together stay within the limit, never breaks it,
also where the registry counts in a sliding window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiolimiter import AsyncLimiter

from adapters.capabilities import Limit

_BURST_PERMILLE: Final = 20
"""Part of a limit that may be used at once; the rest is spread evenly."""


class Pace:
    """The buckets of one link. For one event loop."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limiters = [_open_bucket(limit) for limit in limits]

    async def take(self) -> None:
        """Wait for a call's turn."""
        for limiter in self._limiters:
            await limiter.acquire()


def _open_bucket(limit: Limit) -> AsyncLimiter:
    burst = max(1, limit.requests * _BURST_PERMILLE // 1000)
    steady = max(limit.requests - burst, 1)
    return AsyncLimiter(burst, burst * limit.per_ms / 1000 / steady)
