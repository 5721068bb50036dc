"""JetStream on three real servers: leaders killed, majorities lost, settings that lose data, members that overreach."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js import api
from nats.js.errors import APIError

from node.ordering import jetstream, stream_log
from node.ordering.contract import (
    Appended,
    LogDiverged,
    LogId,
    LogUnreachable,
    Ordered,
    Ordering,
    Page,
    Unknown,
    begin_cursor,
    check_continuity,
    compute_entry_digest,
)
from node.ordering.jetstream import EngineRefused, JetStreamEngine, check_version
from node.ordering.stream_log import StreamLog, check_config, make_config, stream_name
from tests.fakes.jetstream_cluster import JetStreamCluster
from tests.fakes.ordering_hosts import LOG


@pytest.fixture(scope="module")
def three_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JetStreamCluster]:
    cluster = JetStreamCluster(tmp_path_factory.mktemp("jetstream") / "three", 3).start()
    yield cluster
    cluster.kill()


def run(walk: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(90):
            await walk()

    asyncio.run(bounded())


async def append_until_known(ordering: Ordering, entry: bytes) -> Appended:
    while not isinstance(answer := await ordering.append(entry), Appended):
        assert isinstance(answer, Unknown)
    return answer


async def read_when_there(ordering: Ordering, start: int) -> Page:
    while True:
        try:
            await ordering.wait(start)
            return await ordering.read(start, 100)
        except LogUnreachable:
            continue


async def leader_of(engine: JetStreamEngine, network: bytes) -> str:
    client = await engine._connection.client()
    info = await client.jetstream().stream_info(stream_name(network, LOG))
    assert info.cluster is not None
    return str(info.cluster.leader)


def test_a_killed_leader_costs_time_and_no_entry(three_servers: JetStreamCluster) -> None:
    async def walk() -> None:
        network = os.urandom(32)
        engines = [three_servers.engine(name, network) for name in ("natreg", "exchange")]
        writer, reader = (engine.open(LOG) for engine in engines)
        confirmed: dict[int, bytes] = {}
        cursor = begin_cursor(LOG.epoch)
        killed = ""
        for number in range(12):
            if number == 6:
                killed = await leader_of(engines[0], network)
                three_servers.kill(killed)
            entry = b"entry %d" % number
            confirmed[(await append_until_known(writer, entry)).position] = entry
            while cursor.position < max(confirmed):
                cursor = check_continuity(cursor, await read_when_there(reader, cursor.position + 1))
        three_servers.start(killed)
        assert dict((await read_when_there(reader, 1)).entries) == confirmed
        assert sorted(confirmed) == list(range(1, 13))
        for engine in engines:
            await engine.close()

    run(walk)


def test_without_a_majority_nothing_is_confirmed_and_the_same_bytes_again_are_one_entry(
    three_servers: JetStreamCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def walk() -> None:
        network = os.urandom(32)
        engine = three_servers.engine("natreg", network)
        ordering = engine.open(LOG)
        assert await append_until_known(ordering, b"1") == Appended(1)
        three_servers.kill("n0", "n1")
        monkeypatch.setattr(stream_log, "ANSWER_S", 1.0)
        answers = [await ordering.append(b"2") for _ in range(3)]
        assert all(isinstance(answer, Unknown) for answer in answers)
        three_servers.start("n0", "n1")
        monkeypatch.undo()
        assert await append_until_known(ordering, b"2") == Appended(2)
        assert await append_until_known(ordering, b"3") == Appended(3)
        page = await read_when_there(ordering, 1)
        assert [entry for _, entry in page.entries] == [b"1", b"2", b"3"]
        await engine.close()

    run(walk)


def test_an_entry_whose_confirmation_was_lost_is_looked_for(one_server: JetStreamCluster) -> None:
    async def walk() -> None:
        engine = one_server.engine("natreg", os.urandom(32))
        ordering = engine.open(LOG)
        assert isinstance(ordering, StreamLog)
        await ordering.append(b"1")
        await ordering.append(b"2")
        found = await ordering._look_for(compute_entry_digest(b"2"), 0, "lost")
        assert found == Appended(2)
        assert await ordering._look_for(compute_entry_digest(b"3"), 0, "lost") == Unknown(
            "the NATS cluster did not confirm the entry: lost"
        )
        await engine.close()

    run(walk)


def test_waiting_is_answered_at_once_and_does_not_depend_on_being_told(
    one_server: JetStreamCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def walk() -> None:
        network = os.urandom(32)
        engines = [one_server.engine(name, network) for name in ("natreg", "exchange")]
        writer, reader = (engine.open(LOG) for engine in engines)
        waiting = asyncio.create_task(reader.wait(1))
        await writer.append(b"1")
        await waiting
        assert await reader.read(1, 9) == Page(bytes(32), (Ordered(1, b"1"),))
        monkeypatch.setattr(stream_log, "LOOK_S", 30.0)
        waiting = asyncio.create_task(reader.wait(2))
        await asyncio.sleep(0.1)
        await writer.append(b"2")
        async with asyncio.timeout(20):
            await waiting
        monkeypatch.setattr(stream_log, "LOOK_S", 0.2)
        assert isinstance(reader, StreamLog)
        await reader._subscription.unsubscribe()
        waiting = asyncio.create_task(reader.wait(3))
        await writer.append(b"3")
        async with asyncio.timeout(20):
            await waiting
        for engine in engines:
            await engine.close()

    run(walk)


def test_a_replica_that_lags_behind_the_word_of_an_entry_is_asked_again_at_once(
    one_server: JetStreamCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries are told of when the leader stores them; the answer comes from whichever replica is asked."""

    async def walk() -> None:
        network = os.urandom(32)
        engines = [one_server.engine(name, network) for name in ("natreg", "exchange")]
        writer, reader = (engine.open(LOG) for engine in engines)
        assert isinstance(reader, StreamLog)
        await writer.append(b"1")
        await reader.wait(1)
        monkeypatch.setattr(stream_log, "LOOK_S", 3600.0)
        looks, real = list[int](), reader._get
        looked = asyncio.Event()

        async def lagging(first: int, most: int) -> list[Ordered]:
            looks.append(first)
            looked.set()
            return await real(first, most) if len(looks) > 4 else []

        monkeypatch.setattr(reader, "_get", lagging)
        waiting = asyncio.create_task(reader.wait(2))
        await looked.wait()
        await writer.append(b"2")
        await waiting
        assert looks == [2] * 5
        for engine in engines:
            await engine.close()

    run(walk)


