"""The JetStream engine: every epoch's log is a replicated stream of a NATS cluster that several organisations run.

Here is what the driver asks of a cluster before it trusts it even for progress, and how a stream plays a log: the
stream's sequence is the position, the entry's digest the message id, so that the same bytes again are one message. The
calls of one log are in `stream_log`, the settings for operators in docs/jetstream.md; what NATS does wrong without them
is known from published fault tests (Jepsen on NATS 2.12.1). Nothing here is trusted: see docs/finality.md.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from network.channels import LinkDown
from network.jetstream_servers import inbox_prefix
from network.trust import Trust, build_roots
from node.ordering.contract import LogClosed, LogId, LogUnreachable, Ordering, OrderingError

if TYPE_CHECKING:
    import aiohttp

log = structlog.get_logger()
OLDEST_SERVER: Final = (2, 14, 0)
"""Older ones lose or forget streams in ways that no setting prevents."""
CONNECT_S: Final = 5.0
CHECK_S: Final = 3.0


class EngineRefused(OrderingError):
    """The cluster is not set up so that it could be trusted to keep what it confirms. The text says what to change."""


class JetStreamSettings(NamedTuple):
    """Which cluster, and how this node is known there."""

    servers: tuple[str, ...]
    """URLs, tls://host:port."""
    monitoring: tuple[str, ...]
    """The monitoring URLs of the servers, where their settings are read."""
    nkey: Path
    """File with this member's seed."""
    tls_key: Path
    tls_certificate: Path
    passphrase: str | None = None
    replicas: int = 3
    deletes: bool = False
    """Whether this node deletes streams of epochs that are over: the cluster must let it."""


class Connection:
    """The one connection of this node to the cluster: made when first needed, checked once, repaired by the client."""

    def __init__(self, settings: JetStreamSettings, participant: str, trust: Callable[[], Trust]) -> None:
        self.settings = settings
        self._participant = participant
        self._trust = trust
        self._client: Any = None
        self._connecting = asyncio.Lock()
        self._tls: ssl.SSLContext | None = None
        self.servers: frozenset[str] = frozenset()
        """Names of the servers whose settings were found right."""
        self._problem = ""  # what the client said last
        self._closed = False

    async def client(self) -> Any:
        """The NATS client. Raises `LinkDown`, and `EngineRefused` for a cluster that must not be used."""
        async with self._connecting:
            if self._closed:
                raise LogClosed("the engine was closed")
            if self._client is None:
                self._client = await self._connect()
        if not self._client.is_connected:
            raise LinkDown("no server of the cluster can be reached")
        return self._client

    async def close(self) -> None:
        """End the connection."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connect(self) -> Any:
        from nats.aio.client import Client

        settings = self.settings
        self._tls = self._load_tls()
        options: dict[str, Any] = {
            "servers": list(settings.servers),
            "tls": self._tls,
            "nkeys_seed": str(settings.nkey),
            "inbox_prefix": inbox_prefix(self._participant),
            "name": f"keeling {self._participant}",
            "reconnect_time_wait": 0.1,
            "max_reconnect_attempts": -1,
            "connect_timeout": 3,
            "pending_size": 8 << 20,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnected,
        }
        client = Client()
        connecting = asyncio.create_task(client.connect(**options))
        await asyncio.wait([connecting], timeout=CONNECT_S)
        if not connecting.done() or connecting.exception() is not None:
            why = str(connecting.exception() or "") if connecting.done() else self._problem
            await _stop(connecting)
            await client.close()
            raise LinkDown(f"the NATS cluster cannot be reached: {why or f'no answer within {CONNECT_S:.0f} s'}")
        try:
            check_version(str(client.connected_server_version), "the server connected to")
            self.servers = await check_servers(settings)
        except BaseException:
            await client.close()
            raise
        return client

    def _load_tls(self) -> ssl.SSLContext:
        """Only keys that are pinned are accepted, and our own is shown: a renewed one at the next connection."""
        anchors = build_roots(tuple(key.public_key for key in self._trust().keys)).decode("ascii")
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=anchors)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._load_own(context)
        return context

    def _load_own(self, context: ssl.SSLContext) -> None:
        settings = self.settings
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, lambda: settings.passphrase or "")

    async def _on_disconnected(self) -> None:
        log.warning("ordering engine disconnected")
        if self._tls is not None:
            try:
                self._load_own(self._tls)
            except (OSError, ssl.SSLError) as error:
                log.error("certificate not reloaded", error=str(error))

    async def _on_error(self, error: Exception) -> None:
        self._problem = str(error) or type(error).__name__
        log.warning("ordering engine", error=str(error) or type(error).__name__)


class JetStreamEngine:
    """An `Engine` over one cluster. Owned by one event loop."""

    def __init__(
        self, settings: JetStreamSettings, network: bytes, participant: str, trust: Callable[[], Trust], random: Random
    ) -> None:
        self._network = network
        self._random = random
        self._deletes = settings.deletes
        self._connection = Connection(settings, participant, trust)
        self._open: dict[LogId, Ordering] = {}

    async def start(self) -> None:
        """Look at the cluster before the node serves. Raises `EngineRefused` for one that must not be used; one that
        cannot be reached is looked at when it can."""
        try:
            await self._connection.client()
        except LinkDown as error:
            log.warning("ordering engine not reached yet", error=str(error))

    def open(self, which: LogId) -> Ordering:
        from node.ordering.stream_log import StreamLog

        known = self._open.get(which)
        if known is None:
            known = self._open[which] = StreamLog(which, self._network, self._connection, self._random)
        return known

    async def forget(self, below: int) -> list[str]:
        """As `contract.DurableEngine.forget`, by the one node that its operators chose for it; returns the streams."""
        from node.ordering.stream_past import delete_past

        for which in [which for which in self._open if which.epoch < below]:
            await self._open.pop(which).close()
        if not self._deletes:
            return []
        try:
            return await delete_past(await self._connection.client(), self._network, below)
        except LinkDown as error:
            raise LogUnreachable(str(error)) from error

    async def close(self) -> None:
        for ordering in self._open.values():
            await ordering.close()
        await self._connection.close()


async def _stop(task: asyncio.Task[None]) -> None:
    """Cancel a task until it heeds it: one that waits in a loop may take a cancellation for a time-out."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


