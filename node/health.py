"""Health that means progress: what the node says of itself in `Status`, to probes and in metrics."""

from __future__ import annotations

from typing import Final, NamedTuple

from node.finality.health import Cause
from node.replica import Replica

STALLED_AFTER_MS: Final = 10_000
"""Work that is not final for this long is a stall."""


class Report(NamedTuple):
    """`text` is "idle", "advancing", or why finality stands still; `serving` is what a probe is told."""

    text: str
    serving: bool
    waiting_for: tuple[str, ...]


def describe_health(replica: Replica, now_ms: int) -> Report:
    """Idle is healthy; unfinished work that gets older is not."""
    if replica.failure is not None:
        return Report(f"stopped: {replica.failure}", False, ())
    outlook = replica.chain.outlook
    health, names = outlook.health, replica.roster.by_vote_key
    missing = tuple(names.get(key, key.hex()[:16]) for key in health.missing)
    if outlook.upgrade:
        return Report(f"upgrade: {outlook.upgrade}", False, missing)
    if health.stopped is not None:
        return Report(f"observing, {health.stopped.name}: {health.stopped.value}", True, missing)
    if not outlook.is_validator:
        behind = replica.following.behind
        return Report(f"observing, {behind} blocks behind" if behind else "observing", True, ())
    if not replica.engine_ok:
        return Report(f"the ordering log of epoch {outlook.log.epoch} is out of reach", False, missing)
    if not replica.pending and health.cause is Cause.IDLE:
        return Report("idle", True, ())
    if now_ms - replica.last_final_ms < STALLED_AFTER_MS:
        return Report("advancing", True, ())
    return Report(f"stalled: {health.cause.value}", False, missing)
