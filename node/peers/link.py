"""One open link between two nodes: a bounded queue out, messages in, and a watch on both being alive.

The same on both ends, whoever opened it; opening, choosing and closing links is in `links` and `service`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from keeling.v1 import peers_pb2 as pb
from node.peers.contract import Message, TipMessage
from node.peers.wire import WORDS_MAX, BadMessage, format_message, parse_message

QUEUE_MESSAGES_MAX: Final = 512
QUEUE_BYTES_MAX: Final = 8 << 20
PING_S: Final = 5.0
SILENCE_S: Final = 15.0


class LinkSilent(Exception):
    """The other end said nothing for too long, or broke off. The text says which."""


class Outbox:
    """What waits to be sent to one node. When it is full the oldest goes: it is said again if it still matters."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Message | pb.Ping, pb.PeerMessage, int]] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self.dropped = 0
        """Messages that were never sent, for metrics."""

    def put(self, message: Message) -> None:
        """Queue a message; a newer tip takes the place of an older one."""
        self._put(message, format_message(message))

    def ping(self, words: list[bytes]) -> None:
        """Queue a sign of life with the newest words of ordering logs; it takes the place of an older one."""
        said = pb.Ping(words=words[:WORDS_MAX])
        self._put(said, pb.PeerMessage(ping=said))

    def _put(self, message: Message | pb.Ping, raw: pb.PeerMessage) -> None:
        if isinstance(message, (TipMessage, pb.Ping)):
            self._drop(type(message))
        self._waiting.append((message, raw, raw.ByteSize()))
        self._bytes += raw.ByteSize()
        while len(self._waiting) > QUEUE_MESSAGES_MAX or self._bytes > QUEUE_BYTES_MAX:
            self._bytes -= self._waiting.popleft()[2]
            self.dropped += 1
        self._filled.set()

    async def take(self) -> pb.PeerMessage:
        """The oldest message, as soon as there is one."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        _, raw, size = self._waiting.popleft()
        self._bytes -= size
        return raw

    def _drop(self, unwanted: type) -> None:
        kept = [item for item in self._waiting if not isinstance(item[0], unwanted)]
        self._bytes = sum(size for _, _, size in kept)
        self._waiting = deque(kept)


class Hooks(NamedTuple):
    """What a link does with what it hears, and says when there is nothing to say."""

    on_message: Callable[[str, Message], None]
    words: Callable[[], list[bytes]]
    """The newest words of hosts of ordering logs, for the other end to compare."""
    on_words: Callable[[str, list[bytes]], None]


class Link:
    """One link to `participant`, from Hello to its end."""

    def __init__(self, participant: str, hooks: Hooks) -> None:
        self.participant = participant
        self.outbox = Outbox()
        self.refused = 0
        """Messages from the other end that were none, for metrics."""
        self._hooks = hooks
        self._heard_at = 0.0
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(self, why: str) -> None:
        """Have `run` end."""
        if not self._ended.done():
            self._ended.set_result(why)

    async def run(
        self, read: Callable[[], Awaitable[pb.PeerMessage | None]], write: Callable[[pb.PeerMessage], Awaitable[None]]
    ) -> None:
        """Send and take messages until the link ends. `read` gives None at the end. Raises `LinkSilent`, and whatever
        `read` and `write` raise."""
        tasks = [asyncio.create_task(part) for part in (self._take(read), self._send(write), self._watch())]
        try:
            ends: list[asyncio.Future[Any]] = [*tasks, self._ended]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
            if self._ended.done():
                raise LinkSilent(self._ended.result())
        finally:
            for task in tasks:
                task.add_done_callback(look_at)  # a server's read ends only with its call, so nobody waits for it here
                task.cancel()

    async def _watch(self) -> None:
        """Say something now and then, and notice when the other end does not. One timer, none for each message."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        while loop.time() < self._heard_at + SILENCE_S:
            self.outbox.ping(self._hooks.words())
            await asyncio.sleep(PING_S)
        raise LinkSilent(f"nothing heard for {SILENCE_S:.0f} seconds")

    async def _send(self, write: Callable[[pb.PeerMessage], Awaitable[None]]) -> None:
        while True:
            await write(await self.outbox.take())

    async def _take(self, read: Callable[[], Awaitable[pb.PeerMessage | None]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            raw = await read()
            if raw is None:
                raise LinkSilent("the other end closed the link")
            self._heard_at = loop.time()
            try:
                message = parse_message(raw)
            except BadMessage:
                self.refused += 1
                continue
            if isinstance(message, pb.Ping):
                self._hooks.on_words(self.participant, list(message.words)[:WORDS_MAX])
            else:
                self._hooks.on_message(self.participant, message)


def look_at(ended: asyncio.Future[Any]) -> None:
    """Take note of how an abandoned task ended: its error is that of a link that is over."""
    if not ended.cancelled():
        ended.exception()
