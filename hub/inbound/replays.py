"""Which messages were taken lately. In memory and bounded: what matters is dropped on the ledger by its own id again.

A repeat inside the time that signatures are believed for is told from another message that uses the same id.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hub.inbound.refusals import Refusal, Verified, Why
from hub.inbound.webhook import TOLERANCE_MS

KEPT_MAX: Final = 100_000


class Replays:
    """Ids by registry, with the digest of what came under them. For one event loop."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], tuple[bytes, int]] = OrderedDict()

    def check(self, registry: str, message: Verified, digest: bytes) -> Refusal | None:
        """A refusal if something came under this id before."""
        known = self._seen.get((registry, message.id))
        if known is None:
            return None
        if known[0] != digest:
            return Refusal(Why.ID_REUSED, f"{message.id} was another message")
        return Refusal(Why.REPLAYED, f"{message.id} was taken before")

    def remember(self, registry: str, message: Verified, digest: bytes, now_ms: int) -> None:
        """Keep what was taken until its signature is too old to be believed, both tolerances long."""
        self._seen[registry, message.id] = digest, now_ms
        while self._seen:
            _, kept_ms = next(iter(self._seen.values()))
            if len(self._seen) <= KEPT_MAX and now_ms - kept_ms <= 2 * TOLERANCE_MS:
                return
            self._seen.popitem(last=False)
