"""An embedded log behind a real gRPC server on loopback, and readers that reach it over mutual TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import grpc.aio

from keeling import ed25519
from keeling.engine_word import EngineEvidence
from keeling.v1 import ordering_pb2_grpc
from network.channels import Channels
from network.transport import server_credentials, server_options
from node.callers import Callers, LongCalls, Members
from node.ordering.contract import LogId, Ordering
from node.ordering.engine import EmbeddedEngine, Home, Hosts
from node.ordering.hosted import HostedLog, HostSigner
from node.ordering.service import OrderingService
from tests.fakes.proxy import Proxy
from tests.network.party import Party, trust

NETWORK = bytes(range(32))
POLICY = bytes(32)
VALIDATORS = ("natreg", "exchange", "group", "bank")
LOG = LogId(4, POLICY.hex()[:16] + "-4")
"""Hosted by natreg, whose turn epoch 4 of four validators is."""
PARTIES = {name: Party(name) for name in (*VALIDATORS, "observer")}
TRUST = trust(*PARTIES.values())
SEEDS = {name: bytes([number]) * 32 for number, name in enumerate(PARTIES, 1)}


def entry_key(participant: str) -> bytes | None:
    return ed25519.public_key(SEEDS[participant]) if participant in SEEDS else None


class OrderingNode:
    """The ordering half of one participant's node: its engine, and the server for the logs it hosts."""

    def __init__(self, participant: str, folder: Path, addresses: dict[str, str]) -> None:
        self.participant = participant
        self.evidence: list[EngineEvidence] = []
        self.members = Members(VALIDATORS, ("observer",))
        self._addresses = addresses
        tls = folder / f"tls-{participant}"
        tls.mkdir(parents=True, exist_ok=True)
        self.files = PARTIES[participant].write(tls)
        self.channels = Channels(self.files, lambda: TRUST, lambda name: addresses.get(name, ""))
        seed = SEEDS[participant]
        signer = HostSigner(NETWORK, ed25519.public_key(seed), lambda message: ed25519.sign(seed, message))
        self.hosts = Hosts()
        self.hosts.add(POLICY, VALIDATORS)
        home = Home(participant, folder / participant, signer)
        self.engine = EmbeddedEngine(home, self.hosts, self.channels, entry_key, self.evidence.append, Random(1))
        self.instead: dict[LogId, HostedLog] = {}
        """Logs this node shows in the place of the right ones."""
        self._server: Any = None

    def open(self, log: LogId = LOG) -> Ordering:
        return self.engine.open(log)

    def _find(self, log: LogId) -> HostedLog:
        return self.instead.get(log) or self.engine.find_hosted(log)

    async def serve(self, port: int = 0) -> OrderingNode:
        self._server = grpc.aio.server(options=server_options())
        callers = Callers(lambda: TRUST, lambda: self.members, NETWORK)
        service = OrderingService(callers, self._find, LongCalls())
        ordering_pb2_grpc.add_OrderingServicer_to_server(service, self._server)
        bound = self._server.add_secure_port(f"127.0.0.1:{port}", server_credentials(self.files, lambda: TRUST))
        await self._server.start()
        self._addresses[self.participant] = f"127.0.0.1:{bound}"
        return self

    async def stop_serving(self) -> None:
        """As a killed process: calls end at once, and nobody is told why."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def close(self) -> None:
        await self.stop_serving()
        await self.engine.close()
        await self.channels.close()


Nodes = dict[str, OrderingNode]


class World:
    """The host, a proxy before it, and readers that go through the proxy."""

    def __init__(self, path: Path, proxy: Proxy) -> None:
        self.path = path
        self.proxy = proxy
        self.addresses: dict[str, str] = {}
        self.nodes: Nodes = {}

    async def start_host(self) -> OrderingNode:
        addresses: dict[str, str] = {}
        host = self.nodes["natreg"] = await OrderingNode("natreg", self.path, addresses).serve()
        self.proxy.target = addresses["natreg"]
        return host

    def reader(self, participant: str) -> OrderingNode:
        node = OrderingNode(participant, self.path, {"natreg": self.proxy.address})
        self.nodes[participant] = node
        return node

    async def close(self) -> None:
        for node in reversed(self.nodes.values()):
            await node.close()


Walk = Callable[[World], Awaitable[None]]


def run(path: Path, walk: Walk) -> None:
    async def everything() -> None:
        async with Proxy("127.0.0.1:1") as proxy:
            world = World(path, proxy)
            try:
                await walk(world)
            finally:
                await world.close()

    asyncio.run(asyncio.wait_for(everything(), 200))
