"""One log as a JetStream stream: its configuration, and append, read and wait on it.

Reading goes to whichever replica answers, which may lag behind; that a log ends early is believed of its leader alone.
The connection, and what is asked of a cluster, are in `jetstream`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterator, Sequence
from hashlib import sha256
from random import Random
from typing import Any, Final, TypeVar

from nats.errors import Error as NatsError
from nats.js import api
from nats.js.errors import APIError, NotFoundError

from network.channels import LinkDown, Pace
from node.ordering.contract import (
    ENTRY_BYTES_MAX,
    ORIGIN,
    PAGE_BYTES_MAX,
    Appended,
    LogClosed,
    LogId,
    LogTruncated,
    LogUnreachable,
    Ordered,
    OrderingError,
    Page,
    Unknown,
    check_entry,
    compute_entry_digest,
)
from node.ordering.jetstream import Connection, EngineRefused

T = TypeVar("T")
ANSWER_S: Final = 5.0
MAKE_S: Final = 1.0
LEADER_S: Final = 10.0
LOOK_S: Final = 1.0
"""A reader that waits looks this often by itself, whatever it is told or not."""
LOOK_AHEAD: Final = 256
"""Entries looked through for one whose confirmation did not come."""
DUPLICATES_S: Final = 120.0
APPENDS_AT_ONCE: Final = 4
LAG_PAUSES_S: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""How long a replica may lag behind before its word counts all the same."""


def stream_name(network: bytes, which: LogId) -> str:
    """The name of the log's stream: unlike all others, and free of characters that NATS does not take."""
    digest = sha256(which.name.encode("utf-8")).hexdigest()[:16]
    return f"keeling-{network.hex()[:16]}-{which.epoch}-{digest}"


def make_config(network: bytes, which: LogId, replicas: int) -> api.StreamConfig:
    """The configuration a log's stream must have, and is made with."""
    name = stream_name(network, which)
    return api.StreamConfig(
        name=name,
        description=f"epoch {which.epoch} {which.name}",
        subjects=[f"keeling.log.{name}"],
        retention=api.RetentionPolicy.LIMITS,
        discard=api.DiscardPolicy.NEW,
        storage=api.StorageType.FILE,
        num_replicas=replicas,
        max_msgs=-1,
        max_bytes=-1,
        max_age=0,
        max_msg_size=ENTRY_BYTES_MAX + 1024,
        duplicate_window=DUPLICATES_S,
        deny_delete=True,
        deny_purge=True,
        allow_direct=True,
        republish=api.RePublish(src=f"keeling.log.{name}", dest=f"keeling.shown.{name}", headers_only=True),
    )


def check_config(found: api.StreamConfig, wanted: api.StreamConfig) -> None:
    """Refuse, with `EngineRefused`, a stream that could drop or lose what it confirmed, or is another log's."""
    same = (
        "description",
        "subjects",
        "retention",
        "discard",
        "storage",
        "max_msgs",
        "max_bytes",
        "deny_delete",
        "deny_purge",
        "allow_direct",
    )
    for field in same:
        if getattr(found, field) != getattr(wanted, field):
            raise EngineRefused(
                f"the stream {found.name} has {field} {getattr(found, field)!r}, a log needs {getattr(wanted, field)!r}"
            )
    if found.max_age or found.mirror or found.sources or found.no_ack or found.sealed:
        raise EngineRefused(f"the stream {found.name} drops by age, copies another, confirms nothing or is sealed")
    if (found.num_replicas or 1) < (wanted.num_replicas or 1):
        raise EngineRefused(f"the stream {found.name} has {found.num_replicas} replicas, not {wanted.num_replicas}")
    if found.duplicate_window < DUPLICATES_S:
        raise EngineRefused(f"the stream {found.name} forgets message ids after {found.duplicate_window} s")
    if found.republish != wanted.republish:
        raise EngineRefused(f"the stream {found.name} does not tell its readers of entries (republish)")


