"""The replica: one node's part in the network, on one event loop, around the chain that decides.

Its tasks read the ordering log, hear peers, follow them, offer own entries and watch the clock. Each hands its findings
to the chain, one at a time and beside the loop; what the chain answers is durable by then and goes out here. Nobody is
answered before the block is final and durable.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import Any, Final, Protocol, TypeVar

import structlog

from keeling.events import EventKind
from node.accusing import Accusing
from node.chain import Chain
from node.door import Admitted
from node.following import Following
from node.intake import Answered, Full, Intake, Limits, Observing, Poisonous
from node.ledger import InForce
from node.offering import Offering
from node.ordering.contract import Engine
from node.outcome import Done, FinalBlock
from node.peers.contract import (
    EvidenceMessage,
    FetchedBlock,
    FinalRecord,
    Message,
    PeerFailed,
    Peers,
    TipMessage,
)
from node.pulse import Pulse
from node.reader import Reader
from node.roster import Roster, read_roster
from node.serving import read_page
from node.signing import Author
from node.verify import Signatures
from node.watch import Watch

T = TypeVar("T")
MEMBERSHIP: Final = (EventKind.ADMITTED, EventKind.REPLACED, EventKind.KEY_ROTATED, EventKind.SUSPENDED)
"""What changes addresses and keys of members, or who they are, without a new policy."""
log = structlog.get_logger()
INBOX_MESSAGES: Final = 4096
"""Messages not looked at yet; above, the oldest are dropped, for all that matters is repeated."""
_HEED_S: Final = 2.0
"""How long a part may take to end before it is told to again."""


class RunInThread(Protocol):
    """Runs work beside the event loop: one piece at a time, in the order of the calls."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]: ...


def _changes_roster(final: FinalBlock) -> bool:
    return any(event.kind in MEMBERSHIP for event in final.block.events)


