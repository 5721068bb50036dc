"""Counting: what others signed, until the height is final. Votes and reports come here only after they were checked.

Votes count together only if they are equal in every field: a sum over different epochs or policies decides two blocks
at one height (architecture 4.5). What a count allows is decided in `machine`.
"""

from __future__ import annotations

from typing import Final

from keeling.epochs import NewEpoch, SignedReport, make_new_epoch
from keeling.votes import (
    Certificate,
    Evidence,
    Justification,
    SignedVote,
    Step,
    Vote,
    VotePolicy,
    make_evidence,
    make_quorum,
    vote_slot,
)

KEPT_PER_KEY_MAX: Final = 256
"""Votes, and reports, kept of one key: so that nobody fills our memory but everybody can be counted."""


class VoteTally:
    """Votes of one policy, above the final height."""

    def __init__(self, policy: VotePolicy) -> None:
        self._policy: Final = policy
        self._signatures: dict[Vote, dict[bytes, bytes]] = {}
        self._slots: dict[bytes, dict[object, list[SignedVote]]] = {key: {} for key in policy.vote_keys}

    def holds(self, signed: SignedVote) -> bool:
        """Whether this very vote was counted: a repeat need not be checked again."""
        return self._signatures.get(signed.vote, {}).get(signed.key) == signed.signature

    def add(self, signed: SignedVote) -> Evidence | None:
        """Count a vote; return the evidence if it is its key's second, different one in that place.

        Both count: a liar's word is good for anything, and the quorum allows for that.
        """
        slots = self._slots[signed.key]
        slot = vote_slot(signed.vote)
        before = slots.get(slot, [])
        known = any(signed.vote == other.vote for other in before)
        if known or len(before) == 2 or (slot not in slots and len(slots) >= KEPT_PER_KEY_MAX):
            return None
        slots[slot] = [*before, signed]
        self._signatures.setdefault(signed.vote, {})[signed.key] = signed.signature
        return make_evidence(before[0], signed) if before else None

    def certificate(self, height: int) -> Certificate | None:
        """A quorum of equal LOCKs, of any one epoch: decided is decided."""
        for vote, signatures in self._signatures.items():
            if vote.step is Step.LOCK and vote.height == height and len(signatures) >= self._policy.quorum:
                return Certificate(vote, make_quorum(signatures, self._policy))
        return None

    def justification(self, height: int, epoch: int) -> Justification | None:
        """A quorum of equal VOTEs of just this epoch."""
        for vote, signatures in self.votes(height, epoch, Step.VOTE).items():
            if len(signatures) >= self._policy.quorum:
                return Justification(vote, make_quorum(signatures, self._policy))
        return None

    def votes(self, height: int, epoch: int, step: Step) -> dict[Vote, dict[bytes, bytes]]:
        """Everything counted in one place."""
        return {v: s for v, s in self._signatures.items() if (v.height, v.epoch, v.step) == (height, epoch, step)}

    def is_split(self, height: int, epoch: int) -> bool:
        """Whether no block can get a quorum of VOTEs any more, even with everybody who was not heard."""
        votes = self.votes(height, epoch, Step.VOTE).values()
        heard = {key for signatures in votes for key in signatures}
        silent = len(self._policy.vote_keys) - len(heard)
        return bool(heard) and all(len(signatures) + silent < self._policy.quorum for signatures in votes)

    def forget(self, final_height: int, epoch: int) -> None:
        """Drop what can decide nothing any more: final heights, and VOTEs of epochs that are over."""

        def is_live(vote: Vote) -> bool:
            return vote.height > final_height and (vote.step is Step.LOCK or vote.epoch >= epoch)

        self._signatures = {vote: s for vote, s in self._signatures.items() if is_live(vote)}
        for key, slots in self._slots.items():
            self._slots[key] = {slot: signed for slot, signed in slots.items() if is_live(signed[0].vote)}


class ReportTally:
    """Reports of one policy for epochs that are not open yet, by (epoch, engine log)."""

    def __init__(self, policy: VotePolicy) -> None:
        self._policy: Final = policy
        self._reports: dict[tuple[int, str], dict[bytes, SignedReport]] = {}

    def holds(self, signed: SignedReport) -> bool:
        """Whether this key's report for that epoch and log was counted."""
        return signed.key in self._reports.get((signed.report.epoch, signed.report.log), {})

    def add(self, signed: SignedReport) -> None:
        """Count a report; the first of a key for an epoch and log stays."""
        if sum(signed.key in reports for reports in self._reports.values()) < KEPT_PER_KEY_MAX:
            self._reports.setdefault((signed.report.epoch, signed.report.log), {}).setdefault(signed.key, signed)

    def asked(self) -> tuple[int, str] | None:
        """The highest epoch and its log that more validators ask for than can be lying."""
        enough = [place for place, reports in self._reports.items() if len(reports) > self._policy.faults]
        return max(enough, default=None)

    def opened(self) -> NewEpoch | None:
        """The highest epoch that a quorum reported for."""
        enough = [place for place, reports in self._reports.items() if len(reports) >= self._policy.quorum]
        place = max(enough, default=None)
        return make_new_epoch(list(self._reports[place].values()), self._policy) if place is not None else None

    def reporters(self, epoch: int) -> frozenset[bytes]:
        """Who reported for that epoch, with whatever log."""
        return frozenset(key for (at, _), reports in self._reports.items() if at == epoch for key in reports)

    def forget(self, epoch: int) -> None:
        """Drop reports for epochs up to the one that is open."""
        self._reports = {place: reports for place, reports in self._reports.items() if place[0] > epoch}
