"""Executing entries, and adopting blocks that others certified: only what gives the same tree here becomes final here.

A block that comes from a peer is proved before it is executed, so that a different result is this node's own fault and
it says so (architecture 4.6). An entry that makes execution fail is remembered and never voted for (rule E5).
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from keeling.block import parse_header
from keeling.ed25519 import check_signature
from keeling.encoding import EncodingError
from keeling.entry import SignedEntry, parse_entry
from keeling.genesis import Genesis
from keeling.submission import parse_submission
from keeling.votes import CERTIFICATE, CheckSignature
from node.core.block import ParseSubmission, Place, is_admissible
from node.finality import events as ev
from node.incidents import Divergence, put_divergence, put_poison, read_poison
from node.ordering.contract import compute_entry_digest
from node.outcome import Done, Settings, Work
from node.overlay import Layer
from node.peers.contract import FetchedBlock, FinalRecord
from node.proving import Unproved, prove_header
from node.reading import compute_cursor
from node.settling import Settling
from node.signing import ValidatorKeys
from node.store.contract import Store, StoreError

log = structlog.get_logger()


class Adopting(Settling):
    """A chain that can be given blocks."""

    def __init__(self, store: Store, genesis: Genesis, keys: ValidatorKeys | None, settings: Settings) -> None:
        super().__init__(store, genesis, keys, settings)
        self._poisoned, self.refused = read_poison(store)
        """`refused` has digests of submissions that were in a poison entry: the door turns them away."""

    # -- executing --------------------------------------------------------------------------------------------------

    def _admit(self, raw: bytes) -> SignedEntry | None:
        """The entry, if it makes a block upon the overlay's head."""
        try:
            entry = parse_entry(raw, self._check)
        except EncodingError:
            return None
        return entry if is_admissible(self.overlay.state, self.overlay.head, entry) else None

    def _execute(
        self,
        work: Work,
        entry: SignedEntry,
        raw: bytes,
        place: Place,
        check: CheckSignature | None = None,
        parse: ParseSubmission = parse_submission,
    ) -> Layer | None:
        """Execute upon the overlay's head; None for an entry that makes execution fail, which is remembered."""
        try:
            return self.overlay.execute(entry, raw, place, check or self._check, parse)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, it must not halt the node nor become a refusal
            log.error("poison", entry=entry.digest.hex(), error=str(error), kind=type(error).__name__)
            digests = [compute_entry_digest(submission) for submission in entry.entry.submissions]
            self._poisoned.add(entry.digest)
            self.refused.update(digests)
            put_poison(work.batch, entry.digest, digests)
            self._drop(work)
            return None

    # -- what was fetched -------------------------------------------------------------------------------------------

    def answer_fetch(self, fetch: ev.Fetch, block: FetchedBlock, now_ms: int) -> Done:
        """A block that was wanted came. It is proved here; `misled` says why it was not taken."""
        work = Work()
        self._feed(work, ev.Tick(now_ms))
        if self.finality.wanted() == fetch:
            self._execute_fetched(work, fetch, block)
        return self._complete(work)

    def _execute_fetched(self, work: Work, fetch: ev.Fetch, block: FetchedBlock) -> None:
        """Execute it in place of whatever was executed at its height."""
        candidate, final = fetch.candidate, self.overlay.final
        if candidate.height != final.height + 1 or self._has_diverged():
            return
        try:
            header = prove_header(candidate, block, final.frontier)
        except Unproved as error:
            work.misled = str(error)
            return
        self._drop(work)
        if self._find_upgrade():
            return
        entry = self._admit(block.entry)
        layer = None
        if entry is not None:
            layer = self._execute(work, entry, block.entry, Place(header.epoch, header.position))
            if layer is None and not fetch.certified:
                self._feed(work, ev.Suspended(ev.Reason.POISON))
                return
        if layer is not None and layer.candidate == candidate:
            self._cursor = compute_cursor(self._log, self._final_header, self.overlay.layers)
            self._feed(work, ev.Executed(layer.describe(), candidate))
            return
        if fetch.certified:
            self._diverge(work, candidate, block, layer)
        self._drop(work)

    def _diverge(self, work: Work, candidate: ev.Candidate, theirs: FetchedBlock, ours: Layer | None) -> None:
        """What is certified gives something else here, or nothing: say so, and keep what there is to compare."""
        own = ours.fetched() if ours is not None else FetchedBlock(b"", theirs.entry, b"", b"")
        found = Divergence(
            candidate.height, candidate.entry, own.header, theirs.header, own.tables, theirs.tables
        )  # fmt: skip
        log.error("diverged", height=candidate.height, tables=found.differing)
        put_divergence(work.batch, found)
        if ours is not None:
            wrong = ours.describe()
        else:
            parent = self.overlay.final.frontier.root()
            wrong = ev.Block(candidate._replace(root=bytes(32)), parent, bytes(32), self._log.epoch, 0)
        self._feed(work, ev.Executed(wrong, candidate))

    # -- catching up ------------------------------------------------------------------------------------------------

    def adopt(self, records: Sequence[FinalRecord], now_ms: int, check: CheckSignature = check_signature) -> Done:
        """Follow final blocks that a peer handed over, all in one write as far as they are good.

        `misled` says why the first that was not was not. What differs here although it is certified is fetched again
        with proof, so that it is known whose fault that is.
        """
        work = Work()
        self._feed(work, ev.Tick(now_ms))
        self._notes.clear()
        for record in records:
            if self._has_diverged():
                break
            work.misled = self._adopt_one(work, record, check)
            if work.misled:
                break
        return self._complete(work)

    def _adopt_one(self, work: Work, record: FinalRecord, check: CheckSignature) -> str:
        try:
            header, certificate = parse_header(record.header), CERTIFICATE.decode(record.certificate)
        except EncodingError as error:
            return str(error)
        height = certificate.lock.height
        if height != self.finality.height:
            return "" if height < self.finality.height else f"height {height} where {self.finality.height} comes next"
        self._notes[height] = record.checkpoint
        self._feed(work, ev.CertificateArrived(certificate))
        if self.finality.height > height:
            return ""
        known = self.finality.certificates.get(height)
        if known is None or known.lock != certificate.lock:
            return f"what is shown for height {height} is not its certificate"
        if self.overlay.layers[len(work.final) :]:
            self._drop(work)
        if upgrade := self._find_upgrade():
            return upgrade
        entry = self._admit(record.entry)
        place = Place(header.epoch, header.position)
        layer = None if entry is None else self._execute(work, entry, record.entry, place, check)
        if layer is None or layer.candidate != ev.candidate_of(certificate.lock):
            self._drop(work)
            work.is_asked = True
            return f"the block shown for height {height} is not the certified one"
        self._feed(work, ev.Executed(layer.describe(), layer.candidate))
        self._cursor = compute_cursor(self._log, self._final_header, self.overlay.layers[len(work.final) :])
        return ""

    # -- the end of a call ------------------------------------------------------------------------------------------

    def _complete(self, work: Work) -> Done:
        """Commit, do what can be done here about blocks that are wanted, and say what is left for others to do."""
        self._commit(work)
        while self._follow_up(work):
            self._commit(work)
        self._look()
        return work.done()

    def _follow_up(self, work: Work) -> bool:
        start = self._start
        if start is not None and self._awaits_start() and start.height == self.overlay.final.height + 1:
            layer = self.overlay.known.get(start)
            if layer is not None and not self.overlay.layers:
                self._execute_again(work, layer)
        fetch = self.finality.wanted() if work.is_asked else None
        work.is_asked = False
        if fetch is None:
            return False
        layer = self.overlay.known.get(fetch.candidate)
        block = (
            layer.fetched() if layer is not None else self._journal.find(fetch.candidate.height, fetch.candidate.root)
        )
        if block is None:
            work.wanted = fetch
            return False
        self._execute_fetched(work, fetch, block)
        return True
