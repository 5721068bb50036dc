"""A hub at work: dispatcher, follower, pollers, drop folders and HTTP server, from start to stop.

Trouble of one part is said in the log and tried again; none of it ends the others. What each does is its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from adapters.capabilities import Action
from adapters.contract import Adapter, Changes, Trouble
from hub.dispatch.follow import follow
from hub.inbound.drop_folder import DropFolder
from hub.inbound.intake import Outcome
from hub.inbound.polling import Poller
from hub.inbound.server import Inbound
from hub.kept_file import KeptFile
from hub.ledger_client import LedgerClient, LedgerError
from hub.service.attesting import open_signatory
from hub.service.calls import Calls
from hub.service.config import HubConfig
from hub.service.parts import Parts, describe_trouble
from hub.service.rpc import Callers, Door, RpcServer
from hub.service.web import Interface
from network.keys import load_signing_key
from network.names import parse_address
from network.profiles import Profile, choose_profile, find_home, open_destination
from network.transport import TlsFiles, open_aio_channel

log = structlog.get_logger()
DROP_EVERY_S: Final = 5.0
WAITING_EVERY_S: Final = 15.0
"""Announcements that came before their transfer, and news of units that are not here yet, are looked at this often."""
ORDER_EVERY_S: Final = 5.0
"""Orders that are no holds are carried this often, and at once when somebody gives one."""
FIRST_RECONCILED_MS: Final = 300_000
"""The first reconciliation after a start comes no later than this."""
STOP_S: Final = 10.0


@asynccontextmanager
async def open_ledger(config: HubConfig, passphrase: str | None) -> AsyncIterator[LedgerClient]:
    """The client that the configuration names. Raises `ProfileError`, `KeyFileError`."""
    profile = choose_profile(find_home(), config.ledger.profile or None)
    signer = load_signing_key(_find_key(config, profile), passphrase)
    others = tuple(load_signing_key(each, passphrase) for each in config.ledger.approvers)
    network = hashlib.sha256(profile.genesis.expanduser().read_bytes()).digest()
    destination = open_destination(profile, passphrase)
    if config.ledger.address:
        destination = destination._replace(address=config.ledger.address)
    async with open_aio_channel(destination) as channel:
        yield LedgerClient(channel, network, config.participant, open_signatory(config, signer, others))


def _find_key(config: HubConfig, profile: Profile) -> Path:
    return config.ledger.key or profile.signing_key.expanduser()


def open_door(config: HubConfig, passphrase: str | None) -> Door | None:
    """What gRPC is served with: the TLS files of the profile; None: it is not served. Raises `CertificateError`."""
    if not config.grpc_listen:
        return None
    profile = choose_profile(find_home(), config.ledger.profile or None)
    files = TlsFiles(profile.tls_key.expanduser(), profile.tls_certificate.expanduser(), passphrase)
    return Door(files, profile.origin)


class Running:
    """One hub, serving. `address` is where."""

    def __init__(self, parts: Parts, door: Door | None = None) -> None:
        """`door`: what gRPC is served with, where the configuration says that it is."""
        self._parts = parts
        self._door = door
        self._rpc: RpcServer | None = None
        self.grpc_address = ""
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
        calls, feed = Calls(parts), parts.open_feed()
        more = [*parts.open_attesting(), *(feed.routes() if feed is not None else ())]
        self._interface = Interface(parts, calls, inbound, more)
        self._runner = web.AppRunner(self._interface.build_app(), access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        host, port = parse_address(config.listen)
        await web.TCPSite(self._runner, host, port).start()
        self.address = f"{host}:{self._runner.addresses[0][1]}"
        if config.grpc_listen and self._door is not None:
            callers = Callers(config.callers, config.participant, self._door.origin)
            self._rpc = RpcServer(calls, callers, self._door)
            self.grpc_address = await self._rpc.start(config.grpc_listen)
        self._begin("dispatch", lambda: parts.dispatcher.run(self._stop))
        self._begin("orders", self._carry_orders)
        self._begin("waiting", self._retry_news)
        self._begin("follow", lambda: follow(parts.ledger, parts.dispatcher.wake, self._stop))
        for section in config.registries:
            adapter = adapters[section.name]
            if section.poll_ms:
                self._polls[section.name] = asyncio.Event()
                self._begin(f"poll {section.name}", self._make_poller(section.name, adapter, section.poll_ms / 1000))
            if section.drop_folder is not None:
                folder = DropFolder(section.drop_folder, section.name, adapter, parts.find_keys, parts.intake)
                self._begin(f"drop folder {section.name}", self._make_watcher(section.name, folder))
            if adapter.capabilities.actions & {Action.ACCEPT, Action.DECLINE}:
                self._begin(f"proposals {section.name}", self._make_proposal_reader(section.name, adapter))
            if section.recognise:
                self._begin(f"announcements {section.name}", self._make_recogniser(section.name, adapter))
            if section.reconcile_ms:
                self._begin(f"reconcile {section.name}", self._make_reconciler(section.name, section.reconcile_ms))
        log.info(
            "serving",
            address=self.address,
            grpc=self.grpc_address,
            participant=config.participant,
            registries=sorted(adapters),
        )

    async def stop(self) -> None:
        """End everything; what is under way is found again at the next start."""
        self._stop.set()
        if self._runner is not None:
            self._interface.ending.set()
            await self._runner.cleanup()
        if self._rpc is not None:
            await self._rpc.stop()
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
        cursor = KeptFile(self._parts.cursor_path(registry))
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
                    log.warning("no news", registry=registry, **describe_trouble(polled.trouble))
                for taken in polled.taken:
                    if taken.refusal is not None:
                        about = {"registry": registry, "id": taken.change, "why": taken.refusal.why.value}
                        waits = taken.outcome is Outcome.WAITING
                        log.warning("news wait" if waits else "news not taken", **about, detail=taken.refusal.detail)
            await self._rest(every_s, woken)

        return poll

    def _make_watcher(self, registry: str, folder: DropFolder) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            for dropped in await folder.look():
                about = {"registry": registry, "name": dropped.name, "taken": len(dropped.taken)}
                if dropped.refusal is None:
                    log.info("file", **about)
                else:
                    log.warning("file", **about, refused=dropped.refusal.why.value, detail=dropped.refusal.detail)
            await self._rest(DROP_EVERY_S)

        return look

    async def _carry_orders(self) -> None:
        """Carry orders of every kind; one round."""
        given = self._parts.decided
        given.clear()

        async def carry(what: str, step: Callable[[], Awaitable[None]]) -> None:
            try:
                await step()
            except LedgerError as error:
                log.warning("orders wait for the ledger", what=what, error=str(error))

        await asyncio.gather(*(carry(what, step) for what, step in self._parts.list_steps()))
        await self._rest(ORDER_EVERY_S, given)

    async def _retry_news(self) -> None:
        """Try again what waits for units that the ledger did not have; one round."""
        for registry in sorted(self._parts.waiting.registries()):
            try:
                for taken in await self._parts.intake.retry(registry):
                    log.info("news taken", registry=registry, id=taken.change, outcome=taken.outcome.value)
            except LedgerError as error:
                log.warning("news wait for the ledger", registry=registry, error=str(error))
        await self._rest(WAITING_EVERY_S)

    def _make_proposal_reader(self, registry: str, adapter: Adapter) -> Callable[[], Awaitable[None]]:
        """Everything that was ever proposed, once: what the poller read before the start, it does not read again."""
        source = Paced(registry, adapter, self._parts)

        async def read() -> None:
            trouble = await self._parts.proposals.read_all(registry, source)
            if trouble is None:
                await self._stop.wait()
                return
            log.warning("proposals wait for the registry", registry=registry, **describe_trouble(trouble))
            await self._rest(WAITING_EVERY_S)

        return read

    def _make_recogniser(self, registry: str, adapter: Adapter) -> Callable[[], Awaitable[None]]:
        """Everything that was ever announced once, then whatever waited for its transfer, again and again."""
        announced, read = self._parts.announced[registry], False
        source = Paced(registry, adapter, self._parts)

        async def recognise() -> None:
            nonlocal read
            try:
                read = read or await announced.read_all(source)
                await announced.take_waiting()
            except LedgerError as error:
                log.warning("announcements wait for the ledger", registry=registry, error=str(error))
            await self._rest(WAITING_EVERY_S)

        return recognise

    def _make_reconciler(self, registry: str, every_ms: int) -> Callable[[], Awaitable[None]]:
        """Soon after the start, so that a hub that restarts often compares too; then as often as configured."""
        due_ms = self._parts.now_ms() + min(every_ms, FIRST_RECONCILED_MS)

        async def reconcile() -> None:
            nonlocal due_ms
            await self._rest(max(0, due_ms - self._parts.now_ms()) / 1000)
            if self._stop.is_set():
                return
            due_ms = self._parts.now_ms() + every_ms
            try:
                await self._parts.comparisons.reconcile(registry)
            except LedgerError as error:
                log.warning("reconciliation waits for the ledger", registry=registry, error=str(error))

        return reconcile

    def _wake_poll(self, registry: str) -> None:
        if registry in self._polls:
            self._polls[registry].set()

    async def _rest(self, seconds: float, woken: asyncio.Event | None = None) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._stop, woken) if event is not None]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()


class Paced:
    """A registry's list of events, read under the same limits and quiet times as everything that is sent to it."""

    def __init__(self, registry: str, adapter: Adapter, parts: Parts) -> None:
        self._registry, self._adapter, self._parts = registry, adapter, parts

    async def changes(self, cursor: str) -> Changes | Trouble:
        return await self._parts.dispatcher.lines.ask(self._registry, lambda: self._adapter.changes(cursor))
