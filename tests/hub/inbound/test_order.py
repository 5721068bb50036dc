"""Which events of one message tell a thing twice: as by looking at every pair, and quickly however many they are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Change, ChangeKind
from hub.inbound.order import WORDS, find_named_twice
from tests.hub.inbound.scene import WHOLE, change

KINDS = (ChangeKind.RETIRED, ChangeKind.REVERSED, ChangeKind.NOTICE)


def share(one: Change, other: Change) -> bool:
    return one.serials is not None and other.serials is not None and one.serials.overlaps(other.serials)


def look_at_every_pair(changes: Sequence[Change]) -> set[str]:
    found: set[str] = set()
    for (place, one), (after, other) in combinations(enumerate(changes), 2):
        alike = (one.kind, one.reference, one.at_ms) == (other.kind, other.reference, other.at_ms)
        between = [each for each in changes[place + 1 : after] if each.kind not in (one.kind, *WORDS)]
        if alike and one.reference and one.kind not in WORDS and one.id != other.id and share(one, other):
            found |= set() if any(share(one, each) for each in between) else {one.id, other.id}
    return found


@st.composite
def messages(draw: st.DrawFn) -> list[Change]:
    told = []
    for place in range(draw(st.integers(0, 9))):
        first = draw(st.integers(1, 12))
        serials = WHOLE._replace(first=first, last=first + draw(st.integers(0, 5)), space=draw(st.sampled_from("ab")))
        kind, reference = draw(st.sampled_from(KINDS)), draw(st.sampled_from(["", "r1", "r2"]))
        told.append(
            change(f"e{place}", kind, 0, 0, serials=serials, reference=reference, at_ms=draw(st.integers(1, 2)))
        )
    return told


@given(messages())
def test_what_is_told_twice_is_what_any_two_events_share(told: list[Change]) -> None:
    found = find_named_twice(told)
    assert set(found) == look_at_every_pair(told)
    by_id = {each.id: each for each in told}
    assert all(share(by_id[one], by_id[other]) for one, other in found.items())


def test_a_transaction_of_very_many_ranges_is_looked_at_in_no_time() -> None:
    """Pair by pair, eight hundred took half a minute, in which the hub did nothing else."""
    told = [change(f"e{n}", ChangeKind.RETIRED, 2 * n + 1, 2 * n + 1) for n in range(50_000)]
    assert find_named_twice(told) == {}
    told[0] = change("twice", ChangeKind.RETIRED, 5, 5)
    assert find_named_twice(told) == {"twice": "e2", "e2": "twice"}
