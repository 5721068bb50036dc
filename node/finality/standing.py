"""Where a node stands: what it knows about the undecided, and the questions that follow from it alone.

Nothing here changes anything; `machine` does. Kept apart so that the rules of choice (which block may be voted for,
which must be fetched, whether the epoch is stuck) can be read, and asked by `health`, on their own.
"""

from __future__ import annotations

from keeling.epochs import NewEpoch, SignedReport, Start
from keeling.votes import Certificate, Step
from node.finality.events import Block, Candidate, Fetch, Reason, Reign, Settings, Tip, candidate_of
from node.finality.pen import Pen
from node.finality.tally import ReportTally, VoteTally


class Standing:
    """State of one node's part in finality. Written to by `machine.Finality` alone."""

    def __init__(self, settings: Settings, reign: Reign, tip: Tip) -> None:
        self.settings = settings
        self.pen = Pen(settings.network, settings.signer)
        self.now_ms = 0
        self.tip = tip
        self.suspended: Reason | None = None
        self.failed_epochs = 0  # joined since the last final block
        self.begin_reign(reign)

    def begin_reign(self, reign: Reign) -> None:
        """Nothing of one policy counts under another: votes, certificates, reports and epochs start anew."""
        self.reign = reign
        self.epoch = reign.epoch
        self.start = Start(reign.since, None)
        self.new_epoch: NewEpoch | None = None
        self.votes = VoteTally(reign.policy)
        self.reports = ReportTally(reign.policy)
        self.certificates: dict[int, Certificate] = {}  # above the tip, by height
        self.executed: dict[Candidate, Block] = {}  # above the tip; at the height worked on, always upon the tip
        self.busy_since_ms: int | None = None

    @property
    def height(self) -> int:
        """The height worked on: always the one after the final one, whose certificate is held."""
        return self.tip.height + 1

    @property
    def signs(self) -> bool:
        """Whether the own key counts under the policy in force."""
        return self.pen.is_ready(self.reign.policy)

    @property
    def bound(self) -> Candidate | None:
        """The only block this epoch's reports allow at the height worked on; None allows any."""
        if self.start.locked is None or self.start.base != self.tip.height:
            return None
        return candidate_of(self.start.locked.votes.vote)

    def carried(self) -> Candidate | None:
        """The block this epoch begins with, unless its height is final here."""
        if self.start.locked is None or self.start.base < self.tip.height:
            return None
        return candidate_of(self.start.locked.votes.vote)

    def choice(self) -> Block | None:
        """The executed block a VOTE may be given to, if any.

        If the epoch's reports showed LOCKs above their base, only the one of the highest epoch, bytes unchanged: it may
        have been decided. Otherwise only what was read in this very epoch: everybody reads its new log from the
        beginning, and what the old one showed is what went wrong.
        """
        if self.bound is not None:
            return self.executed.get(self.bound)
        blocks = [b for c, b in self.executed.items() if c.height == self.height and b.epoch == self.epoch]
        return blocks[-1] if blocks else None

    def awaits_clock(self, block: Block) -> bool:
        """Whether the own clock has not come near enough to the block's time to vouch for it."""
        return block.time_ms > self.now_ms + self.settings.clock_ahead_ms_max

    def fits(self, block: Block) -> bool:
        """Whether the block can follow: next on the tip, or somewhere above, where its time will come."""
        height = block.candidate.height
        return height > self.height or (height == self.height and block.parent_root == self.tip.root)

    def certificate_at(self, height: int) -> Certificate | None:
        return self.tip.certificate if height == self.tip.height else self.certificates.get(height)

    def pending_report(self) -> SignedReport | None:
        """The own report for an epoch that is not open yet."""
        signed = self.pen.report(self.reign.policy)
        return signed if signed is not None and signed.report.epoch > self.epoch else None

    def wanted(self) -> Fetch | None:
        """The block to execute next that was not: the certified, or a quorum's, or the carried, or the own voted one.

        The own one after a restart: from the journal, for the engine may show something else by now.
        """
        certificate = self.certificates.get(self.height)
        votes = self.votes.justification(self.height, self.epoch)
        own = self.pen.given(self.reign.policy, self.epoch, self.height, Step.VOTE)
        if certificate is not None:
            target = candidate_of(certificate.lock)
        elif votes is not None:
            target = candidate_of(votes.vote)
        elif self.bound is not None:
            target = self.bound
        elif own is not None:
            target = candidate_of(own.vote)
        else:
            return None
        return Fetch(target, certificate is not None) if target not in self.executed else None

    def voters(self, step: Step) -> frozenset[bytes]:
        """Who gave a vote, for whatever block, at the height and in the epoch worked on."""
        votes = self.votes.votes(self.height, self.epoch, step)
        return frozenset(key for signatures in votes.values() for key in signatures)

    def is_busy(self) -> bool:
        """Whether there is something to decide. Votes of no more than could lie do not prove that there is."""
        heard = len(self.voters(Step.VOTE) | self.voters(Step.LOCK))
        return self.choice() is not None or self.suspended is not None or heard > self.reign.policy.faults

    def is_stalled(self) -> bool:
        """Whether it is time to leave the epoch: no block can win any more, or nothing has for too long.

        Not while we are merely behind, or our clock is: then the others are fine.
        """
        limit, block = self.settings.reseed_after_ms, self.choice()
        if limit is None or self.busy_since_ms is None or self.certificates or (block and self.awaits_clock(block)):
            return False
        patience = limit << min(self.failed_epochs, 5)
        return self.votes.is_split(self.height, self.epoch) or self.now_ms - self.busy_since_ms >= patience
