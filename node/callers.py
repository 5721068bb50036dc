"""Who calls a service that is only for members of the consortium: known by certificate, allowed by the ledger.

Clients' services check signatures on what is handed in and need none of this (`node.door`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, NamedTuple

from google.rpc import code_pb2

from network.trust import NotTrusted, Trust, peer_identity
from node.errors import abort


class Members(NamedTuple):
    """Participants that run a node, by what the ledger says now."""

    validators: Collection[str]
    observers: Collection[str] = ()


class Callers:
    """Decides it for every call, and again within long ones: a connection outlives a change of trust."""

    def __init__(self, trust: Callable[[], Trust], members: Callable[[], Members], network: bytes) -> None:
        self._trust = trust
        self._members = members
        self.network = network

    async def validator(self, context: Any) -> str:
        """The calling participant, which is a validator in force; ends the call otherwise."""
        participant = await self._participant(context)
        if participant not in self._members().validators:
            text = f"{participant} is no validator now: only validators take part in ordering and voting"
            await abort(context, code_pb2.PERMISSION_DENIED, "NOT_A_VALIDATOR", text)
        return participant

    async def member(self, context: Any) -> str:
        """The calling participant, which is a validator or observer in force; ends the call otherwise."""
        participant = await self._participant(context)
        members = self._members()
        if participant not in members.validators and participant not in members.observers:
            text = f"{participant} runs no node of this network: have it admitted as observer or validator"
            await abort(context, code_pb2.PERMISSION_DENIED, "NOT_A_MEMBER", text)
        return participant

    def is_member(self, context: Any) -> bool:
        """Whether the caller is a validator or observer in force."""
        try:
            participant = peer_identity(context, self._trust()).participant
        except NotTrusted:
            return False
        members = self._members()
        return participant in members.validators or participant in members.observers

    async def check_network(self, context: Any, network: bytes) -> None:
        """End a call that is meant for another network."""
        if network != self.network:
            text = (
                f"this node is of network {self.network.hex()}, the call is for {network.hex() or 'none'}: compare the "
                "genesis files"
            )
            await abort(context, code_pb2.FAILED_PRECONDITION, "OTHER_NETWORK", text)

    async def _participant(self, context: Any) -> str:
        try:
            return peer_identity(context, self._trust()).participant
        except NotTrusted as error:
            await abort(context, code_pb2.PERMISSION_DENIED, "NOT_TRUSTED", str(error))


class LongCalls:
    """Calls of other nodes that last as long as both sides live. When this node stops it ends them, not a time-out."""

    def __init__(self) -> None:
        self._open: set[asyncio.Task[None]] = set()
        self._ended = False

    async def serve(self, work: Coroutine[Any, Any, None], context: Any) -> None:
        """Do the work of one call; end the call when this node stops."""
        task = asyncio.create_task(work)
        self._open.add(task)
        try:
            await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if not self._ended or (caller is not None and caller.cancelling()):
                task.cancel()
                raise
            await abort(context, code_pb2.UNAVAILABLE, "STOPPING", "this node is stopping: try again")
        finally:
            self._open.discard(task)

    def end(self) -> None:
        """End them all; their callers look for this node again."""
        self._ended = True
        for task in list(self._open):
            task.cancel()
