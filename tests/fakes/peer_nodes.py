"""Nodes of a test that are nothing but their links: real gRPC and TLS on loopback, and a replica that takes notes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import grpc.aio

from keeling.v1 import peers_pb2_grpc
from network.channels import Channels
from network.transport import server_credentials, server_options
from node.callers import Callers, LongCalls, Members
from node.peers.contract import FetchedBlock, FinalRecord, Member, Message, PeerFailed
from node.peers.links import PeerLinks, Setup
from node.peers.service import PeersService
from tests.fakes.ordering_hosts import NETWORK, PARTIES, TRUST, VALIDATORS


def record(height: int, size: int = 10) -> FinalRecord:
    return FinalRecord(b"header %d" % height, b"certificate %d" % height, b"e" * size, b"note %d" % height)


class NotingReplica:
    """A `Serving` with final blocks 1 to `height`, and some candidates."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Message]] = []
        self.connected: list[str] = []
        self.height = 0
        self.first = 1
        self.entry_bytes = 10
        self.candidates: dict[tuple[int, bytes], FetchedBlock] = {}
        self.following = 0
        self.given = 0
        self._changed = asyncio.Event()

    def on_message(self, sender: str, message: Message) -> None:
        self.heard.append((sender, message))
        self._changed.set()

    def on_connected(self, participant: str) -> None:
        self.connected.append(participant)
        self._changed.set()

    def finish(self, height: int) -> None:
        """Blocks up to `height` are final."""
        self.height = height
        self._changed.set()

    async def until(self, condition: Any) -> None:
        """Wait until `condition()` after something happened here."""
        async with asyncio.timeout(60):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def final_from(self, height: int) -> AsyncIterator[tuple[FinalRecord, ...]]:
        if height < self.first:
            raise PeerFailed(f"blocks below {self.first} were pruned here")
        self.following += 1
        try:
            while True:
                while height > self.height:
                    self._changed.clear()
                    await self._changed.wait()
                stop = min(self.height, height + 63)
                self.given = stop
                yield tuple(record(at, self.entry_bytes) for at in range(height, stop + 1))
                height = stop + 1
        finally:
            self.following -= 1

    async def block_at(self, height: int, root: bytes) -> FetchedBlock | None:
        return self.candidates.get((height, root))


class PeerNode:
    """One participant. `addresses` are shared by the nodes of a test and say where each is reached."""

    def __init__(self, participant: str, folder: Path, addresses: dict[str, str], network: bytes = NETWORK) -> None:
        self.participant = participant
        self.replica = NotingReplica()
        self.members = Members(VALIDATORS, ("observer",))
        self.trust = TRUST
        self.words: list[bytes] = []
        self.compared: list[bytes] = []
        self.network = network
        self._addresses = addresses
        folder = folder / participant
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.files = PARTIES[participant].write(folder)
        self.channels = Channels(self.files, lambda: self.trust, self._address_of)
        setup = Setup(
            participant,
            network,
            "0.1.0",
            self.channels,
            addresses,
            Random(participant),
            lambda: self.words,
            self.compared.append,
        )
        self.links = PeerLinks(setup)
        self.links.serve(self.replica)
        self._server: Any = None

    def _address_of(self, participant: str) -> str:
        return self.links.address_of(participant)

    async def start(self, *others: str, port: int = 0) -> PeerNode:
        """Listen, and open links to `others` (everybody, if none is named)."""
        self._server = grpc.aio.server(options=server_options())
        callers = Callers(lambda: self.trust, lambda: self.members, self.network)
        service = PeersService(callers, self.links, self.replica, "0.1.0", LongCalls())
        peers_pb2_grpc.add_PeersServicer_to_server(service, self._server)
        bound = self._server.add_secure_port(f"127.0.0.1:{port}", server_credentials(self.files, lambda: self.trust))
        await self._server.start()
        self._addresses.setdefault(self.participant, f"127.0.0.1:{bound}")
        self.address = f"127.0.0.1:{bound}"
        self.set_members(*others)
        return self

    def set_members(self, *others: str) -> None:
        names = others or (*VALIDATORS, "observer")
        self.links.set_members([Member(name, "", b"", name in VALIDATORS) for name in names])

    async def connected(self, *others: str) -> None:
        """Wait until there is a link to each of `others`."""

        def linked() -> bool:
            states = {state.participant: state.connected for state in self.links.describe()}
            return all(states.get(other) for other in others)

        await self.replica.until(linked)

    async def kill(self) -> None:
        """As a killed process: everything ends at once."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
        await self.links.close()
        await self.channels.close()


class World:
    """The nodes of a test, which learn each other's addresses as they start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.addresses: dict[str, str] = {}
        self.nodes: list[PeerNode] = []

    def make(self, participant: str, **how: Any) -> PeerNode:
        node = PeerNode(participant, self.folder, self.addresses, **how)
        self.nodes.append(node)
        return node

    async def start(self, *participants: str) -> list[PeerNode]:
        """Nodes that know each other's addresses and are linked."""
        nodes = [await self.make(participant).start() for participant in participants]
        for node in nodes:
            node.set_members()
        for node in nodes:
            await node.connected(*(name for name in participants if name != node.participant))
        return nodes


def run(folder: Path, walk: Callable[[World], Awaitable[None]]) -> None:
    async def everything() -> None:
        world = World(folder)
        try:
            await walk(world)
        finally:
            for node in world.nodes:
                await node.kill()

    asyncio.run(asyncio.wait_for(everything(), 200))


def problem_of(node: PeerNode, other: str) -> str:
    return next(state.problem for state in node.links.describe() if state.participant == other)


async def until_problem(node: PeerNode, other: str, text: str) -> None:
    async with asyncio.timeout(60):
        while text not in problem_of(node, other):
            await asyncio.sleep(0.02)