def test_a_member_may_append_and_read_and_nothing_else(
    one_server: JetStreamCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def walk() -> None:
        network = os.urandom(32)
        engine = one_server.engine("exchange", network)
        ordering = engine.open(LOG)
        assert await append_until_known(ordering, b"1") == Appended(1)
        monkeypatch.setattr(jetstream, "CONNECT_S", 0.7)
        client = await engine._connection.client()
        manager = client.jetstream(timeout=0.5)
        name = stream_name(network, LOG)
        calls = (manager.delete_stream(name), manager.purge_stream(name), manager.delete_msg(name, 1))
        for call in (*calls, manager.streams_info()):
            with pytest.raises((nats.errors.TimeoutError, nats.errors.Error, APIError)):
                await call
        assert (await ordering.read(1, 9)).entries == (Ordered(1, b"1"),)
        stranger = JetStreamCluster(one_server.folder / f"stranger-{os.urandom(4).hex()}", 1)
        settings = one_server.settings("group")._replace(nkey=stranger.folder / "group.nk")
        refused = JetStreamEngine(settings, network, "group", engine._connection._trust, engine._random)
        with pytest.raises(LogUnreachable, match="cannot be reached"):
            await refused.open(LOG).read(1, 1)
        await refused.close()
        await engine.close()

    run(walk)


WRONG_SERVERS = [
    ({'sync_interval: "always"': 'sync_interval: "2m"'}, 'set sync_interval: "always"'),
    ({'  sync_interval: "always"\n': ""}, 'set sync_interval: "always"'),
]


@pytest.mark.parametrize(("changes", "text"), WRONG_SERVERS)
def test_servers_that_confirm_before_they_sync_are_refused_at_start(
    tmp_path: Path, changes: dict[str, str], text: str
) -> None:
    async def walk() -> None:
        cluster = JetStreamCluster(tmp_path / "wrong", 1, changes).start()
        try:
            engine = cluster.engine("natreg", os.urandom(32))
            with pytest.raises(EngineRefused, match=text):
                await engine.start()
            answer = await engine.open(LOG).append(b"1")
            assert isinstance(answer, Unknown)
            assert text in answer.reason
            with pytest.raises(LogUnreachable, match=text):
                await engine.open(LOG).read(1, 1)
            await engine.close()
        finally:
            cluster.kill()

    run(walk)


def test_a_cluster_that_is_not_there_yet_stops_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jetstream, "CONNECT_S", 0.7)

    async def walk() -> None:
        cluster = JetStreamCluster(tmp_path / "late", 1)
        engine = cluster.engine("natreg", os.urandom(32))
        try:
            await engine.start()
            assert isinstance(await engine.open(LOG).append(b"1"), Unknown)
            cluster.start()
            assert await append_until_known(engine.open(LOG), b"1") == Appended(1)
        finally:
            await engine.close()
            cluster.kill()

    run(walk)


