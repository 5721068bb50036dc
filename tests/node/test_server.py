"""A real node over real gRPC and TLS on loopback: submit, read, watch, prove, export, restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from keeling.reasons import Reason
from keeling.submission import format_submission
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import log_pb2
from keeling.v1 import operations_pb2 as op
from keeling.verify import verify_bundle
from network.config import load_config
from network.folders import NodeFolder
from network.keys import Role
from network.rekeying import prepare_keys
from network.transport import Destination, open_aio_channel
from node.ledger import ChainError, StateReader
from node.operate import take_new_keys
from node.server import Node
from node.store.contract import StoreFailed, StoreLocked, View
from node.store.rocks import RocksStore
from tests.fakes.clients import Client
from tests.fakes.real_node import make_folder
from tests.fakes.world import Person

PROGRAMME = op.SetRecord(
    id="nat",
    version=1,
    source="test",
    programme=op.Programme(
        registry="natreg", native=True, grain="T_CO2E", scheme="opaque", transfer_rule=op.Programme.FREE, retirable=True
    ),
)
PEOPLE = [Person("ops", "natreg"), Person("ops", "alice"), Person("ops", "bob")]
ROLES = {"alice": ["group"], "bob": ["group"]}


@pytest.fixture
def folder(tmp_path: Path) -> tuple[NodeFolder, Destination]:
    return make_folder(tmp_path / "natreg", PEOPLE, [PROGRAMME], ROLES)


def with_node(folder: tuple[NodeFolder, Destination], scenario: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        node = Node(load_config(folder[0].config), None)
        await node.start()
        try:
            async with open_aio_channel(folder[1]) as channel:
                genesis = folder[0].genesis.read_bytes()
                await scenario(Client(channel, genesis, PEOPLE))
        finally:
            await node.stop()

    asyncio.run(run())


async def begin(client: Client) -> None:
    """Accounts of Alice and Bob, and 1,000 units for Alice."""
    await client.must("alice", op.OpenAccount(account="A", owner="alice"))
    await client.must("bob", op.OpenAccount(account="B", owner="bob"))
    await client.must("natreg", op.RegisterProject(project="p", programme="nat", name="P"))
    issue = op.Issue(
        batch="b",
        project="p",
        programme="nat",
        space="s",
        first_number="1",
        units=1000,
        extent=op.Issue.EXACT,
        account="A",
    )
    await client.must("natreg", issue)


def give(units: int) -> op.Transfer:
    return op.Transfer(units=[op.UnitLeg(from_account="A", to_account="B", selection=op.Selection(units=units))])


def test_submit_read_and_restart(folder: tuple[NodeFolder, Destination]) -> None:
    receipts: list[pb.TransactionResult] = []
    raws: list[bytes] = []

    async def first(client: Client) -> None:
        await begin(client)
        raws.append(client.transaction("alice", give(400)))
        receipts.append(await client.submit_one("alice", raws[0]))
        assert receipts[0].reason == Reason.ACCEPTED
        assert receipts[0].events[0].moves[0].range.units == 400
        refused = await client.submit_one("alice", client.transaction("alice", give(700)))
        assert refused.reason_name == "INSUFFICIENT_UNITS"
        assert "600" in refused.detail
        assert refused.advice

    async def second(client: Client) -> None:
        again = await client.submit_one("alice", raws[0])
        assert again.duplicate
        again.duplicate = False
        assert again == receipts[0], "the first receipt again"
        found = await client.ledger.GetTransaction(pb.GetTransactionRequest(id=receipts[0].id, participant="alice"))
        assert found == receipts[0]
        lines = (await client.ledger.GetAvailability(pb.GetAvailabilityRequest())).lines
        assert {line.account: line.free for line in lines} == {"A": 600, "B": 400}
        status = await client.ledger.GetStatus(pb.GetStatusRequest())
        assert status.health in ("idle", "advancing")
        assert status.quorum == status.validators == 1
        assert (list(status.warnings), status.certificate_ends_ms > status.clock_ms) == ([], True)
        assert status.limits.transactions_per_submission == 500

    with_node(folder, first)
    with_node(folder, second)


def test_dry_run_changes_nothing_and_says_the_same(folder: tuple[NodeFolder, Destination]) -> None:
    async def scenario(client: Client) -> None:
        await begin(client)
        before = await client.ledger.GetStatus(pb.GetStatusRequest())
        raw = client.transaction("alice", give(700))
        tried = (await client.ledger.DryRun(client.request("alice", raw))).results[0]
        assert tried.reason == 0
        after = await client.ledger.GetStatus(pb.GetStatusRequest())
        assert (before.height, before.root) == (after.height, after.root)
        real = await client.submit_one("alice", raw)
        assert real.reason == 0, "a dry run pins nothing"
        assert [m.range for m in real.events[0].moves] == [m.range for m in tried.events[0].moves]

    with_node(folder, scenario)


def reason_of(error: grpc.aio.AioRpcError) -> str:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "keeling"
    return str(info.reason)


def test_the_door_turns_away_with_a_stable_reason(folder: tuple[NodeFolder, Destination]) -> None:
    async def scenario(client: Client) -> None:
        await begin(client)
        height = (await client.ledger.GetStatus(pb.GetStatusRequest())).height
        raw = client.transaction("alice", give(1))
        good = client.submission("alice", raw)
        alice, stranger = client.people["alice"], Person("x", "nobody")
        foreign = format_submission(bytes(32), alice.key, [(raw, ())], alice.sign)
        unknown = format_submission(client.network, stranger.key, [(raw, ())], stranger.sign)
        unsigned = format_submission(client.network, alice.key, [(raw, ())], stranger.sign)
        many = format_submission(client.network, alice.key, [(raw, ())] * 501, alice.sign)
        cases = [
            (b"", "UNSUPPORTED_FORMAT", grpc.StatusCode.INVALID_ARGUMENT),
            (good[:-1], "MALFORMED", grpc.StatusCode.INVALID_ARGUMENT),
            (good + b"\x00", "MALFORMED", grpc.StatusCode.INVALID_ARGUMENT),
            (b"\x00" * 1_100_000, "TOO_LARGE", grpc.StatusCode.RESOURCE_EXHAUSTED),
            (foreign, "FOREIGN_NETWORK", grpc.StatusCode.INVALID_ARGUMENT),
            (unknown, "UNKNOWN_KEY", grpc.StatusCode.UNAUTHENTICATED),
            (unsigned, "BAD_SIGNATURE", grpc.StatusCode.UNAUTHENTICATED),
            (many, "TOO_MANY_TRANSACTIONS", grpc.StatusCode.RESOURCE_EXHAUSTED),
        ]
        for bytes_, reason, code in cases:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.ledger.Submit(pb.SubmitRequest(submissions=[good, bytes_]))
            assert (reason_of(caught.value), caught.value.code()) == (reason, code)
        status = await client.ledger.GetStatus(pb.GetStatusRequest())
        assert status.height == height, "nothing of a turned-away call was ordered"
        assert (await client.submit_one("alice", raw)).reason == 0, "a forged one pins no id"

    with_node(folder, scenario)


def test_a_node_whose_store_failed_sends_clients_to_another(
    folder: tuple[NodeFolder, Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the failed write and the node's end: nothing of the machine is shown, and another node may be asked."""

    async def scenario(client: Client) -> None:
        monkeypatch.setattr(StateReader, "get", fail)
        with pytest.raises(grpc.aio.AioRpcError, match="hand in at another") as caught:
            await client.submit_one("alice", client.transaction("alice", give(1)))
        assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.UNAVAILABLE, "NODE_FAILED")
        monkeypatch.undo()
        monkeypatch.setattr(RocksStore, "snapshot", fail_at_all)
        for read in (
            lambda: client.ledger.GetStatus(pb.GetStatusRequest()),
            lambda: client.ledger.ListLots(pb.ListLotsRequest(account="a")),
            lambda: client.watch(pb.WatchRequest(until_now=True)),
            lambda: client.log.GetCheckpoint(log_pb2.GetCheckpointRequest()),
            lambda: read_export(client),
        ):
            with pytest.raises(grpc.aio.AioRpcError, match="ask another") as caught:
                await read()
            assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.UNAVAILABLE, "NODE_FAILED")
        monkeypatch.undo()

    def fail(reader: StateReader, key: bytes) -> bytes | None:
        raise StoreFailed(f"/data/store: no space for {key.hex()}")

    def fail_at_all(store: RocksStore) -> View:
        raise StoreFailed("/data/store: no space")

    async def read_export(client: Client) -> None:
        async for _ in client.log.Export(log_pb2.ExportRequest()):
            pass

    with_node(folder, scenario)


