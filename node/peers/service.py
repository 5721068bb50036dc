"""The Peers service over gRPC: what other nodes ask of this one (`keeling/v1/peers.proto`).

Who may call is decided in `node.callers`; what is answered comes from the replica, `contract.Serving`. A caller cannot
hold more calls than a node has use for, and one that does not read is waited for without anything piling up.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc.aio
from google.rpc import code_pb2

from keeling.v1 import peers_pb2 as pb
from keeling.v1 import peers_pb2_grpc as rpc
from node.callers import Callers, LongCalls
from node.errors import abort
from node.peers.contract import FinalRecord, PeerFailed, Serving
from node.peers.link import Link, LinkSilent
from node.peers.links import HELLO_S, PeerLinks
from node.peers.wire import HelloRefused, check_hello, format_candidate, format_hello, split_records

Context = Any
CALLS_MAX: Final = 8
"""Calls of one kind that one caller may have open; it needs one, and those it lost without our noticing yet."""
HEIGHT_MAX: Final = (1 << 63) - 1
CHECK_S: Final = 5.0


class PeersService(rpc.PeersServicer):
    """One per node."""

    def __init__(
        self, callers: Callers, links: PeerLinks, serving: Serving, release: str, long_calls: LongCalls
    ) -> None:
        self._callers = callers
        self._long_calls = long_calls
        self._links = links
        self._serving = serving
        self._release = release
        self._open: Counter[tuple[str, str]] = Counter()

    async def Exchange(self, request_iterator: Any, context: Context) -> None:  # type: ignore[override]
        participant = await self._callers.member(context)

        async def read() -> pb.PeerMessage | None:
            message: Any = await context.read()
            return None if message is grpc.aio.EOF else message

        async with self._counted(participant, "Exchange", context):
            await self._greet(read, context)
            link = Link(participant, self._links.hooks)
            self._links.add(link, ours=False)
            watching = asyncio.create_task(self._watch(link, context))
            try:
                await self._long_calls.serve(link.run(read, context.write), context)
            except LinkSilent as error:
                self._links.remove(link, str(error))
                await abort(context, code_pb2.UNAVAILABLE, "LINK_ENDED", str(error))
            finally:
                watching.cancel()
                self._links.remove(link, "the other end went away")

    async def FollowFinal(self, request: pb.FollowFinalRequest, context: Context) -> None:  # type: ignore[override]
        participant = await self._callers.member(context)
        await self._callers.check_network(context, request.network)
        if not 0 < request.height <= HEIGHT_MAX:
            await abort(context, code_pb2.INVALID_ARGUMENT, "BAD_HEIGHT", "heights begin at 1")
        async with self._counted(participant, "FollowFinal", context):
            pages = self._serving.final_from(request.height)
            try:
                await self._long_calls.serve(self._show(pages, context), context)
            except PeerFailed as error:
                await abort(context, code_pb2.OUT_OF_RANGE, "NOT_KEPT", str(error))
            finally:
                if isinstance(pages, AsyncGenerator):
                    await pages.aclose()

    async def GetCandidate(self, request: pb.GetCandidateRequest, context: Context) -> pb.Candidate:
        participant = await self._callers.validator(context)
        await self._callers.check_network(context, request.network)
        if request.height > HEIGHT_MAX or len(request.root) != 32:
            await abort(context, code_pb2.INVALID_ARGUMENT, "BAD_CANDIDATE", "a height and a root of 32 bytes")
        async with self._counted(participant, "GetCandidate", context):
            block = await self._serving.block_at(request.height, request.root)
        if block is None:
            text = f"this node did not execute a block at {request.height} that makes {request.root.hex()}"
            await abort(context, code_pb2.NOT_FOUND, "NOT_EXECUTED", text)
        return format_candidate(block)

    async def _show(self, pages: AsyncIterator[tuple[FinalRecord, ...]], context: Context) -> None:
        """Page after page, for ever."""
        async for records in pages:
            for page in split_records(records):
                await context.write(page)
            await self._callers.member(context)

    async def _greet(self, read: Any, context: Context) -> None:
        """Hello on both sides; a refused one is told why."""
        try:
            async with asyncio.timeout(HELLO_S):
                first = await read()
                check_hello(first or pb.PeerMessage(), self._callers.network)
                await context.write(format_hello(self._callers.network, self._release))
        except HelloRefused as error:
            await abort(context, code_pb2.FAILED_PRECONDITION, error.reason, str(error))
        except TimeoutError:
            await abort(context, code_pb2.DEADLINE_EXCEEDED, "NO_HELLO", f"no Hello within {HELLO_S:.0f} seconds")
        if not self._links.is_serving():
            await abort(context, code_pb2.UNAVAILABLE, "NOT_READY", "this node is starting or stopping: try again")

    async def _watch(self, link: Link, context: Context) -> None:
        """End the link of a participant that is trusted no more."""
        while self._callers.is_member(context):
            await asyncio.sleep(CHECK_S)
        link.end(f"{link.participant} is no member any more")

    @asynccontextmanager
    async def _counted(self, participant: str, call: str, context: Context) -> AsyncIterator[None]:
        if self._open[participant, call] >= CALLS_MAX:
            text = f"{CALLS_MAX} calls of {participant} are open: end one of them"
            await abort(context, code_pb2.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS", text)
        self._open[participant, call] += 1
        try:
            yield
        finally:
            self._open[participant, call] -= 1
