"""The embedded engine: the logs of all epochs, each hosted by one validator, opened here or reached over gRPC.

Here is decided who hosts a log, by a rule that everybody can follow: the validators in policy order take turns with the
epochs, so that a new epoch also leaves a host that is down; an operator who moves the log names its host behind an `@`.
The name's beginning says which policy's validators are meant, so a log stays where it is when a policy changes. What a
hosted log promises is in `embedded`, what is asked of it over the network in `service` and `remote`.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import structlog

from keeling.engine_word import SIGNED_WORD, EngineEvidence
from network.channels import Channels, Pace
from node.ordering.contract import (
    Appended,
    LogClosed,
    LogId,
    LogMissing,
    LogUnreachable,
    Ordering,
    OrderingError,
    Page,
    Unknown,
    WrongLog,
    check_entry,
)
from node.ordering.embedded import EmbeddedOrdering
from node.ordering.folder import DiskFolder
from node.ordering.hosted import HostedLog, HostSigner
from node.ordering.remote import Host, RemoteOrdering
from node.ordering.segment_log import SegmentLog
from node.ordering.shown_page import BadPage, read_word

log = structlog.get_logger()
POLICY_DIGITS: Final = 16
"""Hex digits of the policy hash with which the name of a log begins (`node.finality.events.log_name`)."""


_FOLDER: Final = re.compile(r"[0-9]{20}-[0-9a-f]{16}", re.ASCII)
"""What `name_folder` gives."""


class Hosts:
    """Which validator hosts a log, for all policies this node knows."""

    def __init__(self) -> None:
        self._validators: dict[str, tuple[str, ...]] = {}

    def add(self, policy: bytes, participants: Sequence[str]) -> None:
        """Learn a policy: its hash, and its validators in its order."""
        self._validators[policy.hex()[:POLICY_DIGITS]] = tuple(participants)

    def host_of(self, which: LogId) -> str:
        """The participant that hosts the log. Raises `WrongLog` for a name that belongs to no known policy."""
        name, _, moved_to = which.name.partition("@")
        validators = self._validators.get(name[:POLICY_DIGITS])
        if validators is None:
            raise WrongLog(f"the log {which.name!r} belongs to no policy this node knows")
        if moved_to and moved_to not in validators:
            raise WrongLog(
                f"the log {which.name!r} is to be hosted by {moved_to!r}, which is no validator of its policy"
            )
        return moved_to or validators[which.epoch % len(validators)]


class Home(NamedTuple):
    """This node as a host: whose it is, where its logs lie, and what it signs words with."""

    participant: str
    folder: Path
    signer: HostSigner


class EmbeddedEngine:
    """An `Engine`. Owned by one event loop."""

    def __init__(
        self,
        home: Home,
        hosts: Hosts,
        channels: Channels,
        entry_key_of: Callable[[str], bytes | None],
        on_evidence: Callable[[EngineEvidence], None],
        random: Random,
    ) -> None:
        """`entry_key_of` gives a validator's entry key by what the ledger says now."""
        self.hosts = hosts
        self._home = home
        self._channels = channels
        self._entry_key_of = entry_key_of
        self._on_evidence = on_evidence
        self._random = random
        self._reported: set[bytes] = set()
        self._hosted: dict[LogId, HostedLog] = {}
        self._remote: dict[LogId, RemoteOrdering] = {}
        self._closed = False

    def open(self, which: LogId) -> Ordering:
        """As `contract.Engine.open`. Makes a log that is hosted here; where that fails, or nobody could host a log of
        that name, what it returns says so to whoever uses it."""
        if self._closed:
            raise LogClosed("the engine was closed")
        try:
            host = self.hosts.host_of(which)
            if host == self._home.participant:
                return self._open_hosted(which, create=True).ordering
        except (OrderingError, OSError) as error:
            log.error("ordering log unusable", epoch=which.epoch, name=which.name, error=str(error))
            return UnusableOrdering(which, error, self._random)
        remote = self._remote.get(which)
        if remote is None:
            place = Host(self._home.signer.network, host, lambda: self._entry_key_of(host), self._channels)
            remote = self._remote[which] = RemoteOrdering(which, place, self._report, self._random)
        return remote

    def find_hosted(self, which: LogId) -> HostedLog:
        """The log, if it is hosted here and was begun. Raises `WrongLog` or `LogUnreachable`."""
        if self._closed:
            raise LogUnreachable("the node is stopping")
        hosted = self._hosted.get(which)
        if hosted is not None:
            return hosted
        host = self.hosts.host_of(which)
        if host != self._home.participant:
            raise WrongLog(f"the log {which.name!r} of epoch {which.epoch} is hosted by {host}")
        try:
            return self._open_hosted(which, create=False)
        except LogMissing as error:
            raise LogUnreachable(f"{host} has not reached epoch {which.epoch} yet") from error
        except OSError as error:
            raise LogUnreachable(f"{host} cannot open the log of epoch {which.epoch}: {error.strerror}") from error

    def words(self) -> list[bytes]:
        """The newest word of each remote log that was read, for others to compare."""
        newest = [remote.newest_word for remote in self._remote.values()]
        return [SIGNED_WORD.encode(word) for word in newest if word is not None]

    def compare(self, data: bytes) -> None:
        """Compare a word that somebody else was given with what was shown here. What is no word is passed over."""
        for which, remote in self._remote.items():
            try:
                key = self._entry_key_of(self.hosts.host_of(which))
                remote.compare(read_word(data, self._home.signer.network, which, key))
            except (BadPage, WrongLog):
                continue

    async def forget(self, below: int) -> list[str]:
        """As `contract.DurableEngine.forget`: the logs that are hosted here; returns their folders."""
        for which in [which for which in self._remote if which.epoch < below]:
            await self._remote.pop(which).close()
        for which in [which for which in self._hosted if which.epoch < below]:
            await self._hosted.pop(which).ordering.close()
        return await asyncio.to_thread(_delete_below, self._home.folder, below)

    async def close(self) -> None:
        self._closed = True
        remote, self._remote = list(self._remote.values()), {}
        hosted, self._hosted = list(self._hosted.values()), {}
        for reached in remote:
            await reached.close()
        for item in hosted:
            await item.ordering.close()

    def _open_hosted(self, which: LogId, *, create: bool) -> HostedLog:
        known = self._hosted.get(which)
        if known is not None:
            return known
        path = self._home.folder / name_folder(which)
        if not create and not path.is_dir():
            raise LogMissing(f"the log {which.name!r} was not begun")
        try:
            opened = SegmentLog.open(DiskFolder(path), which)
        except LogMissing:
            if not create:
                raise
            opened = SegmentLog.create(DiskFolder(path), which)
        hosted = self._hosted[which] = HostedLog(EmbeddedOrdering(opened), self._home.signer)
        return hosted

    def _report(self, evidence: EngineEvidence) -> None:
        """Give each accusation once: a host that showed two logs goes on doing so with every page."""
        word = evidence.first.word
        mark = sha256(f"{word.epoch} {word.log}".encode()).digest()
        if mark not in self._reported:
            self._reported.add(mark)
            log.error("the engine showed two logs", epoch=word.epoch, log=word.log, position=word.position)
            self._on_evidence(evidence)


