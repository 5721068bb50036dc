"""Why nothing is final, in words an operator can act on. Asks the node's standing, changes nothing.

Idle is healthy: what counts is the age of the oldest thing undecided, and whose signature it waits for.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from keeling.votes import Step
from node.finality.events import Reason
from node.finality.standing import Standing


class Cause(Enum):
    """What finality waits for."""

    IDLE = "nothing to decide"
    STOPPED = "this key signs nothing any more"
    CATCHING_UP = "others decided more; fetching it"
    REPORTS = "a new epoch needs reports of the validators missing"
    CLOCK = "the block's time is ahead of this node's clock"
    SUSPENDED = "this node cannot vote for what the engine shows"
    ENGINE_SPLIT = "validators were shown different entries; a new epoch decides"
    EXECUTION_SPLIT = "validators executed one entry to different results; compare versions and state"
    VOTES = "waiting for the VOTEs of the validators missing"
    LOCKS = "waiting for the LOCKs of the validators missing"


class Health(NamedTuple):
    """`height` is the one worked on; `missing` are vote keys in policy order; times are milliseconds."""

    cause: Cause
    height: int
    epoch: int
    signs: bool
    stopped: Reason | None
    suspended: Reason | None
    missing: tuple[bytes, ...]


def compute_health(node: Standing) -> Health:
    """The first cause that applies, most urgent first."""
    cause, heard = _compute_cause(node)
    missing = tuple(key for key in node.reign.policy.vote_keys if key not in heard) if heard is not None else ()
    return Health(cause, node.height, node.epoch, node.signs, node.pen.stopped, node.suspended, missing)


def _compute_cause(node: Standing) -> tuple[Cause, frozenset[bytes] | None]:
    """The cause, and who was heard of those it waits for."""
    place, block, pending = (node.height, node.epoch), node.choice(), node.pending_report()
    voters = node.voters(Step.VOTE)
    if node.pen.stopped is not None:
        return Cause.STOPPED, None
    if node.certificates:
        return Cause.CATCHING_UP, None
    if pending is not None:
        return Cause.REPORTS, node.reports.reporters(pending.report.epoch)
    if block is not None and node.awaits_clock(block):
        return Cause.CLOCK, None
    if node.suspended is not None:
        return Cause.SUSPENDED, voters
    if node.votes.is_split(*place):
        one_entry = len({vote.entry for vote in node.votes.votes(*place, Step.VOTE)}) == 1
        return (Cause.EXECUTION_SPLIT if one_entry else Cause.ENGINE_SPLIT), voters
    if node.votes.justification(*place) is not None:
        return Cause.LOCKS, node.voters(Step.LOCK)
    return (Cause.VOTES, voters) if node.is_busy() else (Cause.IDLE, None)
