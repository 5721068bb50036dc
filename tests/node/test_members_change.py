"""Real nodes of a network whose members change: one comes in by motion, one leaves, one lost its vote journal."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from google.protobuf.message import Message

from cli.cards import contact, node_keys, operator_grant
from keeling.genesis import parse_genesis
from keeling.handover import HANDOVER, walk_handovers
from keeling.policy import parse_policy
from keeling.v1 import log_pb2
from keeling.v1 import operations_pb2 as op
from keeling.verify import verify_bundle
from network.cards import parse_card
from network.folders import NodeFolder, NodeIdentity, restore_folder
from network.keys import Role
from network.rekeying import CARD, prepare_keys
from node.operate import backup_folder, may_run, take_new_keys
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
            async with asyncio.timeout(250):
                await walk(network)
        finally:
            await network.stop()

    asyncio.run(everything())


async def decide(network: RealNetwork, name: str, *operations: Message, by: tuple[str, ...] = ()) -> None:
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


async def rekey(network: RealNetwork, name: str, *parts: str) -> NodeIdentity:
    """Make new keys for a node while it runs; returns what its card says then."""
    card = await asyncio.to_thread(prepare_keys, NodeFolder(network.root / name), parts, None, datetime.now(UTC))
    return parse_card(card.read_bytes())


async def take(network: RealNetwork, name: str) -> None:
    """Take the new keys of a node into use, as its operator does: stopped."""
    await network.stop(name)
    take_new_keys(NodeFolder(network.root / name))
    await network.start(name)


def trusts(network: RealNetwork, name: str, tls_key: bytes) -> bool:
    """Whether a node takes this TLS key for one of the network's."""
    connections = network.nodes[name].connections
    return connections is not None and any(tls_key == pin.public_key for pin in connections.trust().keys)


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


def test_a_restored_node_observes_until_the_others_replace_its_vote_key(tmp_path: Path) -> None:
    async def walk(network: RealNetwork) -> None:
        await network.start()
        await open_account(network, "natreg", "before")
        bank = NodeFolder(tmp_path / "bank")
        await asyncio.to_thread(backup_folder, bank, tmp_path / "copy")
        await network.stop("bank")
        bank.root.rename(tmp_path / "lost")
        restore_folder(tmp_path / "copy", bank, tmp_path / "lost")
        await network.start("bank")
        await open_account(network, "natreg", "without-bank")
        assert "the vote journal is missing" in (await network.status("bank")).health
        await rekey(network, "bank", "vote")
        card = parse_card((bank.root / CARD).read_bytes())
        assert card.keys[Role.ENTRY] == network.identities["bank"].keys[Role.ENTRY]
        replacing = op.Replace(participant="bank", node=op.NodeKeys(vote=card.keys[Role.VOTE]))
        await decide(network, "replace-bank", replacing)
        await take(network, "bank")
        await network.stop("group")
        await open_account(network, "natreg", "with-bank")
        assert (await network.status("bank")).health in ("idle", "advancing")
        assert len(await verify(network, "natreg")) == 2

    run(tmp_path, walk)


def test_every_key_of_a_node_is_changed_while_the_network_goes_on(tmp_path: Path) -> None:
    async def walk(network: RealNetwork) -> None:
        await network.start()
        await open_account(network, "group", "before")
        before = network.identities["group"]
        group = await rekey(network, "group", "entry", "vote", "log", "cosigner", "submission")
        added = op.RotateKey(retire=before.keys[Role.SUBMISSION], add=operator_grant(group), node=node_keys(group))
        await network.client("natreg").must("group", added)
        await open_account(network, "natreg", "decided")
        await take(network, "group")
        await network.stop("bank")
        await open_account(network, "group", "with-new-keys")
        await network.client("natreg").must("group", op.OpenAccount(account="by-the-new-key", owner="group"))
        policy = (await network.client("natreg").log.GetPolicy(log_pb2.GetPolicyRequest())).policy
        named = next(each for each in parse_policy(policy).validators if each.name == "group")
        assert (named.entry_key, named.vote_key) == (group.keys[Role.ENTRY], group.keys[Role.VOTE])
        assert len(await verify(network, "group")) == 2

    run(tmp_path, walk)


def test_a_tls_key_is_replaced_under_a_running_node_while_both_are_good(tmp_path: Path) -> None:
    async def walk(network: RealNetwork) -> None:
        await network.start()
        before = network.identities["group"].tls.public_key
        group = await rekey(network, "group", "tls")
        await network.client("group").must("group", op.RotateKey(contact=contact(group, besides=[before])))
        height = await network.settled()
        await until(lambda: all(trusts(network, name, group.tls.public_key) for name in network.nodes))
        assert may_run(NodeFolder(tmp_path / "group"))
        take_new_keys(NodeFolder(tmp_path / "group"))
        network.identities["group"] = group
        await network.client("group").must("group", op.RotateKey(contact=contact(group)))
        await until(lambda: not any(trusts(network, name, before) for name in VALIDATORS if name != "group"))
        await network.stop("bank")
        await open_account(network, "natreg", "three-of-four")
        assert await network.settled() > height

    run(tmp_path, walk)


def test_a_suspended_validator_leaves_and_comes_back_by_its_own_word(tmp_path: Path) -> None:
    async def walk(network: RealNetwork) -> None:
        await network.start()
        away = op.Suspend(participant="bank", reason="its operator is being looked into")
        await decide(network, "suspend-bank", away)
        await until(lambda: not votes(network, "bank"))
        await open_account(network, "natreg", "three")
        back = op.Suspend(participant="bank", reason="nothing was found", lift=True)
        await decide(network, "lift-bank", back)
        await until(lambda: votes(network, "bank"))
        await network.stop("group")
        await open_account(network, "bank", "four-again")
        assert len(await verify(network, "bank")) == 3

    run(tmp_path, walk)
