"""Assumed numbers of a whole issuance: what later observations prove of them (units and rules §8).

Some registries publish how many units an issuance has, and the numbers only of those that were retired; some of their
batches count from 0, others from 1. Until a number shows which, 1 is assumed. This file settles it, in either order of
the exports. What an observation otherwise changes is in `node.core.observe`.
"""

from __future__ import annotations

from typing import Final

from keeling.events import EventKind
from keeling.operations import Range
from keeling.reasons import Reason
from keeling.units import UnitState
from node.core import tables as t
from node.core.article6.stretches import ITMO_LAYER, renumber_itmo
from node.core.context import Context
from node.core.intervals import MarkKind, count_restrictions, read_marks, shift_marks
from node.core.lots import find_lot, renumber
from node.core.records import Batch, Space
from node.core.refusal import Refused

RENUMBERED: Final = "renumbered"
"""Fact of an EXTENDED event: "100 0" says that the unit at position 100 has been the one at position 0 all along."""
_RESTRICTION: Final = MarkKind.RESTRICTION
_ABOUT_THE_NUMBER: Final = (MarkKind.REGISTRY_STATE, MarkKind.CLAIM, MarkKind.TWIN)
"""Marks that somebody made on evidence of this very number; all others are of the unit and go where it goes."""


def settle_numbers(tx: Context, number: int, batch: Batch, low: int, high: int) -> Batch:
    """The batch as positions `low` to `high`, now shown, prove it to be numbered.

    The last number was shown: the assumption was right. The number below the first was: the last unit turns out to be
    it, and keeps its account, its state and its marks; no unit comes or goes. Refuses where somebody had to do with
    the last number itself, because then both numbers have been shown.
    """
    if low == batch.low - 1 and high < batch.high:
        settled = _count_from(tx, number, batch, low)
    elif high >= batch.high:
        settled = batch
    else:
        return batch
    tx.state.delete(t.ASSUMED, number)
    return settled


def _count_from(tx: Context, number: int, batch: Batch, low: int) -> Batch:
    """The batch one number lower: its last unit becomes its first."""
    old, cause = batch.high, tx.next_ref
    why = _why_it_keeps_its_number(tx, number, batch, old)
    if why:
        detail = f"{batch.name} was taken to count from {batch.base + batch.low}; {batch.base + low} is shown now"
        last = f"so its last unit would not be {batch.base + old}, and that one {why}"
        raise Refused(Reason.OUTSIDE_EXTENT, f"{detail}, {last}: a person decides", batch=batch.name, why=why)
    stopped = [(name, mark) for kind, name, _, mark in read_marks(tx.state, number, old, 1) if kind == _RESTRICTION]
    renumber(tx, number, old, low, cause)
    renumber_itmo(tx, number, old, low)
    shift_marks(tx.state, number, old, low, cause)
    restrictions = count_restrictions(tx.state, number)
    settled = batch._replace(low=low, high=old - 1, restrictions=restrictions)
    tx.state.delete(t.SPACES, batch.space, batch.base + batch.low)
    tx.state.put(t.SPACES, Space(number, settled.base + settled.high), batch.space, settled.base + settled.low)
    was, now = (f"{each.base + each.low}..{each.base + each.high}" for each in (batch, settled))
    extent = [Range(batch.name, settled.low, settled.high - settled.low + 1)]
    facts = {"numbers": now, "assumed before": was, RENUMBERED: f"{old} {low}"}
    tx.emit(EventKind.EXTENDED, batch.name, facts=facts, ranges=extent)
    tx.state.put(t.BATCHES, settled, number)
    for name, mark in stopped:
        for kind, at in ((EventKind.UNRESTRICTED, old), (EventKind.RESTRICTED, low)):
            tx.emit(
                kind, name, facts={"reason": mark.value, RENUMBERED: f"{old} {low}"}, ranges=[Range(batch.name, at, 1)]
            )
    return settled


def _why_it_keeps_its_number(tx: Context, number: int, batch: Batch, position: int) -> str:
    """What speaks against the unit being another number; empty where it is nobody's and merely counted."""
    found = find_lot(tx.state, number, position)
    if found is None:
        return "was never seen"
    account, state = tx.account_number(found[1].account), UnitState(found[1].state)
    if account.owner:
        return f"is in {account.name}"
    if state not in (UnitState.FREE, UnitState.BUFFER):
        return f"is {state.name}"
    for kind, name, _, _ in read_marks(tx.state, number, position, 1):
        if (kind, name) == (MarkKind.TWIN, ITMO_LAYER):
            if batch.scheme == "itmo":
                return "is an ITMO under that number"
        elif kind in _ABOUT_THE_NUMBER:
            return f"is known by that number ({MarkKind(kind).name.lower().replace('_', ' ')})"
    return ""
