"""The chain of one node: executes ordered entries, lets finality decide, and commits what follows in one atomic write.

Everything here runs on one thread and touches no network. Votes, blocks, log, answers, indexes and state of one call go
to the store together, synced, before anything of it leaves the process: there is nothing a crash can separate (G8).
Reading the ordering log, talking to peers and answering clients is the replica's business (`node.replica`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from keeling.ed25519 import check_signature
from keeling.encoding import EncodingError
from keeling.epochs import NEW_EPOCH, SIGNED_REPORT
from keeling.genesis import Genesis
from keeling.submission import parse_submission
from keeling.votes import SIGNED_VOTE, CheckSignature
from node.adopting import Adopting
from node.core import tables
from node.core.block import ParseSubmission, Place
from node.finality import events as ev
from node.incidents import put_evidence
from node.ledger import read_next_due
from node.ordering.contract import Cursor, LogId, Ordered, compute_entry_digest
from node.outcome import Done, Settings, Work
from node.peers.contract import (
    CosignedMessage,
    EpochMessage,
    FetchedBlock,
    Message,
    ReportMessage,
    TipMessage,
    VoteMessage,
)
from node.serving import read_block
from node.signing import ValidatorKeys
from node.store.contract import Store

log = structlog.get_logger()
REPEAT_MS: Final = 500
"""What is not answered is said again this often."""


class Chain(Adopting):
    """One owner calls; everybody else reads the store and `outlook`. Nothing is answered before it is final."""

    def __init__(
        self,
        store: Store,
        genesis: Genesis,
        keys: ValidatorKeys | None,
        now_ms: int,
        check: CheckSignature = check_signature,
        reseed_after_ms: int | None = 10_000,
    ) -> None:
        """`check` is the one Ed25519 rule; simulators put something faster there. `keys` sign while the policy in force
        names them. `reseed_after_ms`: see `node.finality.events.Settings`."""
        settings = Settings(check, REPEAT_MS, reseed_after_ms)
        super().__init__(store, genesis, keys, settings)
        self._repeated_ms = now_ms
        work = Work()
        self._feed(work, ev.Restarted(self._journal.read(), now_ms))
        self.opened = self._complete(work)
        """What the start led to, for the replica to carry out first."""

    # -- the ordering log -------------------------------------------------------------------------------------------

    def take(
        self,
        which: LogId,
        ordered: Ordered,
        now_ms: int,
        check: CheckSignature | None = None,
        parse: ParseSubmission = parse_submission,
    ) -> Done:
        """Execute the next entry of the log. One that was read before the chain moved elsewhere changes nothing.

        What is no entry, forged, foreign or numbered too low makes no block and is passed over.
        """
        work = Work()
        self._feed(work, ev.Tick(now_ms))
        cursor = self._cursor
        if which == self._log and ordered.position == cursor.position + 1 and self._may_read():
            self._take(work, Place(which.epoch, ordered.position), ordered.entry, check, parse)
        return self._complete(work)

    def _take(self, work: Work, place: Place, raw: bytes, check: CheckSignature | None, parse: ParseSubmission) -> None:
        entry = self._admit(raw)
        digest = entry.digest if entry is not None else compute_entry_digest(raw)
        cursor = Cursor(place.epoch, place.position, digest)
        if entry is None:
            self._cursor = cursor
            work.passed = digest
            return
        has_layers = bool(self.overlay.layers)
        layer = None if digest in self._poisoned else self._execute(work, entry, raw, place, check, parse)
        if layer is not None:
            self._cursor = cursor
            self._feed(work, ev.Executed(layer.describe()))
        elif not has_layers:
            self._meet_poison(work)
        elif self.overlay.layers:
            self._blocked = True  # what was read before it comes first
        # else: it was met for the first time, and what was read before it is read again up to it

    def _meet_poison(self, work: Work) -> None:
        """This node votes for nothing here; a new epoch passes it. Others ask for one when nothing becomes final."""
        self._blocked = True
        self._feed(work, ev.Suspended(ev.Reason.POISON))
        if self._policy.quorum == 1:
            self._feed(work, ev.Reseed(None))

    def suspend(self, reason: ev.Reason, now_ms: int) -> Done:
        """What the engine shows cannot be voted for; nothing more is read before a certificate or an epoch helps."""
        self._blocked = True
        return self._run(now_ms, ev.Suspended(reason))

    def reseed(self, log_name: str | None, now_ms: int) -> Done:
        """Ask for a new epoch; None names its engine log by the rule everybody follows."""
        return self._run(now_ms, ev.Reseed(log_name))

    def tick(self, now_ms: int) -> Done:
        """Time has passed: what waited for the clock may be decided now, and what is not answered is said again."""
        work = Work()
        self._feed(work, ev.Tick(now_ms))
        self._due_ms = read_next_due(self.store)
        self._checkpoints.flush(work.batch)
        if now_ms - self._repeated_ms >= REPEAT_MS:
            self._repeated_ms = now_ms
            work.broadcasts += self._checkpoints.repeat()
        return self._complete(work)

    def keep_evidence(self, kind: bytes, evidence: bytes) -> Done:
        """Keep evidence that somebody else found, of a kind of `node.incidents`; it was checked."""
        work = Work()
        put_evidence(work.batch, kind, evidence)
        return self._complete(work)

    def _run(self, now_ms: int, item: ev.Input) -> Done:
        work = Work()
        self._feed(work, ev.Tick(now_ms))
        self._feed(work, item)
        return self._complete(work)

    # -- peers ------------------------------------------------------------------------------------------------------

    def hear(self, messages: Sequence[tuple[str, Message]], now_ms: int) -> Done:
        """Take what peers sent, each with its sender. Nothing in it is believed, and nothing in it stops anything."""
        work = Work()
        self._feed(work, ev.Tick(now_ms))
        for sender, message in messages:
            try:
                self._hear(work, sender, message)
            except EncodingError as error:
                log.info("ignored", sender=sender, why=str(error))
        if not self.overlay.layers:
            self._checkpoints.flush(work.batch)  # under load they go into the next block's write instead
        return self._complete(work)

    def _hear(self, work: Work, sender: str, message: Message) -> None:
        match message:
            case VoteMessage(raw):
                signed = SIGNED_VOTE.decode(raw)
                self._feed(work, ev.VoteArrived(signed))
                if self.finality.votes.holds(signed):
                    self._newest[signed.key] = signed
            case ReportMessage(raw):
                self._feed(work, ev.ReportArrived(SIGNED_REPORT.decode(raw)))
            case EpochMessage(raw):
                self._feed(work, ev.NewEpochArrived(NEW_EPOCH.decode(raw)))
            case CosignedMessage():
                self._checkpoints.collect(sender, message, self.finality.tip.height)
                own = self._checkpoints.message(message.height) if message.again else None
                if own is not None:
                    work.replies.append((sender, own))
            case TipMessage():
                pass  # how far others are is the replica's business

    # -- what others may ask ----------------------------------------------------------------------------------------

    def last_number(self, author: bytes) -> int:
        """The number of an author's newest final entry."""
        known = self.overlay.state.get(tables.AUTHORS, author)
        return 0 if known is None else known.number

    def is_author(self, author: bytes) -> bool:
        """Whether entries of this author make blocks now."""
        row = self.overlay.state.get(tables.AUTHORS, author)
        return row is not None and row.active

    def newest_vote(self, vote_key: bytes) -> VoteMessage | None:
        """The newest vote of a key that we know: shown to its owner, so that a journal that is too old is noticed."""
        signed = self._newest.get(vote_key)
        return None if signed is None else VoteMessage(SIGNED_VOTE.encode(signed))

    def find_block(self, height: int, root: bytes) -> FetchedBlock | None:
        """A block that was executed here: not final, one of the newest that are, or any that is kept."""
        for layer in (*self.overlay.known.values(), *self._recent):
            if (layer.candidate.height, layer.candidate.root) == (height, root):
                return layer.fetched()
        return self._journal.find(height, root) or read_block(self.store, height, root)
