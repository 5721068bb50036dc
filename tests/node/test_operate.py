"""Backup under load and restore, drilled: the copy has the same state, observes, and does not vote (design §4.8)."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import grpc
import pytest

from keeling.genesis import parse_genesis
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operator_pb2, operator_pb2_grpc
from network.folders import NodeFolder
from network.transport import Destination
from node.operate import OperatorError, backup_folder, rebuild_folder
from node.state_audit import audit_state, open_read_only
from tests.fakes.clients import Client
from tests.node.test_server import begin, folder, give, with_node

__all__ = ["folder"]


def test_backup_of_a_running_node_is_whole_and_its_node_observes(
    folder: tuple[NodeFolder, Destination], tmp_path: Path
) -> None:
    target = tmp_path / "copy"

    async def under_load(client: Client) -> None:
        await begin(client)
        load = asyncio.gather(*(client.must("alice", give(1)) for _ in range(40)))
        height = await asyncio.to_thread(backup_folder, folder[0], target)
        await load
        assert 4 <= height <= (await client.ledger.GetStatus(pb.GetStatusRequest())).height
        with pytest.raises(OperatorError, match="exists already"):
            await asyncio.to_thread(backup_folder, folder[0], target)

    with_node(folder, under_load)
    genesis = parse_genesis((target / "genesis").read_bytes())
    with open_read_only(target) as view:
        audit = audit_state(view, genesis)
    assert audit.equal, audit

    for secret in ("keys", "tls"):
        assert not (target / secret).exists()
        shutil.copytree(folder[0].root / secret, target / secret)

    async def restored(client: Client) -> None:
        status = await client.ledger.GetStatus(pb.GetStatusRequest())
        assert status.height == audit.height
        assert status.health.startswith("observing")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.submit_one("alice", client.transaction("alice", give(1)))
        assert "observes" in (caught.value.details() or "")

    with_node((NodeFolder(target), folder[1]), restored)


def test_a_standing_node_is_backed_up_and_rebuilt_from_its_folder(
    folder: tuple[NodeFolder, Destination], tmp_path: Path
) -> None:
    with_node(folder, begin)
    height = backup_folder(folder[0], tmp_path / "copy")
    assert rebuild_folder(folder[0], lambda at: None) == height
    genesis = parse_genesis(folder[0].genesis.read_bytes())
    with open_read_only(folder[0].root) as original, open_read_only(tmp_path / "copy") as copy:
        assert audit_state(original, genesis).stored == audit_state(copy, genesis).stored

    async def goes_on(client: Client) -> None:
        assert (await client.must("alice", give(5))).place.height == height + 1

    with_node(folder, goes_on)


def test_backup_is_for_an_absolute_new_folder(folder: tuple[NodeFolder, Destination], tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        stub = operator_pb2_grpc.OperatorStub(client.channel)
        for name in ("relative/folder", str(tmp_path)):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Backup(operator_pb2.BackupRequest(directory=name))
            assert caught.value.code() == grpc.StatusCode.ALREADY_EXISTS

    with_node(folder, scenario)