class Replica:
    """Owned by one event loop. `submit` may be called by anybody on it. Also what peers ask (`contract.Serving`).

    Engine, peers and signatures are closed by whoever made them. Time is that of the loop and of `clock_ms`, chance
    that of `random`: nothing else is read from the machine, so a run can be repeated.
    """

    def __init__(
        self,
        chain: Chain,
        engine: Engine,
        peers: Peers,
        signatures: Signatures,
        author: Author,
        *,
        clock_ms: Callable[[], int],
        run_in_thread: RunInThread,
        random: Random,
        limits: Limits = Limits(),
        on_policy: Callable[[InForce, Sequence[str]], None] = lambda in_force, validators: None,
        on_final: Callable[[Sequence[FinalBlock]], None] = lambda blocks: None,
        on_past: Callable[[int], None] = lambda epoch: None,
        reseed_after_ms: int = 10_000,
    ) -> None:
        """`on_policy` is told of each policy, with its participants in policy order, before a log of it is opened.

        `on_final` is told of final blocks while the store is exactly as the last of them left it, `on_past` of the
        epoch below which no validator reads an ordering log any more.
        """
        self.chain = chain
        self._peers = peers
        self._author = author
        self._clock_ms = clock_ms
        self._run_in_thread = run_in_thread
        self._on_policy = on_policy
        self._on_final = on_final
        self.on_past = on_past
        self._in_force = chain.outlook.in_force
        self.roster = read_roster(chain.store, chain.outlook.policy)
        self._lock = asyncio.Lock()
        self._pulse = Pulse()
        self._inbox: deque[tuple[str, Message]] = deque(maxlen=INBOX_MESSAGES)
        self._inbox_filled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._parts: list[asyncio.Task[None]] = []
        self._may_author = False
        self.intake = Intake(limits)
        self.following = Following(
            chain, peers, lambda: self.roster.validators, signatures, clock_ms, random, self._pulse, self.turn
        )
        self.reader = Reader(
            chain, engine, self.intake, self.following, signatures, clock_ms, self._pulse, self.turn
        )  # fmt: skip
        self.offering = Offering(
            chain, engine, self.intake, author, signatures, clock_ms, self._pulse, lambda: self._may_author
        )  # fmt: skip
        self.accusing = Accusing(chain, peers, signatures.check, self.turn, run_in_thread)
        self.watch = Watch(self, peers, clock_ms, random, reseed_after_ms)
        self.failure: BaseException | None = None
        self.last_final_ms = clock_ms()
        self.answered = 0

    # -- clients ----------------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Transactions taken and not final."""
        return self.intake.pending

    @property
    def height(self) -> int:
        """The newest final height."""
        return self.chain.outlook.height

    @property
    def engine_ok(self) -> bool:
        """Whether this node can read and append the ordering log in force. One that does neither says yes."""
        return self.reader.can_read and self.offering.can_append

    @property
    def may_author(self) -> bool:
        """Whether entries of this node make blocks."""
        return self._may_author

    async def submit(self, admitted: Sequence[Admitted]) -> list[Answered]:
        """Have submissions ordered and wait until each is final.

        Raises `Full`, `Observing`, `Poisonous`; the failure if the node stops.
        """
        self._check_running()
        outlook = self.chain.outlook
        if outlook.upgrade:
            raise Observing(f"this node observes and orders nothing: {outlook.upgrade}")
        if outlook.health.stopped is not None:
            raise Observing(f"this node observes and orders nothing: {outlook.health.stopped.value}")
        if not self._may_author:
            names = ", ".join(self.roster.validators)
            raise Observing(f"this node observes and orders nothing: hand in at a validator ({names})")
        if any(item.submission.digest in self.chain.refused for item in admitted):
            raise Poisonous("an entry with this submission made execution fail: sign it anew, alone")
        if outlook.is_full:
            raise Full("as much is executed and not final as this node keeps; try again shortly")
        return await self.intake.put(admitted)

    async def wait_above(self, height: int) -> int:
        """Return the newest final height once it is above `height`."""
        while self.height <= height and self.failure is None:
            await self._pulse.next()
        self._check_running()
        return self.height

    def _check_running(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def reseed(self, log_name: str | None = None) -> None:
        """Ask the other validators for a new epoch, on the operator's word; `log_name` moves the ordering log."""
        await self.turn(self.chain.reseed, log_name, self._clock_ms())

    # -- running ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Carry out what the journal demands, take what the log already has if this node is alone, then run."""
        self._meet(self.roster)
        self._carry_out(self.chain.opened)
        self._may_author = await self._run_in_thread(partial(self.chain.is_author, self._author.key))
        if self.chain.outlook.policy.quorum == 1 and self.chain.outlook.is_validator:
            while await self.reader.read_page():
                pass
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End all tasks. What waits is not ordered; its callers are told.

        A part that waits with a time-out may take the end for that (`asyncio.wait_for`, also of a library), and go on:
        it is told again.
        """
        if self._task is not None:
            self._task.cancel()
            while not (await asyncio.wait([self._task], timeout=_HEED_S))[0]:
                for part in self._parts:
                    part.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._fail(asyncio.CancelledError("the node is stopping"))

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for task in (
                    self.reader.run(),
                    self._hear(),
                    self.following.run(),
                    self.following.run_fetches(),
                    self.offering.run(),
                    self.watch.run(),
                    self.accusing.run(),
                ):
                    self._parts.append(group.create_task(task))
        except BaseExceptionGroup as errors:
            error = errors.exceptions[0]
            log.error("stopped", error=str(error), kind=type(error).__name__)
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self.intake.fail(error)
        self._pulse.beat()

    # -- the chain --------------------------------------------------------------------------------------------------

    async def turn(self, work: Callable[..., Done], *arguments: Any) -> Done:
        """One call of the chain, beside the loop; then what it led to goes out. Calls never overlap."""
        async with self._lock:
            done = await self._run_in_thread(partial(work, *arguments))
            if done.blocks:
                self._on_final(done.blocks)
            self._carry_out(done)
            if any(final.block.decision is not None for final in done.blocks):
                self._may_author = await self._run_in_thread(partial(self.chain.is_author, self._author.key))
        return done

    def _meet(self, roster: Roster) -> None:
        """Who is who has changed, or is known for the first time."""
        self.roster = roster
        self._on_policy(self._in_force, roster.validators)
        self._peers.set_members(roster.members)

    def _carry_out(self, done: Done) -> None:
        """Everything in `done` is durable."""
        if self.chain.outlook.in_force is not self._in_force or any(_changes_roster(final) for final in done.blocks):
            self._in_force = self.chain.outlook.in_force
            self._meet(read_roster(self.chain.store, self.chain.outlook.policy))
        for message in done.broadcasts:
            self._peers.broadcast(message)
        for vote_key, message in (*done.sends, *((key, self.make_tip()) for key in done.behind)):
            participant = self.roster.by_vote_key.get(vote_key)
            if participant is not None:
                self._peers.send(participant, message)
        for participant, reply in done.replies:
            self._peers.send(participant, reply)
        if done.catch_up:
            self.following.ask()
        for final in done.blocks:
            self.last_final_ms = self._clock_ms()
            self.answered += self.intake.answer(final)
        self.offering.note(done)
        self.reader.look()
        self._pulse.beat()

    def make_tip(self) -> TipMessage:
        """How far this node is."""
        outlook = self.chain.outlook
        return TipMessage(outlook.height, outlook.health.epoch, self.engine_ok)

    # -- peers ------------------------------------------------------------------------------------------------------

    def on_message(self, sender: str, message: Message) -> None:
        """See `node.peers.contract.Serving`, also for the following."""
        if isinstance(message, TipMessage):
            self.following.hear(sender, message)
            self.watch.hear(sender, message)
            return
        if isinstance(message, EvidenceMessage):
            self.accusing.hear(message)
            return
        self._inbox.append((sender, message))
        self._inbox_filled.set()

    def on_connected(self, participant: str) -> None:
        """A newcomer is told our tip, and a validator its own newest vote, lest its journal be older."""
        self._peers.send(participant, self.make_tip())
        self.accusing.greet(participant)
        for vote_key, owner in self.roster.by_vote_key.items():
            vote = self.chain.newest_vote(vote_key) if owner == participant else None
            if vote is not None:
                self._peers.send(participant, vote)

    async def final_from(self, height: int) -> AsyncIterator[tuple[FinalRecord, ...]]:
        """Pages of final blocks, then each as it becomes final."""
        if height < 1:
            raise PeerFailed("heights begin at 1")
        while True:
            page = await self._run_in_thread(partial(read_page, self.chain.store, height, self.height))
            if page:
                yield page
                height += len(page)
            else:
                await self._pulse.next()

    async def block_at(self, height: int, root: bytes) -> FetchedBlock | None:
        """A block that was executed here."""
        async with self._lock:
            return await self._run_in_thread(partial(self.chain.find_block, height, root))

    async def _hear(self) -> None:
        """Let the chain take all messages that have come, together."""
        while True:
            await self._inbox_filled.wait()
            self._inbox_filled.clear()
            messages = list(self._inbox)
            self._inbox.clear()
            await self.turn(self.chain.hear, messages, self._clock_ms())
