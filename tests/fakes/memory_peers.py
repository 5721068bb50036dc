"""Peers in one process: what one node sends, the others have at the next turn of the event loop.

A test takes nodes down and up and cuts links between them. No delay, no reordering, no loss on a link that is up: that
is the simulator's part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from node.peers.contract import FetchedBlock, FinalRecord, Member, Message, PeerFailed, Serving

T = TypeVar("T")


async def run_inline(work: Callable[[], T]) -> T:
    """In place of a thread: at once, after one turn of the event loop."""
    await asyncio.sleep(0)
    return work()


class MemoryNetwork:
    """The links between all nodes of a test."""

    def __init__(self) -> None:
        self._nodes: dict[str, Serving] = {}
        self._cut: set[frozenset[str]] = set()
        self.sent: list[tuple[str, str, Message]] = []
        """(from, to, message), in order, as far as a link was up."""

    def peers_of(self, participant: str) -> MemoryPeers:
        """The others, as `participant` reaches them."""
        return MemoryPeers(self, participant)

    def up(self, participant: str, node: Serving) -> None:
        """The node is there and everybody it can reach notices."""
        self._nodes[participant] = node
        for other in self.others(participant):
            self._connect(participant, other)

    def down(self, participant: str) -> None:
        """The node is gone: what is sent to it is lost."""
        self._nodes.pop(participant, None)

    def cut(self, one: str, other: str) -> None:
        """No message passes between these two."""
        self._cut.add(frozenset((one, other)))

    def heal(self) -> None:
        """All links that were cut work again."""
        cut, self._cut = self._cut, set()
        for pair in sorted(sorted(pair) for pair in cut):
            if all(name in self._nodes for name in pair):
                self._connect(*pair)

    def _connect(self, one: str, other: str) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(self._nodes[one].on_connected, other)
        loop.call_soon(self._nodes[other].on_connected, one)

    def others(self, participant: str) -> list[str]:
        return [name for name in self._nodes if name != participant and self._linked(participant, name)]

    def node(self, participant: str) -> Serving | None:
        return self._nodes.get(participant)

    def _linked(self, one: str, other: str) -> bool:
        return frozenset((one, other)) not in self._cut

    def deliver(self, sender: str, to: str, message: Message) -> None:
        if to in self.others(sender):
            self.sent.append((sender, to, message))
            asyncio.get_running_loop().call_soon(self._arrive, sender, to, message)

    def _arrive(self, sender: str, to: str, message: Message) -> None:
        if to in self._nodes:
            self._nodes[to].on_message(sender, message)


class MemoryPeers:
    """One node's `Peers`."""

    def __init__(self, network: MemoryNetwork, participant: str) -> None:
        self._network = network
        self._own = participant
        self._validators: set[str] = set()
        self._turn = 0

    def broadcast(self, message: Message) -> None:
        for name in self._network.others(self._own):
            if name in self._validators:
                self._network.deliver(self._own, name, message)

    def announce(self, message: Message) -> None:
        for name in self._network.others(self._own):
            self._network.deliver(self._own, name, message)

    def send(self, participant: str, message: Message) -> None:
        self._network.deliver(self._own, participant, message)

    async def follow(self, height: int) -> AsyncIterator[tuple[FinalRecord, ...]]:
        name, node = self._next()
        async for page in node.final_from(height):
            if self._network.node(name) is not node or name not in self._network.others(self._own):
                break
            yield page
        raise PeerFailed(f"{name} is gone")

    async def fetch_block(self, height: int, root: bytes) -> FetchedBlock | None:
        for _ in self._network.others(self._own):
            _, node = self._next()
            found = await node.block_at(height, root)
            if found is not None:
                return found
        return None

    def _next(self) -> tuple[str, Serving]:
        """Another one at each call."""
        names = self._network.others(self._own)
        if not names:
            raise PeerFailed("nobody is there")
        self._turn += 1
        name = names[self._turn % len(names)]
        node = self._network.node(name)
        if node is None:
            raise PeerFailed(f"{name} is gone")
        return name, node

    def set_members(self, members: Sequence[Member]) -> None:
        self._validators = {member.participant for member in members if member.validator}

    async def close(self) -> None:
        """There is nothing to give free."""
