"""Snapshots on disk: making one from a frozen view of the store, its proof once a quorum attested it, and reading both.

One folder per height: the head, the hashes, a file for each chunk, and the proof. A folder appears under its name when
everything in it is durable. What the bytes mean is in `keeling.snapshot`; fetching from others is `node.joining`, when
to make one `node.attesting`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from keeling.block import RESULT, Result, parse_header
from keeling.encoding import BYTES32, listing
from keeling.events import EVENT, EventKind
from keeling.merkle import EMPTY_FRONTIER, Subtree, hash_leaf, prove_inclusion, read_frontier
from keeling.snapshot import (
    HEAD,
    PROOF,
    Attesting,
    SnapshotHead,
    SnapshotProof,
    compute_digest,
    fill_chunks,
    hash_chunk,
)
from keeling.votes import CERTIFICATE
from node.archive import ArchivedBlock, ArchivedSubmission, height_key, read_archive, read_size, read_subtrees
from node.core import tables
from node.durable import make_folder, replace_file, sync_folder
from node.handovers import read_handovers
from node.store.contract import Family, Reads

_HEAD: Final = "head"
_HASHES: Final = "hashes"
_PROOF: Final = "proof"
_MAKING: Final = ".making"
JOINING: Final = ".joining"
_HASH_LIST: Final = listing(BYTES32)


class SnapshotError(Exception):
    """A snapshot cannot be made or read here; the text says why."""


class Made(NamedTuple):
    """A snapshot that is on disk, and what a validator attests of it."""

    height: int
    digest: bytes
    rows: int
    chunks: int


class Agreed(NamedTuple):
    """Where in an archived block a quorum was completed: the state's height and digest, submission and transaction."""

    height: int
    digest: bytes
    submission: int
    ordinal: int


class Shelf:
    """The snapshots in one folder. One writer; whoever reads a height that is dropped meanwhile gets an error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def heights(self) -> list[int]:
        """The heights whose snapshots are complete here, ascending."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdecimal())

    def proved(self) -> list[int]:
        """Those of them that a quorum attested."""
        return [height for height in self.heights() if (self.folder / str(height) / _PROOF).exists()]

    def make(self, view: Reads) -> Made:
        """Write the snapshot of a frozen view's state. Reads all of it: run this on a thread of its own."""
        head = read_head(view)
        target, making = self.folder / str(head.height), self.folder / f"{head.height}{_MAKING}"
        shutil.rmtree(making, ignore_errors=True)
        make_folder(making)
        hashes, rows = [], _Counted(view.scan(Family.STATE))
        for ordinal, chunk in enumerate(fill_chunks(rows)):
            replace_file(making / name_chunk(ordinal), chunk)
            hashes.append(hash_chunk(chunk))
        encoded = HEAD.encode(head._replace(rows=rows.passed))
        replace_file(making / _HEAD, encoded)
        replace_file(making / _HASHES, _HASH_LIST.encode(tuple(hashes)))
        self.settle(making, target)
        return Made(head.height, compute_digest(encoded, hashes), rows.passed, len(hashes))

    def settle(self, made: Path, target: Path) -> None:
        """Let a finished folder take its name, in the place of an older one."""
        sync_folder(made)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
        sync_folder(self.folder)

    def read_head(self, height: int) -> tuple[bytes, tuple[bytes, ...]]:
        """The encoded head and the chunks' leaf hashes. Raises `SnapshotError`."""
        folder = self.folder / str(height)
        try:
            return (folder / _HEAD).read_bytes(), _HASH_LIST.decode((folder / _HASHES).read_bytes())
        except OSError as error:
            raise SnapshotError(f"there is no snapshot of height {height} here") from error

    def read_chunk(self, height: int, ordinal: int) -> bytes:
        """A chunk's bytes. Raises `SnapshotError`."""
        try:
            return (self.folder / str(height) / name_chunk(ordinal)).read_bytes()
        except OSError as error:
            raise SnapshotError(f"chunk {ordinal} of the snapshot of {height} is not here") from error

    def put_proof(self, height: int, proof: bytes) -> None:
        """Keep the proof beside its snapshot: from now on it can be served."""
        replace_file(self.folder / str(height) / _PROOF, proof)

    def read_proof(self, height: int) -> bytes:
        """The encoded proof. Raises `SnapshotError`."""
        try:
            return (self.folder / str(height) / _PROOF).read_bytes()
        except OSError as error:
            raise SnapshotError(f"no attested snapshot of height {height} is here") from error

    def drop_old(self, keep: int) -> list[int]:
        """Delete all but the `keep` newest proved ones, and what is older than those and was never proved."""
        kept = self.proved()[-keep:]
        dropped = [height for height in self.heights() if kept and height < kept[0]]
        for height in dropped:
            shutil.rmtree(self.folder / str(height))
        return dropped


