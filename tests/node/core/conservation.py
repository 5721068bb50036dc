"""Guarantee G1 as a function: what must be true of the unit tables of any state, and of the events that led to it."""

from __future__ import annotations

import itertools
from collections import Counter

from keeling.units import TERMINAL, UnitState
from node.core import tables as t
from node.core.intervals import restricted_ranges
from node.core.state import State
from node.held import holds_of
from node.indexes import put_events
from node.reads.past import Moment, find_restricted, sum_unseen
from node.store.contract import Batch
from node.store.memory import MemoryStore
from tests.fakes.world import World


def check_conservation(state: State) -> None:
    """Lots tile what was seen of each batch inside its extent; holdings, totals and cash are the same facts again."""
    seen: Counter[int] = Counter()
    ends: dict[int, int] = {}
    totals: dict[tuple[int, int, int], tuple[int, int]] = {}
    batches = {t.BATCHES.parts(key)[0]: batch for key, batch in state.scan(t.BATCHES)}
    holdings = {t.HOLDINGS.parts(key): holding for key, holding in state.scan(t.HOLDINGS)}
    for key, lot in state.scan(t.LOTS):
        number, first = t.LOTS.parts(key)
        batch = batches[number]
        assert lot.units > 0
        assert first >= ends.get(number, batch.low), "lots overlap"
        ends[number] = first + lot.units
        assert ends[number] <= batch.high + 1, "a lot reaches outside its extent"
        seen[number] += lot.units
        units, lots = totals.get((lot.account, lot.state, number), (0, 0))
        totals[lot.account, lot.state, number] = (units + lot.units, lots + 1)
        holding = holdings.pop((lot.account, lot.state, number, first))
        assert (holding.units, holding.height, holding.ordinal) == (lot.units, lot.height, lot.ordinal)
        assert (lot.hold != bytes(16)) == (lot.state in (UnitState.HELD, UnitState.INSTRUCTED))
    assert not holdings, "holdings of lots that are not there"
    assert {number: batch.seen for number, batch in batches.items()} == {number: seen[number] for number in batches}
    assert {t.TOTALS.parts(key): tuple(total) for key, total in state.scan(t.TOTALS)} == totals
    _check_spaces(state)
    _check_cash(state)


def check_told(world: World) -> None:
    """Restrictions and extents are what events say of them: whoever keeps the events can tell them of any height."""
    store, state = MemoryStore(), world.state
    for block in world.blocks:
        rows = Batch()
        put_events(rows, block.header.height, block.events, holds_of(state))
        store.commit(rows)
    now = Moment(len(world.blocks), None)
    for key, batch in state.scan(t.BATCHES):
        number = t.BATCHES.parts(key)[0]
        assert find_restricted(store, batch.name, now) == restricted_ranges(state, number, batch), batch.name
        unseen = batch.high - batch.low + 1 - batch.seen
        assert list(sum_unseen(store, now, batch.name)) == [(batch.name, unseen)]


def _check_spaces(state: State) -> None:
    """No two batches of one serial space overlap, and the table of spaces says what the batches say."""
    extents = sorted((b.space, b.base + b.low, b.base + b.high) for _, b in state.scan(t.BATCHES))
    for (space, _, last), (next_space, first, _) in itertools.pairwise(extents):
        assert space != next_space or last < first
    assert sorted((*t.SPACES.parts(key), found.last) for key, found in state.scan(t.SPACES)) == extents


def _check_cash(state: State) -> None:
    """What accounts have of a currency is what its bank owes."""
    sums: Counter[str] = Counter()
    for key, amount in state.scan(t.CASH):
        assert amount > 0
        sums[t.CASH.parts(key)[1]] += amount
    issued = {t.CURRENCIES.parts(key)[0]: found.issued for key, found in state.scan(t.CURRENCIES)}
    assert {currency: amount for currency, amount in issued.items() if amount} == dict(sums)


def read_terminal(state: State) -> dict[tuple[int, int], int]:
    """Every single ended position: (batch, position) -> state. For small ledgers."""
    return {
        (t.LOTS.parts(key)[0], position): lot.state
        for key, lot in state.scan(t.LOTS)
        if lot.state in TERMINAL
        for position in range(t.LOTS.parts(key)[1], t.LOTS.parts(key)[1] + lot.units)
    }
