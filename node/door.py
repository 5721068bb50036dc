"""The door: what is turned away before it is ordered (guarantee G10), with the same words the rules would use.

A submission that passes is well-formed, for this network, by a key that may submit, and its signatures verify. Whether
its transactions are accepted is decided by execution alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from keeling.reasons import Reason
from keeling.submission import MAX_TRANSACTIONS, Submission, SubmissionError, approval_message, parse_submission
from node.core.block import check_submitter
from node.core.refusal import Refusal
from node.core.state import State
from node.verify import Claim


class TurnedAway(Exception):
    """Nothing of the call was ordered. `which` is the submission, counted from 0."""

    def __init__(self, refusal: Refusal, which: int) -> None:
        super().__init__(f"submission {which}: {refusal}")
        self.refusal = refusal
        self.which = which


class KeyTurnedAway(TurnedAway):
    """The submitter's key may not hand in, by what this node knows: one that is behind may not know the key yet."""


class Admitted(NamedTuple):
    """A parsed submission and the signatures it rests on; `claims[0]` is the submitter's."""

    submission: Submission
    claims: tuple[Claim, ...]


def admit(raws: Sequence[bytes], network: bytes, state: State, transactions_max: int) -> list[Admitted]:
    """Parse and check everything but signatures; raises `TurnedAway` for the first that cannot come in."""
    admitted, transactions = list[Admitted](), 0
    for which, raw in enumerate(raws):
        try:
            submission = parse_submission(raw)
        except SubmissionError as error:
            raise TurnedAway(Refusal(error.reason, str(error)), which) from error
        transactions += len(submission.transactions)
        if len(submission.transactions) > transactions_max or transactions > MAX_TRANSACTIONS:
            detail = f"{transactions} transactions in one call; {min(transactions_max, MAX_TRANSACTIONS)} are allowed"
            raise TurnedAway(Refusal(Reason.TOO_MANY_TRANSACTIONS, detail), which)
        if submission.network != network:
            detail = f"signed for network {submission.network.hex()[:16]}; this is {network.hex()[:16]}"
            raise TurnedAway(Refusal(Reason.FOREIGN_NETWORK, detail), which)
        refusal = check_submitter(state, submission.key)
        if refusal is not None:
            raise KeyTurnedAway(refusal, which)
        admitted.append(Admitted(submission, _claims(submission, network)))
    return admitted


def _claims(submission: Submission, network: bytes) -> tuple[Claim, ...]:
    claims = [(submission.key, submission.signature, submission.signed)]
    for item in submission.transactions:
        if item.approvals:
            message = approval_message(network, item.digest)
            claims += [(key, signature, message) for key, signature in item.approvals if len(key) == 32]
    return tuple(claims)


def check_answers(admitted: Sequence[Admitted], answers: Sequence[bool]) -> None:
    """Raise `TurnedAway` for the first submission whose submitter's signature is false. Approvals are for the rules."""
    at = 0
    for which, item in enumerate(admitted):
        if not answers[at]:
            detail = f"the signature by {item.submission.key.hex()[:16]} does not verify"
            raise TurnedAway(Refusal(Reason.BAD_SIGNATURE, detail), which)
        at += len(item.claims)
