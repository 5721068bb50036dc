"""One validator that lies: it signs whatever could do harm, to whomever, and shows what suits it in reports."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from keeling.epochs import Locked, Report, SignedReport, sign_report
from keeling.votes import Certificate, Justification, Signature, SignedVote, Step, Vote, sign_vote
from tests.simulator.finality_world import fake_sign

REMEMBERED_MAX = 60


class Liar:
    """Hears everything honest nodes say and, now and then, says something false that is well-formed."""

    def __init__(self, network: bytes, keys: Sequence[bytes], own: int, random: Random) -> None:
        self.key = keys[own]
        self._network = network
        self._keys = keys
        self._random = random
        self._votes: dict[Vote, dict[bytes, bytes]] = {}
        self._reports: list[Report] = []

    def hear(self, message: SignedVote | SignedReport) -> None:
        if isinstance(message, SignedReport):
            self._reports = [*self._reports, message.report][-4:]
            return
        self._votes.setdefault(message.vote, {})[message.key] = message.signature
        if len(self._votes) > REMEMBERED_MAX:
            del self._votes[next(iter(self._votes))]

    def _sign(self, message: bytes) -> bytes:
        return fake_sign(self.key, message)

    def messages(self) -> list[SignedVote | SignedReport]:
        """A few lies: both steps for a block somebody voted for, in that epoch or another, or a false report."""
        said: list[SignedVote | SignedReport] = []
        recent = list(self._votes)[-12:]
        for vote in self._random.sample(recent, min(2, len(recent))):
            epoch = vote.epoch + self._random.choice([0, 0, 0, 1])
            lie = vote._replace(step=self._random.choice(list(Step)), epoch=epoch)
            if self._random.random() < 0.1:
                lie = lie._replace(root=bytes(32))
            said.append(sign_vote(lie, self.key, self._sign))
        if self._reports and self._random.random() < 0.3:
            said.append(self._false_report(self._random.choice(self._reports)))
        return said

    def _false_report(self, honest: Report) -> SignedReport:
        """Nothing decided and nothing locked, or any LOCK that can be justified, however old."""
        provable = [
            Justification(vote, tuple(Signature(*line) for line in signatures.items()))
            for vote, signatures in self._votes.items()
            if vote.step is Step.VOTE and len(signatures) >= 2 and vote.policy == honest.policy
        ]
        certificate: Certificate | None = self._random.choice([None, honest.certificate])
        locked = None
        if provable and self._random.random() < 0.5:
            votes = self._complete(self._random.choice(provable))
            locked = Locked(votes, bytes(32))
        report = Report(self._network, honest.policy, honest.epoch, honest.log, certificate, locked)
        return sign_report(report, self.key, self._sign)

    def _complete(self, votes: Justification) -> Justification:
        """With the liar's own signature, the quorum may be full; wrong order or number is for others to refuse."""
        own = sign_vote(votes.vote, self.key, self._sign)
        lines = {line.key: line for line in (*votes.signatures, Signature(self.key, own.signature))}
        ordered = [lines[key] for key in self._keys if key in lines]
        return votes._replace(signatures=tuple(ordered[:3]))
