"""The asynchronous engine when its disk fails: whoever waits is told, and nothing goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from node.ordering.contract import Appended, LogClosed, LogFailed, LogId
from node.ordering.embedded import EmbeddedOrdering
from node.ordering.segment_log import LogOptions, SegmentLog
from tests.fakes.simulated_folder import SimulatedFolder

LOG = LogId(1, "ordering")


class BrokenFolder(SimulatedFolder):
    """Fails in a way no disk does."""

    broken = False

    def write(self, name: str, offset: int, data: bytes) -> None:
        if self.broken:
            raise RuntimeError("no disk says this")
        super().write(name, offset, data)


def test_a_failed_sync_ends_every_wait_and_refuses_the_rest() -> None:
    async def walk() -> None:
        folder = SimulatedFolder()
        ordering = EmbeddedOrdering(SegmentLog.create(folder, LOG))
        assert await ordering.append(b"1") == Appended(1)
        folder.fail(folder.steps + 2)
        waiting: list[Awaitable[object]] = [
            asyncio.create_task(call) for call in (ordering.append(b"2"), ordering.append(b"3"), ordering.wait(2))
        ]
        await asyncio.sleep(0)
        waiting += [ordering.append(b"4"), ordering.read(1, 1), ordering.wait(1), ordering.truncate(1)]
        for call in waiting:
            with pytest.raises(LogFailed, match="Input/output error"):
                await call
        await ordering.close()
        await ordering.close()

    asyncio.run(asyncio.wait_for(walk(), 120))


def test_an_unexpected_error_in_the_writer_leaves_nobody_waiting() -> None:
    async def walk() -> None:
        folder = BrokenFolder()
        ordering = EmbeddedOrdering(SegmentLog.create(folder, LOG))
        folder.broken = True
        waiting = [asyncio.create_task(ordering.append(entry)) for entry in (b"1", b"2")]
        for call in waiting:
            with pytest.raises(LogFailed, match="no disk says this"):
                await call
        await ordering.close()

    asyncio.run(asyncio.wait_for(walk(), 120))


def test_a_failed_drop_stops_the_log() -> None:
    async def walk() -> None:
        folder = SimulatedFolder()
        ordering = EmbeddedOrdering(SegmentLog.create(folder, LOG, LogOptions(segment_bytes=1)))
        for entry in (b"1", b"2", b"3"):
            await ordering.append(entry)
        folder.fail(folder.steps + 2)
        for call in (ordering.truncate(3), ordering.append(b"4")):
            with pytest.raises(LogFailed, match="Input/output error"):
                await call
        await ordering.close()

    asyncio.run(asyncio.wait_for(walk(), 120))


def test_closing_finishes_what_is_under_way() -> None:
    async def walk() -> None:
        folder = SimulatedFolder()
        ordering = EmbeddedOrdering(SegmentLog.create(folder, LOG))
        under_way = [asyncio.create_task(ordering.append(b"%d" % number)) for number in range(50)]
        await asyncio.sleep(0)
        await ordering.close()
        assert await asyncio.gather(*under_way) == [Appended(position) for position in range(1, 51)]
        with pytest.raises(LogClosed):
            await ordering.append(b"late")
        assert SegmentLog.open(folder.restart(), LOG).next_position == 51

    asyncio.run(asyncio.wait_for(walk(), 120))


def test_appends_that_wait_together_share_a_sync() -> None:
    async def walk() -> None:
        folder = SimulatedFolder()
        ordering = EmbeddedOrdering(SegmentLog.create(folder, LOG))
        before = folder.steps
        await asyncio.gather(*(ordering.append(b"%d" % number) for number in range(100)))
        assert folder.steps - before == 2
        await ordering.close()

    asyncio.run(asyncio.wait_for(walk(), 120))
