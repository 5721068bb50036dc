"""The links of this node to the others over gRPC: `contract.Peers` as a running node has it.

Every node opens a link to each member whose address it knows and keeps at it; a link that the other end opened serves
as well, so a node that nobody can call takes part too. Here links are opened, chosen and closed. One link's life is in
`link`, the calls of others are taken in `service`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio
import structlog

from keeling.v1 import peers_pb2 as pb
from keeling.v1 import peers_pb2_grpc as rpc
from network.channels import Channels, LinkDown, Pace, answer_of
from node.peers.contract import FetchedBlock, FinalRecord, Member, Message, PeerFailed, Serving, TipMessage
from node.peers.link import Hooks, Link, LinkSilent, look_at
from node.peers.wire import HelloRefused, check_hello, format_hello, parse_candidate, parse_records

log = structlog.get_logger()
HELLO_S: Final = 10.0
CANDIDATE_S: Final = 5.0
CHECK_S: Final = 5.0
"""A link outlives what it was opened with by no longer than this."""
STALLED_S: Final = 10.0
"""A peer that is followed and gives nothing for this long, although others have more, is left."""


class LinkState(NamedTuple):
    """How this node stands with another, for health and metrics."""

    participant: str
    validator: bool
    connected: bool
    problem: str
    """Why there is no link; empty while there is one."""
    height: int
    """The newest tip it told."""
    dropped: int = 0
    """Messages to it that were never sent, since the start: it was too slow, and they are said again if they matter."""


class Setup(NamedTuple):
    """What links need of the node."""

    participant: str
    network: bytes
    release: str
    channels: Channels
    configured: Mapping[str, str]
    """Addresses from the node's own configuration, which go before those of the ledger."""
    random: Random
    words: Callable[[], list[bytes]] = list
    compare_word: Callable[[bytes], None] = lambda _: None


