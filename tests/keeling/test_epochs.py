"""Reports and new epochs: their byte form, what they must prove, and what a set of them obliges to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keeling.encoding import EncodingError
from keeling.epochs import (
    NEW_EPOCH,
    SIGNED_REPORT,
    Locked,
    NewEpoch,
    Report,
    SignedReport,
    Start,
    check_new_epoch,
    check_report,
    epoch_start,
    make_new_epoch,
    sign_report,
)
from keeling.votes import Certificate, Justification, Signature, Step, Vote, VoteError, VotePolicy, vote_message
from tests.simulator.finality_world import NETWORK, fake_check, fake_sign, key_of, policy_of

POLICY = policy_of((0, 1, 2, 3), 0)
KEYS = POLICY.vote_keys


def vote(height: int, epoch: int, block: int, step: Step) -> Vote:
    return Vote(NETWORK, POLICY.hash, epoch, height, 2 * height, bytes([block]) * 32, bytes([block + 1]) * 32, step)


def quorum(of: Vote) -> tuple[Signature, ...]:
    return tuple(Signature(key, fake_sign(key, vote_message(of))) for key in KEYS[:3])


def certificate(height: int, epoch: int = 0, block: int = 1) -> Certificate:
    lock = vote(height, epoch, block, Step.LOCK)
    return Certificate(lock, quorum(lock))


def locked(height: int, epoch: int = 0, block: int = 1) -> Locked:
    given = vote(height, epoch, block, Step.VOTE)
    return Locked(Justification(given, quorum(given)), bytes(32))


def report(
    member: int,
    shown: Certificate | None = None,
    lock: Locked | None = None,
    epoch: int = 5,
    log: str = "next",
    policy: bytes = POLICY.hash,
) -> SignedReport:
    key = key_of(member)
    body = Report(NETWORK, policy, epoch, log, shown, lock)
    return sign_report(body, key, lambda message: fake_sign(key, message))


def test_reports_survive_their_encoding() -> None:
    for signed in (report(0), report(1, certificate(7), locked(8, 2))):
        assert SIGNED_REPORT.decode(SIGNED_REPORT.encode(signed)) == signed
        check_report(signed, POLICY, fake_check)
    new = make_new_epoch([report(2), report(0), report(3, certificate(7))], POLICY)
    assert NEW_EPOCH.decode(NEW_EPOCH.encode(new)) == new
    assert [signed.key for signed in new.reports] == [KEYS[0], KEYS[2], KEYS[3]]
    check_new_epoch(new, POLICY, fake_check)
    with pytest.raises(EncodingError, match="version"):
        NEW_EPOCH.decode(b"\x07" + NEW_EPOCH.encode(new)[1:])


REFUSED: list[tuple[str, SignedReport, str]] = [
    ("another policy", report(0, policy=bytes(32)), "under policy"),
    ("a foreigner", report(9), "not in policy"),
    ("forged", report(0)._replace(key=KEYS[1]), "not genuine"),
    ("VOTEs as a certificate", report(0, Certificate(*locked(7).votes)), "made of LOCKs"),
    ("LOCKs as a justification", report(0, None, Locked(Justification(*certificate(1)), bytes(32))), "by VOTEs"),
    ("a LOCK not above the certificate", report(0, certificate(7), locked(9)), "height after"),
    ("a LOCK of the epoch it opens", report(0, certificate(7), locked(8, epoch=5)), "later epoch"),
]


@pytest.mark.parametrize(("signed", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_no_report(signed: SignedReport, why: str) -> None:
    with pytest.raises(VoteError, match=why):
        check_report(signed, POLICY, fake_check)


REFUSED_SETS: list[tuple[str, Callable[[], NewEpoch], str]] = [
    ("too few", lambda: NewEpoch((report(0), report(1))), "exactly 3"),
    ("too many", lambda: NewEpoch(tuple(report(i) for i in range(4))), "exactly 3"),
    ("one twice", lambda: NewEpoch((report(0), report(0), report(1))), "repeated"),
    ("out of order", lambda: NewEpoch((report(1), report(0), report(2))), "order"),
    ("two logs", lambda: NewEpoch((report(0), report(1), report(2, log="other"))), "agree"),
    ("two epochs", lambda: NewEpoch((report(0), report(1), report(2, epoch=6))), "agree"),
    ("one forged", lambda: NewEpoch((report(0), report(1), report(3)._replace(key=KEYS[2]))), "genuine"),
]


@pytest.mark.parametrize(("make", "why"), [row[1:] for row in REFUSED_SETS], ids=[row[0] for row in REFUSED_SETS])
def test_what_opens_no_epoch(make: Callable[[], NewEpoch], why: str) -> None:
    with pytest.raises(VoteError, match=why):
        check_new_epoch(make(), POLICY, fake_check)


OLD, NEWER = locked(8, epoch=1, block=1), locked(8, epoch=3, block=5)
STARTS: list[tuple[str, list[SignedReport], Start]] = [
    ("nothing shown: the policy's start", [report(0), report(1), report(2)], Start(4, None)),
    ("the highest certificate", [report(0), report(1, certificate(7)), report(2, certificate(6))], Start(7, None)),
    ("a LOCK at the policy's start", [report(0), report(1, None, locked(5)), report(2)], Start(4, locked(5))),
    ("the LOCK of the highest epoch", [report(0, certificate(7), OLD), report(1, certificate(7), NEWER), report(2)],
     Start(7, NEWER)),
    ("a LOCK at a decided height says nothing",
     [report(0, certificate(7), NEWER), report(1, certificate(8)), report(2)], Start(8, None)),
]  # fmt: skip


@pytest.mark.parametrize(("reports", "start"), [row[1:] for row in STARTS], ids=[row[0] for row in STARTS])
def test_where_an_epoch_starts(reports: list[SignedReport], start: Start) -> None:
    for order in (reports, reports[::-1]):
        assert epoch_start(make_new_epoch(order, POLICY), 4) == start


def test_a_network_of_one_needs_one_report() -> None:
    alone = VotePolicy(POLICY.hash, (key_of(0),))
    assert len(make_new_epoch([report(0)], alone).reports) == 1
    with pytest.raises(VoteError, match="a quorum is 3"):
        make_new_epoch([report(0)], POLICY)
