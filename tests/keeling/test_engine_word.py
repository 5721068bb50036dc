"""Words of an engine's host: what two of them prove, to whom, and what they do not."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling import ed25519
from keeling.encoding import EncodingError
from keeling.engine_word import (
    EMPTY,
    ENGINE_EVIDENCE,
    SIGNED_WORD,
    EngineEvidence,
    EngineWord,
    EngineWordError,
    SignedWord,
    check_engine_evidence,
    check_word,
    extend_running,
    make_engine_evidence,
    sign_word,
)

SEED, OTHER_SEED = b"h" * 32, b"o" * 32
KEY = ed25519.public_key(SEED)
NETWORK = bytes(range(32))
ENTRIES = [sha256(b"entry %d" % number).digest() for number in range(8)]


def word(digests: Sequence[bytes], log: str = "log", seed: bytes = SEED) -> SignedWord:
    running = extend_running(EMPTY, digests)
    said = EngineWord(NETWORK, 3, log, len(digests), running)
    return sign_word(said, ed25519.public_key(seed), lambda message: ed25519.sign(seed, message))


def accuse(first: Sequence[bytes], second: Sequence[bytes], **how: object) -> EngineEvidence:
    base = extend_running(EMPTY, second[: len(first)])
    return make_engine_evidence(word(first), word(second, **how), base, second[len(first) :])  # type: ignore[arg-type]


FORK = [*ENTRIES[:2], b"x" * 32, *ENTRIES[3:6]]


@pytest.mark.parametrize("shown", [3, 4, 6])
def test_two_logs_are_proved_wherever_the_words_stand(shown: int) -> None:
    evidence = accuse(ENTRIES[:3], FORK[:shown])
    check_engine_evidence(evidence)
    assert ENGINE_EVIDENCE.decode(ENGINE_EVIDENCE.encode(evidence)) == evidence


def test_one_accusation_has_one_form() -> None:
    one, other = word(ENTRIES[:3]), word(FORK[:3])
    assert make_engine_evidence(one, other, EMPTY, ()) == make_engine_evidence(other, one, EMPTY, ())
    first, second = one, word(FORK[:5])
    base = extend_running(EMPTY, FORK[:3])
    assert make_engine_evidence(first, second, base, FORK[3:5]) == make_engine_evidence(second, first, base, FORK[3:5])


GOOD = accuse(ENTRIES[:3], FORK[:5])
NO_EVIDENCE: list[tuple[str, EngineEvidence]] = [
    ("two words accuse only", GOOD._replace(second=word(FORK[:5], log="another"))),
    ("two words accuse only", accuse(ENTRIES[:3], FORK[:5], seed=OTHER_SEED)),
    ("does not lead from the position", GOOD._replace(between=GOOD.between[:1])),
    ("does not lead from the position", GOOD._replace(first=GOOD.second, second=GOOD.first)),
    ("say the same", GOOD._replace(first=GOOD.second, between=())),
    ("continues the first", accuse(ENTRIES[:3], ENTRIES[:5])),
    ("does not say what the evidence claims", accuse(ENTRIES[:3], ENTRIES[:5])._replace(base=b"y" * 32)),
    ("is not genuine", GOOD._replace(first=GOOD.first._replace(signature=bytes(64)))),
    ("is not genuine", GOOD._replace(second=GOOD.second._replace(signature=bytes(64)))),
]


@pytest.mark.parametrize(("why", "evidence"), NO_EVIDENCE)
def test_an_honest_host_cannot_be_accused(why: str, evidence: EngineEvidence) -> None:
    with pytest.raises(EngineWordError, match=why):
        check_engine_evidence(evidence)


@given(st.lists(st.sampled_from(ENTRIES), max_size=8), st.data())
def test_two_beginnings_of_one_log_are_never_evidence(log: list[bytes], data: st.DataObject) -> None:
    short = data.draw(st.integers(0, len(log)))
    with pytest.raises(EngineWordError):
        check_engine_evidence(accuse(log[:short], log))


def test_a_word_is_one_of_its_signer_on_its_log_only() -> None:
    signed = word(ENTRIES)
    check_word(signed)
    assert SIGNED_WORD.decode(SIGNED_WORD.encode(signed)) == signed
    for changed in (signed.word._replace(position=7), signed.word._replace(log="x"), signed.word._replace(epoch=4)):
        with pytest.raises(EngineWordError, match="not genuine"):
            check_word(signed._replace(word=changed))
    with pytest.raises(EncodingError, match="version 2"):
        SIGNED_WORD.decode(b"\x02" + SIGNED_WORD.encode(signed)[1:])
