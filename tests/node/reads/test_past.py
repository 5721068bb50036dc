"""Restrictions of the past: what is replayed from their beginnings and ends is what a set of positions would hold."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from keeling.events import EventKind
from keeling.operations import Range
from node.indexes import RENUMBERED, Change, Limited, put_events
from node.reads.past import Moment, find_restricted, replay_restrictions, sum_unseen
from node.store.contract import Batch
from node.store.memory import MemoryStore
from tests.node.test_indexes import event, move

CHANGES = st.lists(
    st.builds(
        Limited,
        st.just(0),
        st.sampled_from(list(Change)),
        st.sampled_from(["a", "b", "discrepancy/1.0"]),
        st.integers(0, 30),
        st.integers(1, 12),
        st.integers(0, 30),
    ),
    max_size=30,
)


@given(CHANGES)
def test_what_is_replayed_is_what_sets_of_positions_hold(changes: list[Limited]) -> None:
    layers: dict[str, set[int]] = {}
    for change in changes:
        about = set(range(change.first, change.first + change.units))
        layer = layers.setdefault(change.restriction, set())
        if change.change == Change.BEGUN:
            layer |= about
        elif change.change == Change.ENDED:
            layer -= about
        else:
            for each in layers.values():
                if change.first in each:
                    each.remove(change.first)
                    each.add(change.to)
    spans = replay_restrictions(changes)
    assert {at for first, stop in spans for at in range(first, stop)} == set().union(*layers.values())
    assert all(low[1] < high[0] for low, high in itertools.pairwise(spans)), "joined where they touch"


def test_a_renumbered_unit_keeps_its_restriction_and_the_extent_its_size() -> None:
    """Positions 1 to 100 were counted, 100 restricted; then they turn out to be 0 to 99."""
    store = MemoryStore()
    told = [
        event(EventKind.ISSUED, "b", ranges=(Range("b", 1, 100),)),
        event(EventKind.EXTENDED, "b", move("", "A", 60), ranges=(Range("b", 1, 100),)),
        event(EventKind.RESTRICTED, "r", ranges=(Range("b", 99, 2),)),
        event(EventKind.EXTENDED, "b", ranges=(Range("b", 0, 100),), facts=((RENUMBERED, "100 0"),)),
        event(EventKind.UNRESTRICTED, "r", ranges=(Range("b", 99, 1),)),
    ]
    for height, happened in enumerate(told, 1):
        batch = Batch()
        put_events(batch, height, [happened], lambda _: "")
        store.commit(batch)
    restricted = [find_restricted(store, "b", Moment(height, None)) for height in range(6)]
    assert restricted == [[], [], [], [(99, 101)], [(0, 1), (99, 100)], [(0, 1)]]
    unseen = [list(sum_unseen(store, Moment(height, None))) for height in range(6)]
    assert unseen == [[], [("b", 100)], *[[("b", 40)]] * 4]
    assert list(sum_unseen(store, Moment(5, told[0].effective.ms - 1))) == [("b", 0)]
    assert find_restricted(store, "b", Moment(5, told[0].effective.ms - 1)) == []