class StreamLog:
    """An `Ordering` for one event loop."""

    def __init__(self, which: LogId, network: bytes, connection: Connection, random: Random) -> None:
        self._which = which
        self._connection = connection
        self._config = make_config(network, which, connection.settings.replicas)
        self._name = stream_name(network, which)
        self._append_pace = Pace(random)
        self._read_pace = Pace(random)
        self._turns = asyncio.Semaphore(APPENDS_AT_ONCE)
        self._ready = False
        self._seen = 0
        self._told = asyncio.Event()
        self._subscription: Any = None
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def log(self) -> LogId:
        return self._which

    async def append(self, entry: bytes) -> Appended | Unknown:
        check_entry(entry)
        try:
            async with self._turns:
                return await self._run(self._append(entry))
        except (LinkDown, EngineRefused) as error:
            await self._append_pace.pause()
            return Unknown(f"the NATS cluster did not confirm the entry: {error}")

    async def read(self, start: int, limit: int) -> Page:
        return await self._paced(self._read(start, limit))

    async def wait(self, position: int) -> None:
        await self._paced(self._wait(position))

    async def close(self) -> None:
        self._closed = True
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    # -- append -----------------------------------------------------------------------------------------------------

    async def _append(self, entry: bytes) -> Appended | Unknown:
        client = await self._prepare(create=True)
        digest = compute_entry_digest(entry)
        headers = {"Nats-Msg-Id": digest.hex(), "Nats-Expected-Stream": self._name}
        after = self._seen
        try:
            answer = await client.request(f"keeling.log.{self._name}", entry, timeout=ANSWER_S, headers=headers)
            said = json.loads(answer.data or b"{}")
        except (NatsError, TimeoutError, ValueError) as error:
            return await self._look_for(digest, after, str(error) or type(error).__name__)
        if "error" in said or not said.get("seq"):
            why = str(said.get("error", {}).get("description", "no sequence"))
            return await self._look_for(digest, after, why)
        self._append_pace.succeed()
        self._seen = max(self._seen, int(said["seq"]))
        return Appended(int(said["seq"]))

    async def _look_for(self, digest: bytes, after: int, why: str) -> Appended | Unknown:
        """Where an entry is whose confirmation did not come; `Unknown` if it is not there yet, or out of sight."""
        position = after + 1
        while position <= after + LOOK_AHEAD:
            page = await self._get(position, 64)
            for ordered in page:
                if compute_entry_digest(ordered.entry) == digest:
                    return Appended(ordered.position)
            if not page:
                break
            position = page[-1].position + 1
        await self._append_pace.pause()
        return Unknown(f"the NATS cluster did not confirm the entry: {why}")

    # -- read -------------------------------------------------------------------------------------------------------

    async def _read(self, start: int, limit: int) -> Page:
        if await self._prepare(create=False) is None:
            return Page(ORIGIN if start == 1 else None, ())
        first = max(1, start - 1)
        entries = await self._get_all(first, limit + (start > 1))
        if entries and entries[0].position != first:
            raise LogTruncated(entries[0].position + (start > 1))
        if start == 1:
            return Page(ORIGIN, self._note(entries))
        if entries:
            return Page(compute_entry_digest(entries[0].entry), self._note(entries[1:]))
        return await self._read_end(first)

    async def _get_all(self, first: int, most: int) -> list[Ordered]:
        """`_get`, again while the replica that answers lags behind what this reader knows to be there."""
        for pause_s in LAG_PAUSES_S:
            entries = await self._get(first, most)
            end = entries[-1].position if entries else first - 1
            if end >= min(self._seen, first + most - 1) or _is_full(entries):
                return entries
            await asyncio.sleep(pause_s)
        self._seen = min(self._seen, end)
        return entries

    async def _read_end(self, first: int) -> Page:
        """What is shown where a replica has nothing at `first`: that the log ends before it, if its leader says so."""
        client = await self._connection.client()
        try:
            state = (await client.jetstream(timeout=ANSWER_S).stream_info(self._name)).state
        except (NatsError, APIError) as error:
            raise LinkDown(str(error) or type(error).__name__) from error
        if state.last_seq < first:
            self._seen = min(self._seen, state.last_seq)
            return Page(None, ())
        if state.first_seq > first:
            raise LogTruncated(state.first_seq + 1)
        raise LinkDown(f"the replica that answered lags behind position {first}: ask again")

    def _note(self, entries: Sequence[Ordered]) -> tuple[Ordered, ...]:
        if entries:
            self._seen = max(self._seen, entries[-1].position)
        return tuple(entries)

    async def _get(self, first: int, most: int) -> list[Ordered]:
        """Entries from `first` on, without gaps, as one replica has them; at most a page."""
        if most <= 0:
            return []
        client = await self._connection.client()
        subscription = await client.subscribe(client.new_inbox())
        try:
            request = {"seq": first, "batch": most, "max_bytes": PAGE_BYTES_MAX // 2}
            await client.publish(f"$JS.API.DIRECT.GET.{self._name}", json.dumps(request).encode(), subscription.subject)
            entries: list[Ordered] = []
            while True:
                message = await subscription.next_msg(timeout=ANSWER_S)
                headers = message.headers or {}
                if (status := headers.get("Status")) is not None:
                    if status not in ("204", "404"):
                        raise LinkDown(f"{status} {headers.get('Description', 'no answer')}")
                    return entries
                position = int(headers["Nats-Sequence"])
                if entries and position != entries[-1].position + 1:
                    return entries
                entries.append(Ordered(position, message.data))
        except (NatsError, TimeoutError, KeyError) as error:
            raise LinkDown(str(error) or type(error).__name__) from error
        finally:
            await _unsubscribe(subscription)

    async def _wait(self, position: int) -> None:
        if position <= self._seen:
            return
        pauses: Iterator[float] = iter(())
        while True:
            self._told.clear()
            if await self._prepare(create=False) is not None:
                await self._subscribe()
                if self._note(await self._get(position, 1)):
                    return
            try:
                async with asyncio.timeout(next(pauses, LOOK_S)):
                    await self._told.wait()
                pauses = iter(LAG_PAUSES_S)  # what is stored at the leader may not be at the replica that answers
            except TimeoutError:
                continue

    async def _subscribe(self) -> None:
        """Be told of entries once they are stored. The word alone is not believed: it is a reason to look."""
        if self._subscription is None:
            client = await self._connection.client()

            async def on_shown(_: Any) -> None:
                self._told.set()

            try:
                self._subscription = await client.subscribe(f"keeling.shown.{self._name}", cb=on_shown)
            except NatsError as error:
                raise LinkDown(str(error)) from error

    # -- the stream -------------------------------------------------------------------------------------------------

    async def _prepare(self, *, create: bool) -> Any:
        """The client, once the stream is there and as it must be; None if it is not there and not to be made."""
        client = await self._connection.client()
        if self._ready:
            return client
        stream = client.jetstream(timeout=ANSWER_S)
        try:
            try:
                info = await stream.stream_info(self._name)
            except NotFoundError:
                if not create:
                    return None
                info = await self._make(client, stream)
            check_config(info.config, self._config)
            async with asyncio.timeout(LEADER_S):
                while self._config.num_replicas != 1 and not (info.cluster and info.cluster.leader):
                    await asyncio.sleep(0.05)
                    info = await stream.stream_info(self._name)
        except (NatsError, APIError, TimeoutError) as error:
            raise LinkDown(f"the stream {self._name} is not to be had: {str(error) or type(error).__name__}") from error
        self._check_places(info)
        self._ready = True
        return client

    async def _make(self, client: Any, stream: Any) -> api.StreamInfo:
        """Make the stream, or find that another member did at the same time: then the cluster may not answer both."""
        try:
            made: api.StreamInfo = await client.jetstream(timeout=MAKE_S).add_stream(self._config)
        except (NatsError, APIError, TimeoutError):
            made = await stream.stream_info(self._name)
        return made

    def _check_places(self, info: api.StreamInfo) -> None:
        """Every replica lies on a server whose settings were read."""
        if info.cluster is None or self._config.num_replicas == 1:
            return
        places = {info.cluster.leader, *(replica.name for replica in info.cluster.replicas or ())}
        unknown = sorted(str(place) for place in places - self._connection.servers)
        if len(places) - len(unknown) <= len(places) // 2:
            raise EngineRefused(
                f"the settings of {', '.join(unknown)}, where {self._name} lies, were not read: add monitoring URLs"
            )

    async def _paced(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            answer = await self._run(work)
        except (LinkDown, EngineRefused) as error:
            self._subscription = None
            await self._read_pace.pause()
            raise LogUnreachable(f"the log of epoch {self._which.epoch} cannot be read now: {error}") from error
        self._read_pace.succeed()
        return answer

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` until it is done or the log is closed."""
        if self._closed:
            work.close()
            raise LogClosed("the log was closed")
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await task
        except asyncio.CancelledError:
            task.cancel()
            if self._closed:
                raise LogClosed("the log was closed") from None
            raise


def _is_full(entries: Sequence[Ordered]) -> bool:
    """Whether the page may have ended for its size alone."""
    return sum(len(ordered.entry) for ordered in entries) > PAGE_BYTES_MAX // 2 - 2 * ENTRY_BYTES_MAX


async def _unsubscribe(subscription: Any) -> None:
    try:
        await subscription.unsubscribe()
    except NatsError as error:
        raise OrderingError(str(error)) from error
