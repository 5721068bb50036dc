"""What a node keeps about things that should not happen: evidence of lies, entries that break execution, a divergence.

All of it stands in META, so it is in every backup. Deciding what follows from it is `node.chain`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from keeling.encoding import BYTES, BYTES32, TEXT, U64, listing, record
from node.store.contract import Batch, Family, Reads

VOTE_EVIDENCE: Final = b"evidence/vote/"
"""In META, with SHA-256 of the value: `keeling.votes.EVIDENCE`."""
ENGINE_EVIDENCE: Final = b"evidence/engine/"
"""The same of `keeling.engine_word.ENGINE_EVIDENCE`."""
_POISON: Final = b"poison/"
_DIVERGED: Final = b"diverged"
STOPPED_KEY: Final = b"chain/stopped"
TABLE_BYTES: Final = 33


class Stopped(NamedTuple):
    """A vote key that signs nothing any more, and why: the name of a `node.finality.events.Reason`."""

    reason: str
    vote_key: bytes


class Divergence(NamedTuple):
    """A certified block gave another result here: what was executed, ours and theirs, table by table.

    `their_tables` is empty if the peer that had the block no longer knew what it wrote.
    """

    height: int
    entry: bytes
    our_header: bytes
    their_header: bytes
    our_tables: bytes
    their_tables: bytes

    @property
    def differing(self) -> tuple[str, ...]:
        """Prefixes of the tables in which the two differ; of all that were written, if theirs are unknown."""
        ours, theirs = _split(self.our_tables), _split(self.their_tables)
        return tuple(sorted(p for p in {**ours, **theirs} if ours.get(p) != theirs.get(p)))


_DIVERGENCE: Final = record(Divergence, U64, BYTES32, BYTES, BYTES, BYTES, BYTES)
_DIGESTS: Final = listing(BYTES32)
_STOPPED: Final = record(Stopped, TEXT, BYTES)


def _split(tables: bytes) -> dict[str, bytes]:
    rows = [tables[at : at + TABLE_BYTES] for at in range(0, len(tables), TABLE_BYTES)]
    return {row[:1].decode("latin-1"): row[1:] for row in rows}


def put_evidence(batch: Batch, kind: bytes, evidence: bytes) -> None:
    """Keep evidence for ever; the same again changes nothing."""
    batch.put(Family.META, kind + sha256(evidence).digest(), evidence)


def scan_evidence(reads: Reads, kind: bytes) -> Iterator[bytes]:
    """All evidence of a kind."""
    for _, value in reads.scan(Family.META, kind, kind[:-1] + b"0"):
        yield value


def put_poison(batch: Batch, entry: bytes, submissions: Iterable[bytes]) -> None:
    """Remember an entry that makes execution fail, and the digests of what it carried: none is offered again here."""
    batch.put(Family.META, _POISON + entry, _DIGESTS.encode(tuple(submissions)))


def read_poison(reads: Reads) -> tuple[set[bytes], set[bytes]]:
    """Digests of poison entries, and of submissions that were in one."""
    entries, submissions = set[bytes](), set[bytes]()
    for key, raw in reads.scan(Family.META, _POISON, _POISON[:-1] + b"0"):
        entries.add(key[len(_POISON) :])
        submissions.update(_DIGESTS.decode(raw))
    return entries, submissions


def put_stopped(batch: Batch, stopped: Stopped) -> None:
    """Silence a vote key for ever: a restart must not forget it."""
    batch.put(Family.META, STOPPED_KEY, _STOPPED.encode(stopped))


def read_stopped(reads: Reads) -> Stopped | None:
    """The vote key of this node that was silenced, if any."""
    raw = reads.get(Family.META, STOPPED_KEY)
    return None if raw is None else _STOPPED.decode(raw)


def put_divergence(batch: Batch, divergence: Divergence) -> None:
    """Keep what there is to compare."""
    batch.put(Family.META, _DIVERGED, _DIVERGENCE.encode(divergence))


def read_divergence(reads: Reads) -> Divergence | None:
    """The divergence this node stopped at, if any."""
    raw = reads.get(Family.META, _DIVERGED)
    return None if raw is None else _DIVERGENCE.decode(raw)
