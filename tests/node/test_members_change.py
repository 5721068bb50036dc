"""Real nodes of a network whose members change: one comes in by motion, one leaves, one lost its vote journal."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from cli.cards import contact, node_keys, operator_grant
from keeling.genesis import parse_genesis
from keeling.handover import HANDOVER, walk_handovers
from keeling.v1 import log_pb2
from keeling.v1 import operations_pb2 as op
from keeling.verify import verify_bundle
from network.folders import NodeIdentity
from tests.fakes.electorate import motion
from tests.fakes.real_network import RealNetwork
from tests.fakes.world import Person

VALIDATORS = ["natreg", "exchange", "group", "bank"]
PEOPLE = [Person("ops", "alice")]
DAY_MS = 86_400_000


def run(folder: Path, walk: Callable[[RealNetwork], Awaitable[None]]) -> None:
    network = RealNetwork(folder, VALIDATORS, PEOPLE)

    async def everything() -> None:
        try:
            async with asyncio.timeout(120):
                await walk(network)
        finally:
            await network.stop()

    asyncio.run(everything())


async def decide(network: RealNetwork, name: str, *operations: object, by: tuple[str, ...] = ()) -> None:
    """Put operations to the vote, and have a quorum of the validators approve, each at its own node."""
    first, *others = by or VALIDATORS[:3]
    until_ms = time.time_ns() // 1_000_000 + DAY_MS
    opened = op.Propose(motion=name, transaction=motion(*operations), until_ms=until_ms, because="as agreed")
    await network.client(first).must(first, opened)
    for other in others:
        await network.client(other).must(other, op.Approve(motion=name))


def admission(identity: NodeIdentity) -> op.Admit:
    return op.Admit(
        participant=identity.participant,
        name=identity.participant.title(),
        roles=["bank"],
        keys=[operator_grant(identity)],
        validator=True,
        node=node_keys(identity),
        contact=contact(identity),
    )


def votes(network: RealNetwork, name: str) -> bool:
    """Whether the policy in force names this node, as it knows itself."""
    replica = network.nodes[name].replica
    return replica is not None and replica.chain.outlook.is_validator and replica.may_author


async def until(asked: Callable[[], bool]) -> None:
    while not asked():
        await asyncio.sleep(0.02)


async def open_account(network: RealNetwork, at: str, account: str) -> None:
    await network.client(at).must("alice", op.OpenAccount(account=account, owner="alice"))


async def verify(network: RealNetwork, at: str) -> list[int]:
    """Check all that a node hands out from the genesis file on; returns since when each policy was in force."""
    client = network.client(at)
    answer = await client.log.GetPolicy(log_pb2.GetPolicyRequest())
    reigns = walk_handovers(parse_genesis(network.genesis), [HANDOVER.decode(raw) for raw in answer.handovers])
    assert hashlib.sha256(answer.policy).digest() == reigns[-1].hash
    bundle = b"".join([chunk.data async for chunk in client.log.Export(log_pb2.ExportRequest())])
    assert verify_bundle(bundle, network.genesis).failure is None
    return [reign.since for reign in reigns]


def test_a_fifth_validator_comes_in_by_motion_and_says_itself_that_it_is_ready(tmp_path: Path) -> None:
    async def walk(network: RealNetwork) -> None:
        await network.start()
        for number in range(3):
            await open_account(network, "natreg", f"before-{number}")
        fifth = network.prepare("fifth")
        await decide(network, "admit-fifth", admission(fifth))
        await open_account(network, "natreg", "admitted")
        assert len(await verify(network, "natreg")) == 1
        await network.start("fifth")
        await until(lambda: votes(network, "fifth"))
        await open_account(network, "fifth", "by-the-fifth")
        await network.settled()
        await network.stop("bank")
        for number in range(3):
            await open_account(network, "group", f"four-of-five-{number}")
        height = await network.settled()
        since = await verify(network, "fifth")
        assert len(since) == 2
        assert since[-1] < height
        await network.start("bank")
        await network.settled(height=height)
        assert await verify(network, "bank") == since

    run(tmp_path, walk)