class PeerLinks:
    """Owned by one event loop. Tell it whom to serve before members are set."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._serving: Serving | None = None
        self._members: dict[str, Member] = {}
        self._dialers: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._open: dict[str, list[Link]] = {}
        self._problems: dict[str, str] = {}
        self._tips: dict[str, int] = {}
        self._dropped: Counter[str] = Counter()
        self._turn = itertools.count()
        self._pace = Pace(setup.random)
        self._closed = False
        self.hooks = Hooks(self._on_message, setup.words, self._on_words)

    def serve(self, serving: Serving) -> None:
        """Who takes messages and is told of links."""
        self._serving = serving

    def address_of(self, participant: str) -> str:
        """Where the node of a participant listens; empty if nobody said."""
        member = self._members.get(participant)
        return self._setup.configured.get(participant, "") or (member.address if member is not None else "")

    def describe(self) -> list[LinkState]:
        """How this node stands with every other."""
        return [
            LinkState(
                member.participant,
                member.validator,
                connected := bool(links),
                "" if connected else self._problems.get(member.participant, "it did not connect to us yet"),
                self._tips.get(member.participant, 0),
                self._dropped[member.participant] + sum(link.outbox.dropped for link in links),
            )
            for member in self._members.values()
            for links in (self._open.get(member.participant, ()),)
        ]

    # -- Peers ------------------------------------------------------------------------------------------------------

    def broadcast(self, message: Message) -> None:
        for member in self._members.values():
            if member.validator:
                self.send(member.participant, message)

    def announce(self, message: Message) -> None:
        for participant in self._open:
            self.send(participant, message)

    def send(self, participant: str, message: Message) -> None:
        links = self._open.get(participant)
        if links:
            links[0].outbox.put(message)

    def set_members(self, members: Sequence[Member]) -> None:
        self._members = {member.participant: member for member in members if member.participant != self._own}
        for participant, (address, task) in list(self._dialers.items()):
            if participant not in self._members or address != self.address_of(participant):
                del self._dialers[participant]
                task.cancel()
        for participant in self._members:
            address = self.address_of(participant)
            if not address:
                self._problems[participant] = "no address is known, and it did not connect to us"
            elif participant not in self._dialers and not self._closed:
                self._dialers[participant] = address, asyncio.create_task(self._keep_link(participant))

    async def follow(self, height: int) -> AsyncIterator[tuple[FinalRecord, ...]]:
        participant = next(iter(self._candidates(height)), None)
        if participant is None:
            await self._pace.pause()
            raise PeerFailed("no peer can be asked for blocks: none has an address")
        request = pb.FollowFinalRequest(network=self._setup.network, height=height)
        try:
            stream = self._stub(participant).FollowFinal(request)
            try:
                while (page := await self._read_page(participant, stream, height)) is not None:
                    records = parse_records(page)
                    height += len(records)
                    self._pace.succeed()
                    if records:
                        yield records
            finally:
                stream.cancel()
        except LinkDown as error:
            await self._pace.pause()
            raise PeerFailed(f"{participant} gives no blocks from height {height} on: {error}") from error
        await self._pace.pause()
        raise PeerFailed(f"{participant} ended the stream of blocks before height {height}")

    async def fetch_block(self, height: int, root: bytes) -> FetchedBlock | None:
        request = pb.GetCandidateRequest(network=self._setup.network, height=height, root=root)
        for participant in self._candidates(height - 1):
            if self._members[participant].validator:
                try:
                    return parse_candidate(
                        await answer_of(self._stub(participant).GetCandidate(request, timeout=CANDIDATE_S))
                    )
                except LinkDown as error:
                    log.debug("no candidate", participant=participant, height=height, error=str(error))
        return None

    async def close(self) -> None:
        self._closed = True
        tasks = [task for _, task in self._dialers.values()]
        self._dialers.clear()
        for links in self._open.values():
            for link in links:
                link.end("the node is stopping")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- links ------------------------------------------------------------------------------------------------------

    def add(self, link: Link, *, ours: bool) -> None:
        """A link is open: Hello was said on both sides. Those we opened are used first."""
        links = self._open.setdefault(link.participant, [])
        links.insert(0 if ours else len(links), link)
        self._problems.pop(link.participant, None)
        log.info("link open", participant=link.participant, ours=ours)
        if self._serving is not None:
            self._serving.on_connected(link.participant)

    def remove(self, link: Link, why: str) -> None:
        """A link ended."""
        links = self._open.get(link.participant, [])
        if link in links:
            links.remove(link)
            self._dropped[link.participant] += link.outbox.dropped
            log.info("link ended", participant=link.participant, why=why, dropped=link.outbox.dropped)
            self._note_problem(link.participant, why)
        if not links:
            self._open.pop(link.participant, None)

    def is_serving(self) -> bool:
        """Whether anybody takes messages yet, and still does."""
        return self._serving is not None and not self._closed

    @property
    def _own(self) -> str:
        return self._setup.participant

    async def _keep_link(self, participant: str) -> None:
        """Open the link, and again whenever it ends."""
        pace = Pace(self._setup.random)
        while True:
            try:
                await self._dial(participant, pace)
            except (LinkDown, LinkSilent, HelloRefused) as error:
                self._note_problem(participant, str(error))
            except Exception as error:  # noqa: BLE001 - what goes wrong with one link costs that link and no other
                log.error("link failed", participant=participant, error=repr(error))
            await pace.pause()

    async def _dial(self, participant: str, pace: Pace) -> None:
        channel = self._setup.channels.open(participant)
        stream: Any = rpc.PeersStub(channel).Exchange()

        async def read() -> pb.PeerMessage | None:
            message: Any = await answer_of(stream.read())
            return None if message is grpc.aio.EOF else message

        async def write(message: pb.PeerMessage) -> None:
            await answer_of(stream.write(message))

        link = Link(participant, self.hooks)
        watching = asyncio.create_task(self._watch(link, channel))
        try:
            async with asyncio.timeout(HELLO_S):
                await write(format_hello(self._setup.network, self._setup.release))
                first = await read()
            check_hello(first or pb.PeerMessage(), self._setup.network)
            pace.succeed()
            self.add(link, ours=True)
            await link.run(read, write)
        except TimeoutError as error:
            raise LinkDown(f"no answer within {HELLO_S:.0f} seconds") from error
        except LinkDown as error:
            why = await _find_reason(stream) or str(error)
            self.remove(link, why)
            raise LinkDown(why) from error
        except LinkSilent as error:
            self.remove(link, str(error))
            raise
        finally:
            watching.cancel()
            self.remove(link, "the node is stopping")
            stream.cancel()

    async def _watch(self, link: Link, channel: grpc.aio.Channel) -> None:
        """End a link whose certificate, key or address is not the one in use any more."""
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                if self._setup.channels.open(link.participant) is not channel:
                    link.end("certificate, key or address changed")
            except LinkDown as error:
                link.end(str(error))

    def _note_problem(self, participant: str, problem: str) -> None:
        if self._problems.get(participant) != problem and not self._open.get(participant):
            self._problems[participant] = problem
            log.warning("no link", participant=participant, problem=problem)

    def _on_message(self, sender: str, message: Message) -> None:
        member = self._members.get(sender)
        if self._serving is None:
            return
        if isinstance(message, TipMessage):
            if member is not None:
                self._tips[sender] = message.height
        elif member is None or not member.validator:
            log.warning("message refused", participant=sender, kind=type(message).__name__, reason="no validator")
            return
        self._serving.on_message(sender, message)

    def _on_words(self, sender: str, words: list[bytes]) -> None:
        member = self._members.get(sender)
        if member is not None and member.validator:
            for word in words:
                self._setup.compare_word(word)

    # -- asking -----------------------------------------------------------------------------------------------------

    def _stub(self, participant: str) -> Any:
        return rpc.PeersStub(self._setup.channels.open(participant))

    def _candidates(self, height: int) -> list[str]:
        """Whom to ask for what they have at `height`: another one first each time, those who said so before others."""
        names = [participant for participant in self._members if self.address_of(participant)]
        if not names:
            return []
        turn = next(self._turn) % len(names)
        names = [*names[turn:], *names[:turn]]
        return sorted(names, key=lambda name: (name not in self._open, self._tips.get(name, 0) < height))

    async def _read_page(self, participant: str, stream: Any, height: int) -> pb.FinalPage | None:
        """The next page; `LinkDown` for a peer that gives none although others have it."""
        reading = asyncio.ensure_future(answer_of(stream.read()))
        reading.add_done_callback(look_at)  # whoever follows may be cancelled as the read fails
        try:
            while True:
                done, _ = await asyncio.wait([reading], timeout=STALLED_S)
                if done:
                    page: Any = reading.result()
                    return None if page is grpc.aio.EOF else page
                if any(tip >= height for tip in self._tips.values()):
                    raise LinkDown(f"nothing came for {STALLED_S:.0f} seconds")
        finally:
            reading.cancel()


async def _find_reason(stream: Any) -> str:
    """What the other end said as it ended the call; a failed write alone does not tell. Empty if it said nothing."""
    try:
        async with asyncio.timeout(1):
            code, details = await stream.code(), await stream.details()
    except TimeoutError:
        return ""
    return f"{code.name}: {details}" if code not in (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED) else ""
