"""The Operator service over gRPC: for who holds the node's own TLS key, nobody else (`keeling/v1/operator.proto`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.rpc import code_pb2

from keeling.v1 import operator_pb2 as pb
from keeling.v1 import operator_pb2_grpc as rpc
from network.trust import NotTrusted, Trust, peer_identity
from node.errors import abort
from node.finality.events import log_name
from node.operate import OperatorError, backup_running
from node.replica import Replica
from node.store.rocks import RocksStore


class OperatorService(rpc.OperatorServicer):
    """One per node. `participant` is whose node it is."""

    def __init__(self, store: RocksStore, replica: Replica, participant: str, trust: Callable[[], Trust]) -> None:
        self._store = store
        self._replica = replica
        self._participant = participant
        self._trust = trust

    async def Backup(self, request: pb.BackupRequest, context: Any) -> pb.BackupResponse:
        await self._check_caller(context)
        directory = Path(request.directory)
        if not directory.is_absolute() or directory.exists():
            text = f"{directory}: name a new folder by its absolute path"
            await abort(context, code_pb2.ALREADY_EXISTS, "FOLDER_IN_THE_WAY", text)
        try:
            height = await asyncio.to_thread(backup_running, self._store, directory)
        except OperatorError as error:
            await abort(context, code_pb2.FAILED_PRECONDITION, "BACKUP_FAILED", str(error))
        return pb.BackupResponse(height=height)

    async def Reseed(self, request: pb.ReseedRequest, context: Any) -> pb.ReseedResponse:
        await self._check_caller(context)
        outlook = self._replica.chain.outlook
        if not outlook.is_validator or outlook.health.stopped is not None:
            await abort(context, code_pb2.FAILED_PRECONDITION, "NOT_A_VALIDATOR", "this node does not vote")
        epoch = outlook.log.epoch
        if request.HasField("leaving") and request.leaving != epoch:
            return pb.ReseedResponse(epoch=epoch, reported=False)
        policy = outlook.in_force.reign.policy.hash
        if request.host and request.host not in [validator.name for validator in outlook.policy.validators]:
            await abort(context, code_pb2.INVALID_ARGUMENT, "NOT_A_VALIDATOR", f"{request.host!r} is no validator")
        await self._replica.reseed(f"{log_name(policy, epoch + 1)}@{request.host}" if request.host else None)
        return pb.ReseedResponse(epoch=epoch, reported=True)

    async def _check_caller(self, context: Any) -> None:
        """End the call of anybody but the node's own operator."""
        try:
            peer = peer_identity(context, self._trust())
        except NotTrusted as error:
            await abort(context, code_pb2.PERMISSION_DENIED, "NOT_THE_OPERATOR", str(error))
        if peer.participant != self._participant:
            text = f"{peer.participant} is not the operator of this node"
            await abort(context, code_pb2.PERMISSION_DENIED, "NOT_THE_OPERATOR", text)
