"""Evidence files: they name who lied, convince with the genesis file alone, and any change of them is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.accusations import EVIDENCE_FILE, Accusation, EvidenceFile, EvidenceRefused, check_evidence_file
from keeling.ed25519 import public_key, sign
from keeling.engine_word import ENGINE_EVIDENCE, EngineWord, make_engine_evidence, sign_word
from keeling.genesis import Genesis
from keeling.policy import hash_policy
from keeling.votes import EVIDENCE, SignedVote, Step, Vote, make_evidence, sign_vote
from tests.fakes.policies import seed_of
from tests.fakes.world import World

WORLD = World({"reg": ["registry"]})
VOTE_SEED = seed_of("vote")


def vote(root: int, policy: bytes | None = None, seed: bytes = VOTE_SEED) -> SignedVote:
    genesis = WORLD.genesis
    at = Vote(genesis.network, policy or hash_policy(genesis.policy), 0, 5, 9, bytes([root]) * 32, bytes(32), Step.LOCK)
    return sign_vote(at, public_key(seed), lambda message: sign(seed, message))


def votes(policy: bytes | None = None, seed: bytes = VOTE_SEED) -> bytes:
    return EVIDENCE.encode(make_evidence(vote(1, policy, seed), vote(2, policy, seed)))


def engines(key: bytes | None = None, running: int = 2) -> bytes:
    person = WORLD.node
    words = [
        sign_word(EngineWord(WORLD.genesis.network, 0, "log-0", 4, bytes([run]) * 32), key or person.key, person.sign)
        for run in (1, running)
    ]
    return ENGINE_EVIDENCE.encode(make_engine_evidence(words[0], words[1], bytes(32), ()))


def file(votes: tuple[bytes, ...] = (), engines: tuple[bytes, ...] = (), handovers: tuple[bytes, ...] = ()) -> bytes:
    return EVIDENCE_FILE.encode(EvidenceFile(handovers, votes, engines))


def check(data: bytes, genesis: Genesis = WORLD.genesis) -> tuple[Accusation, ...]:
    return check_evidence_file(data, genesis)


def test_both_kinds_of_lie_are_told() -> None:
    told = check(file((votes(),), (engines(),)))
    assert [(each.participant, each.what) for each in told] == [
        ("one", "gave two different LOCKs"),
        ("one", "showed two ordering logs"),
    ]
    assert told[0].where.startswith("height 5, epoch 0: blocks 0101010101010101 and 0202020202020202")


def test_nothing_accuses_nobody() -> None:
    assert check(file()) == ()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "offset 0|needs|end"),
        (file() + b"x", "1 bytes after the end of the value"),
        (file((votes(policy=bytes(32)),)), "which no handover leads to"),
        (file((votes(seed=seed_of("stranger")),)), "is not in policy"),
        (file((), (engines(key=public_key(seed_of("log"))),)), "was no validator's here"),
        (file((), (engines(running=1),)), "say the same"),
        (file((), (), (b"\x02",)), "version 2 is not known"),
    ],
    ids=["empty", "longer", "policy", "stranger", "no host", "the same", "handover"],
)
def test_refused(data: bytes, problem: str) -> None:
    with pytest.raises(EvidenceRefused, match=problem):
        check(data)


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    whole = bytearray(file((votes(),), (engines(),)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(EvidenceRefused):
        check(bytes(whole))
