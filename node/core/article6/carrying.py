"""Carries the marks of Article 6 from one identity of a tonne to the other: authorization, ITMO number, first transfer.

Only marks are touched here, so that rules about twins can use it. What follows from it, such as a transfer between
Parties, is derived in `twinning`.
"""

from __future__ import annotations

from node.core.article6.stretches import Itmo, Stretch, index_batch, mark_authorized, read_stretches
from node.core.context import Context
from node.core.intervals import MarkKind, paint, read_layer


def carry(tx: Context, stretch: Stretch, batch: int, first: int) -> None:
    """Give positions of `batch` from `first` on what the stretch has; what they had of it themselves is replaced."""
    if not stretch.authorization or stretch.itmo is None:
        return
    if not _is_alike(tx, stretch, batch, first):
        itmo = Itmo(stretch.itmo.space, first, stretch.itmo.number_at(stretch.first))
        mark_authorized(tx, Stretch(batch, first, stretch.units, "", 0, None), stretch.authorization, itmo)
        index_batch(tx, stretch.authorization, batch)
    layer = (MarkKind.FIRST_TRANSFER, "")
    for at, mark in read_layer(tx.state, stretch.batch, *layer, stretch.first, stretch.units):
        start, stop = max(at, stretch.first), min(at + mark.units, stretch.stop)
        paint(tx.state, batch, *layer, first + start - stretch.first, stop - start, mark.value, mark.cause)


def _is_alike(tx: Context, stretch: Stretch, batch: int, first: int) -> bool:
    """Whether the positions have this authorization and these numbers already."""
    wanted = stretch.itmo
    for known in read_stretches(tx.state, batch, first, stretch.units):
        if known.authorization != stretch.authorization or known.itmo is None or wanted is None:
            return False
        at = stretch.first + known.first - first
        if (known.itmo.space, known.itmo.number_at(known.first)) != (wanted.space, wanted.number_at(at)):
            return False
    return True


def carry_all(tx: Context, batch: int, first: int, units: int, to_batch: int, to_first: int) -> None:
    """`carry` for everything authorized in a range."""
    for stretch in read_stretches(tx.state, batch, first, units):
        carry(tx, stretch, to_batch, to_first + stretch.first - first)