class _Counted:
    """Passes rows on and counts them."""

    def __init__(self, rows: Iterator[tuple[bytes, bytes]]) -> None:
        self._rows = rows
        self.passed = 0

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for row in self._rows:
            self.passed += 1
            yield row


def name_chunk(ordinal: int) -> str:
    """The file name of a chunk."""
    return f"{ordinal:06}.chunk"


def read_head(view: Reads) -> SnapshotHead:
    """The head of a snapshot of this view, its rows not counted yet. Raises `SnapshotError` before the first block."""
    raw = view.get(Family.STATE, tables.PROGRESS.key())
    height = 0 if raw is None else tables.PROGRESS.value.decode(raw).height
    leaf = view.get(Family.BLOCKS, height_key(b"h", height)) if height else None
    if leaf is None:
        raise SnapshotError(f"the store has no block at {height} to make a snapshot of")
    header = parse_header(leaf)
    frontier = read_frontier(header.first_leaf + header.leaves, read_subtrees(view))
    return SnapshotHead(header.network, height, leaf, frontier, 0)


# -- proof


def find_agreed(block: ArchivedBlock) -> Iterator[Agreed]:
    """The attestations in a block that completed a quorum, by what their events say."""
    for number, submission in enumerate(block.submissions):
        for ordinal, answer in enumerate(submission.answers):
            for raw in answer.events:
                event = EVENT.decode(raw)
                if event.kind == EventKind.SNAPSHOT:
                    yield Agreed(int(event.subject), bytes.fromhex(event.fact("digest")), number, ordinal)


def make_proof(view: Reads, shelf: Shelf, attested_at: int, agreed: Agreed) -> SnapshotProof:
    """The proof of a snapshot on the shelf, from the block at `attested_at`, which has its checkpoint by now.

    Raises `SnapshotError` where the node's own snapshot is another: its state has diverged, or was never made.
    """
    head, chunks = shelf.read_head(agreed.height)
    if compute_digest(head, chunks) != agreed.digest:
        raise SnapshotError(f"the state at {agreed.height} is another here than a quorum attested")
    archived = read_archive(view, attested_at)
    certificates = [view.get(Family.BLOCKS, height_key(b"c", height)) for height in (agreed.height, attested_at)]
    leaf = view.get(Family.BLOCKS, height_key(b"h", attested_at))
    if archived is None or leaf is None or not all(certificates):
        raise SnapshotError(f"the blocks at {agreed.height} and {attested_at} are not whole here")
    submission = archived.submissions[agreed.submission]
    answer = submission.answers[agreed.ordinal]
    position = parse_header(leaf).first_leaf + agreed.submission
    attesting = Attesting(
        certificate=CERTIFICATE.decode(certificates[1] or b""),
        position=position,
        record=submission.leaf,
        proof=prove_inclusion(position, read_size(view, attested_at), read_subtrees(view)),
        ordinal=agreed.ordinal,
        transaction=answer.digest,
        events=b"".join(answer.events),
        path=_prove_result(submission, agreed.ordinal),
    )
    return SnapshotProof(
        head=head,
        chunks=chunks,
        certificate=CERTIFICATE.decode(certificates[0] or b""),
        checkpoint=view.get(Family.BLOCKS, height_key(b"k", agreed.height)) or b"",
        handovers=read_handovers(view, attested_at),
        attesting=attesting,
    )


def _prove_result(submission: ArchivedSubmission, ordinal: int) -> tuple[bytes, ...]:
    hashes = [
        hash_leaf(RESULT.encode(Result(a.digest, a.reason, sha256(b"".join(a.events)).digest())))
        for a in submission.answers
    ]
    completed = EMPTY_FRONTIER.extend(hashes).completed
    stored = {Subtree(run.level, run.first + n): value for run in completed for n, value in enumerate(run.hashes)}

    def read(wanted: Sequence[Subtree]) -> list[bytes]:
        return [stored[subtree] for subtree in wanted]

    return prove_inclusion(ordinal, len(hashes), read)


def keep_proofs(view: Reads, shelf: Shelf, height: int) -> list[int]:
    """Write the proof of each snapshot that the block at `height` completed; returns their heights."""
    archived = read_archive(view, height)
    done = []
    for agreed in find_agreed(archived) if archived is not None else ():
        if agreed.height in shelf.heights():
            shelf.put_proof(agreed.height, PROOF.encode(make_proof(view, shelf, height, agreed)))
            done.append(agreed.height)
    return done