def check_version(version: str, which: str) -> None:
    """Refuse, with `EngineRefused`, a server that is too old."""
    numbers = tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdecimal())
    if numbers < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        raise EngineRefused(f"{which} is NATS {version}: {oldest} or newer is needed, older ones lose streams")


async def check_servers(settings: JetStreamSettings) -> frozenset[str]:
    """The names of the servers, after reading each one's settings. Raises `EngineRefused` and `LinkDown`.

    A server that cannot be asked is left out; at least a majority of the replicas must be found right.
    """
    import aiohttp

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CHECK_S)) as session:
        answers = await asyncio.gather(*(_read_settings(session, url) for url in settings.monitoring))
    right = frozenset(name for name in answers if name is not None)
    needed = settings.replicas // 2 + 1
    if len(right) < needed:
        raise LinkDown(f"the settings of {len(right)} servers could be read, {needed} are needed: see monitoring URLs")
    return right


async def _read_settings(session: aiohttp.ClientSession, url: str) -> str | None:
    import aiohttp

    try:
        async with session.get(f"{url.rstrip('/')}/varz") as answer:
            settings: dict[str, Any] = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        log.warning("settings of a NATS server cannot be read", url=url, error=str(error))
        return None
    name = str(settings.get("server_name", url))
    check_version(str(settings.get("version", "0")), f"the server {name}")
    config = settings.get("jetstream", {}).get("config") or {}
    if not config:
        raise EngineRefused(f"the server {name} has no JetStream: give it a jetstream section")
    if config.get("sync_always") is not True:
        raise EngineRefused(
            f'the server {name} confirms entries before they are on disk: set sync_interval: "always" in its jetstream '
            "section and start it again"
        )
    return name
