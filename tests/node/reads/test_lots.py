"""Lots in pages: the whole once and in order, also while others commit, at the cost of the page alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeling.encoding import Ref
from keeling.operations import When
from keeling.reasons import Reason
from keeling.units import UnitState
from keeling.v1 import ledger_pb2 as pb
from node.core import records as r
from node.core import tables as t
from node.core.accounts import OPEN_POLICY
from node.reads import list_lots
from node.reads.errors import BadRequest, NotFound
from node.reads.view import ReadState
from node.store.contract import Batch, Family, Reads
from node.store.memory import MemoryStore, MemoryView
from tests.node.reads.histories import EVERYBODY, STEPS, Step, long_life, play, start
from tests.node.reads.trading_world import IndexedWorld, hold_id, open_world, opened, place_hold, ranges, transfer

MANY = 100_000


class CountingView:
    """A view that counts the keys read from it."""

    def __init__(self, view: Reads) -> None:
        self._view = view
        self.keys = 0

    def get(self, family: Family, key: bytes) -> bytes | None:
        self.keys += 1
        return self._view.get(family, key)

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        self.keys += len(keys)
        return self._view.get_many(family, keys)

    def scan(
        self,
        family: Family,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        for pair in self._view.scan(family, start, stop, reverse=reverse, limit=limit):
            self.keys += 1
            yield pair


def ask(world: IndexedWorld, **request: Any) -> pb.ListLotsResponse:
    with world.store.snapshot() as view:
        return list_lots(view, pb.ListLotsRequest(**request))


def turn_pages(world: IndexedWorld, **request: Any) -> list[pb.ListLotsResponse]:
    pages: list[pb.ListLotsResponse] = []
    token = ""
    while not pages or token:
        pages.append(ask(world, page_token=token, **request))
        token = pages[-1].next_page_token
    return pages


def in_state(world: IndexedWorld) -> list[tuple[str, str, str, int, int, bytes]]:
    """Account, state, batch, first position, units and hold of every lot, from the state's own table."""
    state, found = ReadState(world.store), []
    for key, lot in state.scan_prefix(t.LOTS):
        batch, first = t.LOTS.parts(key)
        hold = b"" if lot.hold == r.NO_HOLD else lot.hold
        name = state.batch(batch).name
        found.append((state.account(lot.account).name, UnitState(lot.state).name, name, first, lot.units, hold))
    return found


def told(pages: Sequence[pb.ListLotsResponse]) -> list[tuple[str, str, str, int, int, bytes]]:
    return [
        (lot.account, lot.state, lot.range.batch, lot.range.first, lot.range.units, lot.hold)
        for page in pages
        for lot in page.lots
    ]


Belongs = Callable[[tuple[Any, ...]], bool]
REQUESTS: list[tuple[dict[str, str], Belongs]] = [
    ({"account": "alice"}, lambda lot: lot[0] == "alice"),
    ({"account": "bob", "state": "FREE"}, lambda lot: lot[:2] == ("bob", "FREE")),
    ({"account": "bob", "state": "HELD"}, lambda lot: lot[:2] == ("bob", "HELD")),
    ({"account": "alice", "batch": "nat-1"}, lambda lot: (lot[0], lot[2]) == ("alice", "nat-1")),
    (
        {"account": "alice/verra", "batch": "out-1", "state": "INSTRUCTED"},
        lambda lot: lot[:3] == ("alice/verra", "INSTRUCTED", "out-1"),
    ),
    ({"batch": "nat-1"}, lambda lot: lot[2] == "nat-1"),
    ({"batch": "nat-1", "state": "RETIRED"}, lambda lot: lot[1:3] == ("RETIRED", "nat-1")),
    ({"account": "carol", "batch": "out-1"}, lambda lot: False),
]


