"""Reports and new epochs: how validators leave a broken ordering log without ever deciding a height twice.

Here live the values, their only byte form, the checks, and what a set of reports obliges its readers to. When to
report and when to join is not here (node.finality). Source: architecture 4.7; the proof is in docs/finality.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from keeling.ed25519 import check_signature
from keeling.encoding import BYTES32, BYTES64, TEXT, U64, listing, optional, record
from keeling.votes import (
    CERTIFICATE,
    JUSTIFICATION,
    Certificate,
    CheckSignature,
    Justification,
    Sign,
    Versioned,
    VoteError,
    VotePolicy,
    check_certificate,
    check_justification,
)

DOMAIN: Final = b"keeling/report/v1\n"


class Locked(NamedTuple):
    """A block somebody locked: the VOTEs that allowed it, and its header's digest to fetch it by.

    The digest is a hint: the votes sign the tree's root, and the header is the tree's last leaf.
    """

    votes: Justification
    header: bytes


class Report(NamedTuple):
    """What a validator holds when it leaves the epochs below `epoch`. Whoever signs it votes in none of them again.

    `certificate` is the highest it knows under this policy, none if nothing was decided since the policy's start;
    `locked` is its LOCK of the highest epoch at the height after that; `log` names the engine log to read next.
    """

    network: bytes
    policy: bytes
    epoch: int
    log: str
    certificate: Certificate | None
    locked: Locked | None


class SignedReport(NamedTuple):
    """A report, whose it is, and the proof."""

    report: Report
    key: bytes
    signature: bytes


class NewEpoch(NamedTuple):
    """Exactly a quorum of reports for one epoch and log, in policy order: this opens it."""

    reports: tuple[SignedReport, ...]


class Start(NamedTuple):
    """What an epoch begins with: the last decided height it was shown, and the only block allowed above it, if any."""

    base: int
    locked: Locked | None


REPORT: Final = record(Report, BYTES32, BYTES32, U64, TEXT, optional(CERTIFICATE),
                       optional(record(Locked, JUSTIFICATION, BYTES32)))  # fmt: skip
_SIGNED_REPORT: Final = record(SignedReport, REPORT, BYTES32, BYTES64)
SIGNED_REPORT: Final = Versioned(_SIGNED_REPORT)
NEW_EPOCH: Final = Versioned(record(NewEpoch, listing(_SIGNED_REPORT)))


def report_message(report: Report) -> bytes:
    """The exact bytes a vote key signs."""
    return DOMAIN + REPORT.encode(report)


def sign_report(report: Report, key: bytes, sign: Sign) -> SignedReport:
    """Sign `report` as `key`. From here on the key is fenced: its owner must have written that down first."""
    return SignedReport(report, key, sign(report_message(report)))


def check_report(signed: SignedReport, policy: VotePolicy, check: CheckSignature = check_signature) -> None:
    """Refuse, with `VoteError`, a report that is foreign, forged, or shows something it cannot prove."""
    report = signed.report
    if report.policy != policy.hash:
        raise VoteError(f"report under policy {report.policy.hex()}, not {policy.hash.hex()}")
    if signed.key not in policy.vote_keys:
        raise VoteError(f"vote key {signed.key.hex()} is not in policy {policy.hash.hex()}")
    if not check(signed.key, signed.signature, report_message(report)):
        raise VoteError(f"signature of {signed.key.hex()} on its report for epoch {report.epoch} is not genuine")
    if report.certificate is not None:
        if report.certificate.lock.network != report.network:
            raise VoteError("the reported certificate is of another network")
        check_certificate(report.certificate, policy, check)
    if report.locked is not None:
        vote = report.locked.votes.vote
        if vote.network != report.network or vote.epoch >= report.epoch:
            raise VoteError(f"the report for epoch {report.epoch} shows a LOCK of another network or a later epoch")
        if report.certificate is not None and vote.height != report.certificate.lock.height + 1:
            raise VoteError("the reported LOCK is not at the height after the reported certificate")
        check_justification(report.locked.votes, policy, check)


def make_new_epoch(reports: Sequence[SignedReport], policy: VotePolicy) -> NewEpoch:
    """The canonical record out of reports that agree: the first validators in policy order, exactly a quorum."""
    by_key = {signed.key: signed for signed in reports}
    chosen = tuple(by_key[key] for key in policy.vote_keys if key in by_key)[: policy.quorum]
    if len(chosen) < policy.quorum:
        raise VoteError(f"{len(chosen)} reports, a quorum is {policy.quorum}")
    return NewEpoch(chosen)


def check_new_epoch(new: NewEpoch, policy: VotePolicy, check: CheckSignature = check_signature) -> None:
    """Refuse, with `VoteError`, what is not a quorum of reports on one network, epoch and log under `policy`."""
    if len(new.reports) != policy.quorum:
        raise VoteError(f"{len(new.reports)} reports where exactly {policy.quorum} belong")
    signers = [signed.key for signed in new.reports]
    if signers != [key for key in policy.vote_keys if key in signers]:
        raise VoteError("reporters are foreign, repeated or not in policy order")
    if len({(signed.report.network, signed.report.epoch, signed.report.log) for signed in new.reports}) != 1:
        raise VoteError("the reports do not agree on network, epoch and engine log")
    for signed in new.reports:
        check_report(signed, policy, check)


def epoch_start(new: NewEpoch, policy_since: int) -> Start:
    """What these reports oblige every voter of the epoch to. `policy_since` is the height that decided the policy.

    Base is the highest certificate shown. Whatever was decided at base + 1 was locked by an honest reporter before it
    reported, and every later LOCK there followed it: so the LOCK of the highest epoch, and no other, is safe.
    """
    reports = [signed.report for signed in new.reports]
    base = max((r.certificate.lock.height for r in reports if r.certificate is not None), default=policy_since)
    locks = [r.locked for r in reports if r.locked is not None and r.locked.votes.vote.height == base + 1]
    return Start(base, max(locks, key=lambda locked: locked.votes.vote.epoch, default=None))
