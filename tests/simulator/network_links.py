"""Links between simulated nodes: late, twice, out of order or not at all; cut in two by partitions.

Nothing is carried here that the real transport would not carry; who gets what is decided as the contract says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from random import Random

from node.peers.contract import FetchedBlock, FinalRecord, Member, Message, PeerFailed, Serving
from node.store.contract import StoreError
from tests.simulator.network_weather import Weather

Hear = Callable[[str, str, Message], None]
"""(from, to, message): everything that is sent, whether or not it arrives."""


class SimulatedNetwork:
    """All links. A node that is down is in nobody's list."""

    def __init__(self, weather: Weather, random: Random, hear: Hear) -> None:
        self.weather = weather
        self.random = random
        self.hear = hear
        self.nodes: dict[str, Serving] = {}
        self.sides: dict[str, int] = {}
        """In a partition, the side a node is on."""
        self.paused: dict[str, float] = {}
        """Nodes that stand still, until this time."""

    def peers_of(self, participant: str) -> SimulatedPeers:
        return SimulatedPeers(self, participant)

    def up(self, participant: str, node: Serving) -> None:
        self.nodes[participant] = node
        self._greet([participant])

    def down(self, participant: str) -> None:
        self.nodes.pop(participant, None)

    def split(self) -> None:
        """Two sides, drawn."""
        self.sides = {name: self.random.randrange(2) for name in sorted(self.nodes)}

    def join(self) -> None:
        self.sides = {}
        self._greet(list(self.nodes))

    def linked(self, one: str, other: str) -> bool:
        both_up = one in self.nodes and other in self.nodes
        return one != other and both_up and self.sides.get(one) == self.sides.get(other)

    def reachable(self, participant: str) -> list[str]:
        return [name for name in self.nodes if self.linked(participant, name)]

    def post(self, sender: str, to: str, message: Message) -> None:
        """One message, over the network."""
        self.hear(sender, to, message)
        if not self.linked(sender, to):
            return
        for _ in range(2 if self.random.random() < self.weather.duplicates else 1):
            if self.random.random() >= self.weather.loss:
                node = self.nodes[to]
                self._later(to, partial(self._arrive, node, sender, to, message))

    def whisper(self, sender: str, to: str, message: Message) -> None:
        """A message of somebody who runs no node of ours, and whom neither partitions nor bad links stop."""
        node = self.nodes.get(to)
        if node is not None:
            self._later(to, partial(self._arrive, node, sender, to, message))

    def _arrive(self, node: Serving, sender: str, to: str, message: Message) -> None:
        if self.nodes.get(to) is node:
            node.on_message(sender, message)

    def _later(self, to: str, action: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + self.random.uniform(0.0005, max(self.weather.delay_s, 0.001))
        loop.call_at(max(at, self.paused.get(to, 0.0)), action)

    def _greet(self, names: Sequence[str]) -> None:
        for one in names:
            for other in self.reachable(one):
                for here, there in ((one, other), (other, one)):
                    node = self.nodes[here]
                    self._later(here, partial(self._connected, node, here, there))

    def _connected(self, node: Serving, here: str, there: str) -> None:
        if self.nodes.get(here) is node and self.linked(here, there):
            node.on_connected(there)

    async def delay(self, to: str) -> None:
        """What a question takes one way."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.random.uniform(0.0005, max(self.weather.delay_s, 0.001)))
        await asyncio.sleep(max(0.0, self.paused.get(to, 0.0) - loop.time()))


class SimulatedPeers:
    """`node.peers.contract.Peers` of one node."""

    def __init__(self, network: SimulatedNetwork, participant: str) -> None:
        self._network = network
        self._own = participant
        self._validators: list[str] = []

    def broadcast(self, message: Message) -> None:
        for name in self._validators:
            if name != self._own:
                self._network.post(self._own, name, message)

    def announce(self, message: Message) -> None:
        for name in list(self._network.nodes):
            if name != self._own:
                self._network.post(self._own, name, message)

    def send(self, participant: str, message: Message) -> None:
        self._network.post(self._own, participant, message)

    async def follow(self, height: int) -> AsyncIterator[tuple[FinalRecord, ...]]:
        name, node = self._choose()
        pages = node.final_from(height)
        while True:
            asked = asyncio.ensure_future(anext(pages))
            while not asked.done():
                await asyncio.wait([asked], timeout=0.5)
                if not self._reaches(name, node):
                    asked.cancel()
                    raise PeerFailed(f"{name} is gone")
            try:
                page = asked.result()
            except (StopAsyncIteration, StoreError) as error:
                raise PeerFailed(f"{name} is gone") from error
            await self._network.delay(self._own)
            if not self._reaches(name, node) or self._network.random.random() < self._network.weather.loss:
                raise PeerFailed(f"{name} is gone")
            yield page

    def _reaches(self, name: str, node: Serving) -> bool:
        return self._network.nodes.get(name) is node and self._network.linked(self._own, name)

    async def fetch_block(self, height: int, root: bytes) -> FetchedBlock | None:
        for _ in self._network.reachable(self._own):
            name, node = self._choose()
            await self._network.delay(name)
            found = await node.block_at(height, root)
            await self._network.delay(self._own)
            if found is not None and self._network.linked(self._own, name):
                return found
        return None

    def set_members(self, members: Sequence[Member]) -> None:
        self._validators = [member.participant for member in members if member.validator]

    async def close(self) -> None:
        """Nothing to give free."""

    def _choose(self) -> tuple[str, Serving]:
        names = self._network.reachable(self._own)
        if not names:
            raise PeerFailed("nobody can be reached")
        name = self._network.random.choice(names)
        return name, self._network.nodes[name]
