"""Votes, certificates and evidence: their one byte form, and every way in which one may not be what it claims."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling import ed25519
from keeling.encoding import EncodingError
from keeling.votes import (
    CERTIFICATE,
    EVIDENCE,
    SIGNED_VOTE,
    VOTE,
    Certificate,
    Justification,
    Signature,
    SignedVote,
    Step,
    Vote,
    VoteError,
    VotePolicy,
    check_certificate,
    check_evidence,
    check_justification,
    check_vote,
    make_evidence,
    make_policy,
    make_quorum,
    sign_vote,
    vote_message,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "votes.json").read_text())
SEEDS = {ed25519.public_key(bytes([i]) * 32): bytes([i]) * 32 for i in range(1, 6)}
KEYS = tuple(SEEDS)
POLICY = make_policy(b"\x22" * 32, KEYS[:4])
LOCK = Vote(b"\x11" * 32, POLICY.hash, 3, 1_000_000, 5_000_123, b"\x33" * 32, b"\x44" * 32, Step.LOCK)


def sign(vote: Vote, key: bytes) -> SignedVote:
    return sign_vote(vote, key, lambda message: ed25519.sign(SEEDS[key], message))


def sign_all(vote: Vote, keys: tuple[bytes, ...]) -> tuple[Signature, ...]:
    return tuple(Signature(key, sign(vote, key).signature) for key in keys)


CERT = Certificate(LOCK, sign_all(LOCK, KEYS[:3]))


@pytest.mark.parametrize(
    ("n", "quorum", "faults"), [(1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 3, 1), (5, 4, 1), (6, 5, 1), (7, 5, 2), (10, 7, 3)]
)
def test_a_quorum_is_more_than_two_thirds(n: int, quorum: int, faults: int) -> None:
    policy = VotePolicy(b"", tuple(bytes([i]) for i in range(n)))
    assert (policy.quorum, policy.faults) == (quorum, faults)
    assert 2 * policy.quorum - n > policy.faults  # two quorums share one who does not lie


@pytest.mark.parametrize("keys", [(), (KEYS[0], KEYS[0]), (b"short",)], ids=["none", "twice", "short"])
def test_a_policy_needs_distinct_keys(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(VoteError):
        make_policy(b"\x22" * 32, keys)


def vote_of(fields: dict[str, str | int]) -> Vote:
    raw = {name: bytes.fromhex(value) if isinstance(value, str) else value for name, value in fields.items()}
    return Vote(**{**raw, "step": Step(int(fields["step"]))})  # type: ignore[arg-type]


@pytest.mark.parametrize("case", VECTORS["votes"], ids=lambda case: case["name"])
def test_vectors_of_votes(case: dict[str, object]) -> None:
    vote = vote_of(case["vote"])  # type: ignore[arg-type]
    key = bytes.fromhex(str(case["key"]))
    assert vote_message(vote).hex() == case["message"]
    signed = sign(vote, key)
    assert SIGNED_VOTE.encode(signed).hex() == case["signed"]
    assert SIGNED_VOTE.decode(bytes.fromhex(str(case["signed"]))) == signed
    check_vote(signed, POLICY)


def test_vector_of_a_certificate() -> None:
    assert CERTIFICATE.encode(CERT).hex() == VECTORS["certificate"]
    assert CERTIFICATE.decode(bytes.fromhex(VECTORS["certificate"])) == CERT
    check_certificate(CERT, POLICY)


def test_vector_of_evidence() -> None:
    evidence = make_evidence(sign(LOCK, KEYS[0]), sign(LOCK._replace(root=b"\x34" * 32), KEYS[0]))
    assert EVIDENCE.encode(evidence).hex() == VECTORS["evidence"]
    check_evidence(EVIDENCE.decode(bytes.fromhex(VECTORS["evidence"])), POLICY)


REFUSED_VOTES = [
    (sign(LOCK._replace(policy=b"\x99" * 32), KEYS[0]), "under policy"),
    (sign(LOCK, KEYS[4]), "is not in policy"),
    (sign(LOCK, KEYS[0])._replace(key=KEYS[1]), "not genuine"),
    (sign(LOCK, KEYS[0])._replace(vote=LOCK._replace(epoch=4)), "not genuine"),
    (sign(LOCK, KEYS[0])._replace(vote=LOCK._replace(step=Step.VOTE)), "not genuine"),
]


@pytest.mark.parametrize(("signed", "why"), REFUSED_VOTES)
def test_what_is_no_vote(signed: SignedVote, why: str) -> None:
    with pytest.raises(VoteError, match=why):
        check_vote(signed, POLICY)


REFUSED_CERTIFICATES: list[tuple[str, Callable[[], Certificate], str]] = [
    ("of VOTEs", lambda: CERT._replace(lock=LOCK._replace(step=Step.VOTE)), "made of LOCKs"),
    ("too few", lambda: CERT._replace(signatures=CERT.signatures[:2]), "exactly 3"),
    ("too many", lambda: CERT._replace(signatures=sign_all(LOCK, KEYS[:4])), "exactly 3"),
    ("out of order", lambda: CERT._replace(signatures=CERT.signatures[::-1]), "policy order"),
    ("one twice", lambda: CERT._replace(signatures=(CERT.signatures[0], *CERT.signatures[:2])), "repeated"),
    ("a foreigner", lambda: CERT._replace(signatures=sign_all(LOCK, (*KEYS[:2], KEYS[4]))), "foreign"),
    ("another block", lambda: CERT._replace(lock=LOCK._replace(root=b"\x34" * 32)), "not genuine"),
    ("two epochs", lambda: CERT._replace(signatures=CERT.signatures[:2] + sign_all(LOCK._replace(epoch=4), KEYS[2:3])),
     "not genuine"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "why"), [row[1:] for row in REFUSED_CERTIFICATES], ids=[row[0] for row in REFUSED_CERTIFICATES]
)
def test_what_is_no_certificate(make: Callable[[], Certificate], why: str) -> None:
    with pytest.raises(VoteError, match=why):
        check_certificate(make(), POLICY)


def test_votes_justify_a_lock_and_locks_do_not() -> None:
    vote = LOCK._replace(step=Step.VOTE)
    check_justification(Justification(vote, sign_all(vote, KEYS[1:4])), POLICY)
    with pytest.raises(VoteError, match="justified by VOTEs"):
        check_justification(Justification(*CERT), POLICY)


@given(st.sets(st.sampled_from(KEYS)), st.randoms(use_true_random=False))
def test_a_quorum_is_canonical_in_whatever_order_votes_came(keys: set[bytes], random: Random) -> None:
    order = sorted(keys)
    random.shuffle(order)
    votes = {key: key + key for key in order}
    known = [key for key in POLICY.vote_keys if key in keys]
    if len(known) < POLICY.quorum:
        with pytest.raises(VoteError):
            make_quorum(votes, POLICY)
    else:
        assert make_quorum(votes, POLICY) == tuple(Signature(key, key + key) for key in known[:3])


def test_what_is_no_evidence() -> None:
    one, other = sign(LOCK, KEYS[0]), sign(LOCK._replace(root=b"\x34" * 32), KEYS[0])
    good = make_evidence(one, other)
    assert make_evidence(other, one) == good
    bad = [
        good._replace(second=sign(LOCK._replace(root=b"\x34" * 32), KEYS[1])),
        good._replace(second=sign(LOCK._replace(epoch=4), KEYS[0])),
        good._replace(second=sign(LOCK._replace(step=Step.VOTE), KEYS[0])),
        good._replace(second=good.first),
        good._replace(first=good.second, second=good.first),
        good._replace(second=good.second._replace(signature=bytes(64))),
    ]
    for evidence in bad:
        with pytest.raises(VoteError):
            check_evidence(evidence, POLICY)


@given(st.integers(0, len(CERTIFICATE.encode(CERT)) * 8 - 1))
def test_no_flipped_bit_leaves_a_certificate(bit: int) -> None:
    data = bytearray(CERTIFICATE.encode(CERT))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises((EncodingError, VoteError)):
        check_certificate(CERTIFICATE.decode(bytes(data)), POLICY)


def test_steps_and_versions_from_elsewhere_are_refused() -> None:
    data = VOTE.encode(LOCK)
    for step in (0, 3, 255):
        with pytest.raises(EncodingError, match="neither VOTE"):
            VOTE.decode(data[:-1] + bytes([step]))
    with pytest.raises(EncodingError, match="version 2"):
        CERTIFICATE.decode(b"\x02" + CERTIFICATE.encode(CERT)[1:])