@pytest.mark.parametrize(("request_of", "belongs"), REQUESTS, ids=[str(request) for request, _ in REQUESTS])
@pytest.mark.parametrize("size", [1, 4, 1_000])
def test_pages_together_are_the_whole_in_order(request_of: dict[str, str], belongs: Belongs, size: int) -> None:
    world = long_life()
    pages = turn_pages(world, page_size=size, **request_of)
    expected = [lot for lot in in_state(world) if belongs(lot)]
    if "account" in request_of:
        numbers = {name: world.state.get(t.BATCH_NUMBERS, name) for name in {lot[2] for lot in expected}}
        expected.sort(key=lambda lot: (UnitState[lot[1]], numbers[lot[2]], lot[3]))
    assert told(pages) == expected
    assert all(len(page.lots) <= size and not page.changed for page in pages)


def test_a_lot_names_its_hold_its_cause_and_its_serials() -> None:
    world = open_world()
    chosen = ranges("out-1", (1_005, 3))
    world.must("alice", place_hold("h", "alice/verra", chosen, world.now_ms + 60_000), approvals=EVERYBODY)
    (held,) = ask(world, account="alice/verra", state="HELD").lots
    assert (held.hold, held.cause.height, held.cause.ordinal) == (hold_id("h"), world.tip.height, 0)
    assert held.serials == "9-1005-1007-VCS-VCU-1491-VER-RW-3-4150-01102024-31122024-1"
    assert (held.first_number, held.last_number) == ("1005", "1007")


@settings(max_examples=25, deadline=None)
@given(STEPS, st.integers(1, 4), st.sampled_from([{"account": "alice"}, {"batch": "nat-1"}, {"account": "bob"}]))
def test_what_stays_is_given_once_whatever_is_committed_between_pages(
    steps: list[Step], size: int, request_of: dict[str, str]
) -> None:
    """`changed` is said exactly when lots of the list did change since the first page."""
    world = start()
    for _ in play(world, steps[:12]):
        continue
    rest = play(world, steps[12:])
    wholes = [told(turn_pages(world, page_size=1_000, **request_of))]
    pages: list[pb.ListLotsResponse] = []
    while not pages or pages[-1].next_page_token:
        token = pages[-1].next_page_token if pages else ""
        page = ask(world, page_size=size, page_token=token, **request_of)
        pages.append(page)
        since = range(pages[0].height + 1, page.height + 1)
        assert page.changed == any(_moved(world, height, request_of) for height in since)
        if next(rest, None) is not None:
            wholes.append(told(turn_pages(world, page_size=1_000, **request_of)))
    given_lots = told(pages)
    for lot in set(wholes[0]).intersection(*wholes):
        assert given_lots.count(lot) == 1
    if not pages[-1].changed:
        assert given_lots == wholes[0]


def _moved(world: IndexedWorld, height: int, request_of: dict[str, str]) -> bool:
    """Whether the block moved anything of the account or batch of the list."""
    moves = [move for event in world.blocks[height - 1].events for move in event.moves]
    return any({move.batch, move.from_account, move.to_account} & set(request_of.values()) for move in moves)


def large_store(state_of: UnitState = UnitState.FREE, hold: bytes = r.NO_HOLD) -> MemoryView:
    """An account with 100,000 lots of one batch, written as the rules would leave it."""
    store, batch = MemoryStore(), Batch()
    account = r.Account("big", "alice", "", OPEN_POLICY, None, 0, None, False)
    issued = r.Batch(
        *("b", "p", "j", "ledger", True, "T_CO2E", "opaque", "s", "", 1, 0, 2 * MANY - 1, True, 2 * MANY),
        *(When(), When(), 0, "IN", 0, Ref(1, 0), When()),
    )
    rows: tuple[tuple[t.Table[Any], object, tuple[object, ...]], ...] = (
        (t.PROGRESS, r.Progress(1, 5, 1, 1), ()),
        (t.ACCOUNTS, account, (1,)),
        (t.ACCOUNT_NUMBERS, 1, ("big",)),
        (t.BATCHES, issued, (1,)),
        (t.BATCH_NUMBERS, 1, ("b",)),
    )
    for table, value, parts in rows:
        batch.put(Family.STATE, table.key(*parts), table.value.encode(value))
    lot, holding = t.LOTS.value.encode(r.Lot(2, 1, state_of, 1, 0, hold)), t.HOLDINGS.value.encode(r.Holding(2, 1, 0))
    for first in range(0, 2 * MANY, 2):
        batch.put(Family.STATE, t.LOTS.key(1, first), lot)
        batch.put(Family.STATE, t.HOLDINGS.key(1, state_of, 1, first), holding)
    store.commit(batch)
    return store.snapshot()