def test_oversized_calls_are_refused_before_they_are_read(folder: tuple[NodeFolder, Destination]) -> None:
    async def scenario(client: Client) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.ledger.Submit(pb.SubmitRequest(submissions=[bytes(5 << 20)]))
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await client.ledger.GetStatus(pb.GetStatusRequest())).health == "idle"

    with_node(folder, scenario)


def test_watch_resumes_exactly(folder: tuple[NodeFolder, Destination]) -> None:
    async def scenario(client: Client) -> None:
        await begin(client)
        for units in (1, 2, 3):
            await client.must("alice", give(units))
        whole = await client.watch(pb.WatchRequest(until_now=True))
        places = [(e.place.height, e.place.ordinal) for e in whole]
        assert places == sorted(set(places))
        cut = places[len(places) // 2]
        rest = await client.watch(pb.WatchRequest(after=pb.Cursor(height=cut[0], ordinal=cut[1]), until_now=True))
        assert [e for e in whole if (e.place.height, e.place.ordinal) > cut] == rest
        assert await client.watch(pb.WatchRequest(most=3)) == whole[:3], "and then no waiting for more"
        many = pb.WatchRequest(after=pb.Cursor(height=cut[0], ordinal=cut[1]), until_now=True, most=10_000)
        assert await client.watch(many) == rest
        last = pb.Cursor(height=places[-1][0], ordinal=places[-1][1])
        stream = client.ledger.Watch(pb.WatchRequest(after=last, account="B"))
        waiting = asyncio.ensure_future(stream.read())
        await client.must("alice", give(9))
        news = await asyncio.wait_for(waiting, 120)
        assert [e.moves[0].range.units for e in news.events] == [9]
        stream.cancel()

    with_node(folder, scenario)


def test_proofs_and_bundles_convince_a_stranger(folder: tuple[NodeFolder, Destination]) -> None:
    async def scenario(client: Client) -> None:
        await begin(client)
        receipt = await client.must("alice", give(400))
        genesis = folder[0].genesis.read_bytes()
        whole = b"".join([c.data async for c in client.log.Export(log_pb2.ExportRequest())])
        assert verify_bundle(whole, genesis).headline == f"intact and final to height {receipt.place.height}"
        cut = b"".join([c.data async for c in client.log.Export(log_pb2.ExportRequest(account="B"))])
        assert verify_bundle(cut, genesis).failure is None
        assert verify_bundle(whole[:-1] + bytes([whole[-1] ^ 1]), genesis).failure is not None
        request = log_pb2.ProveTransactionRequest(id=receipt.id, participant="alice")
        proof = await client.log.ProveTransaction(request)
        client.check_proof(proof, receipt)
        small = await client.log.ProveConsistency(log_pb2.ProveConsistencyRequest(from_size=2))
        assert small.size > 2
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.log.GetEntries(log_pb2.GetEntriesRequest(first=10_000))
        assert reason_of(caught.value) == "NOT_FINAL_HERE"

    with_node(folder, scenario)


def test_health_and_reflection_answer(folder: tuple[NodeFolder, Destination]) -> None:
    async def scenario(client: Client) -> None:
        channel: Any = client.channel  # these stubs' types know no calls of asyncio's channels
        health: Any = health_pb2_grpc.HealthStub(channel)
        async for answer in health.Watch(health_pb2.HealthCheckRequest(service="keeling.v1.Ledger")):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                break
        else:
            pytest.fail("the node stopped telling how it is before it served")
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
        (reply,) = [reply async for reply in stub.ServerReflectionInfo(iter(asked))]
        names = {service.name for service in reply.list_services_response.service}
        assert {"keeling.v1.Ledger", "keeling.v1.Log"} <= names

    with_node(folder, scenario)


def test_a_second_node_on_the_same_data_is_locked_out(folder: tuple[NodeFolder, Destination]) -> None:
    async def run() -> None:
        first, second = (Node(load_config(folder[0].config), None) for _ in range(2))
        await first.start()
        with pytest.raises(StoreLocked, match="locked by pid"):
            await second.start()
        await first.stop()

    asyncio.run(run())


def test_a_node_with_keys_that_the_ledger_does_not_name_says_so(folder: tuple[NodeFolder, Destination]) -> None:
    async def wrong(client: Client) -> None:
        await begin(client)
        status = await client.ledger.GetStatus(pb.GetStatusRequest())
        assert list(status.wrong_keys) == ["log", "cosigner"]
        (warning,) = status.warnings
        assert "another log key, another cosigner key for the node of natreg" in warning
        assert status.health in ("idle", "advancing"), "it votes all the same"

    async def right(client: Client) -> None:
        status = await client.ledger.GetStatus(pb.GetStatusRequest())
        assert (list(status.wrong_keys), list(status.warnings)) == ([], [])

    with_node(folder, right)
    prepare_keys(folder[0], ["log", "cosigner"], None, datetime.now(UTC))
    take_new_keys(folder[0])
    with_node(folder, wrong)
    for role in (Role.LOG, Role.COSIGNER):
        path = folder[0].key(role)
        path.with_name(f"{path.name}.old").replace(path)
    with_node(folder, right)


def test_another_genesis_is_refused(folder: tuple[NodeFolder, Destination]) -> None:
    async def run() -> None:
        node = Node(load_config(folder[0].config), None)
        await node.start()
        await node.stop()
        folder[0].genesis.chmod(0o600)
        folder[0].genesis.write_bytes(folder[0].genesis.read_bytes().replace(b"National", b"Notional"))
        with pytest.raises(ChainError, match="genesis file is of"):
            await Node(load_config(folder[0].config), None).start()

    asyncio.run(run())
