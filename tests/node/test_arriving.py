"""Whole nodes attest their state, and one that was never there joins from their snapshot over gRPC and TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from network.config import load_config
from network.folders import NodeFolder
from node.arriving import join_from_peers
from node.core.governance import snapshots
from node.joining import JoinFailed
from node.operate import open_shelf
from tests.fakes.real_network import RealNetwork
from tests.fakes.world import Person

VALIDATORS = ["natreg", "exchange", "group", "bank"]


async def proved(network: RealNetwork, name: str, above: int = 0) -> int:
    """Wait until the node has an attested snapshot above a height."""
    shelf = open_shelf(load_config(NodeFolder(network.root / name).config))
    async with asyncio.timeout(60):
        while not shelf.proved() or shelf.proved()[-1] <= above:
            await asyncio.sleep(0.02)
    return shelf.proved()[-1]


def test_a_node_joins_from_a_snapshot_the_others_attested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "INTERVAL_BLOCKS", 4)
    network = RealNetwork(tmp_path, VALIDATORS, [Person("ops", "alice")], ["audit"])
    config = load_config(NodeFolder(tmp_path / "audit").config)

    async def walk() -> None:
        with pytest.raises(JoinFailed, match="UNAVAILABLE"):
            await join_from_peers(config, None)
        await network.start(*VALIDATORS)
        client = network.client("group")
        for number in range(9):
            await client.must("alice", op.OpenAccount(account=f"a-{number}", owner="alice"))
        heights = [await proved(network, name) for name in VALIDATORS]
        arrived = await join_from_peers(config, None)
        assert arrived.height >= max(heights)
        assert arrived.votes, "an observer's key was in no policy"
        await network.start("audit")
        await network.settled()
        found = await network.client("audit").ledger.GetAccount(pb.GetAccountRequest(account="a-0"))
        assert found.account == "a-0"
        said = [await network.status(name) for name in network.nodes]
        assert len({(status.height, status.root, status.state_writes) for status in said}) == 1

    async def everything() -> None:
        try:
            async with asyncio.timeout(250):
                await walk()
        finally:
            await network.stop()

    asyncio.run(everything())
