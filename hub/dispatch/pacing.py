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
_SLACK_PERMILLE: Final = 10
"""Part that is left unused, because calls do not arrive as evenly as they leave."""


class Pace:
    """The buckets of one link. For one event loop."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limiters = [AsyncLimiter(*size_bucket(limit)) for limit in limits]

    async def take(self) -> None:
        """Wait for a call's turn."""
        for limiter in self._limiters:
            await limiter.acquire()


def size_bucket(limit: Limit) -> tuple[int, float]:
    """Tokens of the bucket, and seconds in which an empty one fills up."""
    burst = max(1 if limit.requests < 40 else 2, limit.requests * _BURST_PERMILLE // 1000)
    slack = max(1, limit.requests * _SLACK_PERMILLE // 1000)
    steady = max(limit.requests - burst - slack, 1)
    return burst, burst * limit.per_ms / 1000 / steady
