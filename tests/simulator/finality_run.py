"""One seeded run of real `node.finality` machines: virtual time, a bad network, crashes, a lying engine, one liar.

A run has two halves: everything goes wrong, then everything but the liar heals. `Violation` says what must never be:
two blocks decided at one height (as seen by somebody who misses no LOCK ever sent), an honest key that breaks its word,
or no progress after healing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from keeling.epochs import SignedReport
from keeling.votes import Certificate, SignedVote, Step, Vote, vote_slot
from node.finality import events as ev
from node.finality.events import Block, Candidate, Reign, Settings, Tip, candidate_of
from node.finality.journal import GaveLock, JournalRecord, Opened, Reported, Voted
from node.finality.machine import Finality
from tests.simulator.finality_liar import Liar
from tests.simulator.finality_world import (
    GENESIS_ROOT,
    NETWORK,
    Engine,
    Place,
    execute,
    fake_check,
    key_of,
    policy_of,
    signer_of,
)

GENESIS_LOG = "first"
MakeMachine = Callable[[Settings, Reign, Tip], Finality]


class Violation(AssertionError):
    """What finality promises did not hold."""


@dataclass(frozen=True)
class Weather:
    """How bad the first half is; drawn per seed."""

    loss: float
    duplicates: float
    delay_ms: int
    crashes: float
    """Chance that a node dies while it makes records durable."""
    lies: float
    """Chance that a reader of the engine is shown something else at a position."""
    liar: bool
    set_changes: float

    @staticmethod
    def draw(random: Random) -> Weather:
        return Weather(
            loss=random.choice([0, 0.05, 0.3]),
            duplicates=random.choice([0, 0.2]),
            delay_ms=random.choice([5, 60, 400]),
            crashes=random.choice([0, 0.03, 0.1]),
            lies=random.choice([0, 0.1, 0.4]),
            liar=random.random() < 0.6,
            set_changes=random.choice([0, 0, 0.1]),
        )


@dataclass
class Node:
    """One machine and what surrounds it. The first part survives a crash."""

    member: int
    journal: list[JournalRecord]
    reign: Reign
    tip: Tip = field(default_factory=lambda: Tip(0, GENESIS_ROOT, None))
    chain: list[tuple[Block, Certificate]] = field(default_factory=list)
    final_entries: set[bytes] = field(default_factory=set)
    machine: Finality | None = None
    overlay: list[Block] = field(default_factory=list)
    log: str = GENESIS_LOG
    position: int = 0
    epoch: int = 0


class Run:
    """A network of `members`, the first policy being `policies[0]`."""

    def __init__(
        self, seed: int, make: MakeMachine = Finality, weather: Weather | None = None, members: int | None = None
    ) -> None:
        self.random = Random(seed)
        self.weather = weather or Weather.draw(self.random)
        sizes = members or self.random.choice([1, 4, 4, 4, 4, 7])
        crowd = tuple(range(sizes))
        self.policies = [crowd, (*crowd[1:], sizes)] if self.weather.set_changes and sizes > 1 else [crowd]
        self._make = make
        self.engine = Engine(self.random, self.weather.lies)
        self.now = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._events = 0
        self.healing = False
        self.places: dict[Candidate, tuple[Place, bytes]] = {}
        self.blocks: dict[Candidate, Block] = {}
        self.decided: dict[int, Candidate] = {}
        self.locks: dict[Vote, set[bytes]] = {}
        self.given: dict[object, Vote] = {}
        self.fences: dict[tuple[bytes, bytes], int] = {}
        liars = {2} if self.weather.liar and sizes >= 4 else set[int]()
        reign = Reign(policy_of(self.policies[0], 0), 0, 0)
        self.known = {reign.policy.hash: reign.policy}
        everybody = sorted({member for policy in self.policies for member in policy})
        self.nodes = {key_of(m): Node(m, [Opened(NETWORK, key_of(m), 0)], reign) for m in everybody if m not in liars}
        keys = [key_of(m) for m in everybody]
        self.liars = {key_of(m): Liar(NETWORK, keys, everybody.index(m), self.random) for m in sorted(liars)}

    # ---- time ----

    def later(self, delay_ms: int, action: Callable[[], None]) -> None:
        self._events += 1
        heapq.heappush(self._queue, (self.now + delay_ms, self._events, action))

    def run_until(self, end_ms: int, done: Callable[[], bool] = lambda: False) -> None:
        while self._queue and self._queue[0][0] <= end_ms and not done():
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = max(self.now, end_ms) if not done() else self.now

    def play(self, bad_ms: int = 5_000, heal_ms: int = 120_000, blocks: int = 3) -> None:
        """Both halves; raises `Violation`."""
        for node in self.nodes.values():
            self.start(node)
        self._author()
        for liar in self.liars.values():
            self._lie(liar)
        self.run_until(bad_ms)
        self.heal()
        goal = max(node.tip.height for node in self.nodes.values()) + blocks
        self.run_until(self.now + heal_ms, lambda: self._reached(goal))
        if not self._reached(goal):
            state = {
                n.member: (n.tip.height, n.epoch, n.machine and n.machine.pen.stopped) for n in self.nodes.values()
            }
            raise Violation(f"no progress after healing: goal {goal}, nodes (height, epoch, stopped) {state}")

    def _reached(self, goal: int) -> bool:
        return all(node.tip.height >= goal for node in self.nodes.values())

    def heal(self) -> None:
        self.healing = True
        self.engine.lies = 0
        self.weather = Weather(0, 0, 5, 0, 0, self.weather.liar, self.weather.set_changes)

    # ---- actors ----

    def _author(self) -> None:
        """Somebody always wants something; and offers again, in whatever log is read now, what is not final."""
        for log in sorted({node.log for node in self.nodes.values()}):
            if len(self.engine.logs.get(log, [])) < 40:
                self.engine.append(log, self.engine.new_entry(self.weather.set_changes))
        self.later(150, self._author)

    def _lie(self, liar: Liar) -> None:
        for message in liar.messages():
            for key in self.nodes:
                if self.random.random() < 0.7:
                    self._transmit(key, message)
        self.later(120, lambda: self._lie(liar))

    def start(self, node: Node) -> None:
        settings = Settings(NETWORK, signer_of(node.member), fake_check, repeat_ms=250, reseed_after_ms=1_500)
        node.machine = machine = self._make(settings, node.reign, node.tip)
        node.overlay = []
        node.epoch = node.reign.epoch
        if node.chain:
            place = self.places[node.chain[-1][0].candidate][0]
            node.log, node.position, node.epoch = place.log, place.position + 1, max(place.epoch, node.epoch)
        else:
            node.log, node.position = GENESIS_LOG, 0
        self._step(node, ev.Restarted(tuple(node.journal), self.now))
        self._every(node, machine, 100, lambda: self._tick(node))
        self._every(node, machine, 40, lambda: self._read(node))

    def _every(self, node: Node, machine: Finality, period_ms: int, action: Callable[[], None]) -> None:
        """Repeat while the node has not crashed since."""

        def again() -> None:
            if node.machine is machine:
                action()
                self.later(period_ms + self.random.randrange(10), again)

        self.later(self.random.randrange(period_ms), again)

    def _tick(self, node: Node) -> None:
        if self.random.random() < self.weather.crashes / 5:
            self._crash(node)
            return
        self._step(node, ev.Tick(self.now))
        if node.machine is not None and not node.machine.signs and self.random.random() < 0.1:
            # Who does not vote is not sent votes, and hears of what is final by following some peer.
            peer, height = self.random.choice(list(self.nodes.values())), node.tip.height + 1
            self._post(key_of(node.member), lambda follower: self._hand_over(peer, follower, height))

    def _crash(self, node: Node) -> None:
        node.machine = None
        self.later(self.random.randrange(50, 800), lambda: self.start(node))

    def _read(self, node: Node) -> None:
        if len(node.overlay) >= 3:
            return
        entry = self.engine.read(node.log, node.position, node.member)
        if entry is None:
            return
        place = Place(node.log, node.position, node.epoch)
        node.position += 1
        waiting = {self.places[block.candidate][1] for block in node.overlay}
        if entry in node.final_entries or entry in waiting:
            return
        parent = node.overlay[-1].candidate.root if node.overlay else node.tip.root
        self._execute(node, parent, node.tip.height + len(node.overlay) + 1, entry, place)

    def _execute(
        self, node: Node, parent: bytes, height: int, entry: bytes, place: Place, asked: Candidate | None = None
    ) -> None:
        block = execute(parent, height, entry, place, self.policies)
        self.places[block.candidate] = (place, entry)
        self.blocks[block.candidate] = block
        node.overlay.append(block)
        self._step(node, ev.Executed(block, asked))

    # ---- carrying out what a machine says ----

    def _step(self, node: Node, event: ev.Input) -> None:
        if node.machine is None:
            return
        for output in node.machine.step(event):
            if isinstance(output, ev.Persist):
                died = self.random.random() < self.weather.crashes
                if not died or self.random.random() < 0.5:
                    node.journal += output.records
                    for item in output.records:
                        if isinstance(item, Voted | GaveLock | Reported):
                            self._check_word(item.signed)
                if died:
                    self._crash(node)
                    return
            else:
                self._carry_out(node, output)

    def _carry_out(self, node: Node, output: ev.Output) -> None:
        match output:
            case ev.Send(message):
                self._check_word(message)
                for key in sorted({*self.nodes, *self.liars} - {key_of(node.member)}):
                    self._transmit(key, message)
            case ev.Answer(to, new):
                self._post(to, lambda peer: self._step(peer, ev.NewEpochArrived(new)))
            case ev.PeerBehind(to, height):
                self._post(to, lambda peer: self._hand_over(node, peer, height))
            case ev.CatchUp(height):
                helpers = [peer for peer in self.nodes.values() if peer.tip.height >= height]
                if helpers:
                    helper = self.random.choice(helpers)
                    self._post(key_of(node.member), lambda peer: self._hand_over(helper, peer, height))
            case ev.Fetch(candidate):
                if candidate in self.places:
                    self._post(key_of(node.member), lambda peer: self._fetched(peer, candidate))
            case ev.JoinEpoch(_, epoch, log, _):
                self._join(node, epoch, log)
            case ev.Final(block, certificate):
                self._finish(node, block, certificate)
            case ev.EvidenceFound(evidence):
                if evidence.first.key in self.nodes:
                    raise Violation(f"an honest key voted twice: {evidence}")
            case ev.StopSigning(reason):
                raise Violation(f"node {node.member} stopped signing without cause: {reason}")
            case ev.Ignored(why):
                if not self.liars:
                    raise Violation(f"node {node.member} ignored an honest message: {why}")

    def _transmit(self, key: bytes, message: SignedVote | SignedReport) -> None:
        if key in self.liars:
            self.liars[key].hear(message)
        elif isinstance(message, SignedVote):
            self._post(key, lambda peer: self._step(peer, ev.VoteArrived(message)))
        else:
            self._post(key, lambda peer: self._step(peer, ev.ReportArrived(message)))

    def _post(self, key: bytes, deliver: Callable[[Node], None]) -> None:
        """To one node, over the network: late, twice or never."""
        node = self.nodes.get(key)
        if node is None:
            return
        copies = 2 if self.random.random() < self.weather.duplicates else 1
        for _ in range(copies):
            if self.random.random() >= self.weather.loss:
                self.later(1 + self.random.randrange(self.weather.delay_ms), lambda: deliver(node))

    def _hand_over(self, helper: Node, peer: Node, height: int) -> None:
        if peer.tip.height + 1 == height <= helper.tip.height:
            block, certificate = helper.chain[height - 1]
            self._step(peer, ev.CertificateArrived(certificate))
            if peer.tip.height + 1 == height:
                self._fetched(peer, block.candidate)

    def _fetched(self, node: Node, candidate: Candidate) -> None:
        """Execute what was fetched in place of whatever stood at its height."""
        place, entry = self.places[candidate]
        if node.machine is None or candidate.height != node.tip.height + 1:
            return
        node.overlay = []
        if place.log == node.log:
            node.position = place.position + 1
        self._execute(node, node.tip.root, candidate.height, entry, place, candidate)

    def _join(self, node: Node, epoch: int, log: str | None) -> None:
        node.overlay, node.epoch = [], epoch
        place = self.places[node.chain[-1][0].candidate][0] if node.chain else Place(GENESIS_LOG, -1, 0)
        node.log = log if log is not None else place.log
        node.position = place.position + 1 if place.log == node.log else 0

    def _finish(self, node: Node, block: Block, certificate: Certificate) -> None:
        self._decide(certificate.lock)
        candidate = block.candidate
        if candidate.height != node.tip.height + 1 or block.parent_root != node.tip.root:
            raise Violation(f"node {node.member} finalised height {candidate.height} upon {node.tip.height}")
        place, entry = self.places[candidate]
        node.chain.append((block, certificate))
        node.final_entries.add(entry)
        node.tip = Tip(candidate.height, candidate.root, certificate if block.next_policy is None else None)
        if block.next_policy is not None:
            node.reign = Reign(block.next_policy, candidate.height, block.epoch)
            self.known[block.next_policy.hash] = block.next_policy
        if node.overlay and node.overlay[0].candidate == candidate:
            del node.overlay[0]
        else:
            node.overlay = []
            if place.log == node.log:
                node.position = place.position + 1
        machine = node.machine
        if machine is not None and machine.pen.journal is not None and self.random.random() < 0.2:
            # Every record of this step is durable by now, and so is the block: the rest may go.
            node.journal = [*machine.pen.journal.records()]

    # ---- what must always hold ----

    def _check_word(self, message: SignedVote | SignedReport) -> None:
        """An honest key gives one vote in one place, and none in an epoch it reported the end of."""
        if isinstance(message, SignedReport):
            fence = (message.key, message.report.policy)
            self.fences[fence] = max(self.fences.get(fence, 0), message.report.epoch)
            return
        vote = message.vote
        place = (message.key, vote_slot(vote))
        if place not in self.given and vote.epoch < self.fences.get((message.key, vote.policy), 0):
            raise Violation(f"vote below the epoch reported for: {vote}")
        if self.given.setdefault(place, vote) != vote:
            raise Violation(f"two votes of one honest key in one place: {self.given[place]} and {vote}")
        if vote.step is Step.LOCK:
            self.locks.setdefault(vote, set()).add(message.key)
            policy = self.known[vote.policy]
            liars = sum(key in policy.vote_keys for key in self.liars)
            if len(self.locks[vote]) + liars >= policy.quorum:
                self._decide(vote)

    def _decide(self, vote: Vote) -> None:
        """Somebody who heard every LOCK, and to whom the liars say yes, holds a certificate for this."""
        candidate = candidate_of(vote)
        if self.decided.setdefault(candidate.height, candidate) != candidate:
            raise Violation(f"two blocks decided at height {candidate.height}, the second in epoch {vote.epoch}")
