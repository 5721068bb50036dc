"""When a validator signs: the voting, locking, reporting and adopting rules of architecture 4.5 to 4.9, and no others.

`Finality.step` takes one input and returns what to do, in order. It knows no clock (time is an input), no disk and no
network, executes nothing and believes nobody: every vote, certificate and report is checked here. Which block deserves
a vote is in `standing`, what the own key may still sign in `pen`, counting in `tally`.
"""

from __future__ import annotations

from keeling.epochs import NewEpoch, SignedReport, check_new_epoch, check_report, epoch_start
from keeling.votes import Certificate, SignedVote, Step, Vote, VoteError, check_certificate, check_vote
from node.finality import events as ev
from node.finality.events import Block, Candidate, Reason, Reign, Settings, Tip, candidate_of
from node.finality.journal import Joined, JournalRecord
from node.finality.standing import Standing

AHEAD_MAX = 8
"""Votes and certificates this far above the final height are kept; repetition brings the others in time."""
EPOCHS_AHEAD_MAX = 64
"""Reports for epochs further ahead than this are not kept."""

LATE_MAX = 256
"""Votes for final heights remembered to see whether they are repeated."""


class Finality(Standing):
    """One validator's, or observer's, part in deciding blocks. One owner calls `step`; everybody else only reads."""

    def __init__(self, settings: Settings, reign: Reign, tip: Tip) -> None:
        """Continue from what the store holds. `tip.certificate` is needed unless `reign` began at `tip`."""
        if (tip.certificate is None) != (tip.height == reign.since):
            raise ValueError(f"the tip at height {tip.height} must come with its certificate under the policy in force")
        super().__init__(settings, reign, tip)
        self._out: list[ev.Output] = []
        self._heard = 0  # highest height anybody spoke of since we last asked; may be a lie, so it only makes us ask
        self._late: dict[tuple[bytes, Step], Vote] = {}
        self._repeated_ms = 0
        self._fetching: ev.Fetch | None = None

    def step(self, event: ev.Input) -> list[ev.Output]:
        """Take one input; return what to do, in order."""
        self._out, self.pen.records = [], []
        try:
            self._take(event)
        except VoteError as error:
            self._out.append(ev.Ignored(str(error)))
        while self._finish() or self._certify() or self._lock() or self._vote():
            pass
        self._watch()
        # First of all, and once: whatever this step says outside rests on these records.
        persist: list[ev.Output] = [ev.Persist(tuple(self.pen.records))] if self.pen.records else []
        return persist + self._out

    def _take(self, event: ev.Input) -> None:
        match event:
            case ev.Restarted(journal, now_ms):
                self._restart(journal, now_ms)
            case ev.Executed(block, asked):
                self._take_block(block, asked)
            case ev.VoteArrived(signed):
                self._take_vote(signed)
            case ev.CertificateArrived(certificate):
                self._take_certificate(certificate)
            case ev.ReportArrived(signed_report):
                self._take_report(signed_report)
            case ev.NewEpochArrived(new):
                self._take_new_epoch(new)
            case ev.Suspended(reason):
                self.suspended = reason
            case ev.Reseed(log):
                if not self.signs:
                    raise VoteError("only a validator with its vote journal can ask for a new epoch")
                self._reseed(log)
            case ev.Tick(now_ms):
                self._tick(now_ms)

    # ---- one height at a time: VOTE, LOCK, certificate, final; each returns whether it got further ----

    def _vote(self) -> bool:
        block = self.choice()
        # With a certificate known the height is decided, and a VOTE could only do harm: adopt first.
        if block is None or self.suspended is not None or self.awaits_clock(block) or self.certificates:
            return False
        return self._give(self.pen.sign_vote(self.reign.policy, self.epoch, block))

    def _lock(self) -> bool:
        """LOCK only what a quorum of VOTEs of this epoch names and we executed, whatever we voted for ourselves."""
        votes = self.votes.justification(self.height, self.epoch)
        block = self.executed.get(candidate_of(votes.vote)) if votes is not None else None
        if votes is None or block is None or self.certificates:
            return False
        return self._give(self.pen.sign_lock(self.reign.policy, self.epoch, block, votes))

    def _give(self, signed: SignedVote | None) -> bool:
        if signed is not None:
            self.votes.add(signed)
            self._out.append(ev.Send(signed))
        return signed is not None

    def _certify(self) -> bool:
        certificate = self.votes.certificate(self.height)
        return certificate is not None and self._learn(certificate)

    def _finish(self) -> bool:
        """A certified block is final here once we executed it to the same tree, and so to the same header."""
        certificate = self.certificates.get(self.height)
        block = self.executed.get(candidate_of(certificate.lock)) if certificate is not None else None
        if certificate is None or block is None:
            return False
        self._out.append(ev.Final(block, certificate))
        self._advance(block, certificate)
        return True

    def _advance(self, block: Block, certificate: Certificate) -> None:
        height, root = block.candidate.height, block.candidate.root
        self.suspended = None  # a certificate has moved the cursor past what could not be voted for
        self.failed_epochs = 0
        self.busy_since_ms = None
        if self.pen.journal is not None:
            self.pen.journal.forget(height)
        self.tip = Tip(height, root, certificate if block.next_policy is None else None)
        self.certificates = {at: known for at, known in self.certificates.items() if at > height}
        self.executed = {candidate: b for candidate, b in self.executed.items() if self.fits(b)}
        self.votes.forget(height, self.epoch)
        if block.next_policy is not None:
            self._change_policy(Reign(block.next_policy, height, block.epoch))
        self._count_own()

    def _change_policy(self, reign: Reign) -> None:
        """The old set certified the block that decided this; the new one goes on where that block was read."""
        reads_on, executed = reign.epoch == self.epoch, self.executed
        self.begin_reign(reign)
        if reads_on:
            self.executed = executed
        else:
            self._out.append(ev.JoinEpoch(reign.policy.hash, reign.epoch, None, None))

    def _take_block(self, block: Block, asked: Candidate | None) -> None:
        if not self.fits(block):
            return
        certificate = self.certificates.get(self.height)
        if asked is None or asked == block.candidate:
            self.executed.pop(block.candidate, None)
            self.executed[block.candidate] = block
        elif certificate is not None and candidate_of(certificate.lock) == asked:
            # The certified entry, read at the certified place, on the same state, gave something else here.
            self._stop(Reason.DIVERGED)

    # ---- what others say ----

    def _take_vote(self, signed: SignedVote) -> None:
        vote, policy = signed.vote, self.reign.policy
        if vote.network != self.settings.network:
            raise VoteError("vote of another network")
        if vote.policy != policy.hash or vote.height > self.height:
            self._heard = max(self._heard, vote.height)
        if vote.height < self.height:
            self._take_late_vote(signed)
            return
        if vote.policy != policy.hash or self.votes.holds(signed):
            return
        check_vote(signed, policy, self.settings.check)
        if self.pen.forgot(signed):
            self._stop(Reason.JOURNAL_LOST)
            return
        if vote.epoch < self.epoch:
            self._answer(signed.key)
        evidence = self.votes.add(signed) if vote.height <= self.height + AHEAD_MAX else None
        if evidence is not None:
            self._out.append(ev.EvidenceFound(evidence))

    def _take_late_vote(self, signed: SignedVote) -> None:
        """Once, it may have crossed with the certificate; repeated, its sender waits for a height that is final."""
        place = (signed.key, signed.vote.step)
        if self._late.get(place) == signed.vote:
            self._out.append(ev.PeerBehind(signed.key, signed.vote.height))
        self._late[place] = signed.vote  # unchecked, also of a key that has left the set since: it only makes us help
        if len(self._late) > LATE_MAX:
            del self._late[next(iter(self._late))]

    def _take_certificate(self, certificate: Certificate) -> None:
        lock = certificate.lock
        if lock.network != self.settings.network:
            raise VoteError("certificate of another network")
        if lock.policy != self.reign.policy.hash:
            self._heard = max(self._heard, lock.height)
            return
        known = self.certificate_at(lock.height)
        if lock.height < self.tip.height or (known is not None and candidate_of(known.lock) == candidate_of(lock)):
            return
        check_certificate(certificate, self.reign.policy, self.settings.check)
        self._learn(certificate)

    def _learn(self, certificate: Certificate) -> bool:
        """Keep a checked certificate; True if it is news."""
        lock = certificate.lock
        known = self.certificate_at(lock.height)
        if known is not None and candidate_of(known.lock) != candidate_of(lock):
            self._stop(Reason.FORKED)
        if known is not None or lock.height <= self.tip.height:
            return False
        # Our own LOCK is in it and not in our journal: the journal is too old. The block is decided all the same.
        if any(self.pen.forgot(SignedVote(lock, *line)) for line in certificate.signatures):
            self._stop(Reason.JOURNAL_LOST)
        self.certificates[lock.height] = certificate
        highest = max(self.certificates)
        near = self.tip.height + AHEAD_MAX
        self.certificates = {at: kept for at, kept in self.certificates.items() if at <= near or at == highest}
        return True

    def _stop(self, reason: Reason) -> None:
        if self.pen.stopped is None:
            self.pen.stopped = reason
            self._out.append(ev.StopSigning(reason))

    # ---- epochs ----

    def _is_ours(self, network: bytes, policy: bytes) -> bool:
        return (network, policy) == (self.settings.network, self.reign.policy.hash)

    def _take_report(self, signed: SignedReport) -> None:
        report = signed.report
        if not self._is_ours(report.network, report.policy):
            return
        if report.epoch <= self.epoch:
            self._answer(signed.key)
            return
        if report.epoch > self.epoch + EPOCHS_AHEAD_MAX or self.reports.holds(signed):
            return
        check_report(signed, self.reign.policy, self.settings.check)
        if self.pen.forgot_report(signed):
            self._stop(Reason.JOURNAL_LOST)
        if report.certificate is not None:
            self._learn(report.certificate)
        self.reports.add(signed)
        self._follow_reports()

    def _follow_reports(self) -> None:
        """With more reports than liars an honest validator wants the epoch: help it. A quorum opens it."""
        asked = self.reports.asked()
        if asked is not None:
            self._report(*asked)
        new = self.reports.opened()
        if new is not None:
            self._join(new)

    def _answer(self, key: bytes) -> None:
        if self.new_epoch is not None and key in self.reign.policy.vote_keys:
            self._out.append(ev.Answer(key, self.new_epoch))

    def _take_new_epoch(self, new: NewEpoch) -> None:
        if not new.reports:
            raise VoteError("a new epoch without reports")
        report = new.reports[0].report
        if not self._is_ours(report.network, report.policy) or report.epoch <= self.epoch:
            return
        check_new_epoch(new, self.reign.policy, self.settings.check)
        if any(self.pen.forgot_report(signed) for signed in new.reports):
            self._stop(Reason.JOURNAL_LOST)
        self._join(new)

    def _join(self, new: NewEpoch) -> None:
        self.pen.keep(Joined(new))
        for signed in new.reports:
            if signed.report.certificate is not None:
                self._learn(signed.report.certificate)  # so that the base is adopted before anything is voted above it
        self.failed_epochs += 1
        self._enter(new)

    def _enter(self, new: NewEpoch) -> None:
        report = new.reports[0].report
        self.new_epoch = new
        self.epoch = report.epoch
        self.start = epoch_start(new, self.reign.since)
        self.suspended = None
        self.busy_since_ms = None
        self.reports.forget(self.epoch)
        self.votes.forget(self.tip.height, self.epoch)
        carried = self.carried()
        self.executed = {candidate: block for candidate, block in self.executed.items() if candidate == carried}
        self._out.append(ev.JoinEpoch(report.policy, report.epoch, report.log, carried))

    def _reseed(self, log: str | None) -> None:
        """Leave this epoch. Asked again while the next is not open, only another log makes another report."""
        pending = self.pending_report()
        if pending is not None and log in (None, pending.report.log):
            return
        epoch = (self.epoch if pending is None else pending.report.epoch) + 1
        self._report(epoch, log if log is not None else ev.log_name(self.reign.policy.hash, epoch))
        self._follow_reports()

    def _report(self, epoch: int, log: str) -> None:
        decided = max(self.certificates, default=self.tip.height)
        certificate = self.certificate_at(decided)
        signed = self.pen.sign_report(self.reign.policy, epoch, log, decided, certificate)
        if signed is not None:
            self.reports.add(signed)
            self._out.append(ev.Send(signed))

    # ---- restarts and time ----

    def _restart(self, records: tuple[JournalRecord, ...], now_ms: int) -> None:
        """What the key signed comes from its journal, and so does the block it was for: never from the engine again."""
        self.now_ms = self._repeated_ms = now_ms
        if not self.pen.open(records):
            self._stop(Reason.JOURNAL_LOST)
        joined = [item.new for item in records if isinstance(item, Joined)]
        ours = [new for new in joined if self._is_ours(*new.reports[0].report[:2])]
        newest = max(ours, key=lambda new: new.reports[0].report.epoch, default=None)
        if newest is not None and newest.reports[0].report.epoch > self.epoch:
            self._enter(newest)
        pending = self.pending_report()
        if pending is not None:
            self.reports.add(pending)
        self._count_own()
        self._repeat()

    def _count_own(self) -> None:
        """What we gave before a restart, at the height to come, counts."""
        for signed in self.pen.given_at(self.reign.policy, self.height):
            self.votes.add(signed)

    def _tick(self, now_ms: int) -> None:
        self.now_ms = max(self.now_ms, now_ms)
        if self.now_ms - self._repeated_ms >= self.settings.repeat_ms:
            self._repeated_ms = self.now_ms
            self._repeat()
        if self.is_stalled():
            self._reseed(None)

    def _repeat(self) -> None:
        """Say everything again that is not answered: a vote sent once is a vote that may never have been sent."""
        given = [self.pen.given(self.reign.policy, self.epoch, self.height, step) for step in Step]
        self._out += [ev.Send(message) for message in (*given, self.pending_report()) if message is not None]
        if max(self._heard, *self.certificates, 0) > self.height and self.height not in self.certificates:
            self._out.append(ev.CatchUp(self.height))
        self._heard = 0
        self._fetching = None

    def _watch(self) -> None:
        """Ask, once per repetition, for the block that is wanted; note since when there is something to decide."""
        fetch = self.wanted()
        if fetch is not None and fetch != self._fetching:
            self._out.append(fetch)
        self._fetching = fetch
        if self.busy_since_ms is None and self.is_busy():
            self.busy_since_ms = self.now_ms
