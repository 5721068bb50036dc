"""A hub at work: dispatcher, follower, pollers, drop folders and HTTP server, from start to stop.

Trouble of one part is said in the log and tried again; none of it ends the others. What each does is its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web

from adapters.contract import Adapter, Changes, Trouble
from hub.dispatch.follow import follow
from hub.inbound.drop_folder import DropFolder
from hub.inbound.polling import CursorFile, Poller
from hub.inbound.server import Inbound
from hub.ledger_client import LedgerClient, LedgerError, Signatory
from hub.service.config import HubConfig
from hub.service.parts import Parts
from hub.service.web import Interface
from network.keys import Role, load_key_file
from network.names import parse_address
from network.profiles import choose_profile, find_home, open_destination
from network.transport import open_aio_channel

log = structlog.get_logger()
DROP_EVERY_S: Final = 5.0
STOP_S: Final = 10.0


@asynccontextmanager
async def open_ledger(config: HubConfig, passphrase: str | None) -> AsyncIterator[LedgerClient]:
    """The client that the configuration names. Raises `ProfileError`, `KeyFileError`."""
    profile = choose_profile(find_home(), config.ledger.profile or None)
    signer = load_key_file(profile.signing_key.expanduser(), role=Role.SUBMISSION, passphrase=passphrase)
    others = tuple(load_key_file(each, role=Role.SUBMISSION, passphrase=passphrase) for each in config.ledger.approvers)
    network = hashlib.sha256(profile.genesis.expanduser().read_bytes()).digest()
    destination = open_destination(profile, passphrase)
    if config.ledger.address:
        destination = destination._replace(address=config.ledger.address)
    async with open_aio_channel(destination) as channel:
        yield LedgerClient(channel, network, config.participant, Signatory(signer, others or (signer,)))


class Running:
    """One hub, serving. `address` is where."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._polls: dict[str, asyncio.Event] = {}
        self._runner: web.AppRunner | None = None
        self.address = ""

    async def start(self) -> None:
        """Serve, and begin to carry. Raises `OSError` where the port is taken."""
        parts, config = self._parts, self._parts.config
        adapters = {name: adapter for name, (_, adapter) in parts.systems.items()}
        inbound = Inbound(
            parts.intake, adapters, parts.find_keys, parts.now_ms, wake=self._wake_poll, base_url=config.public_url
        )
        self._interface = Interface(parts, inbound)
        self._runner = web.AppRunner(self._interface.build_app(), access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        host, port = parse_address(config.listen)
        await web.TCPSite(self._runner, host, port).start()
        self.address = f"{host}:{self._runner.addresses[0][1]}"
        self._begin("dispatch", lambda: parts.dispatcher.run(self._stop))
        self._begin("follow", lambda: follow(parts.ledger, parts.dispatcher.wake, self._stop))
        for section in config.registries:
            adapter = adapters[section.name]
            if section.poll_ms:
                self._polls[section.name] = asyncio.Event()
                self._begin(f"poll {section.name}", self._make_poller(section.name, adapter, section.poll_ms / 1000))
            if section.drop_folder is not None:
                folder = DropFolder(section.drop_folder, section.name, adapter, parts.find_keys, parts.intake)
                self._begin(f"drop folder {section.name}", self._make_watcher(section.name, folder))
        log.info("serving", address=self.address, participant=config.participant, registries=sorted(adapters))

    async def stop(self) -> None:
        """End everything; what is under way is found again at the next start."""
        self._stop.set()
        if self._runner is not None:
            self._interface.ending.set()
            await self._runner.cleanup()
        done, late = await asyncio.wait(self._tasks, timeout=STOP_S) if self._tasks else (set(), set())
        for task in late:
            task.cancel()
        await asyncio.gather(*done, *late, return_exceptions=True)
        await self._parts.close()

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a part until the hub stops; what it raises is said, and it begins again."""

        async def keep() -> None:
            while not self._stop.is_set():
                try:
                    await work()
                except Exception as error:  # noqa: BLE001 - one part's trouble must not end the others
                    log.error("a part of the hub failed and begins again", part=name, error=repr(error))
                    await self._rest(1.0)

        self._tasks.append(asyncio.create_task(keep()))

    def _make_poller(self, registry: str, adapter: Adapter, every_s: float) -> Callable[[], Awaitable[None]]:
        cursor = CursorFile(self._parts.cursor_path(registry))
        source = Paced(registry, adapter, self._parts)
        poller = Poller(registry, source, cursor, self._parts.intake, adapter.capabilities.grade)

        async def poll() -> None:
            woken = self._polls[registry]
            woken.clear()
            try:
                polled = await poller.poll()
            except LedgerError as error:
                log.warning("news wait for the ledger", registry=registry, error=str(error))
            else:
                if polled.trouble is not None:
                    log.warning("no news", registry=registry, trouble=type(polled.trouble).__name__)
                for taken in polled.taken:
                    if taken.refusal is not None:
                        log.warning("news not taken", registry=registry, id=taken.change, why=taken.refusal.why.value)
            await self._rest(every_s, woken)

        return poll

    def _make_watcher(self, registry: str, folder: DropFolder) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            for dropped in await folder.look():
                why = "" if dropped.refusal is None else dropped.refusal.why.value
                log.info("file", registry=registry, name=dropped.name, taken=len(dropped.taken), refused=why)
            await self._rest(DROP_EVERY_S)

        return look

    def _wake_poll(self, registry: str) -> None:
        if registry in self._polls:
            self._polls[registry].set()

    async def _rest(self, seconds: float, woken: asyncio.Event | None = None) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._stop, woken) if event is not None]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()


class Paced:
    """A registry's list of events, read under the same limits as everything that is sent to it."""

    def __init__(self, registry: str, adapter: Adapter, parts: Parts) -> None:
        self._registry, self._adapter, self._parts = registry, adapter, parts

    async def changes(self, cursor: str) -> Changes | Trouble:
        await self._parts.dispatcher.lines.turn(self._registry)
        return await self._adapter.changes(cursor)