NETWORK = bytes(32)
RIGHT = make_config(NETWORK, LOG, 3)
WRONG_STREAMS: list[tuple[dict[str, Any], str]] = [
    ({"storage": api.StorageType.MEMORY}, "storage"),
    ({"discard": api.DiscardPolicy.OLD}, "discard"),
    ({"retention": api.RetentionPolicy.WORK_QUEUE}, "retention"),
    ({"deny_delete": False}, "deny_delete"),
    ({"deny_purge": False}, "deny_purge"),
    ({"num_replicas": 1}, "has 1 replicas, not 3"),
    ({"max_age": 3600.0}, "drops by age"),
    ({"max_msgs": 100}, "max_msgs"),
    ({"max_bytes": 1 << 20}, "max_bytes"),
    ({"duplicate_window": 1.0}, "forgets message ids after"),
    ({"description": "epoch 9 another"}, "description"),
    ({"subjects": ["keeling.log.>"]}, "subjects"),
    ({"no_ack": True}, "confirms nothing"),
    ({"sealed": True}, "is sealed"),
    ({"mirror": api.StreamSource(name="x")}, "copies another"),
    ({"republish": None}, "republish"),
]


@pytest.mark.parametrize(("change", "text"), WRONG_STREAMS)
def test_a_stream_that_may_lose_what_it_confirmed_is_refused(change: dict[str, Any], text: str) -> None:
    check_config(RIGHT, RIGHT)
    with pytest.raises(EngineRefused, match=text):
        check_config(RIGHT.evolve(**change), RIGHT)


def test_a_log_on_a_stream_set_up_otherwise_is_not_used(one_server: JetStreamCluster) -> None:
    async def walk() -> None:
        network = os.urandom(32)
        engine = one_server.engine("natreg", network)
        client = await engine._connection.client()
        await client.jetstream().add_stream(make_config(network, LOG, 1).evolve(max_age=3600.0))
        answer = await engine.open(LOG).append(b"1")
        assert isinstance(answer, Unknown)
        assert "drops by age" in answer.reason
        await engine.close()

    run(walk)


@pytest.mark.parametrize(
    ("version", "good"), [("2.9.10", False), ("2.13.9", False), ("2.14.0", True), ("2.15.1", True)]
)
def test_servers_too_old_are_refused(version: str, good: bool) -> None:
    if good:
        check_version(version, "n0")
    else:
        with pytest.raises(EngineRefused, match=rf"n0 is NATS {version}: 2\.14\.0 or newer"):
            check_version(version, "n0")


def test_logs_have_streams_of_their_own() -> None:
    names = {stream_name(network, LogId(epoch, name)) for network in (bytes(32), b"n" * 32) for epoch in (0, 1)
             for name in ("a", "a@x", "a.b*>")}  # fmt: skip
    assert len(names) == 12
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)


def test_a_stream_made_anew_is_seen_as_another_log(one_server: JetStreamCluster) -> None:
    """What an operator who deletes a stream does to readers: a fault of the log, never another history."""

    async def walk() -> None:
        engine = one_server.engine("natreg", os.urandom(32))
        ordering = engine.open(LOG)
        for entry in (b"1", b"2"):
            await ordering.append(entry)
        cursor = check_continuity(begin_cursor(LOG.epoch), await ordering.read(1, 9))
        other = one_server.engine("exchange", os.urandom(32)).open(LOG)
        for entry in (b"1", b"x", b"3"):
            await other.append(entry)
        with pytest.raises(LogDiverged):
            check_continuity(cursor, await other.read(3, 9))
        await engine.close()
        await other.close()

    run(walk)
