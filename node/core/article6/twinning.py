"""Authorized units that live on as twins: the authorization, its first transfer and the ITMO number go with the tonne.

Which identity lives is decided in `node.core.twins`. Here the marks of Article 6 follow it, so that a tonne with two
identities is first transferred once, and an ITMO keeps its one full identifier.
"""

from __future__ import annotations

from collections.abc import Callable

from keeling.events import Event
from keeling.units import UnitState
from node.core import tables as t
from node.core.article6.actions import Cause
from node.core.article6.coverage import index_batch
from node.core.article6.stretches import Itmo, Stretch, is_authorized, mark_authorized, read_stretches
from node.core.context import Context
from node.core.intervals import MarkKind, paint, read_layer
from node.core.lots import find_lots
from node.core.twins import LIVES_AS, read_twins

TransferAbroad = Callable[[Context, Stretch, Cause, int, int], None]


def follow_twins(tx: Context, event: Event, cause: Cause, transfer_abroad: TransferAbroad) -> None:
    """Carry the marks to the identity that lives now; that may be an account of another Party."""
    for move in event.moves:
        number = tx.batch(move.batch)[0]
        if not is_authorized(tx, number):
            continue
        if event.fact("form") == "UNWRAP":
            if move.to_state == UnitState.CONVERTED:
                _carry_back(tx, number, move.first, move.units)
            continue
        giver = tx.any_account(move.from_account)[0]
        for twin in read_twins(tx.state, number, LIVES_AS, move.first, move.units):
            if twin.batch:
                other = tx.batch(twin.batch)[0]
                for stretch in read_stretches(tx.state, number, twin.first, twin.units):
                    target = twin.other_first + stretch.first - twin.first
                    _carry(tx, stretch, other, target, cause, giver, transfer_abroad)


def _carry(
    tx: Context,
    stretch: Stretch,
    batch: int,
    first: int,
    cause: Cause,
    giver: int,
    transfer_abroad: TransferAbroad,
) -> None:
    if not stretch.authorization or stretch.itmo is None:
        return
    itmo = Itmo(stretch.itmo.space, first, stretch.itmo.number_at(stretch.first))
    marked = mark_authorized(tx, Stretch(batch, first, stretch.units, "", 0, None), stretch.authorization, itmo)
    _copy_first_transfer(tx, stretch, batch, first)
    index_batch(tx, stretch.authorization, batch)
    for at, lot in find_lots(tx.state, batch, first, stretch.units):
        start, stop = max(at, first), min(at + lot.units, first + stretch.units)
        part = marked._replace(first=start, units=stop - start, version=stretch.version)
        transfer_abroad(tx, part, cause, giver, lot.account)


def _copy_first_transfer(tx: Context, stretch: Stretch, batch: int, first: int) -> None:
    layer = (MarkKind.FIRST_TRANSFER, "")
    for at, mark in read_layer(tx.state, stretch.batch, *layer, stretch.first, stretch.units):
        start, stop = max(at, stretch.first), min(at + mark.units, stretch.stop)
        paint(tx.state, batch, *layer, first + start - stretch.first, stop - start, mark.value, mark.cause)


def _carry_back(tx: Context, number: int, first: int, units: int) -> None:
    """The identity that ends was first transferred meanwhile: the one that lives again is known by its ITMO number."""
    for stretch in read_stretches(tx.state, number, first, units):
        if not stretch.version or stretch.itmo is None:
            continue
        at, stop = stretch.itmo.number_at(stretch.first), stretch.itmo.number_at(stretch.stop)
        start = t.ITMOS.key(stretch.itmo.space, at + 1)
        before = next(iter(tx.state.scan(t.ITMOS, stretch.itmo.space, start=start, reverse=True)), None)
        if before is not None:
            origin, found = t.ITMOS.parts(before[0])[1], before[1]
            upto = min(stop, origin + found.units)
            part = stretch._replace(units=upto - at)
            _copy_first_transfer(tx, part, found.batch, found.first + at - origin)
