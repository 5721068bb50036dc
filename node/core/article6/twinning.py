"""Authorized units that live on as twins: the authorization, its first transfer and the ITMO number go with the tonne.

Which identity lives is decided in `node.core.twins`. Here the marks of Article 6 follow it, so that a tonne with two
identities is first transferred once, and an ITMO keeps its one full identifier.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from keeling.events import Event
from keeling.units import UnitState
from node.core.article6.actions import Cause, withdraw, withdraw_first_transfer
from node.core.article6.carrying import carry
from node.core.article6.stretches import Stretch, is_authorized, read_stretches
from node.core.context import Context
from node.core.lots import find_lots
from node.core.twins import LIVES_AS, read_twins

_SHOWN_AS_ENDED: Final = (UnitState.CANCELLED, UnitState.ENDED)
"""How a registry shows units that, as it turns out now, did not end but live on elsewhere."""
_ENDED: Final = (UnitState.RETIRED, UnitState.CANCELLED, UnitState.ENDED)


class Derive(Protocol):
    """What follows from where a tonne is; `node.core.article6.following` knows it."""

    def transfer(self, tx: Context, stretch: Stretch, cause: Cause, giver: int, taker: int) -> None:
        """The stretch went from one account to another."""

    def cancel(self, tx: Context, stretch: Stretch, cause: Cause, account: int, kind: str) -> None:
        """The stretch was cancelled, or retired for somebody."""


def follow_pair(tx: Context, event: Event, cause: Cause, derive: Derive) -> None:
    """Carry the marks to the identity that lives from now on; that may be an account of another Party.

    A cancellation that turns out to be this conversion was none: its action is withdrawn, unless its year is final.
    """
    for move in event.moves:
        number = tx.batch(move.batch)[0]
        if move.from_state in _SHOWN_AS_ENDED and is_authorized(tx, number):
            withdraw(tx, move.cause, number, move.first, move.units, event.effective, keep_final=True)
    for item in event.ranges:
        number = tx.batch(item.batch)[0]
        if not is_authorized(tx, number):
            continue
        for twin in read_twins(tx.state, number, LIVES_AS, item.first, item.units):
            if twin.batch and twin.pair == cause.place:
                giver = find_lots(tx.state, number, twin.first, 1)[0][1].account
                other = tx.batch(twin.batch)[0]
                for stretch in read_stretches(tx.state, number, twin.first, twin.units):
                    _unite(tx, stretch, other, twin.other_first + stretch.first - twin.first, cause, giver, derive)


def _unite(tx: Context, stretch: Stretch, batch: int, first: int, cause: Cause, giver: int, derive: Derive) -> None:
    """One tonne has one authorization and one first transfer, also where both its identities had their own.

    The identity that lives keeps its own, except that a first transfer of the other one stays what it is. If both were
    first transferred, the one of the identity that does not live any more is withdrawn.
    """
    if not stretch.authorization or stretch.itmo is None:
        return
    for theirs in read_stretches(tx.state, batch, first, stretch.units):
        ours = stretch._replace(first=stretch.first + theirs.first - first, units=theirs.units)
        if theirs.version and ours.version:
            withdraw_first_transfer(tx, ours, cause.effective)
        if theirs.version or (theirs.authorization and not ours.version):
            continue
        carry(tx, ours, batch, theirs.first)
        for at, lot in find_lots(tx.state, batch, theirs.first, theirs.units):
            start, stop = max(at, theirs.first), min(at + lot.units, theirs.stop)
            for part in read_stretches(tx.state, batch, start, stop - start):
                derive.transfer(tx, part, cause, giver, lot.account)
            if lot.state in _ENDED:
                for part in read_stretches(tx.state, batch, start, stop - start):
                    derive.cancel(tx, part, cause, lot.account, "")


# -- the end of a pair


class _Numbered(NamedTuple):
    """A stretch by its ITMO numbers, and the account it is in."""

    space: str
    number: int
    stretch: Stretch
    account: int

    @property
    def stop(self) -> int:
        return self.number + self.stretch.units


def follow_end_of_pair(tx: Context, event: Event, cause: Cause, derive: Derive) -> None:
    """A superseded identity lives again, in its own account; that may be one of another Party than its twin's.

    The rules of twins have carried the marks back, so that the two sides are found by their ITMO numbers.
    """
    ended = sorted(_number(tx, event, UnitState.CONVERTED))
    if not ended:
        return
    alive, at = sorted(_number(tx, event, UnitState.FREE)), 0
    for gone in ended:
        while at < len(alive) and (alive[at].space, alive[at].stop) <= (gone.space, gone.number):
            at += 1
        i = at
        while i < len(alive) and (alive[i].space, alive[i].number) < (gone.space, gone.stop):
            back = alive[i]
            start, stop = max(back.number, gone.number), min(back.stop, gone.stop)
            first = back.stretch.first + start - back.number
            part = back.stretch._replace(first=first, units=stop - start)
            derive.transfer(tx, part, cause, gone.account, back.account)
            i += 1


def _number(tx: Context, event: Event, state: UnitState) -> Iterator[_Numbered]:
    for move in event.moves:
        number = tx.batch(move.batch)[0]
        if move.to_state != state or not is_authorized(tx, number):
            continue
        account = tx.any_account(move.to_account)[0]
        for stretch in read_stretches(tx.state, number, move.first, move.units):
            if stretch.itmo is not None:
                yield _Numbered(stretch.itmo.space, stretch.itmo.number_at(stretch.first), stretch, account)
