"""Four validators and an observer over real gRPC and TLS: one killed and back, its host's epoch left, a late joiner."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from keeling.engine_word import ENGINE_EVIDENCE, check_engine_evidence
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import log_pb2
from keeling.v1 import operations_pb2 as op
from network.jetstream_servers import PID
from network.jetstream_trial import prepare_servers, read_places, start_servers, stop_servers
from network.keys import Role
from node.metrics import Metrics
from node.ordering.contract import LogId, Ordering
from node.ordering.embedded import EmbeddedOrdering
from node.ordering.engine import EmbeddedEngine
from node.ordering.hosted import HostedLog
from node.ordering.jetstream import JetStreamEngine
from node.ordering.segment_log import SegmentLog
from node.upkeep import Upkeep
from tests.fakes.clients import Client
from tests.fakes.real_network import RealNetwork
from tests.fakes.simulated_folder import SimulatedFolder
from tests.fakes.world import Person

VALIDATORS = ["natreg", "exchange", "group", "bank"]
PEOPLE = [Person("ops", "alice"), Person("ops", "bob")]


def run(folder: Path, walk: Callable[[RealNetwork], Awaitable[None]], observers: tuple[str, ...] = ()) -> None:
    network = RealNetwork(folder, VALIDATORS, PEOPLE, observers)

    async def everything() -> None:
        try:
            async with asyncio.timeout(250):
                await walk(network)
        finally:
            await network.stop()

    asyncio.run(everything())


async def open_account(client: Client, account: str, by: str = "alice") -> pb.TransactionResult:
    return await client.must(by, op.OpenAccount(account=account, owner=by))


async def check_same(network: RealNetwork) -> None:
    """All nodes come to the same height, and have the same tree and state there."""
    while True:
        await network.settled()
        said = [await network.status(name) for name in network.nodes]
        if len({status.height for status in said}) == 1:
            break
    assert len({(status.root, status.state_writes, status.tree_size) for status in said}) == 1


async def check_links(network: RealNetwork, expected: dict[str, bool]) -> None:
    """With whom natreg's node speaks, by its status and by its metrics."""
    async with asyncio.timeout(100):
        while (said := await linked(network)) != expected:
            await asyncio.sleep(0.05)
    assert said == expected
    status = await network.status("natreg")
    assert (status.epoch, bool(status.ordering_log)) == (0, True)
    assert all(bool(link.problem) is not link.connected for link in status.links)
    node = network.nodes["natreg"]
    assert node.replica is not None
    assert node.connections is not None
    upkeep = Upkeep("natreg", node.connections.tls, lambda: datetime.now(UTC))
    registry = CollectorRegistry()
    registry.register(Metrics(node.replica, lambda: 0, upkeep, node.connections.links.describe))
    assert registry.get_sample_value("keeling_final_height") == status.height
    assert registry.get_sample_value("keeling_wrong_keys") == 0
    for name, is_linked in expected.items():
        assert registry.get_sample_value("keeling_peer_linked", {"participant": name}) == is_linked
        assert registry.get_sample_value("keeling_peer_dropped_total", {"participant": name}) == 0


async def linked(network: RealNetwork) -> dict[str, bool]:
    return {link.participant: link.connected for link in (await network.status("natreg")).links}


def test_four_nodes_decide_one_may_be_killed_and_catches_up(tmp_path: Path) -> None:
    async def walk(network: RealNetwork) -> None:
        await network.start()
        clients = {name: network.client(name) for name in VALIDATORS}
        await asyncio.gather(*(open_account(clients[name], f"{name}-1") for name in VALIDATORS))
        await check_same(network)
        await network.stop("bank")
        for number in range(5):
            await open_account(clients["exchange"], f"without-{number}")
        before = await network.settled()
        await check_links(network, {"exchange": True, "group": True, "bank": False})
        await network.start("bank")
        assert await network.settled(height=before) >= before
        await open_account(network.client("bank"), "bank-2")
        await check_same(network)

    run(tmp_path, walk)


def test_the_host_of_the_log_is_killed_and_a_new_epoch_goes_on_without_it(tmp_path: Path) -> None:
    async def walk(network: RealNetwork) -> None:
        await network.start()
        client = network.client("exchange")
        await open_account(client, "before")
        await network.settled()
        await network.stop("natreg")
        results = await asyncio.gather(*(open_account(network.client(name), f"{name}-2") for name in VALIDATORS[1:]))
        assert len(results) == 3
        assert [path.name[:20] for path in ordering.iterdir()] == ["0" * 20]
        await network.start("natreg")
        await check_same(network)
        await open_account(network.client("natreg"), "after")
        await check_same(network)
        async with asyncio.timeout(100):  # nobody reads the log of the first epoch any more, as the tips say
            while list(ordering.iterdir()):
                await asyncio.sleep(0.05)

    ordering = tmp_path / "natreg" / "data" / "ordering"
    run(tmp_path, walk)


def test_an_observer_follows_from_nothing_and_serves_reads(tmp_path: Path) -> None:
    async def walk(network: RealNetwork) -> None:
        await network.start(*VALIDATORS)
        client = network.client("group")
        for number in range(4):
            await open_account(client, f"a-{number}")
        await network.start("audit")
        height = await network.settled()
        audit = network.client("audit")
        found = await audit.ledger.GetAccount(pb.GetAccountRequest(account="a-3"))
        assert found.account == "a-3"
        await open_account(client, "a-live")
        assert await network.settled(height=height + 1) > height
        await check_same(network)

    run(tmp_path, walk, ("audit",))


