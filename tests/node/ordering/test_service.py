"""Who may call the host of a log, how often, and what mistaken calls are told."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import grpc
import pytest

from keeling.v1 import ordering_pb2 as pb
from keeling.v1 import ordering_pb2_grpc as rpc
from node.callers import Members
from node.ordering.contract import Appended, LogClosed, LogId, LogUnreachable, Ordered
from tests.fakes.ordering_hosts import LOG, NETWORK, VALIDATORS, OrderingNode, World, run


async def refused(call: Awaitable[Any]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return f"{error.value.code().name} {error.value.details()}"


def test_strangers_and_mistaken_calls_are_refused_with_a_reason(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        host = await world.start_host()
        host.open()

        def stub(participant: str) -> Any:
            return rpc.OrderingStub(world.reader(participant).channels.open("natreg"))

        name = pb.LogName(network=NETWORK, epoch=LOG.epoch, name=LOG.name)
        append, read = pb.AppendRequest(log=name, entry=b"1"), pb.ReadRequest(log=name, start=1, limit=1)
        observer, exchange = stub("observer"), stub("exchange")
        for call in (observer.Append(append), observer.Read(read), observer.Follow(read).read()):
            assert "PERMISSION_DENIED observer is no validator now" in await refused(call)
        other = pb.LogName(network=b"n" * 32, epoch=LOG.epoch, name=LOG.name)
        assert "compare the genesis files" in await refused(exchange.Append(pb.AppendRequest(log=other, entry=b"1")))
        for epoch, text in ((5, "is hosted by exchange"), (8, "natreg has not reached epoch 8")):
            name = pb.LogName(network=NETWORK, epoch=epoch, name=LOG.name)
            assert text in await refused(exchange.Append(pb.AppendRequest(log=name, entry=b"1")))
        unknown = pb.LogName(network=NETWORK, epoch=4, name="f" * 16 + "-4")
        assert "belongs to no policy" in await refused(exchange.Read(pb.ReadRequest(log=unknown, start=1, limit=1)))
        for bad in (append.log, LogId(0, "")):
            name = pb.LogName(network=NETWORK, epoch=bad.epoch, name=bad.name)
            assert await refused(exchange.Append(pb.AppendRequest(log=name, entry=b"")))
        assert "positions begin at 1" in await refused(exchange.Read(pb.ReadRequest(log=append.log, start=0)))
        assert "RESOURCE_EXHAUSTED" in await refused(
            exchange.Append(pb.AppendRequest(log=append.log, entry=b"x" * (5 << 20)))
        )
        assert list((world.path / "natreg").iterdir()) == [*(world.path / "natreg").glob("*4-*")], "no log was made"
        host.members = Members(VALIDATORS[:1])
        assert "exchange is no validator now" in await refused(exchange.Append(append))

    run(tmp_path, walk)


def test_one_caller_cannot_hold_more_calls_than_it_needs(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        (await world.start_host()).open()
        stub: Any = rpc.OrderingStub(world.reader("exchange").channels.open("natreg"))
        request = pb.ReadRequest(log=pb.LogName(network=NETWORK, epoch=LOG.epoch, name=LOG.name), start=1, limit=1)
        streams = [stub.Follow(request) for _ in range(8)]
        for stream in streams:
            await stream.read()
        assert "RESOURCE_EXHAUSTED 8 calls of exchange" in await refused(stub.Follow(request).read())
        assert await world.reader("group").open().append(b"1") == Appended(1), "others go on"
        for stream in streams:
            stream.cancel()

    run(tmp_path, walk)


def test_logs_of_epochs_that_are_over_are_deleted_and_later_ones_stay(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        host = await world.start_host()
        logs = [LogId(epoch, f"{LOG.name[:16]}-{epoch}") for epoch in (0, 4, 8)]
        for log in logs:
            await host.open(log).append(b"entry")
        old = host.open(logs[0])
        assert [name[:20] for name in await host.engine.forget(8)] == [f"{0:020}", f"{4:020}"]
        with pytest.raises(LogClosed):
            await old.append(b"more")
        with pytest.raises(LogUnreachable):
            host.engine.find_hosted(logs[1])
        assert (await host.open(logs[2]).read(1, 10)).entries == (Ordered(1, b"entry"),)
        await host.engine.close()
        again = OrderingNode("natreg", tmp_path, {})
        assert len(await again.engine.forget(9)) == 1, "also those of earlier lives of the process"

    run(tmp_path, walk)