@pytest.mark.parametrize(
    ("state_of", "request_of", "keys_max"),
    [
        (UnitState.FREE, {"account": "big"}, 115),
        (UnitState.FREE, {"batch": "b"}, 115),
        (UnitState.FREE, {"account": "big", "batch": "b"}, 115),
        (UnitState.HELD, {"account": "big", "state": "HELD"}, 215),
    ],
)
def test_a_page_of_a_hundred_thousand_lots_reads_about_a_hundred(
    state_of: UnitState, request_of: dict[str, str], keys_max: int
) -> None:
    counting = CountingView(large_store(state_of, bytes(range(16))))
    token = ""
    for turn in range(3):
        before = counting.keys
        request = pb.ListLotsRequest(page_size=100, page_token=token, **request_of)
        page = list_lots(counting, request)
        assert [lot.range.first for lot in page.lots] == list(range(turn * 200, turn * 200 + 200, 2))
        assert 100 <= counting.keys - before <= keys_max
        token = page.next_page_token


def test_a_rare_state_in_a_large_batch_comes_in_short_pages() -> None:
    """No page looks at more than a bounded number of rows, and the token goes on where it stopped looking."""
    counting = CountingView(large_store())
    page = list_lots(counting, pb.ListLotsRequest(batch="b", state="RETIRED"))
    assert not page.lots
    assert page.next_page_token
    assert counting.keys < 5_100
    again = list_lots(counting, pb.ListLotsRequest(batch="b", state="RETIRED", page_token=page.next_page_token))
    assert again.next_page_token not in ("", page.next_page_token)


def test_requests_that_have_no_list() -> None:
    cases = [
        ({}, BadRequest, Reason.MISSING_FIELD),
        ({"account": "alice", "state": "free"}, BadRequest, Reason.BAD_FIELD),
        ({"account": "alice", "state": "NONE"}, BadRequest, Reason.BAD_FIELD),
        ({"account": "nobody"}, NotFound, Reason.ACCOUNT_NOT_FOUND),
        ({"batch": "nothing"}, NotFound, Reason.BATCH_NOT_FOUND),
        ({"account": "alice", "batch": "nothing"}, NotFound, Reason.BATCH_NOT_FOUND),
    ]
    for request, error, reason in cases:
        with pytest.raises(error) as caught:
            ask(opened(), **request)
        assert caught.value.reason == reason


def test_a_list_that_changed_says_so_and_the_next_page_follows_the_last_row() -> None:
    world = open_world()
    for first in range(0, 100, 10):
        world.must("alice", transfer("alice", "bob", ranges("nat-1", (first, 5))), approvals=EVERYBODY)
    before = ask(world, account="bob", page_size=4)
    world.must("bob", transfer("bob", "carol", ranges("nat-1", (0, 5), (60, 2))), approvals=EVERYBODY)
    after = ask(world, account="bob", page_size=4, page_token=before.next_page_token)
    assert [lot.range.first for lot in before.lots] == [0, 10, 20, 30]
    assert [(lot.range.first, lot.range.units) for lot in after.lots] == [(40, 5), (50, 5), (62, 3), (70, 5)]
    assert (before.changed, after.changed) == (False, True)
    assert after.height == before.height + 1