def test_two_of_four_decide_nothing_and_go_on_when_a_third_is_back(tmp_path: Path) -> None:
    async def walk(network: RealNetwork) -> None:
        await network.start()
        await open_account(network.client("natreg"), "before")
        await network.settled()
        await network.stop("group", "bank")
        await asyncio.sleep(1.0)  # what was under way when they stopped may still become final
        heights = [node.replica.height for node in network.nodes.values() if node.replica]
        waiting = asyncio.create_task(open_account(network.client("natreg"), "undecided"))
        await asyncio.sleep(1.0)
        assert not waiting.done()
        assert [node.replica.height for node in network.nodes.values() if node.replica] == heights
        await network.start("group")
        assert (await waiting).reason == 0
        await check_same(network)

    run(tmp_path, walk)


async def streams_left(network: RealNetwork) -> list[tuple[str, int]]:
    """The streams on the cluster with their epochs, once one is left: natreg's node deletes the others."""
    connections = network.nodes["natreg"].connections
    assert connections is not None
    assert isinstance(connections.engine, JetStreamEngine)
    manager = (await connections.engine._connection.client()).jetstream()
    async with asyncio.timeout(100):
        while len(found := [info.config for info in await manager.streams_info()]) > 1:
            await asyncio.sleep(0.05)
    return [(config.name, int(config.description.split()[1])) for config in found]


def test_four_nodes_order_on_three_nats_servers_and_one_of_these_is_killed(tmp_path: Path) -> None:
    root = tmp_path / "net"
    network = RealNetwork(root, VALIDATORS, PEOPLE)
    prepare_servers(root, VALIDATORS, datetime.now(UTC), None)

    async def walk() -> None:
        await network.start()
        clients = {name: network.client(name) for name in VALIDATORS}
        await asyncio.gather(*(open_account(clients[name], f"{name}-1") for name in VALIDATORS))
        await check_same(network)
        places = read_places(root)
        process = int((places[0].folder / PID).read_text())
        os.kill(process, signal.SIGKILL)
        await asyncio.gather(*(open_account(clients[name], f"{name}-2") for name in VALIDATORS))
        start_servers(root)
        await asyncio.gather(*(open_account(clients[name], f"{name}-3") for name in VALIDATORS))
        await check_same(network)
        for node in network.nodes.values():
            assert node.replica is not None
            await node.replica.reseed()
        await asyncio.gather(*(open_account(clients[name], f"{name}-4") for name in VALIDATORS))
        assert [epoch for _, epoch in await streams_left(network)] == [1], "that of the first epoch is over"

    async def everything() -> None:
        try:
            async with asyncio.timeout(250):
                await walk()
        finally:
            await network.stop()

    start_servers(root)
    try:
        asyncio.run(everything())
    finally:
        stop_servers(root)


@pytest.mark.parametrize("stopped", ["natreg", "bank"])
def test_everything_stops_and_starts_again(tmp_path: Path, stopped: str) -> None:
    async def walk(network: RealNetwork) -> None:
        await network.start()
        await open_account(network.client("natreg"), "before")
        height = await network.settled()
        for name in VALIDATORS:
            await network.stop(name)
        await network.start(*(name for name in VALIDATORS if name != stopped))
        await open_account(network.client("exchange"), "after")
        await network.start(stopped)
        assert await network.settled(height=height + 1) > height
        await check_same(network)

    run(tmp_path, walk)


def test_a_host_that_shows_two_logs_is_named_with_evidence_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """natreg hosts the first epoch's log, and from the middle on shows the others another one."""
    instead: dict[LogId, HostedLog] = {}
    honest = EmbeddedEngine.find_hosted
    monkeypatch.setattr(
        EmbeddedEngine, "find_hosted", lambda engine, which: instead.get(which) or honest(engine, which)
    )
    remembered: list[EmbeddedEngine] = []
    opened = EmbeddedEngine.open

    def remember(engine: EmbeddedEngine, which: LogId) -> Ordering:
        if engine not in remembered:
            remembered.append(engine)
        return opened(engine, which)

    monkeypatch.setattr(EmbeddedEngine, "open", remember)

    async def walk(network: RealNetwork) -> None:
        await network.start()
        clients = {name: network.client(name) for name in VALIDATORS}
        for name in VALIDATORS:
            await open_account(clients[name], f"{name}-1")
        await network.settled()
        (host,) = [engine for engine in remembered if engine._home.participant == "natreg"]
        ((which, hosted),) = host._hosted.items()
        forked = EmbeddedOrdering(SegmentLog.create(SimulatedFolder(), which))
        entries = [entry for _, entry in (await hosted.ordering.read(1, 1000)).entries]
        for entry in (*entries[:-1], b"another entry in the place of the newest", b"and one more"):
            await forked.append(entry)
        instead[which] = HostedLog(forked, host._home.signer)
        results = await asyncio.gather(*(open_account(clients[name], f"{name}-2") for name in VALIDATORS[1:]))
        assert [result.reason for result in results] == [0, 0, 0]
        await check_same(network)
        found = [
            raw
            for name in VALIDATORS[1:]
            for raw in (await clients[name].log.ListEvidence(log_pb2.ListEvidenceRequest())).engines
        ]
        assert found
        for raw in found:
            evidence = ENGINE_EVIDENCE.decode(raw)
            check_engine_evidence(evidence)
            assert evidence.first.key == network.identities["natreg"].keys[Role.ENTRY]
            assert (evidence.first.word.epoch, evidence.first.word.log) == which

    run(tmp_path, walk)
