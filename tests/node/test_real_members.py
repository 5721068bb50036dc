"""Members and keys change under four running processes, as their operators do it: a machine and its people's keys lost,
every key rotated, a member suspended and back, a certificate that ends. The others go on all the time.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc.aio
import pytest
from google.protobuf.message import Message

from cli.cards import contact, node_keys, operator_grant
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from network.cards import parse_card
from network.certificates import issue_certificate, parse_tls_key
from network.files import read_private_file, replace_file
from network.folders import NodeFolder, NodeIdentity, renew
from network.rekeying import prepare_keys
from tests.fakes.electorate import motion
from tests.fakes.process_network import CALL_S, VALIDATORS, Load, ProcessNetwork

WAIT_S = 60.0
AGAIN_S = 0.05
BANK, GROUP = "bank", "group"


async def decide(network: ProcessNetwork, name: str, *operations: Message) -> None:
    """Put operations to the vote; the first three validators approve, each at its own node."""
    until_ms = time.time_ns() // 1_000_000 + 86_400_000
    opened = op.Propose(motion=name, transaction=motion(*operations), until_ms=until_ms, because="as agreed")
    first, *others = VALIDATORS[:3]
    await network.client(first).must(first, opened)
    for other in others:
        await network.client(other).must(other, op.Approve(motion=name))


async def status(network: ProcessNetwork, name: str) -> pb.Status:
    found: pb.Status = await network.client(name).ledger.GetStatus(pb.GetStatusRequest(), timeout=CALL_S)
    return found


async def until(asked: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await asked():
            await asyncio.sleep(AGAIN_S)


async def is_needed(network: ProcessNetwork, name: str, without: str) -> None:
    """`name` votes with the keys it has now: with another one stopped, nothing becomes final without it."""
    network.kill(without)
    receipt = await network.client(name).must("alice", _account(name))
    assert receipt.place.height > 0
    await network.start(without)
    await network.wait_level(receipt.place.height)


def _account(name: str) -> op.OpenAccount:
    return op.OpenAccount(account=f"{name}-{time.time_ns()}", owner="alice")


def node_command(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "node", *words], check=True, capture_output=True)


async def lose_everything(network: ProcessNetwork) -> None:
    """The bank's building burned down: machine, node keys, and the keys of its people."""
    network.kill(BANK)
    old = network.client(BANK).people[BANK]
    shutil.rmtree(network.folders[BANK].root)
    card = network.prepare(BANK)
    replacing = op.Replace(participant=BANK, keys=[operator_grant(card)], node=node_keys(card), contact=contact(card))
    await decide(network, "replace-bank", replacing)
    await network.start(BANK)
    await network.wait_level()
    await is_needed(network, BANK, without=GROUP)
    client = network.client(BANK)
    await client.must(BANK, op.OpenAccount(account="bank-anew", owner=BANK))
    client.people[BANK] = old
    with pytest.raises(grpc.aio.AioRpcError, match="KEY_NOT_ACTIVE"):
        await client.must(BANK, op.OpenAccount(account="by-a-thief", owner=BANK))


async def rotate_everything(network: ProcessNetwork) -> None:
    """Every key of the group's node, one card for all of them; TLS first beside the old one."""
    folder, before = network.folders[GROUP], network.identities[GROUP]
    parts = ("entry", "vote", "log", "cosigner", "submission", "tls")
    path = await asyncio.to_thread(prepare_keys, folder, parts, None, datetime.now(UTC))
    card: NodeIdentity = parse_card(path.read_bytes())
    retired = next(key for role, key in before.keys.items() if role.value == "submission")
    rotation = op.RotateKey(
        retire=retired,
        add=operator_grant(card),
        node=node_keys(card),
        contact=contact(card, besides=[before.tls.public_key]),
    )
    await network.client(GROUP).must(GROUP, rotation)
    await network.wait_level()
    await network.stop_one(GROUP)
    node_command("rekey", str(folder.root))
    network.identities[GROUP] = card
    await network.start(GROUP)
    await network.client(GROUP).must(GROUP, op.RotateKey(contact=contact(card)))
    await network.wait_level()
    await is_needed(network, GROUP, without=BANK)


async def be_suspended(network: ProcessNetwork) -> None:
    """The bank is out, and hands in nothing; then it is back by its own word."""
    await decide(network, "out", op.Suspend(participant=BANK, reason="looked into"))

    async def is_out() -> bool:
        return (await status(network, "natreg")).validators == 3

    await until(is_out)
    with pytest.raises(grpc.aio.AioRpcError, match="SUSPENDED"):
        await network.client("natreg").must(BANK, op.OpenAccount(account="while-out", owner=BANK))
    await decide(network, "back", op.Suspend(participant=BANK, reason="nothing was found", lift=True))

    async def is_back() -> bool:
        return (await status(network, "natreg")).validators == 4

    await until(is_back)
    await network.wait_level()
    await is_needed(network, BANK, without=GROUP)


def certify(folder: NodeFolder, start: datetime) -> None:
    """A certificate that was good for ninety days from then on."""
    key = parse_tls_key(read_private_file(folder.tls_key, "TLS key"), None)
    hosts = ("localhost", "127.0.0.1")
    pem = issue_certificate(key, network="ledger.example/faults", participant=BANK, now=start, hosts=hosts)
    replace_file(folder.tls_certificate, pem, 0o644)


async def let_a_certificate_end(network: ProcessNetwork) -> None:
    """Nobody reaches the bank's node, and it reaches nobody; the three others lose nothing by it."""
    folder = network.folders[BANK]
    certify(folder, datetime.now(UTC) - timedelta(days=1_000))

    async def is_alone() -> bool:
        log = network.read_log(BANK)
        return all(f'"participant": "{name}"' in log.rpartition("problem")[0] for name in VALIDATORS[:3])

    await until(is_alone)
    height = 0
    for name in VALIDATORS[:3]:
        height = (await network.client(name).must("alice", _account(name))).place.height
    await asyncio.to_thread(renew, folder, None, datetime.now(UTC))
    await network.wait_level(height)


async def walk(network: ProcessNetwork) -> None:
    await network.start()
    load = Load(network)
    await load.open()
    await lose_everything(network)
    await rotate_everything(network)
    await be_suspended(network)
    await let_a_certificate_end(network)
    await load.check()


def test_members_and_keys_change_under_running_processes(tmp_path: Path) -> None:
    network = ProcessNetwork(tmp_path)

    async def everything() -> None:
        try:
            async with asyncio.timeout(240):
                await walk(network)
            await network.stop()
        finally:
            network.kill_all()
            await network.wait_gone()

    asyncio.run(everything())
    assert len(network.digest_states()) == 1
