"""Assumed numbers of a whole issuance: what later observations prove of them (units and rules §8).

Some registries publish how many units an issuance has, and the numbers only of those that were retired; some of their
batches count from 0, others from 1. Until a number shows which, 1 is assumed. This file settles it, in either order of
the exports. What an observation otherwise changes is in `node.core.observe`.
"""

from __future__ import annotations

from typing import Final

from keeling.events import EventKind
from keeling.units import UnitState
from node.core import tables as t
from node.core.context import Context
from node.core.intervals import MarkKind, read_marks, shift_marks
from node.core.lots import find_lot, renumber
from node.core.records import Batch, Space

_PLAIN: Final = (MarkKind.LABEL, MarkKind.GRADE)


def settle_numbers(tx: Context, number: int, batch: Batch, low: int, high: int) -> Batch:
    """The batch as positions `low` to `high`, now shown, prove it to be numbered.

    The last number was shown: the assumption was right. The number below the first was: the last unit turns out to be
    it, as long as nobody has that unit; no unit comes or goes.
    """
    if low == batch.low - 1 and high < batch.high and _is_untouched(tx, number, batch.high):
        settled = batch._replace(low=low, high=batch.high - 1)
        renumber(tx, number, batch.high, low, tx.next_ref)
        shift_marks(tx.state, number, batch.high, low, tx.next_ref)
        tx.state.delete(t.SPACES, batch.space, batch.base + batch.low)
        tx.state.put(t.SPACES, Space(number, settled.base + settled.high), batch.space, settled.base + settled.low)
        was, now = (f"{each.base + each.low}..{each.base + each.high}" for each in (batch, settled))
        tx.emit(EventKind.EXTENDED, batch.name, facts={"numbers": now, "assumed before": was})
        tx.state.put(t.BATCHES, settled, number)
    elif high >= batch.high:
        settled = batch
    else:
        return batch
    tx.state.delete(t.ASSUMED, number)
    return settled


def _is_untouched(tx: Context, number: int, position: int) -> bool:
    """The unit is nobody's, live, and nothing but what an import says lies on it."""
    found = find_lot(tx.state, number, position)
    if found is None or found[1].state not in (UnitState.FREE, UnitState.BUFFER):
        return False
    if tx.account_number(found[1].account).owner:
        return False
    return all(kind in _PLAIN for kind, _, _, _ in read_marks(tx.state, number, position, 1))
