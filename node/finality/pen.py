"""The pen: the only place where a vote key signs, and where it is laid down for ever.

It signs what its journal allows and adds to the journal's records what must be durable before the signature leaves.
Whether a block or an epoch deserves a signature is decided in `machine`.
"""

from __future__ import annotations

from keeling.epochs import Report, SignedReport, sign_report
from keeling.votes import Certificate, Justification, SignedVote, Step, Vote, VotePolicy, sign_vote
from node.finality.events import Block, Reason, Signer
from node.finality.journal import GaveLock, Journal, JournalRecord, Reported, Voted, load_journal


class Pen:
    """Owned by one machine. An observer's has no signer and signs nothing."""

    def __init__(self, network: bytes, signer: Signer | None) -> None:
        self._network = network
        self._signer = signer
        self.journal: Journal | None = None
        self.stopped: Reason | None = None
        self.records: list[JournalRecord] = []
        """Not yet durable; the machine takes them at the end of a step."""

    def open(self, records: tuple[JournalRecord, ...]) -> bool:
        """Remember what was signed. False: this is not the key's journal, and nothing will be signed."""
        if self._signer is not None:
            self.journal = load_journal(records, self._network, self._signer.key)
        return self._signer is None or self.journal is not None

    def is_ready(self, policy: VotePolicy) -> bool:
        """Whether this key counts under `policy` and its memory can be relied on."""
        signer = self._signer
        return signer is not None and self.journal is not None and not self.stopped and signer.key in policy.vote_keys

    def keep(self, item: JournalRecord) -> None:
        """Remember, and have it made durable."""
        self.records.append(item)
        if self.journal is not None:
            self.journal.add(item)

    def sign_vote(self, policy: VotePolicy, epoch: int, block: Block) -> SignedVote | None:
        """The one VOTE in that place, unless it was given."""
        signed = self._sign(policy, epoch, block, Step.VOTE)
        if signed is not None:
            self.keep(Voted(signed, block.header))
        return signed

    def sign_lock(self, policy: VotePolicy, epoch: int, block: Block, votes: Justification) -> SignedVote | None:
        """The one LOCK in that place, unless it was given. `votes` are kept with it: a report must show them."""
        signed = self._sign(policy, epoch, block, Step.LOCK)
        if signed is not None:
            self.keep(GaveLock(signed, votes, block.header))
        return signed

    def _sign(self, policy: VotePolicy, epoch: int, block: Block, step: Step) -> SignedVote | None:
        vote = Vote(self._network, policy.hash, epoch, *block.candidate, step)
        signer, journal = self._signer, self.journal
        if signer is None or journal is None or not self.is_ready(policy) or not journal.may_sign(vote):
            return None
        return sign_vote(vote, signer.key, signer.sign)

    def sign_report(
        self, policy: VotePolicy, epoch: int, log: str, decided: int, certificate: Certificate | None
    ) -> SignedReport | None:
        """Sign away all epochs below `epoch`: show the highest certificate (of height `decided`, none at the policy's
        start), and the LOCK of the highest epoch right above it. None if that was signed away before."""
        signer, journal = self._signer, self.journal
        if signer is None or journal is None or not self.is_ready(policy) or epoch <= journal.fence(policy.hash):
            return None
        if decided < journal.opened.height:
            # LOCKs up to there were forgotten because a certificate made them needless: show it or be silent.
            return None
        locked = journal.highest_lock(policy.hash, decided + 1)
        report = Report(self._network, policy.hash, epoch, log, certificate, locked)
        signed = sign_report(report, signer.key, signer.sign)
        self.keep(Reported(signed))
        return signed

    def forgot(self, signed: SignedVote) -> bool:
        """Whether this genuine vote is our own and not in the journal."""
        journal = self.journal
        return journal is not None and signed.key == journal.opened.key and journal.forgot(signed)

    def forgot_report(self, signed: SignedReport) -> bool:
        """Whether this genuine report is our own and not in the journal."""
        journal = self.journal
        return journal is not None and signed.key == journal.opened.key and journal.forgot_report(signed)

    def given(self, policy: VotePolicy, epoch: int, height: int, step: Step) -> SignedVote | None:
        """The own vote in that place."""
        return self.journal.vote_given(policy.hash, epoch, height, step) if self.journal is not None else None

    def given_at(self, policy: VotePolicy, height: int) -> list[SignedVote]:
        """The own votes at a height that count under `policy`."""
        ready = self.journal is not None and self.journal.opened.key in policy.vote_keys
        return self.journal.votes_at(policy.hash, height) if self.journal is not None and ready else []

    def report(self, policy: VotePolicy) -> SignedReport | None:
        """The newest own report."""
        return self.journal.report(policy.hash) if self.journal is not None else None
