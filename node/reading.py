"""Where a node reads the ordering log: which log, how far, and whether it may go on.

Which log an epoch reads was agreed in its reports; the first epoch of a policy reads on where the block that decided
the policy was read (architecture 4.9). Names are remembered beside the tip, because a later start needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keeling.block import Header
from keeling.encoding import U64
from node.finality.events import log_name
from node.ledger import InForce
from node.ordering.contract import Cursor, LogId, begin_cursor
from node.overlay import Layer
from node.store.contract import Batch, Family, Reads

LOG_KEY: Final = b"chain/log/"
"""In META, with policy and epoch: the name of the log that epoch reads, where it is not the ordinary one."""


def put_log_name(batch: Batch, policy: bytes, log: LogId) -> None:
    """Remember which log an epoch of a policy reads."""
    if log.name != log_name(policy, log.epoch):
        batch.put(Family.META, LOG_KEY + policy + U64.encode(log.epoch), log.name.encode())


def find_log(reads: Reads, in_force: InForce, policy: bytes, epoch: int) -> LogId:
    """The log that an epoch of the policy in force reads."""
    if epoch == in_force.epoch:
        return LogId(epoch, in_force.log)
    raw = reads.get(Family.META, LOG_KEY + policy + U64.encode(epoch))
    return LogId(epoch, log_name(policy, epoch) if raw is None else raw.decode())


def compute_cursor(log: LogId, final: Header | None, layers: Sequence[Layer]) -> Cursor:
    """After the newest block that was read in this log; at its beginning if there is none."""
    for header in [*(layer.block.header for layer in reversed(layers)), *([final] if final is not None else [])]:
        if header.epoch == log.epoch:
            return Cursor(log.epoch, header.position, header.entry)
    return begin_cursor(log.epoch)
