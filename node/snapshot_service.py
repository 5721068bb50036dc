"""The Snapshots service over gRPC, and a peer's as a source to join from (`keeling/v1/snapshots.proto`).

Which callers are members is decided by `node.callers`; what the bytes prove, by who receives them (`node.joining`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc.aio
from google.rpc import code_pb2

from keeling.v1 import snapshots_pb2 as pb
from keeling.v1 import snapshots_pb2_grpc as rpc
from node.callers import Callers
from node.errors import abort
from node.peers.contract import PeerFailed
from node.snapshots import Shelf, SnapshotError

Context = Any
PIECE_BYTES: Final = 1 << 20
READERS_MAX: Final = 4
"""Snapshots read from this node at once: joining must not starve voting."""
CHUNK_BYTES_ACCEPTED: Final = 64 << 20
"""A peer that sends a longer chunk is not listened to any more."""
OFFER_S: Final = 30.0


class SnapshotService(rpc.SnapshotsServicer):
    """One per node."""

    def __init__(self, shelf: Shelf, callers: Callers) -> None:
        self._shelf = shelf
        self._callers = callers
        self._readers = 0

    async def Offer(self, request: pb.OfferRequest, context: Context) -> pb.SnapshotOffer:
        await self._callers.member(context)
        await self._callers.check_network(context, request.network)
        try:
            proof = await asyncio.to_thread(self._read_proof, request.height)
        except SnapshotError as error:
            await abort(context, code_pb2.NOT_FOUND, "NOT_HERE", str(error))
        return pb.SnapshotOffer(proof=proof)

    def _read_proof(self, height: int) -> bytes:
        proved = self._shelf.proved()
        if not proved:
            raise SnapshotError("no attested snapshot is here yet")
        return self._shelf.read_proof(height or proved[-1])

    async def Read(self, request: pb.ReadSnapshotRequest, context: Context) -> None:  # type: ignore[override]
        await self._callers.member(context)
        await self._callers.check_network(context, request.network)
        if self._readers >= READERS_MAX:
            text = f"{self._readers} snapshots are read from this node now: ask another, or later"
            await abort(context, code_pb2.RESOURCE_EXHAUSTED, "SNAPSHOTS_BUSY", text)
        self._readers += 1
        try:
            _, hashes = await asyncio.to_thread(self._shelf.read_head, request.height)
            for ordinal in range(request.first, len(hashes)):
                chunk = await asyncio.to_thread(self._shelf.read_chunk, request.height, ordinal)
                for start in range(0, len(chunk), PIECE_BYTES):
                    data, last = chunk[start : start + PIECE_BYTES], start + PIECE_BYTES >= len(chunk)
                    await context.write(pb.SnapshotPiece(ordinal=ordinal, data=data, last=last))
                await self._callers.member(context)
        except SnapshotError as error:
            await abort(context, code_pb2.NOT_FOUND, "NOT_HERE", str(error))
        finally:
            self._readers -= 1


class RemoteSource:
    """A peer's snapshots over an open channel: `node.joining.Source`."""

    def __init__(self, name: str, channel: grpc.aio.Channel, network: bytes) -> None:
        self.name = name
        self._stub: Any = rpc.SnapshotsStub(channel)
        self._network = network

    async def offer(self, height: int) -> bytes:
        request = pb.OfferRequest(network=self._network, height=height)
        try:
            answer = await self._stub.Offer(request, timeout=OFFER_S)
        except grpc.aio.AioRpcError as error:
            raise PeerFailed(_describe(error)) from error
        return bytes(answer.proof)

    async def chunks(self, height: int, first: int) -> AsyncIterator[bytes]:
        call = self._stub.Read(pb.ReadSnapshotRequest(network=self._network, height=height, first=first))
        chunk, ordinal = bytearray(), first
        try:
            async for piece in call:
                chunk += piece.data
                if piece.ordinal != ordinal or len(chunk) > CHUNK_BYTES_ACCEPTED:
                    raise PeerFailed(f"it sent {len(chunk)} bytes of chunk {piece.ordinal} where {ordinal} was due")
                if piece.last:
                    yield bytes(chunk)
                    chunk, ordinal = bytearray(), ordinal + 1
        except grpc.aio.AioRpcError as error:
            raise PeerFailed(_describe(error)) from error
        finally:
            call.cancel()


def _describe(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name}: {error.details()}"
