"""A fifth organisation joins four running processes from a snapshot, as its operator does it, and votes.

The join is killed in the middle and goes on where it was; one peer sends a false chunk, is named, and another is asked.
Nobody is trusted: everything is proved from the genesis file on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc.aio
import pytest
from google.protobuf.message import Message

from cli.cards import contact, node_keys, operator_grant
from keeling.genesis import parse_genesis
from keeling.handover import HANDOVER, walk_handovers
from keeling.snapshot import CHUNK_BYTES_MAX
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import log_pb2
from keeling.v1 import operations_pb2 as op
from keeling.verify import verify_bundle
from node.log_service import ENTRIES_MAX
from node.snapshots import JOINING, Shelf, name_chunk
from tests.fakes.attested import every
from tests.fakes.electorate import motion
from tests.fakes.process_network import VALIDATORS, Load, ProcessNetwork

FIFTH = "verifier"
LIAR = min(VALIDATORS)
"""Peers are asked in the order of their names."""
WAIT_S = 60.0
PROJECTS, NAME = 64, "𝕏" * 256
"""A transaction makes so many rows of state, of a kilobyte each."""
BIG = 5 * CHUNK_BYTES_MAX // (PROJECTS * 1024)


async def until(asked: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not asked():
            await asyncio.sleep(0.02)


async def decide(network: ProcessNetwork, name: str, *operations: Message) -> None:
    """Put operations to the vote and have a quorum approve, each at its own node."""
    until_ms = time.time_ns() // 1_000_000 + 86_400_000
    opened = op.Propose(motion=name, transaction=motion(*operations), until_ms=until_ms, because="as agreed")
    first, *others = VALIDATORS[:3]
    await network.client(first).must(first, opened)
    for other in others:
        await network.client(other).must(other, op.Approve(motion=name))


async def fill(network: ProcessNetwork) -> pb.TransactionResult:
    """State of some megabytes; the receipt of its first transaction."""
    client = network.client("natreg")
    raws = [
        client.transaction(
            "natreg",
            *(op.RegisterProject(project=f"{at}-{row}", programme="NATIONAL", name=NAME) for row in range(PROJECTS)),
        )
        for at in range(BIG)
    ]
    results: list[pb.TransactionResult] = []
    for at in range(0, len(raws), 8):
        answer: pb.SubmitResponse = await client.ledger.Submit(client.request("natreg", *raws[at : at + 8]))
        results += answer.results
    assert [result.reason for result in results] == [0] * BIG
    return results[0]


def join(network: ProcessNetwork) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "node", "join", str(network.folders[FIFTH].root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def join_killed_while_waiting(network: ProcessNetwork, slow: Path, chunks: Callable[[], int]) -> None:
    """The first peer sends one chunk and then nothing, and the joining machine dies."""
    slow.unlink()
    os.mkfifo(slow)
    joining = join(network)
    await until(lambda: chunks() == 1 or joining.poll() is not None)
    joining.kill()
    _, said = joining.communicate()
    assert (joining.returncode, chunks()) == (-signal.SIGKILL, 1), said
    with slow.open("wb") as pipe:
        pipe.write(b"released")
    slow.unlink()


async def attested(network: ProcessNetwork) -> int:
    """Wait until everybody has a snapshot that a quorum attested; its height."""
    shelves = [Shelf(network.folders[name].data / "snapshots") for name in VALIDATORS]
    await until(lambda: all(shelf.proved() for shelf in shelves))
    return shelves[0].proved()[-1]


async def says(client: object, call: object) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call  # type: ignore[misc]
    return f"{refused.value.code().name} {refused.value.details()}"


async def check_whole_log(network: ProcessNetwork) -> None:
    """After a while the newcomer has every leaf, and proves the first one and every tree as those do who were there."""
    newcomer, founder = network.client(FIFTH).log, network.client("natreg").log
    size = (await founder.GetCheckpoint(log_pb2.GetCheckpointRequest())).size
    assert size <= ENTRIES_MAX, "all of them in one answer"
    everything = await founder.GetEntries(log_pb2.GetEntriesRequest(first=0, most=size))
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                if await newcomer.GetEntries(log_pb2.GetEntriesRequest(first=0, most=size)) == everything:
                    break
            except grpc.aio.AioRpcError as error:
                assert "ask a node that was there from the first block" in str(error.details())  # noqa: PT017 - until then
            await asyncio.sleep(0.1)
    first = log_pb2.ProveInclusionRequest(index=0, size=size)
    assert await newcomer.ProveInclusion(first) == await founder.ProveInclusion(first)
    between = log_pb2.ProveConsistencyRequest(from_size=1, to_size=size)
    assert await newcomer.ProveConsistency(between) == await founder.ProveConsistency(between)


async def check_history(network: ProcessNetwork, height: int, old: pb.TransactionResult) -> None:
    """What lies below its snapshot the newcomer does not have, and says so, but for the log, which it fetches.

    What comes after it proves.
    """
    client = network.client(FIFTH)
    request = pb.GetTransactionRequest(id=old.id, participant="natreg")
    assert "NOT_KEPT" in await says(client, client.ledger.GetTransaction(request))
    said = await says(client, client.log.GetBlock(log_pb2.GetBlockRequest(height=1)))
    assert said.startswith("FAILED_PRECONDITION"), said
    assert "ask a node that was there from the first block (natreg, exchange" in said
    await check_whole_log(network)
    receipt = await client.must("alice", op.OpenAccount(account="late", owner="alice"))
    proof_request = log_pb2.ProveTransactionRequest(id=receipt.id, participant="alice")
    proof = None
    async with asyncio.timeout(WAIT_S):
        while proof is None:
            try:
                proof = await client.log.ProveTransaction(proof_request)
            except grpc.aio.AioRpcError as error:
                assert "ask again in a moment" in str(error.details())  # noqa: PT017 - the note comes a moment later
                await asyncio.sleep(0.05)
    policy = await client.log.GetPolicy(log_pb2.GetPolicyRequest())
    reigns = walk_handovers(parse_genesis(network.genesis), [HANDOVER.decode(raw) for raw in policy.handovers])
    client.policy = reigns[-1].policy
    client.check_proof(proof, receipt)
    assert receipt.place.height > height


async def walk(network: ProcessNetwork) -> None:
    await network.start()
    load = Load(network)
    await load.open()
    old = await fill(network)
    card = network.prepare(FIFTH)
    await decide(network, "snapshots", every(12))
    admission = op.Admit(
        participant=FIFTH,
        name="Verifier",
        roles=["verifier"],
        keys=[operator_grant(card)],
        validator=True,
        node=node_keys(card),
        contact=contact(card),
    )
    await decide(network, "admit", admission)
    for _ in range(4):
        await load.give_some()
    height = await attested(network)
    false = network.folders[LIAR].data / "snapshots" / str(height) / name_chunk(1)
    genuine = false.read_bytes()
    mine = network.folders[FIFTH].data / "snapshots" / f"{height}{JOINING}"
    chunks = lambda: len(list(mine.glob("*.chunk")))  # noqa: E731 - a question, asked again and again
    await join_killed_while_waiting(network, false, chunks)
    false.write_bytes(genuine[:-1] + b"!")
    joining = join(network)
    out, told = await asyncio.to_thread(joining.communicate)
    assert joining.returncode == 0, told
    assert told.startswith("chunk 1 of "), "it goes on where it was"
    assert f"passed over {LIAR}: it sent something else for chunk 1 of the snapshot" in told
    assert f"at the snapshot of height {height};" in out
    await network.start(FIFTH)
    client = network.client(FIFTH)

    async with asyncio.timeout(WAIT_S):
        while (await client.ledger.GetStatus(pb.GetStatusRequest())).validators != 5:
            await asyncio.sleep(0.05)
    network.kill("bank")
    await check_history(network, height, old)
    bundle = b"".join([chunk.data async for chunk in network.client("natreg").log.Export(log_pb2.ExportRequest())])
    assert verify_bundle(bundle, network.genesis).failure is None


def test_a_fifth_joins_from_a_snapshot_among_liars_and_kills_and_votes(tmp_path: Path) -> None:
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
