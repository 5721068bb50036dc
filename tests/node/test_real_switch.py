"""Four running processes go from the embedded engine to NATS JetStream and back, as docs/jetstream.md says it.

All stop, every configuration changes, all start, and a reseed opens an epoch on the other engine. Nothing that was
acknowledged is lost, and what was under way is handed in again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operator_pb2
from keeling.v1.operator_pb2_grpc import OperatorStub
from network.config import OrderingConfig
from network.folders import set_ordering
from network.jetstream_trial import prepare_servers, start_servers, stop_servers
from tests.fakes.process_network import CALL_S, VALIDATORS, Load, ProcessNetwork

SOME = 12


async def switch(network: ProcessNetwork, load: Load, change: Callable[[], None]) -> None:
    """What the page says, under load: clients repeat what is not answered meanwhile."""
    await load.wait_more(SOME)
    before = (await network.client("bank").ledger.GetStatus(pb.GetStatusRequest())).epoch
    await asyncio.gather(*(network.stop_one(name) for name in VALIDATORS))
    change()
    await network.start()
    for name in VALIDATORS:
        stub: OperatorStub = OperatorStub(network.client(name).channel)
        await stub.Reseed(operator_pb2.ReseedRequest(leaving=before), timeout=CALL_S)  # type: ignore[misc]
    await load.wait_more(SOME)
    status = await network.client("bank").ledger.GetStatus(pb.GetStatusRequest())
    assert status.epoch > before


async def walk(network: ProcessNetwork, root: Path) -> None:
    load = Load(network)
    await network.start()
    await load.open()
    clients = [asyncio.create_task(load.run(name)) for name in VALIDATORS]

    def to_jetstream() -> None:
        prepare_servers(root, VALIDATORS, datetime.now(UTC), None)
        start_servers(root)

    def to_embedded() -> None:
        for folder in network.folders.values():
            set_ordering(folder, OrderingConfig())

    await switch(network, load, to_jetstream)
    await switch(network, load, to_embedded)
    load.stop()
    await asyncio.gather(*clients)
    await network.wait_level(max(height for _, height, _ in load.acknowledged.values()))
    await load.check()
    await network.stop()
    await network.wait_gone()
    assert len(network.digest_states()) == 1


def test_the_engine_is_changed_and_changed_back(tmp_path: Path) -> None:
    root = tmp_path / "net"
    network = ProcessNetwork(root)

    async def everything() -> None:
        try:
            async with asyncio.timeout(200):
                await walk(network, root)
        finally:
            network.kill_all()

    try:
        asyncio.run(everything())
    finally:
        stop_servers(root)
