"""A snapshot over real gRPC: offered, read from any chunk on, refused to strangers, and to too many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.rpc import code_pb2

from keeling import snapshot
from keeling.v1 import snapshots_pb2_grpc as rpc
from node import snapshot_service
from node.errors import abort
from node.joining import JoinFailed, fetch_snapshot
from node.peers.contract import PeerFailed
from node.snapshot_service import RemoteSource, SnapshotService
from node.snapshots import Shelf
from tests.fakes.attested import tell_attested
from tests.fakes.recorded_electorate import RecordedElectorate


class Callers:
    """Lets everybody in, or nobody, as `node.callers.Callers` does by certificate."""

    def __init__(self, network: bytes) -> None:
        self.network = network
        self.allowed = True

    async def member(self, context: Any) -> str:
        if not self.allowed:
            await abort(context, code_pb2.PERMISSION_DENIED, "NOT_A_MEMBER", "a stranger")
        return "v2"

    async def check_network(self, context: Any, network: bytes) -> None:
        if network != self.network:
            await abort(context, code_pb2.FAILED_PRECONDITION, "OTHER_NETWORK", "another network")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RecordedElectorate, Shelf]:
    monkeypatch.setattr(snapshot, "CHUNK_BYTES_MAX", 400)
    monkeypatch.setattr(snapshot_service, "PIECE_BYTES", 150)
    return tell_attested(tmp_path / "theirs")


def serve(shelf: Shelf, callers: Callers, work: Callable[[grpc.aio.Channel], Awaitable[None]]) -> None:
    async def run() -> None:
        server = grpc.aio.server()
        rpc.add_SnapshotsServicer_to_server(SnapshotService(shelf, callers), server)  # type: ignore[arg-type]
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                await work(channel)
        finally:
            await server.stop(None)

    asyncio.run(run())


def test_snapshot_is_fetched_over_the_wire(told: tuple[RecordedElectorate, Shelf], tmp_path: Path) -> None:
    world, theirs = told
    mine = Shelf(tmp_path / "mine")

    async def work(channel: grpc.aio.Channel) -> None:
        source = RemoteSource("v2", channel, world.genesis.network)
        assert await fetch_snapshot([source], world.genesis, mine) == 3
        rest = [chunk async for chunk in source.chunks(3, 2)]
        assert rest == [mine.read_chunk(3, 2 + n) for n in range(len(rest))]
        assert [chunk async for chunk in source.chunks(3, 10_000)] == []

    serve(theirs, Callers(world.genesis.network), work)
    assert mine.read_proof(3) == theirs.read_proof(3)
    assert mine.heights() == [3]


def test_what_is_not_there_and_who_may_not_ask_is_said(told: tuple[RecordedElectorate, Shelf], tmp_path: Path) -> None:
    world, theirs = told
    callers = Callers(world.genesis.network)

    async def work(channel: grpc.aio.Channel) -> None:
        source = RemoteSource("v2", channel, world.genesis.network)
        with pytest.raises(PeerFailed, match="NOT_FOUND: "):
            await source.offer(7)
        with pytest.raises(PeerFailed, match="NOT_FOUND: "):
            [chunk async for chunk in source.chunks(7, 0)]
        with pytest.raises(PeerFailed, match="FAILED_PRECONDITION: another network"):
            await RemoteSource("v2", channel, bytes(32)).offer(0)
        callers.allowed = False
        with pytest.raises(PeerFailed, match="PERMISSION_DENIED: a stranger"):
            await source.offer(0)
        with pytest.raises(JoinFailed, match="v2: PERMISSION_DENIED"):
            await fetch_snapshot([source], world.genesis, Shelf(tmp_path / "mine"))

    serve(theirs, callers, work)


def test_a_node_serves_a_few_readers_at_once(
    told: tuple[RecordedElectorate, Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, theirs = told
    monkeypatch.setattr(snapshot_service, "READERS_MAX", 0)

    async def work(channel: grpc.aio.Channel) -> None:
        source = RemoteSource("v2", channel, world.genesis.network)
        with pytest.raises(PeerFailed, match="RESOURCE_EXHAUSTED: 0 snapshots are read"):
            [chunk async for chunk in source.chunks(3, 0)]

    serve(theirs, Callers(world.genesis.network), work)


def test_a_chunk_out_of_turn_ends_the_stream(told: tuple[RecordedElectorate, Shelf]) -> None:
    world, theirs = told

    class Jumping(SnapshotService):
        async def Read(self, request: Any, context: Any) -> None:  # type: ignore[override]
            request.first += 1
            await super().Read(request, context)

    async def read(source: RemoteSource) -> AsyncIterator[bytes]:
        async for chunk in source.chunks(3, 0):
            yield chunk

    async def run() -> None:
        server = grpc.aio.server()
        jumping = Jumping(theirs, Callers(world.genesis.network))  # type: ignore[arg-type]
        rpc.add_SnapshotsServicer_to_server(jumping, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                with pytest.raises(PeerFailed, match="chunk 1 where 0 was due"):
                    [chunk async for chunk in read(RemoteSource("v2", channel, world.genesis.network))]
        finally:
            await server.stop(None)

    asyncio.run(run())
