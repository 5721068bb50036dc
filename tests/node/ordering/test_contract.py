"""What every ordering log promises, tried on each engine and on the fake; and the reader's continuity check."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from node.ordering.contract import (
    ENTRY_BYTES_MAX,
    ORIGIN,
    PAGE_BYTES_MAX,
    Appended,
    Cursor,
    EntryRefused,
    LogClosed,
    LogDiverged,
    LogShorter,
    LogTruncated,
    Ordered,
    Ordering,
    Page,
    begin_cursor,
    check_continuity,
    compute_entry_digest,
)
from node.ordering.embedded import EmbeddedOrdering
from node.ordering.folder import DiskFolder
from node.ordering.segment_log import LogOptions, SegmentLog
from tests.fakes.jetstream_cluster import JetStreamCluster
from tests.fakes.memory_ordering import MemoryOrdering
from tests.fakes.ordering_hosts import LOG, OrderingNode
from tests.fakes.simulated_folder import SimulatedFolder

SMALL = LogOptions(segment_bytes=100)  # a file for every few entries


class Truncating(Ordering, Protocol):
    async def truncate(self, below: int) -> None: ...


@asynccontextmanager
async def given(ordering: Truncating) -> AsyncIterator[Truncating]:
    yield ordering
    await ordering.close()


class _ReachedTruncating:
    """A remote log, of which the host drops entries."""

    def __init__(self, remote: Ordering, hosted: EmbeddedOrdering) -> None:
        self.append, self.read, self.wait, self.close = remote.append, remote.read, remote.wait, remote.close
        self.truncate = hosted.truncate
        self.log = remote.log


@asynccontextmanager
async def remote(path: Path) -> AsyncIterator[Truncating]:
    """A log hosted by one node as another node reaches it over gRPC."""
    addresses: dict[str, str] = {}
    host = await OrderingNode("natreg", path, addresses).serve()
    reader = OrderingNode("exchange", path, addresses)
    hosted = host.open()
    assert isinstance(hosted, EmbeddedOrdering)
    try:
        yield _ReachedTruncating(reader.open(), hosted)
        assert reader.evidence == []
    finally:
        await reader.close()
        await host.close()


class _KeepsAll:
    """A log that never drops anything."""

    def __init__(self, log: Ordering) -> None:
        self.append, self.read, self.wait, self.close = log.append, log.read, log.wait, log.close
        self.log = log.log

    async def truncate(self, below: int) -> None:
        """Dropping is allowed, not demanded."""


@asynccontextmanager
async def jetstream(cluster: JetStreamCluster) -> AsyncIterator[Truncating]:
    """A stream of a real NATS server."""
    engine = cluster.engine("exchange", os.urandom(32))
    await engine.start()
    try:
        yield _KeepsAll(engine.open(LOG))
    finally:
        await engine.close()


MAKERS: dict[str, Callable[[Path], AbstractAsyncContextManager[Truncating]]] = {
    "memory": lambda _: given(MemoryOrdering(LOG)),
    "embedded": lambda path: given(EmbeddedOrdering(SegmentLog.create(DiskFolder(path), LOG))),
    "embedded, small files": lambda _: given(EmbeddedOrdering(SegmentLog.create(SimulatedFolder(), LOG, SMALL))),
    "remote": remote,
}
Walk = Callable[[Truncating], Awaitable[None]]
Run = Callable[[Walk], None]


@pytest.fixture(params=[*MAKERS, "jetstream"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    async def walk_and_close(walk: Walk) -> None:
        made: AbstractAsyncContextManager[Truncating]
        if request.param == "jetstream":
            made = jetstream(request.getfixturevalue("one_server"))
        else:
            made = MAKERS[request.param](tmp_path / "log")
        async with made as ordering:
            await walk(ordering)

    return lambda walk: asyncio.run(asyncio.wait_for(walk_and_close(walk), 120))


def numbered(*numbers: int) -> list[bytes]:
    return [b"entry %d" % number for number in numbers]


def test_entries_are_read_in_the_order_of_their_positions(run: Run) -> None:
    async def walk(ordering: Ordering) -> None:
        assert ordering.log == LOG
        assert await ordering.read(1, 10) == Page(ORIGIN, ())
        for position, entry in enumerate(numbered(*range(20)), 1):
            assert await ordering.append(entry) == Appended(position)
        everything = tuple(Ordered(position, entry) for position, entry in enumerate(numbered(*range(20)), 1))
        assert await ordering.read(1, 100) == Page(ORIGIN, everything)
        assert await ordering.read(8, 5) == Page(compute_entry_digest(b"entry 6"), everything[7:12])
        assert await ordering.read(20, 5) == Page(compute_entry_digest(b"entry 18"), everything[19:])
        assert await ordering.read(21, 5) == Page(compute_entry_digest(b"entry 19"), ())
        assert await ordering.read(22, 5) == Page(None, ())
        assert await ordering.read(8, 0) == Page(compute_entry_digest(b"entry 6"), ())

    run(walk)


def test_the_same_bytes_again_get_the_first_position(run: Run) -> None:
    async def walk(ordering: Ordering) -> None:
        first = [await ordering.append(entry) for entry in numbered(1, 2, 1, 3, 2)]
        assert first == [Appended(1), Appended(2), Appended(1), Appended(3), Appended(2)]
        together = await asyncio.gather(*(ordering.append(entry) for entry in numbered(3, 4, 4, 1)))
        assert together == [Appended(3), Appended(4), Appended(4), Appended(1)]
        assert len((await ordering.read(1, 100)).entries) == 4

    run(walk)


def test_appends_at_the_same_time_are_each_ordered_once(run: Run) -> None:
    async def walk(ordering: Ordering) -> None:
        entries = numbered(*range(500))
        answers = await asyncio.gather(*(ordering.append(entry) for entry in entries))
        assert sorted(answers) == [Appended(position) for position in range(1, 501)]
        for entry, answer in zip(entries, answers, strict=True):
            assert isinstance(answer, Appended)
            assert (await ordering.read(answer.position, 1)).entries == (Ordered(answer.position, entry),)

    run(walk)


def test_pages_are_bounded_and_never_empty_for_their_size(run: Run) -> None:
    async def walk(ordering: Ordering) -> None:
        large = [bytes([number]) * ENTRY_BYTES_MAX for number in range(10)]
        for entry in large:
            await ordering.append(entry)
        read: list[bytes] = []
        while page := (await ordering.read(len(read) + 1, 100)).entries:
            assert sum(len(entry) for _, entry in page) <= PAGE_BYTES_MAX
            read += [entry for _, entry in page]
        assert read == large

    run(walk)


@pytest.mark.parametrize("entry", [b"", b"x" * (ENTRY_BYTES_MAX + 1)])
def test_entries_no_log_takes_are_refused(run: Run, entry: bytes) -> None:
    async def walk(ordering: Ordering) -> None:
        with pytest.raises(EntryRefused, match=f"this one has {len(entry)}"):
            await ordering.append(entry)
        assert await ordering.append(b"x" * ENTRY_BYTES_MAX) == Appended(1)

    run(walk)


def test_waiting_ends_when_the_entry_can_be_read(run: Run) -> None:
    async def walk(ordering: Ordering) -> None:
        await ordering.append(b"1")
        await ordering.wait(1)
        waiting = [asyncio.create_task(ordering.wait(position)) for position in (2, 3, 3)]
        given_up = asyncio.create_task(ordering.wait(2))
        await asyncio.sleep(0)
        given_up.cancel()
        await ordering.append(b"2")
        await waiting[0]
        assert not waiting[1].done()
        await ordering.append(b"3")
        await asyncio.gather(*waiting)
        assert len((await ordering.read(3, 1)).entries) == 1

    run(walk)


def test_a_caller_that_stops_waiting_stops_nothing_else(run: Run) -> None:
    async def walk(ordering: Ordering) -> None:
        tasks = [asyncio.create_task(ordering.append(entry)) for entry in numbered(1, 2, 3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        assert isinstance(await tasks[0], Appended)
        await tasks[2]
        await ordering.append(b"entry 4")
        page = await ordering.read(1, 10)
        assert {entry for _, entry in page.entries} >= set(numbered(1, 3, 4))

    run(walk)


def test_dropped_entries_are_named_and_the_rest_stays(run: Run) -> None:
    async def walk(ordering: Truncating) -> None:
        for entry in numbered(*range(1, 41)):
            await ordering.append(entry)
        await ordering.truncate(0)
        before = await ordering.read(1, 100)
        await ordering.truncate(30)
        try:
            first = 1 if (await ordering.read(1, 1)).entries else 0
        except LogTruncated as error:
            first = error.first
        assert 1 <= first <= 30
        page = await ordering.read(first, 100)
        assert page.entries == before.entries[first - 1 :]
        assert page.before == (compute_entry_digest(before.entries[first - 2].entry) if first > 1 else ORIGIN)
        assert await ordering.append(b"after") == Appended(41)

    run(walk)


def test_a_closed_log_refuses_and_wakes_who_waits(run: Run) -> None:
    async def walk(ordering: Ordering) -> None:
        await ordering.append(b"1")
        waiting = asyncio.create_task(ordering.wait(2))
        await asyncio.sleep(0)
        await ordering.close()
        calls: list[Awaitable[object]] = [waiting, ordering.append(b"2"), ordering.read(1, 1), ordering.wait(1)]
        for call in calls:
            with pytest.raises(LogClosed):
                await call

    run(walk)


def digest(number: int) -> bytes:
    return compute_entry_digest(b"entry %d" % number)


def shown(*positions: int) -> tuple[Ordered, ...]:
    return tuple(Ordered(position, b"entry %d" % position) for position in positions)


CONTINUITY: list[tuple[Cursor, Page, Cursor | type[Exception]]] = [
    (begin_cursor(3), Page(ORIGIN, ()), begin_cursor(3)),
    (begin_cursor(3), Page(ORIGIN, shown(1, 2)), Cursor(3, 2, digest(2))),
    (Cursor(3, 2, digest(2)), Page(digest(2), ()), Cursor(3, 2, digest(2))),
    (Cursor(3, 2, digest(2)), Page(digest(2), shown(3)), Cursor(3, 3, digest(3))),
    (Cursor(3, 2, digest(2)), Page(None, ()), LogShorter),
    (Cursor(3, 2, digest(2)), Page(digest(7), shown(3)), LogDiverged),
    (Cursor(3, 2, digest(2)), Page(ORIGIN, shown(3)), LogDiverged),
    (Cursor(3, 2, digest(2)), Page(digest(2), shown(4)), LogDiverged),
    (Cursor(3, 2, digest(2)), Page(digest(2), shown(3, 3)), LogDiverged),
    (begin_cursor(3), Page(ORIGIN, shown(0, 1)), LogDiverged),
]


@pytest.mark.parametrize(("cursor", "page", "expected"), CONTINUITY)
def test_a_page_must_continue_what_was_read(cursor: Cursor, page: Page, expected: Cursor | type[Exception]) -> None:
    if isinstance(expected, Cursor):
        assert check_continuity(cursor, page) == expected
    else:
        with pytest.raises(expected, match="the log of epoch 3"):
            check_continuity(cursor, page)
