"""The Log service over gRPC: checkpoints, leaves, proofs and bundles from the store (`keeling/v1/log.proto`).

Proofs are computed from stored subtree hashes by `keeling.merkle`; bundles are put together by `node.export`. What is
not final is not served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any, Final, TypeVar

from google.rpc import code_pb2

from keeling.block import parse_header
from keeling.genesis import Genesis
from keeling.handover import HANDOVER
from keeling.merkle import prove_consistency, prove_inclusion
from keeling.reasons import Reason
from keeling.v1 import log_pb2 as pb
from keeling.v1 import log_pb2_grpc as rpc
from node.archive import TreeNotHere, height_key, leaf_key, read_size, read_subtrees
from node.errors import abort, abort_failed
from node.export import ExportError, export_cut, export_whole
from node.handovers import read_handovers, read_policy_file, read_reign
from node.incidents import ENGINE_EVIDENCE, VOTE_EVIDENCE, scan_evidence
from node.ledger import read_height, read_published
from node.proofs import prove_transaction
from node.reads.errors import NotKept, ReadRefused
from node.store.contract import Family, Reads, Store, StoreError

Context = Any
T = TypeVar("T")
ENTRIES_MAX: Final = 1_000
"""Leaves in one answer."""
CHUNK_BYTES: Final = 1 << 20


class _NotThere(Exception):
    """Not final here; the text says what is."""


class LogService(rpc.LogServicer):
    """One per node."""

    def __init__(self, store: Store, genesis: Genesis, genesis_file: bytes) -> None:
        self._store = store
        self._genesis = genesis
        self._genesis_file = genesis_file

    async def _read(self, context: Context, read: Callable[[Reads], T]) -> T:
        """Run `read` on one frozen view, on a thread."""

        def on_view() -> T:
            with self._store.snapshot() as view:
                return read(view)

        try:
            return await asyncio.to_thread(on_view)
        except _NotThere as error:
            await abort(context, code_pb2.OUT_OF_RANGE, "NOT_FINAL_HERE", str(error))
        except TreeNotHere as error:
            await abort(context, NotKept.code, Reason.NOT_KEPT.name, f"{error}; {self._advise()}")
        except ReadRefused as error:
            await abort(context, error.code, error.reason.name, str(error), **error.values)
        except StoreError:
            await abort_failed(context)

    def _advise(self) -> str:
        """Who is likely to have the log from its first leaf on: those who were there when it began."""
        names = [founder.participant for founder in self._genesis.founders if founder.contact is not None]
        return f"ask a node that was there from the first block ({', '.join(names)})" if names else "ask another node"

    async def GetCheckpoint(self, request: pb.GetCheckpointRequest, context: Context) -> pb.SignedCheckpoint:
        def read(view: Reads) -> pb.SignedCheckpoint:
            height = request.height or read_published(view)
            note = view.get(Family.BLOCKS, height_key(b"k", height))
            if not note:
                raise _NotThere(f"no checkpoint of height {height}; published are 1 to {read_published(view)}")
            return pb.SignedCheckpoint(height=height, size=read_size(view, height), note=note)

        return await self._read(context, read)

    async def GetEntries(self, request: pb.GetEntriesRequest, context: Context) -> pb.GetEntriesResponse:
        def read(view: Reads) -> pb.GetEntriesResponse:
            size = read_size(view, read_height(view))
            if request.first >= size:
                raise _NotThere(f"the final log has {size} leaves; leaf {request.first} is not among them")
            stop = min(size, request.first + min(request.most or ENTRIES_MAX, ENTRIES_MAX))
            found = view.get_many(Family.LEAVES, [leaf_key(i) for i in range(request.first, stop)])
            leaves = [leaf for leaf in takewhile(lambda leaf: leaf is not None, found) if leaf is not None]
            if not leaves:
                raise TreeNotHere(f"leaf {request.first}, below the snapshot this node joined from, is not fetched yet")
            return pb.GetEntriesResponse(leaves=leaves)

        return await self._read(context, read)

    async def GetBlock(self, request: pb.GetBlockRequest, context: Context) -> pb.BlockData:
        def read(view: Reads) -> pb.BlockData:
            leaf = view.get(Family.BLOCKS, height_key(b"h", request.height))
            if leaf is None and self._genesis.base < request.height <= read_height(view):
                raise TreeNotHere(f"block {request.height} lies below the snapshot this node joined from")
            if leaf is None:
                final = f"{self._genesis.base + 1} to {read_height(view)}"
                raise _NotThere(f"no block at {request.height}; final are {final}")
            certificate = view.get(Family.BLOCKS, height_key(b"c", request.height)) or b""
            entry = view.get(Family.BODIES, parse_header(leaf).entry) or b""
            return pb.BlockData(height=request.height, header=leaf, certificate=certificate, entry=entry)

        return await self._read(context, read)

    async def ProveInclusion(self, request: pb.ProveInclusionRequest, context: Context) -> pb.Proof:
        def read(view: Reads) -> pb.Proof:
            size = self._final_size(view, request.size)
            if request.index >= size:
                raise _NotThere(f"leaf {request.index} is not in the tree of size {size}")
            return pb.Proof(hashes=prove_inclusion(request.index, size, read_subtrees(view)), size=size)

        return await self._read(context, read)

    async def ProveConsistency(self, request: pb.ProveConsistencyRequest, context: Context) -> pb.Proof:
        def read(view: Reads) -> pb.Proof:
            size = self._final_size(view, request.to_size)
            if not 0 < request.from_size <= size:
                raise _NotThere(f"size {request.from_size} is not between 1 and {size}")
            return pb.Proof(hashes=prove_consistency(request.from_size, size, read_subtrees(view)), size=size)

        return await self._read(context, read)

    @staticmethod
    def _final_size(view: Reads, wanted: int) -> int:
        size = read_size(view, read_height(view))
        if wanted > size:
            raise _NotThere(f"the final log has {size} leaves, fewer than {wanted}")
        return wanted or size

    async def ProveTransaction(self, request: pb.ProveTransactionRequest, context: Context) -> pb.TransactionProof:
        return await self._read(context, lambda view: prove_transaction(view, request.participant, request.id))

    async def Export(self, request: pb.ExportRequest, context: Context) -> None:  # type: ignore[override]
        """Stream a bundle made from one frozen view."""
        try:
            view = self._store.snapshot()
        except StoreError:
            await abort_failed(context)
        try:
            pieces = await self._begin_export(view, request, context)
            while True:
                try:
                    piece = await asyncio.to_thread(next, pieces, None)
                except (ExportError, TreeNotHere) as error:
                    await abort(context, code_pb2.NOT_FOUND, "NOT_HERE", str(error))
                except StoreError:
                    await abort_failed(context)
                if piece is None:
                    return
                for at in range(0, len(piece), CHUNK_BYTES):
                    await context.write(pb.Chunk(data=piece[at : at + CHUNK_BYTES]))
        finally:
            view.close()

    async def _begin_export(self, view: Reads, request: pb.ExportRequest, context: Context) -> Iterator[bytes]:
        try:
            return self._export(view, request)
        except (ExportError, TreeNotHere) as error:
            await abort(context, code_pb2.NOT_FOUND, "NOT_HERE", str(error))

    def _export(self, view: Reads, request: pb.ExportRequest) -> Iterator[bytes]:
        to_height = request.to_height or read_published(view)
        if not request.account and not request.from_ms and not request.until_ms:
            return export_whole(view, self._genesis, to_height)
        account, until_ms = request.account or None, request.until_ms or None
        return export_cut(view, self._genesis, account, request.from_ms or None, until_ms, to_height)

    async def GetPolicy(self, request: pb.GetPolicyRequest, context: Context) -> pb.PolicyInForce:
        def read(view: Reads) -> pb.PolicyInForce:
            following = read_height(view) + 1
            if request.height > following:
                raise _NotThere(f"no policy of height {request.height} is decided; known are 1 to {following}")
            height = request.height or following
            reign = read_reign(view, self._genesis, height)
            handovers = [HANDOVER.encode(handover) for handover in read_handovers(view, height)]
            policy = read_policy_file(view, self._genesis, height)
            return pb.PolicyInForce(since=reign.since, policy=policy, handovers=handovers)

        return await self._read(context, read)

    async def ListEvidence(self, request: pb.ListEvidenceRequest, context: Context) -> pb.ListEvidenceResponse:
        def read(view: Reads) -> pb.ListEvidenceResponse:
            votes, engines = (list(scan_evidence(view, kind)) for kind in (VOTE_EVIDENCE, ENGINE_EVIDENCE))
            return pb.ListEvidenceResponse(votes=votes, engines=engines)

        return await self._read(context, read)

    async def GetGenesis(self, request: pb.GetGenesisRequest, context: Context) -> pb.Chunk:
        return pb.Chunk(data=self._genesis_file, total=len(self._genesis_file))
