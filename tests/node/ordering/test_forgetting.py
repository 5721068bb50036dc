"""Every engine whose logs last deletes those of epochs that are over, and touches nothing else, whatever its name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from node.ordering import stream_log, stream_past
from node.ordering.contract import DurableEngine, LogClosed, LogId, LogUnreachable, Ordered
from node.ordering.engine import name_folder
from node.ordering.jetstream import JetStreamEngine
from node.ordering.stream_log import make_config, stream_name
from node.ordering.stream_past import read_log_id
from tests.fakes.jetstream_cluster import JetStreamCluster
from tests.fakes.ordering_hosts import POLICY, OrderingNode


def of_epoch(epoch: int, moved_to: str = "") -> LogId:
    """A log that natreg hosts, where hosts matter."""
    return LogId(epoch, f"{POLICY.hex()[:16]}-{epoch}" + (f"@{moved_to}" if moved_to else ""))


OLD = [of_epoch(0), of_epoch(4), of_epoch(7, "natreg")]
KEPT = [of_epoch(8), of_epoch(12)]


class Place(NamedTuple):
    """Where logs lie: `start` begins a process of the node that deletes."""

    start: Callable[[], DurableEngine]
    names: Callable[[Sequence[LogId]], list[str]]
    lay_beside: Callable[[], Awaitable[Callable[[], Awaitable[bool]]]]
    """Puts there what is none of these logs; what is returned says whether all of it is still there."""


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Place]:
    nodes: list[OrderingNode] = []

    def start() -> DurableEngine:
        nodes.append(OrderingNode("natreg", folder, {}))
        return nodes[-1].engine

    async def lay_beside() -> Callable[[], Awaitable[bool]]:
        home = folder / "natreg"
        folders = ["notes", "0-notes", "00000000000000000001-notes", "0001-0123456789abcdef"]
        for name in folders:
            (home / name).mkdir()
        (home / "00000000000000000000").write_text("a file")

        async def all_there() -> bool:
            return all((home / name).exists() for name in (*folders, "00000000000000000000"))

        return all_there

    yield Place(start, lambda logs: [name_folder(log) for log in logs], lay_beside)
    for node in nodes:
        await node.close()


@asynccontextmanager
async def jetstream(cluster: JetStreamCluster) -> AsyncIterator[Place]:
    network, other = os.urandom(32), os.urandom(32)
    engines: list[JetStreamEngine] = []

    def start() -> DurableEngine:
        engines.append(cluster.engine("natreg", network))
        return engines[-1]

    async def lay_beside() -> Callable[[], Awaitable[bool]]:
        """Another network's log, orders of a shop, and what only looks like a log of ours."""
        manager = (await engines[-1]._connection.client()).jetstream()
        foreign = make_config(other, of_epoch(0), 1)
        like = make_config(network, of_epoch(0), 1)
        streams = [
            foreign,
            like.evolve(name=f"orders-{other.hex()[:8]}", subjects=[f"keeling.log.{other.hex()}"]),
            like.evolve(name=f"{like.name}-copy", subjects=[f"keeling.log.{like.name}-copy"]),
            make_config(network, of_epoch(1), 1).evolve(description="somebody's notes"),
            make_config(network, of_epoch(2), 1).evolve(description="epoch 3 of the project"),
        ]
        for config in streams:
            await manager.add_stream(config.evolve(republish=None))

        async def all_there() -> bool:
            known = {info.config.name for info in await manager.streams_info()}
            return {config.name for config in streams} <= known

        return all_there

    yield Place(start, lambda logs: [stream_name(network, log) for log in logs], lay_beside)
    for engine in engines:
        await engine.close()


@pytest.fixture(params=["embedded", "jetstream"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[Place]:
    if request.param == "jetstream":
        return jetstream(request.getfixturevalue("one_server"))
    return embedded(tmp_path)


def run(walk: Callable[[Place], Awaitable[None]], place: AbstractAsyncContextManager[Place]) -> None:
    async def everything() -> None:
        async with asyncio.timeout(30), place as made:
            await walk(made)

    asyncio.run(everything())


def test_logs_of_epochs_that_are_over_are_deleted_and_nothing_else(place: AbstractAsyncContextManager[Place]) -> None:
    async def walk(place: Place) -> None:
        engine = place.start()
        for log in (*OLD, *KEPT):
            await engine.open(log).append(b"entry")
        all_there = await place.lay_beside()
        old = engine.open(OLD[0])
        assert await engine.forget(8) == place.names(OLD)
        with pytest.raises(LogClosed):
            await old.append(b"more")
        assert await all_there()
        for log in KEPT:
            assert (await engine.open(log).read(1, 10)).entries == (Ordered(1, b"entry"),)
        assert await engine.forget(8) == [], "once is enough"

    run(walk, place)


def test_also_those_of_earlier_lives_of_the_process(place: AbstractAsyncContextManager[Place]) -> None:
    async def walk(place: Place) -> None:
        before = place.start()
        for log in (*OLD, *KEPT):
            await before.open(log).append(b"entry")
        await before.close()
        assert await place.start().forget(9) == place.names([*OLD, KEPT[0]])
        assert await place.start().forget(0) == []

    run(walk, place)


def test_on_a_cluster_only_the_node_that_is_told_to_deletes(
    one_server: JetStreamCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def walk() -> None:
        network = os.urandom(32)
        others, chosen = one_server.engine("exchange", network), one_server.engine("natreg", network)
        await others.open(OLD[0]).append(b"entry")
        assert await others.forget(8) == []
        settings = one_server.settings("group")._replace(deletes=True)
        refused = JetStreamEngine(settings, network, "group", others._connection._trust, others._random)
        monkeypatch.setattr(stream_past, "ANSWER_S", 0.5)
        with pytest.raises(LogUnreachable, match="does the cluster let this member list and delete streams"):
            await refused.forget(8)
        monkeypatch.undo()
        assert await chosen.forget(8) == [stream_name(network, OLD[0])]
        for engine in (others, chosen, refused):
            await engine.close()

    asyncio.run(asyncio.wait_for(walk(), 120))


@pytest.mark.parametrize("log", [of_epoch(0), of_epoch(12, "natreg"), LogId(2**64 - 1, "a\nb epoch 7 c")])
def test_a_log_is_told_from_its_stream(log: LogId) -> None:
    network = bytes(32)
    config = make_config(network, log, 3)
    assert read_log_id(network, config) == log
    assert read_log_id(b"n" * 32, config) is None
    for change in ({"name": "x"}, {"subjects": ["x"]}, {"description": None}, {"description": f"epoch 1 {log.name}"}):
        assert read_log_id(network, config.evolve(**change)) is None
    assert stream_log.make_config(network, log, 1).name == config.name
