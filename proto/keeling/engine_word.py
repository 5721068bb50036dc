"""Engine words: what the host of an ordering log signs about it, so that showing two logs is proved to anybody.

With everything it shows, the host of an embedded log signs which entries stand up to there (architecture 4.1; review
finding 22). Nobody needs the word to take an entry: finality trusts no engine. But two words of one host that cannot
both be true are evidence that a third party can check with the host's entry key alone. Which validator hosts a log is
decided by its name and the policy (`node.ordering.engine`); the votes' own evidence is in keeling.votes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from hashlib import sha256
from typing import Final, NamedTuple

from keeling.ed25519 import check_signature
from keeling.encoding import BYTES32, BYTES64, TEXT, U64, listing, record
from keeling.votes import CheckSignature, Sign, Versioned

DOMAIN: Final = b"keeling/engine-word/v1\n"
"""First line of what an entry key signs as host, so that no signature on an entry is ever a word."""
EMPTY: Final = bytes(32)
"""The running hash before the first entry."""
BETWEEN_MAX: Final = 65_536
"""As many entries may stand between the two words of an evidence; 2 MiB of digests."""


class EngineWordError(ValueError):
    """The word or evidence is not what it claims to be; the text says why."""


class EngineWord(NamedTuple):
    """What is signed: in `log` of `epoch` the entries of positions 1 to `position` have this running hash."""

    network: bytes
    epoch: int
    log: str
    position: int
    running: bytes


class SignedWord(NamedTuple):
    """A word, the host's entry key, and the proof."""

    word: EngineWord
    key: bytes
    signature: bytes


class EngineEvidence(NamedTuple):
    """Two words of one host on one log that exclude each other.

    `second` stands at or behind `first`. `base` is the running hash that `second` has at the position of `first`, which
    `between`, the digests of the entries behind it, leads to what `second` says; `first` says another one.
    """

    first: SignedWord
    second: SignedWord
    base: bytes
    between: tuple[bytes, ...]


_WORD: Final = record(EngineWord, BYTES32, U64, TEXT, U64, BYTES32)
_SIGNED_WORD: Final = record(SignedWord, _WORD, BYTES32, BYTES64)
SIGNED_WORD: Final = Versioned(_SIGNED_WORD)
ENGINE_EVIDENCE: Final = Versioned(record(EngineEvidence, _SIGNED_WORD, _SIGNED_WORD, BYTES32, listing(BYTES32)))


def extend_running(running: bytes, digests: Iterable[bytes]) -> bytes:
    """The running hash after entries with these digests: SHA-256 of the last one and the digest, once for each."""
    return reduce(lambda before, digest: sha256(before + digest).digest(), digests, running)


def word_message(word: EngineWord) -> bytes:
    """The exact bytes that are signed."""
    return DOMAIN + _WORD.encode(word)


def sign_word(word: EngineWord, key: bytes, sign: Sign) -> SignedWord:
    """Sign `word` as host. Only what is durable in the log may be signed."""
    return SignedWord(word, key, sign(word_message(word)))


def check_word(signed: SignedWord, check: CheckSignature = check_signature) -> None:
    """Refuse, with `EngineWordError`, a word that its key did not sign."""
    if not check(signed.key, signed.signature, word_message(signed.word)):
        raise EngineWordError(
            f"signature of {signed.key.hex()} on position {signed.word.position} of {signed.word.log} is not genuine"
        )


def make_engine_evidence(one: SignedWord, other: SignedWord, base: bytes, between: Iterable[bytes]) -> EngineEvidence:
    """Put two words into their order. `base` and `between` belong to the later one; at one position it is its own hash.

    Words at one position stand in the order of their running hashes, so that each accusation has one form.
    """
    first, second = sorted((one, other), key=lambda signed: (signed.word.position, signed.word.running))
    if first.word.position == second.word.position:
        return EngineEvidence(first, second, second.word.running, ())
    return EngineEvidence(first, second, base, tuple(between))


def check_engine_evidence(evidence: EngineEvidence, check: CheckSignature = check_signature) -> None:
    """Refuse, with `EngineWordError`, anything but two genuine words of one key on one log that exclude each other.

    Whether that key was the host's, the caller knows: from the log's name, the policy and the ledger.
    """
    first, second = evidence.first.word, evidence.second.word
    if evidence.first.key != evidence.second.key or first[:3] != second[:3]:
        raise EngineWordError("two words accuse only if they are of one key, network, epoch and log")
    if second.position - first.position != len(evidence.between):
        raise EngineWordError("the evidence does not lead from the position of the one word to that of the other")
    if len(evidence.between) > BETWEEN_MAX:
        raise EngineWordError(f"{len(evidence.between)} entries between two words, at most {BETWEEN_MAX} are read")
    if first.position == second.position and first.running >= second.running:
        raise EngineWordError("the two words say the same, or are not in order")
    if first.running == evidence.base:
        raise EngineWordError("the second word continues the first: they do not exclude each other")
    if extend_running(evidence.base, evidence.between) != second.running:
        raise EngineWordError("the second word does not say what the evidence claims it does")
    check_word(evidence.first, check)
    check_word(evidence.second, check)
