"""The vote journal: what one vote key has signed, and so what it may still sign.

A forgotten vote is as bad as a lie, so the journal is never in a backup and never restored from one; lost, or older
than what peers show, its key signs nothing any more (architecture 4.8). Here are the records, their byte form and the
memory they add up to. Writing them down, before anything they allow leaves, is the caller's work.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from keeling.encoding import BYTES32, U8, U64, Codec, EncodingError, record
from keeling.epochs import NEW_EPOCH, SIGNED_REPORT, Locked, NewEpoch, SignedReport
from keeling.votes import JUSTIFICATION, SIGNED_VOTE, Justification, SignedVote, Step, Versioned, Vote, vote_slot


class Opened(NamedTuple):
    """First record of every journal, written when the key is made: above `height`, nothing `key` signed is missing.

    Without it an empty journal could not be told from a lost one.
    """

    network: bytes
    key: bytes
    height: int


class Voted(NamedTuple):
    """A VOTE given, and the header's digest to find the block by after a restart."""

    signed: SignedVote
    header: bytes


class GaveLock(NamedTuple):
    """A LOCK given, with the VOTEs that allowed it: what a report must show."""

    signed: SignedVote
    votes: Justification
    header: bytes


class Reported(NamedTuple):
    """A report given: the fence below which this key signs nothing."""

    signed: SignedReport


class Joined(NamedTuple):
    """The epoch this node works in, with the reports that opened it."""

    new: NewEpoch


JournalRecord = Opened | Voted | GaveLock | Reported | Joined

_KINDS: Final[tuple[tuple[type[Any], Codec[Any]], ...]] = (
    (Opened, record(Opened, BYTES32, BYTES32, U64)),
    (Voted, record(Voted, SIGNED_VOTE, BYTES32)),
    (GaveLock, record(GaveLock, SIGNED_VOTE, JUSTIFICATION, BYTES32)),
    (Reported, record(Reported, SIGNED_REPORT)),
    (Joined, record(Joined, NEW_EPOCH)),
)


class _AnyRecord(Codec[JournalRecord]):
    """A kind byte, counted from 1 in the order above, and the record."""

    def write(self, out: bytearray, value: JournalRecord) -> None:
        for kind, (make, codec) in enumerate(_KINDS, start=1):
            if isinstance(value, make):
                U8.write(out, kind)
                codec.write(out, value)

    def read(self, data: bytes, at: int) -> tuple[JournalRecord, int]:
        kind, at = U8.read(data, at)
        if not 1 <= kind <= len(_KINDS):
            raise EncodingError(f"journal record of kind {kind}, known are 1 to {len(_KINDS)}")
        value: tuple[JournalRecord, int] = _KINDS[kind - 1][1].read(data, at)
        return value


JOURNAL_RECORD: Final = Versioned(_AnyRecord())


class Journal:
    """All that a key has signed above a height. Written to only by the machine that owns it."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self._given: dict[object, SignedVote] = {}
        self._voted: list[Voted] = []
        self._locks: list[GaveLock] = []
        self._reports: dict[bytes, SignedReport] = {}
        self._joined: dict[bytes, NewEpoch] = {}

    def add(self, item: JournalRecord) -> None:
        """Remember `item`; an `Opened` after the first adds nothing."""
        match item:
            case Voted(signed):
                self._given[vote_slot(signed.vote)] = signed
                self._voted.append(item)
            case GaveLock(signed):
                self._given[vote_slot(signed.vote)] = signed
                self._locks.append(item)
            case Reported(signed):
                self._reports[signed.report.policy] = signed
            case Joined(new):
                self._joined[new.reports[0].report.policy] = new
            case Opened():
                pass

    def may_sign(self, vote: Vote) -> bool:
        """One vote per (policy, epoch, height, step); none below a report's epoch; none where memory has been cut."""
        return (
            vote_slot(vote) not in self._given
            and vote.epoch >= self.fence(vote.policy)
            and vote.height > self.opened.height
        )

    def forgot(self, signed: SignedVote) -> bool:
        """Whether a genuine vote of this key is one the journal should hold and does not."""
        given = self._given.get(vote_slot(signed.vote))
        return signed.vote.height > self.opened.height and (given is None or given.vote != signed.vote)

    def forgot_report(self, signed: SignedReport) -> bool:
        """Whether a genuine report of this key is later than, or other than, the one the journal holds."""
        held = self._reports.get(signed.report.policy)
        epoch = signed.report.epoch
        return (
            held is None or epoch > held.report.epoch or (epoch == held.report.epoch and signed.report != held.report)
        )

    def fence(self, policy: bytes) -> int:
        """The lowest epoch of `policy` in which this key may still sign."""
        held = self._reports.get(policy)
        return held.report.epoch if held is not None else 0

    def vote_given(self, policy: bytes, epoch: int, height: int, step: Step) -> SignedVote | None:
        """This key's vote there, if it gave one."""
        return self._given.get((self.opened.network, policy, epoch, height, step))

    def votes_at(self, policy: bytes, height: int) -> list[SignedVote]:
        """All votes this key gave at a height under a policy, oldest first."""
        return [s for s in self._given.values() if (s.vote.policy, s.vote.height) == (policy, height)]

    def highest_lock(self, policy: bytes, height: int) -> Locked | None:
        """What a report shows: this key's LOCK of the highest epoch at `height`. Any other could hide a decision."""
        at = [g for g in self._locks if (g.signed.vote.policy, g.signed.vote.height) == (policy, height)]
        last = max(at, key=lambda given: given.signed.vote.epoch, default=None)
        return Locked(last.votes, last.header) if last is not None else None

    def report(self, policy: bytes) -> SignedReport | None:
        """The newest report of this key."""
        return self._reports.get(policy)

    def joined(self, policy: bytes) -> NewEpoch | None:
        """The newest epoch joined."""
        return self._joined.get(policy)

    def forget(self, final_height: int) -> None:
        """Drop votes at final heights, which are never asked for again. Reports stay: a fence has no end."""
        self.opened = self.opened._replace(height=max(final_height, self.opened.height))
        height = self.opened.height
        self._given = {slot: signed for slot, signed in self._given.items() if signed.vote.height > height}
        self._voted = [item for item in self._voted if item.signed.vote.height > height]
        self._locks = [item for item in self._locks if item.signed.vote.height > height]

    def records(self) -> tuple[JournalRecord, ...]:
        """What this memory consists of: may replace all older records once the last final block is durable."""
        reports = (Reported(signed) for signed in self._reports.values())
        joined = (Joined(new) for new in self._joined.values())
        return (self.opened, *self._voted, *self._locks, *reports, *joined)


def load_journal(items: Iterable[JournalRecord], network: bytes, key: bytes) -> Journal | None:
    """The memory of `key`, or None if these records are not its journal: then it must never sign again."""
    journal: Journal | None = None
    for item in items:
        if isinstance(item, Opened):
            if (item.network, item.key) != (network, key):
                return None
            journal = Journal(item)
        elif journal is None:
            return None
        else:
            journal.add(item)
    return journal
