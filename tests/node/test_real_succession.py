"""A member that comes later to a successor network: from a snapshot of the successor itself, or from the state before.

Real nodes over gRPC: one network of four ends, another goes on with its state, and newcomers begin in it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from keeling.genesis import parse_genesis
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import log_pb2
from network.config import load_config
from network.folders import NodeFolder
from node.arriving import Arrived, join_from_peers
from node.ledger import ChainError
from node.operate import backup_folder, begin_successor, rebuild_folder, take_stock_of
from node.snapshots import Shelf
from tests.fakes.attested import every
from tests.fakes.real_network import RealNetwork
from tests.fakes.world import Person
from tests.node.test_four_nodes import check_same
from tests.node.test_members_change import VALIDATORS, admission, decide, open_account, trusts, until, verify, votes

PEOPLE = [Person("ops", "alice")]


def run(network: RealNetwork, walk: Callable[[RealNetwork], Awaitable[None]]) -> None:
    async def everything() -> None:
        try:
            async with asyncio.timeout(250):
                await walk(network)
        finally:
            await network.stop()

    asyncio.run(everything())


def tell_first(root: Path) -> RealNetwork:
    """The network before: some accounts, and then its end."""
    first = RealNetwork(root, VALIDATORS, PEOPLE)

    async def walk(network: RealNetwork) -> None:
        await network.start()
        for number in range(3):
            await open_account(network, "natreg", f"before-{number}")
        await network.settled()

    run(first, walk)
    return first


def found_second(first: RealNetwork, root: Path) -> RealNetwork:
    """Its successor, begun at every node."""
    _, succeeds = take_stock_of(NodeFolder(first.root / "natreg"))
    second = RealNetwork(root, VALIDATORS, PEOPLE, origin="ledger.example/second", succeeds=succeeds)
    for name in VALIDATORS:
        assert begin_successor(NodeFolder(root / name), first.root / "natreg") == succeeds.height
    return second


async def attested(network: RealNetwork, above: int, names: Sequence[str] = VALIDATORS) -> int:
    """Do work until everybody has a snapshot above a height that a quorum attested; the newest height of it."""
    shelves = [Shelf(network.root / name / "data" / "snapshots") for name in names]
    number = 0
    while not all(max(shelf.proved(), default=0) > above for shelf in shelves):
        number += 1
        await open_account(network, "exchange", f"work-{above}-{number}")
    return min(shelf.proved()[-1] for shelf in shelves)


async def join(network: RealNetwork, name: str) -> Arrived:
    """Take a node to the newest snapshot, once the others have read on the ledger whose key it has."""
    key = network.identities[name].tls.public_key
    await until(lambda: all(trusts(network, other, key) for other in network.nodes))
    return await join_from_peers(load_config(NodeFolder(network.root / name).config, {}), None)


def test_newcomers_begin_at_a_snapshot_of_the_successor(tmp_path: Path) -> None:
    second = found_second(tell_first(tmp_path / "first"), tmp_path / "second")
    base = parse_genesis(second.genesis).base

    async def walk(network: RealNetwork) -> None:
        await network.start()
        await decide(network, "snapshots", every(4))
        fifth, sixth = network.prepare("fifth"), network.prepare("sixth")
        await decide(network, "admit-fifth", admission(fifth))
        height = await attested(network, base)
        assert height > base
        with pytest.raises(ChainError, match="keeling node snapshot"):
            await network.start("fifth")
        await network.nodes.pop("fifth").stop()
        arrived = await join(network, "fifth")
        assert (arrived.votes, arrived.height >= height, arrived.passed_over) == (True, True, {})
        await network.start("fifth")
        await until(lambda: votes(network, "fifth"))
        await network.stop("bank")
        await open_account(network, "fifth", "with-the-fifth")
        found = await network.client("fifth").ledger.GetAccount(pb.GetAccountRequest(account="before-1"))
        assert found.owner == "alice", "what the network before decided is known to the newcomer"
        assert len(await verify(network, "natreg")) == 2
        await network.stop("fifth")
        await network.start("fifth", "bank")
        await open_account(network, "fifth", "after-its-restart")
        await decide(network, "admit-sixth", admission(sixth), by=("natreg", "exchange", "group", "fifth"))
        height = await attested(network, await network.settled(), (*VALIDATORS, "fifth"))
        await network.stop("natreg", "exchange")  # who is left has the snapshot, too
        assert (await join(network, "sixth")).height == height
        await network.start("natreg", "exchange", "sixth")
        await until(lambda: votes(network, "sixth"))
        await open_account(network, "sixth", "with-the-sixth")
        await check_same(network)

    run(second, walk)
    folder = NodeFolder(second.root / "fifth")
    with pytest.raises(ChainError, match="pruned node cannot be rebuilt from its log: nothing was changed"):
        rebuild_folder(folder, lambda height: None)
    assert backup_folder(folder, tmp_path / "copy") > base


def test_a_newcomer_begins_with_the_state_before_and_catches_up(tmp_path: Path) -> None:
    """`data/before` of any member, as a copy: then it has the successor's whole history, and serves it."""
    second = found_second(tell_first(tmp_path / "first"), tmp_path / "second")

    async def walk(network: RealNetwork) -> None:
        await network.start()
        await decide(network, "admit-fifth", admission(network.prepare("fifth")))
        shutil.copytree(network.root / "group" / "data" / "before", tmp_path / "carried")
        begin_successor(NodeFolder(network.root / "fifth"), tmp_path / "carried")
        await network.start("fifth")
        await until(lambda: votes(network, "fifth"))
        await open_account(network, "fifth", "with-the-fifth")
        assert len(await verify(network, "fifth")) == 2
        await network.client("fifth").log.GetEntries(log_pb2.GetEntriesRequest(first=0))
        await check_same(network)

    run(second, walk)
    assert rebuild_folder(NodeFolder(second.root / "fifth"), lambda height: None) > parse_genesis(second.genesis).base