def name_folder(which: LogId) -> str:
    """The folder of a log that is hosted here."""
    return f"{which.epoch:020d}-{sha256(which.name.encode('utf-8')).hexdigest()[:16]}"


def _delete_below(folder: Path, below: int) -> list[str]:
    logs = [path for path in folder.iterdir() if _FOLDER.fullmatch(path.name)] if folder.is_dir() else []
    over = sorted(path for path in logs if int(path.name.partition("-")[0]) < below)
    for path in over:
        shutil.rmtree(path)
    return [path.name for path in over]


class UnusableOrdering:
    """A hosted log that cannot be opened: the node goes on, says why, and a new epoch leaves the log."""

    def __init__(self, which: LogId, error: Exception, random: Random) -> None:
        self._which = which
        self._error = error
        self._pace = Pace(random)

    @property
    def log(self) -> LogId:
        return self._which

    async def append(self, entry: bytes) -> Appended | Unknown:
        check_entry(entry)
        await self._pace.pause()
        return Unknown(str(self._error))

    async def read(self, start: int, limit: int) -> Page:
        await self._pace.pause()
        raise LogUnreachable(str(self._error))

    async def wait(self, position: int) -> None:
        await self._pace.pause()
        raise LogUnreachable(str(self._error))

    async def close(self) -> None:
        """Nothing is held."""
