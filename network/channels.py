"""One secured channel to each participant this node calls, opened anew when certificate, trust or address change.

Links come and go here, and how long to wait before trying again is decided here; what is said over them is not. A
certificate that ended, a withdrawn key or a missing address costs the one link and is said in one line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final, NamedTuple, TypeVar

import grpc
import grpc.aio

from network.certificates import CertificateError
from network.transport import (
    CALL_BYTES_MAX,
    Destination,
    TlsFiles,
    TlsIdentity,
    client_credentials,
    client_options,
)
from network.trust import Trust

T = TypeVar("T")
RECONNECT_MS_MAX: Final = 2_000
"""A peer that is back is reached within about this long."""
CLOSE_S: Final = 5.0
"""Calls on a channel that was replaced have this long to end."""


class LinkDown(Exception):
    """No answer came over the link; whether the call had an effect is unknown. The text says why."""


class _Link(NamedTuple):
    address: str
    keys: tuple[bytes, ...]
    identity: TlsIdentity
    channel: grpc.aio.Channel


class Pace:
    """How long to wait before the next try: growing from 50 ms to 2 s, drawn at random so that peers do not call in
    step, and short again after a success."""

    FIRST_S: Final = 0.05
    LONGEST_S: Final = 2.0

    def __init__(self, random: Random) -> None:
        self._random = random
        self._tries = 0

    def succeed(self) -> None:
        """The last try worked."""
        self._tries = 0

    async def pause(self) -> None:
        """Wait before the next try."""
        longest = min(self.LONGEST_S, self.FIRST_S * 2 ** min(self._tries, 10))
        self._tries += 1
        await asyncio.sleep(longest * (0.5 + self._random.random() / 2))


class Channels:
    """Channels by participant. Owned by one event loop."""

    def __init__(
        self,
        files: TlsFiles,
        trust: Callable[[], Trust],
        address_of: Callable[[str], str],
        reply_bytes_max: int = CALL_BYTES_MAX,
    ) -> None:
        """`address_of` gives where a participant's node listens, "" if nobody said."""
        self._files = files
        self._trust = trust
        self._address_of = address_of
        self._reply_bytes_max = reply_bytes_max
        self._links: dict[str, _Link] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def open(self, participant: str) -> grpc.aio.Channel:
        """The channel to `participant`, as certificate, trust and address are now. Ask for it before every call.

        Raises `LinkDown` where there is no address or no key to know the participant by.
        """
        address, trust, identity = self._address_of(participant), self._trust(), self._files.current()
        if not address:
            raise LinkDown(f"no address of {participant} is known: give it in [[peers]] of node.toml")
        link = self._links.get(participant)
        keys = trust.keys_of(participant)
        if link is not None and (link.address, link.keys) == (address, keys) and link.identity is identity:
            return link.channel
        self.drop(participant)
        destination = Destination(address, participant, trust, identity)
        try:
            credentials = client_credentials(destination)
        except CertificateError as error:
            raise LinkDown(str(error)) from error
        options = dict(client_options(participant, self._reply_bytes_max))
        options["grpc.max_reconnect_backoff_ms"] = RECONNECT_MS_MAX
        channel = grpc.aio.secure_channel(address, credentials, list(options.items()))
        self._links[participant] = _Link(address, keys, identity, channel)
        return channel

    def drop(self, participant: str) -> None:
        """Let the calls to `participant` end, and open a new channel when it is asked for again."""
        link = self._links.pop(participant, None)
        if link is not None:
            task = asyncio.create_task(link.channel.close(CLOSE_S))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End every call and channel."""
        links, self._links = list(self._links.values()), {}
        await asyncio.gather(*(link.channel.close() for link in links), *self._closing, return_exceptions=True)


async def answer_of(call: Awaitable[T]) -> T:
    """What a call answers. Raises `LinkDown` when it does not, also for a channel that was closed under it; a gRPC
    error keeps its place as the cause. Only a task that is being cancelled sees `CancelledError`."""
    try:
        return await call
    except grpc.RpcError as error:
        raise LinkDown(describe_error(error)) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise LinkDown("the channel was closed") from error


def describe_error(error: grpc.RpcError) -> str:
    """A failed call in one line."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return str(error) or type(error).__name__
    return f"{error.code().name}: {error.details()}"
