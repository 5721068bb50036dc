"""Events by cursor: all of them, in order, once, from wherever a reader stopped."""

from __future__ import annotations

import pytest

from keeling.encoding import U64
from keeling.reasons import Reason
from keeling.units import UnitState
from keeling.v1 import ledger_pb2 as pb
from node.reads import read_events, watch
from node.reads.errors import BeyondFinal, NotFound, NotKept
from node.store.contract import Batch, Family
from tests.node.reads.histories import EVERYBODY, events_of, long_life, start
from tests.node.reads.trading_world import IndexedWorld, opened, transfer, units

Cursor = tuple[int, int]


def read(
    world: IndexedWorld, after: Cursor | None, account: str = "", most: int = 1_000
) -> tuple[list[pb.Event], Cursor]:
    with world.store.snapshot() as view:
        return read_events(view, after, account, most)


def place(event: pb.Event) -> Cursor:
    return event.place.height, event.place.ordinal


def everything(world: IndexedWorld, account: str, most: int) -> list[pb.Event]:
    """What a reader gets who resumes from each page's cursor."""
    found: list[pb.Event] = []
    cursor: Cursor | None = None
    while True:
        events, cursor = read(world, cursor, account, most)
        assert len(events) <= most
        if not events:
            return found
        assert cursor >= place(events[-1])
        found += events


@pytest.mark.parametrize("most", [1, 7, 1_000])
def test_pages_give_every_event_once_in_order(most: int) -> None:
    world = long_life()
    events = everything(world, "", most)
    written = list(events_of(world))
    assert [place(event) for event in events] == [tuple(where) for where, _, _ in written]
    for shown, (_, time_ms, event) in zip(events, written, strict=True):
        assert (shown.subject, shown.time_ms, shown.transaction) == (event.subject, time_ms, event.transaction)
        assert [m.from_state for m in shown.moves] == [UnitState(m.from_state).name for m in event.moves]


@pytest.mark.parametrize("most", [1, 5, 1_000])
@pytest.mark.parametrize("account", ["alice", "bob", "alice/verra", "unassigned@verra"])
def test_an_account_gets_exactly_the_events_about_it(account: str, most: int) -> None:
    world = long_life()
    about = [
        tuple(where)
        for where, _, event in events_of(world)
        if account in {n for move in event.moves for n in (move.from_account, move.to_account)}
        or (event.subject == account and event.kind in (10, 13))
    ]
    assert [place(event) for event in everything(world, account, most)] == about
    assert about


def test_an_account_in_many_blocks_is_read_some_blocks_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page is empty before the end, though the first block read may have nothing new."""
    world = long_life()
    whole = everything(world, "alice", 1_000)
    monkeypatch.setattr(watch, "BLOCKS_MAX", 2)
    assert everything(world, "alice", 1_000) == whole
    assert len(read(world, None, "alice")[0]) < 10 < len(whole)


def test_every_event_is_a_place_to_resume_from() -> None:
    world = long_life()
    places = [(where.height, where.ordinal) for where, _, _ in events_of(world)]
    for at, cursor in enumerate(places[:-1]):
        assert place(read(world, cursor, most=1)[0][0]) == places[at + 1]
    assert read(world, places[-1])[0] == []


def test_sweeps_come_first_in_their_block() -> None:
    world = long_life()
    swept = [event for event in everything(world, "", 1_000) if event.kind == "HOLD_EXPIRED"]
    assert swept
    assert all(event.transaction == 0xFFFFFFFF for event in swept)
    assert any(event.place.ordinal == 0 for event in swept)


def test_at_the_end_the_cursor_is_the_newest_block_and_new_events_follow_it() -> None:
    world = start()
    _, cursor = read(world, None)
    assert cursor == (world.tip.height, len(world.blocks[-1].events) - 1)
    world.block()
    events, cursor = read(world, cursor, "carol")
    assert (events, cursor) == ([], (world.tip.height, 0))
    world.must("alice", transfer("alice", "bob", units(5)), approvals=EVERYBODY)
    assert [event.kind for event in read(world, cursor)[0]] == ["TRANSFERRED"]
    assert read(world, cursor, "carol") == ([], (world.tip.height, 0))
    assert [event.kind for event in read(world, cursor, "bob")[0]] == ["TRANSFERRED"]


def test_a_page_ends_before_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    world = long_life()
    monkeypatch.setattr(watch, "PAGE_BYTES_MAX", 400)
    events, cursor = read(world, None)
    assert 1 <= len(events) < 10
    assert cursor == place(events[-1])
    assert len(everything(world, "", 1_000)) == len(list(events_of(world)))


def test_cursors_that_cannot_be_continued() -> None:
    world = start()
    newest = world.tip.height
    size = len(world.blocks[-1].events)
    for cursor in ((newest + 1, 0), (newest, size), (1, 99)):
        with pytest.raises(BeyondFinal) as beyond:
            read(world, cursor)
        assert beyond.value.reason == Reason.BEYOND_FINAL
    with pytest.raises(NotFound) as unknown:
        read(opened(), None, "nobody")
    assert unknown.value.reason == Reason.ACCOUNT_NOT_FOUND
    batch = Batch()
    for height in (1, 2):
        batch.delete(Family.EVENTS, U64.encode(height))
    world.store.commit(batch)
    for dropped in (None, (0, 0), (2, 0)):
        with pytest.raises(NotKept, match="oldest kept are of block 3"):
            read(world, dropped)
    assert read(world, (3, 0))[0]
