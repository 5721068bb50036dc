"""Carrying out what finality decides: journal, final blocks and policy changes, each call in one atomic write.

Here is the half of a chain that turns outputs of the finality machine into a batch, commits it, and keeps overlay and
reading place in step. Where inputs come from is in `node.adopting` (certified blocks) and `node.chain` (all others).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog

from keeling.block import Header, parse_header
from keeling.checkpoint import Checkpoint
from keeling.encoding import U64
from keeling.entry import parse_entry
from keeling.epochs import NEW_EPOCH, SIGNED_REPORT
from keeling.genesis import Genesis
from keeling.policy import hash_policy
from keeling.submission import parse_submission
from keeling.votes import CERTIFICATE, EVIDENCE, SIGNED_VOTE, SignedVote
from node.archive import height_key, put_block
from node.checkpoints import Checkpoints
from node.core.block import Place
from node.core.governance.versions import find_unknown_rules
from node.core.state import State
from node.finality import events as ev
from node.finality.health import compute_health
from node.finality.journal import GaveLock, Joined, JournalRecord, Voted
from node.finality.machine import Finality
from node.held import complete_holds
from node.incidents import VOTE_EVIDENCE, Stopped, put_evidence, put_stopped, read_stopped
from node.indexes import put_indexes
from node.journal import JournalStore
from node.ledger import (
    IN_FORCE,
    REIGN_KEY,
    TIP_KEY,
    InForce,
    StateReader,
    check_store,
    read_final_tip,
    read_in_force,
    read_tip,
)
from node.ordering.contract import LogId
from node.outcome import FinalBlock, Outlook, Settings, Work
from node.overlay import Layer, Overlay
from node.peers.contract import EpochMessage, ReportMessage, VoteMessage
from node.reading import compute_cursor, find_log, put_log_name
from node.signing import ValidatorKeys
from node.store.contract import Batch, Family, Store

log = structlog.get_logger()
RECENT_BLOCKS: Final = 8
"""Final blocks whose writes are remembered, for a node that came to another state to compare with."""
REOPENED_MAX: Final = 8
"""Heights without a published note that are collected for again after a start."""


class Settling:
    """What a chain is made of, and what it does when finality speaks. Used by one thread at a time."""

    def __init__(self, store: Store, genesis: Genesis, keys: ValidatorKeys | None, settings: Settings) -> None:
        check_store(store, genesis)
        complete_holds(store)
        self.store = store
        self.genesis = genesis
        self._check = settings.check
        self._vote_key = keys.vote_key if keys is not None else b""
        self._in_force = read_in_force(store, genesis)
        self._policy = self._in_force.policy
        tip = read_tip(store, genesis)
        leaf = store.get(Family.BLOCKS, height_key(b"h", tip.height)) if tip.height else None
        self._final_header: Header | None = None if leaf is None else parse_header(leaf)
        self.overlay = Overlay(State(StateReader(store)), tip)
        self._journal = JournalStore(store)
        self._checkpoints = Checkpoints(store, keys, settings.check)
        self._recent: deque[Layer] = deque(maxlen=RECENT_BLOCKS)
        self._notes: dict[int, bytes] = {}  # published notes handed over with blocks being adopted, by height
        self._newest: dict[bytes, SignedVote] = {}
        self._due_ms: int | None = None
        self._blocked = False  # nothing is read until something becomes final or an epoch begins
        self._start: ev.Candidate | None = None
        self._log = LogId(self._in_force.epoch, self._in_force.log)
        self._cursor = compute_cursor(self._log, self._final_header, ())
        self.finality = self._open_finality(keys, settings)
        self._reopen_checkpoints()
        self._look()

    def _open_finality(self, keys: ValidatorKeys | None, settings: Settings) -> Finality:
        signer = None if keys is None else ev.Signer(keys.vote_key, keys.vote)
        # Alone, there is nobody to agree on a new epoch with: what is stalled waits for its cause to pass.
        reseed_after_ms = settings.reseed_after_ms if len(self._policy.validators) > 1 else None
        machine = ev.Settings(
            self.genesis.network, signer, settings.check, settings.repeat_ms, reseed_after_ms=reseed_after_ms
        )
        tip = read_final_tip(self.store, self.overlay.final, self._in_force.since)
        finality = Finality(machine, self._in_force.reign, tip)
        stopped = read_stopped(self.store)
        if stopped is not None and (stopped.vote_key == self._vote_key or stopped.reason == ev.Reason.DIVERGED.name):
            finality.pen.stopped = ev.Reason[stopped.reason]
        return finality

    def _reopen_checkpoints(self) -> None:
        """Go on collecting cosignatures for the newest heights, as far as the policy in force certified them."""
        tip = self.overlay.final.height
        for height in range(max(self._in_force.since, tip - REOPENED_MAX) + 1, tip + 1):
            raw = self.store.get(Family.BLOCKS, height_key(b"c", height))
            leaf = self.store.get(Family.BLOCKS, height_key(b"h", height))
            if leaf and raw and not self.store.get(Family.BLOCKS, height_key(b"k", height)):
                lock = CERTIFICATE.decode(raw).lock
                checkpoint = Checkpoint(self._policy.origin, lock.size, lock.root)
                self._checkpoints.restore(parse_header(leaf), checkpoint, self._policy)

    def _look(self) -> None:
        """Make the outlook anew."""
        header = self._final_header
        self.outlook = Outlook(
            height=self.finality.tip.height,
            time_ms=header.time_ms if header is not None else self.genesis.created_ms,
            due_ms=self._due_ms,
            root=self.finality.tip.root,
            log=self._log,
            cursor=self._cursor,
            may_read=self._may_read(),
            is_full=self.overlay.is_full,
            is_validator=self._vote_key in self.finality.reign.policy.vote_keys,
            wanted=None if self._is_stuck() else self.finality.wanted(),
            final_place=Place(0, 0) if header is None else Place(header.epoch, header.position),
            health=compute_health(self.finality),
            in_force=self._in_force,
            policy=self._policy,
            upgrade=self._find_upgrade(),
        )

    def _has_diverged(self) -> bool:
        """Whether this state is wrong, so that nothing more may be built on it."""
        return self.finality.pen.stopped is ev.Reason.DIVERGED

    def _find_upgrade(self) -> str:
        """Why the block upon the overlay's head needs a later release; empty where it does not."""
        return find_unknown_rules(self.overlay.state, self.overlay.head.height + 1)

    def _is_stuck(self) -> bool:
        """Whether nothing may be executed, whatever it is: it is no fault of any entry."""
        return self._has_diverged() or bool(self._find_upgrade())

    def _may_read(self) -> bool:
        """Whether the next entry of the log may be executed."""
        return not (self._blocked or self._is_stuck() or self.overlay.is_full or self._awaits_start())

    def _awaits_start(self) -> bool:
        """Whether the block this epoch begins with must be executed before its log is read."""
        start, layers = self._start, self.overlay.layers
        if start is None or self.overlay.final.height >= start.height:
            return False
        return not (layers and layers[0].candidate == start)

    # -- outputs ----------------------------------------------------------------------------------------------------

    def _feed(self, work: Work, item: ev.Input) -> None:
        """One input for the machine; what it answers is gathered in `work`."""
        for output in self.finality.step(item):
            self._carry(work, output)

    def _carry(self, work: Work, output: ev.Output) -> None:
        match output:
            case ev.Persist(records):
                self._put_records(work, records)
            case ev.Send(message):
                is_vote = isinstance(message, SignedVote)
                raw = SIGNED_VOTE.encode(message) if is_vote else SIGNED_REPORT.encode(message)  # type: ignore[arg-type]
                work.broadcasts.append(VoteMessage(raw) if is_vote else ReportMessage(raw))
            case ev.Answer(to, new):
                work.sends.append((to, EpochMessage(NEW_EPOCH.encode(new))))
            case ev.PeerBehind(to, _):
                work.behind.append(to)
            case ev.CatchUp():
                work.catch_up = True
            case ev.Fetch():
                work.is_asked = True
            case ev.JoinEpoch():
                self._join(work, output)
            case ev.Final():
                self._finish(work, output)
            case ev.StopSigning(reason):
                log.error("signs nothing more", reason=reason.value)
                put_stopped(work.batch, Stopped(reason.name, self._vote_key))
            case ev.EvidenceFound(evidence):
                log.error("evidence: two votes of one key", key=evidence.first.key.hex())
                put_evidence(work.batch, VOTE_EVIDENCE, EVIDENCE.encode(evidence))
            case ev.Ignored(why):
                log.info("ignored", why=why)

    def _put_records(self, work: Work, records: Sequence[JournalRecord]) -> None:
        self._journal.put(work.batch, records)
        for item in records:
            if isinstance(item, Voted | GaveLock):
                work.voted.append(ev.candidate_of(item.signed.vote))
            elif isinstance(item, Joined):
                report = item.new.reports[0].report
                put_log_name(work.batch, report.policy, LogId(report.epoch, report.log))

    def _join(self, work: Work, joined: ev.JoinEpoch) -> None:
        """Another epoch: drop what is not final, and read its log, once the block it begins with was executed."""
        if joined.log is not None:
            self._log = LogId(joined.epoch, joined.log)
        log.info("epoch", epoch=joined.epoch, log=self._log.name)
        self._start = joined.start
        self._blocked = False
        self._drop(work)

    def _drop(self, work: Work) -> None:
        """Forget what was executed and is not final, and read on after what is."""
        self._commit(work)
        self.overlay.drop()
        self._cursor = compute_cursor(self._log, self._final_header, ())

    # -- blocks that are final --------------------------------------------------------------------------------------

    def _finish(self, work: Work, final: ev.Final) -> None:
        """Put a final block into the batch, with all that follows from it."""
        layer = self.overlay.known[final.block.candidate]
        layers, at = self.overlay.layers, len(work.final)
        if at >= len(layers) or layers[at] is not layer:
            layer = self._execute_again(work, layer)
        block, header = layer.block, layer.block.header
        work.final.append(layer)
        checkpoint = Checkpoint(self._policy.origin, layer.candidate.size, layer.candidate.root)
        given = self._notes.pop(header.height, b"")
        note = self._checkpoints.finish(work.batch, header, checkpoint, self._policy, given)
        own = None if note else self._checkpoints.message(header.height)
        if own is not None:
            work.broadcasts.append(own)
        archived = put_block(work.batch, block, layer.entry, CERTIFICATE.encode(final.certificate), note)
        put_indexes(work.batch, block, self.overlay.state)
        work.batch.put(Family.META, TIP_KEY, U64.encode(header.height))
        self._journal.forget(work.batch, header.height, self._remembered)
        for key, signature in final.certificate.signatures:
            self._newest[key] = SignedVote(final.certificate.lock, key, signature)
        self._final_header = header
        self._blocked = False
        if layer.next_file:
            self._change_policy(work.batch, layer)
        work.blocks.append(FinalBlock(block, archived))

    def _execute_again(self, work: Work, layer: Layer) -> Layer:
        """A block that was dropped, or stands beside the layers, is final: bring it to the bottom of them."""
        self._drop(work)
        header = layer.block.header
        entry = parse_entry(layer.entry, lambda *_: True)
        place = Place(header.epoch, header.position)
        again = self.overlay.execute(entry, layer.entry, place, self._check, parse_submission)
        if again.candidate != layer.candidate:
            raise LookupError(f"executing block {header.height} twice gave two results: this machine cannot be trusted")
        self._cursor = compute_cursor(self._log, self._final_header, self.overlay.layers)
        return again

    def _remembered(self) -> Sequence[JournalRecord] | None:
        journal = self.finality.pen.journal
        return journal.records() if journal is not None else None

    def _change_policy(self, batch: Batch, layer: Layer) -> None:
        """The new policy reads on in the log in which the block that decided it was read."""
        header, old = layer.block.header, self._in_force
        which = self._log
        if header.epoch != which.epoch:
            which = find_log(self.store, old, hash_policy(old.file), header.epoch)
        self._in_force = InForce(layer.next_file, header.height, which.epoch, which.name)
        self._policy = self._in_force.policy
        self._log = which
        self._start = None
        batch.put(Family.META, REIGN_KEY, IN_FORCE.encode(self._in_force))
        log.info("policy", policy=hash_policy(layer.next_file).hex(), height=header.height)

    # -- the write --------------------------------------------------------------------------------------------------

    def _commit(self, work: Work) -> None:
        """Make all that was gathered durable, in one write. A block voted for is kept whole beside its vote."""
        height = work.final[-1].candidate.height if work.final else self.overlay.final.height
        for candidate in work.voted:
            layer = self.overlay.known.get(candidate)
            if layer is not None and candidate.height > height:
                self._journal.put_block(work.batch, candidate.height, candidate.root, layer.fetched)
        work.voted.clear()
        if len(work.batch):
            self._checkpoints.flush(work.batch)
            self.store.commit(work.batch)
            work.batch = Batch()
        if work.final:
            self.overlay.settle(work.final)
            self._recent.extend(work.final)
            work.final.clear()
