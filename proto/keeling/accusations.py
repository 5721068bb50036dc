"""An evidence file: proofs that validators lied, and the handovers that say whose keys they are. Checked offline.

What each proof is stands in `keeling.votes` (two votes in one place) and `keeling.engine_word` (two logs shown). Here
they are put together with what a stranger needs besides the genesis file, and told in words. Which node came by them
is of no matter: nobody can make such a proof but the owner of the key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from keeling.encoding import BYTES, EncodingError, listing, record
from keeling.engine_word import ENGINE_EVIDENCE, EngineWordError, check_engine_evidence
from keeling.genesis import Genesis, GenesisError
from keeling.handover import HANDOVER, HandoverRefused, Reign, walk_handovers
from keeling.votes import EVIDENCE, Versioned, VoteError, check_evidence


class EvidenceRefused(ValueError):
    """The file proves nothing, or less than it claims; the text says where and why."""


class EvidenceFile(NamedTuple):
    """Canonical encodings of all parts."""

    handovers: tuple[bytes, ...]
    votes: tuple[bytes, ...]
    engines: tuple[bytes, ...]


class Accusation(NamedTuple):
    """One lie that is proved."""

    participant: str
    """Whose key it was, when it was in force."""
    what: str
    where: str


EVIDENCE_FILE: Final = Versioned(record(EvidenceFile, listing(BYTES), listing(BYTES), listing(BYTES)))


def check_evidence_file(data: bytes, genesis: Genesis) -> tuple[Accusation, ...]:
    """Every lie that the file proves. Raises `EvidenceRefused` if any part of it is not what it claims to be."""
    try:
        file = EVIDENCE_FILE.decode(data)
        reigns = walk_handovers(genesis, [HANDOVER.decode(raw) for raw in file.handovers])
        return (*_check_votes(file.votes, reigns, genesis), *_check_engines(file.engines, reigns, genesis))
    except (EncodingError, GenesisError, HandoverRefused, VoteError, EngineWordError) as error:
        raise EvidenceRefused(str(error)) from error


def _check_votes(votes: Sequence[bytes], reigns: Sequence[Reign], genesis: Genesis) -> Iterator[Accusation]:
    for raw in votes:
        evidence = EVIDENCE.decode(raw)
        vote = evidence.first.vote
        reign = next((known for known in reigns if known.hash == vote.policy), None)
        if reign is None or vote.network != genesis.network:
            raise EvidenceRefused(f"votes under the policy {vote.policy.hex()}, which no handover leads to")
        check_evidence(evidence, reign.voters)
        name = next(each.name for each in reign.policy.validators if each.vote_key == evidence.first.key)
        where = f"height {vote.height}, epoch {vote.epoch}: blocks {vote.root.hex()[:16]} and "
        where += evidence.second.vote.root.hex()[:16]
        yield Accusation(name, f"gave two different {vote.step.name}s", where)


def _check_engines(engines: Sequence[bytes], reigns: Sequence[Reign], genesis: Genesis) -> Iterator[Accusation]:
    owners = {
        key: validator.name
        for reign in reigns
        for validator, key in zip(reign.policy.validators, reign.entry_keys, strict=True)
    }
    for raw in engines:
        evidence = ENGINE_EVIDENCE.decode(raw)
        word = evidence.first.word
        if word.network != genesis.network or evidence.first.key not in owners:
            raise EvidenceRefused(f"the key {evidence.first.key.hex()} was no validator's here: it accuses nobody")
        check_engine_evidence(evidence)
        where = f"log {word.log}, epoch {word.epoch}, at position {word.position}"
        yield Accusation(owners[evidence.first.key], "showed two ordering logs", where)
