"""Whole nodes of several organisations on loopback: folders founded as operators found them, real stores, gRPC, TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import grpc.aio

from keeling.genesis import Founder, Succession
from keeling.v1 import ledger_pb2 as pb
from network.config import NodeConfig, load_config
from network.folders import NodeFolder, NodeIdentity, install_genesis
from network.founding import FoundingNode, build_genesis, prepare_node
from network.keys import Role, Signer, load_key_file
from network.profiles import open_destination, profile_of
from network.transport import open_aio_channel
from node.server import Node
from node.verify import Verifier
from tests.fakes.clients import Client
from tests.fakes.real_node import free_port, grants
from tests.fakes.world import Person

ORIGIN = "ledger.example/four"


class _SharedVerifier(Verifier):
    """The processes that check signatures take seconds to start: the nodes of one test share them."""

    started = False

    async def start(self) -> None:
        if not self.started:
            self.started = True
            await super().start()

    def close(self) -> None:
        """A node that stops closes its own."""

    def close_for_good(self) -> None:
        super().close()


class Operator(NamedTuple):
    """Somebody with a key from a file, as `Client` wants people."""

    participant: str
    signer: Signer

    @property
    def key(self) -> bytes:
        return self.signer.public_key

    def sign(self, message: bytes) -> bytes:
        return self.signer.sign(message)


class RealNetwork:
    """Nodes by participant, started and stopped by a test. The registry, the first, keeps the standard records."""

    def __init__(
        self,
        root: Path,
        participants: Sequence[str],
        people: list[Person],
        observers: Sequence[str] = (),
        change: Callable[[NodeConfig], NodeConfig] = lambda config: config,
        origin: str = ORIGIN,
        succeeds: Succession | None = None,
    ) -> None:
        """`change` is made to every node's configuration as it starts. `succeeds`: the network it goes on from."""
        self.root = root
        self.origin = origin
        self.people = people
        self.nodes: dict[str, Node] = {}
        self._change = change
        self._verifier = _SharedVerifier(1)
        self._channels: list[grpc.aio.Channel] = []
        now = datetime.now(UTC)
        founding = [
            FoundingNode(
                prepare_node(root / name, origin, name, f"127.0.0.1:{free_port()}", "", now, None),
                name.title(),
                ("registry",) if name == participants[0] else ("group",),
                name not in observers,
            )
            for name in (*participants, *observers)
        ]
        outsiders = sorted({person.participant for person in people} - {node.identity.participant for node in founding})
        others = [Founder(name, name.title(), ("group",), grants(people, name)) for name in outsiders]
        genesis = build_genesis(founding, others, now, succeeds)
        self.identities = {node.identity.participant: node.identity for node in founding}
        for name in self.identities:
            install_genesis(NodeFolder(root / name), genesis, ())
        self.genesis = genesis

    def prepare(self, name: str) -> NodeIdentity:
        """A node that nobody has admitted: its own keys and the genesis file, and nothing of the others."""
        root = self.root / name
        identity = prepare_node(root, self.origin, name, f"127.0.0.1:{free_port()}", "", datetime.now(UTC), None)
        install_genesis(NodeFolder(root), self.genesis, ())
        self.identities[name] = identity
        return identity

    def operator(self, name: str) -> Operator:
        """Who holds the submission key of a node."""
        return Operator(name, load_key_file(NodeFolder(self.root / name).key(Role.SUBMISSION), role=Role.SUBMISSION))

    async def start(self, *names: str) -> None:
        """Start these nodes, or all, at the same time."""
        await self._verifier.start()
        with patch("node.server.Verifier", lambda _: self._verifier):
            await asyncio.gather(*(self._start(name) for name in names or self.identities))

    async def _start(self, name: str) -> None:
        config = self._change(load_config(NodeFolder(self.root / name).config, {}))
        node = self.nodes[name] = Node(config, None)
        await node.start()

    async def stop(self, *names: str) -> None:
        """Stop these nodes, or all that run."""
        for channel in self._channels if not names else ():
            await channel.close()
        for name in names or list(self.nodes):
            await self.nodes.pop(name).stop()
        if not names:
            self._verifier.close_for_good()

    def client(self, name: str) -> Client:
        """Somebody with an account at everybody's who calls the node of `name`."""
        profile = profile_of(NodeFolder(self.root / name), self.identities[name])
        channel = open_aio_channel(open_destination(profile))
        self._channels.append(channel)
        return Client(channel, self.genesis, [*self.people, *(self.operator(each) for each in self.identities)])

    async def status(self, name: str) -> pb.Status:
        client = self.client(name)
        status: pb.Status = await client.ledger.GetStatus(pb.GetStatusRequest())
        return status

    async def settled(self, names: Sequence[str] = (), height: int = 0) -> int:
        """Wait until these nodes, or all that run, have the same final height, and `height` at least."""
        chosen = [self.nodes[name] for name in names or self.nodes]
        async with asyncio.timeout(60):
            while True:
                heights = {node.replica.height for node in chosen if node.replica is not None}
                if len(heights) == 1 and max(heights) >= height:
                    return heights.pop()
                await asyncio.sleep(0.02)
