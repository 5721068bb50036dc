"""Audit bundles from what a node stores: the whole log up to a height, or what concerns one account or period.

Here parts are selected and read; their form is in `keeling.bundle` and `keeling.bundle_parts`, and nothing is judged:
whoever receives a bundle checks it with `keeling.verify`. Blocks are read one by one and wait in a temporary file, so
memory stays flat however long the log is. Who may ask for which account is decided by the service that calls this.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from keeling.block import (
    RESULT,
    Header,
    Result,
    hash_sweeps,
    parse_header,
    parse_record,
)
from keeling.bundle import Kind, write_bundle
from keeling.bundle_parts import (
    CUT_BLOCK,
    HANDOVERS,
    SELECTION,
    WHOLE_BLOCK,
    Approval,
    CutBlock,
    CutSubmission,
    CutSweep,
    CutTransaction,
    ResultRow,
    Selection,
    WholeBlock,
    WholeSubmission,
    moves_account,
    names_account,
    read_events,
)
from keeling.encoding import TEXT
from keeling.entry import parse_entry
from keeling.events import EVENT
from keeling.genesis import Genesis
from keeling.merkle import EMPTY_FRONTIER, Subtree, hash_leaf, prove_inclusion
from keeling.submission import Approved, SubmissionError, parse_submission, parse_transaction
from node.archive import ArchivedAnswer, ArchivedBlock, ArchivedSubmission, height_key, read_archive, read_subtrees
from node.core import tables
from node.handovers import read_handovers
from node.store.contract import Family, Reads

_SPOOL_BYTES: Final = 8 << 20
"""A bundle up to this size never touches the disk."""


class ExportError(ValueError):
    """What is asked for is not here; the text says what, and what is."""


class _Stored(NamedTuple):
    """What the store has of one block."""

    leaf: bytes
    header: Header
    entry: bytes
    archive: ArchivedBlock


def export_whole(reads: Reads, genesis: Genesis, to_height: int) -> Iterator[bytes]:
    """Yield the bundle of every block from genesis up to `to_height`. Raises `ExportError` before the first byte."""
    fixed = _read_fixed(reads, to_height)
    blocks = (
        (height, WHOLE_BLOCK.encode(read_whole_block(reads, height)))
        for height in range(genesis.base + 1, to_height + 1)
    )
    return _write(Kind.WHOLE, genesis, to_height, fixed, blocks)


def export_cut(
    reads: Reads, genesis: Genesis, account: str | None, from_ms: int | None, until_ms: int | None, to_height: int
) -> Iterator[bytes]:
    """Yield the bundle of what concerns `account` in blocks of the period, up to `to_height`; None means no limit.

    Of an account it shows accepted transactions that name it or move to or from it, refused ones of its owner that name
    it, and expiries of its holds; of other people's transactions nothing. Raises `ExportError` before the first byte.
    """
    if account is None and from_ms is None and until_ms is None:
        raise ExportError("a cut is of an account, of a period, or of both; for everything export the whole log")
    fixed = _read_fixed(reads, to_height)
    selection = Selection(account, from_ms, until_ms)
    cutter = _Cutter(reads, to_height, selection, _read_owner(reads, account))
    fixed.append(SELECTION.encode(selection))
    return _write(Kind.CUT, genesis, to_height, fixed, cutter.cut_blocks())


def _write(
    kind: Kind, genesis: Genesis, height: int, fixed: Sequence[bytes], blocks: Iterator[tuple[int, bytes]]
) -> Iterator[bytes]:
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
        yield from write_bundle(kind, genesis.network, height, fixed, blocks, spool)  # type: ignore[arg-type]


def _read_fixed(reads: Reads, height: int) -> list[bytes]:
    checkpoint = reads.get(Family.BLOCKS, height_key(b"k", height))
    certificate = reads.get(Family.BLOCKS, height_key(b"c", height))
    if not checkpoint or certificate is None:
        detail = f"height {height} has no published checkpoint here; ask for a height from 1 to the newest that has"
        raise ExportError(detail)
    return [checkpoint, certificate, HANDOVERS.encode(read_handovers(reads, height))]


def _read_block(reads: Reads, height: int) -> _Stored:
    leaf = reads.get(Family.BLOCKS, height_key(b"h", height))
    archive = read_archive(reads, height)
    header = None if leaf is None else parse_header(leaf)
    entry = None if header is None else reads.get(Family.BODIES, header.entry)
    if leaf is None or header is None or archive is None or entry is None:
        raise ExportError(f"the block at height {height} is not whole here (pruned?); ask an archive node")
    return _Stored(leaf, header, entry, archive)


def read_whole_block(reads: Reads, height: int) -> WholeBlock:
    """Everything of the block at `height`, as a whole bundle shows it. Raises `ExportError` if it is not all here."""
    block = _read_block(reads, height)
    submissions = [
        WholeSubmission(done.leaf, tuple([ResultRow(a.reason, b"".join(a.events)) for a in done.answers]))
        for done in block.archive.submissions
    ]
    return WholeBlock(block.leaf, block.entry, tuple(submissions), block.archive.sweeps)


def _read_owner(reads: Reads, account: str | None) -> str:
    if account is None:
        return ""
    number = reads.get(Family.STATE, tables.ACCOUNT_NUMBERS.key(account))
    if number is not None:
        raw = reads.get(Family.STATE, tables.ACCOUNTS.key(tables.ACCOUNT_NUMBERS.value.decode(number)))
        if raw is not None:
            return tables.ACCOUNTS.value.decode(raw).owner
    raise ExportError(f"no account is called {account!r} on this ledger; check the name")


def _find_first(reads: Reads, from_ms: int, to_height: int) -> int:
    """The first height whose ledger time is not before `from_ms`: time never falls from block to block."""
    low, high = 1, to_height + 1
    while low < high:
        middle = (low + high) // 2
        leaf = reads.get(Family.BLOCKS, height_key(b"h", middle))
        if leaf is None:
            raise ExportError(f"the header at height {middle} is not here; rebuild the store or ask another node")
        if parse_header(leaf).time_ms < from_ms:
            low = middle + 1
        else:
            high = middle
    return low


class _Cutter:
    """Goes through the blocks of a period and keeps what concerns the account."""

    def __init__(self, reads: Reads, to_height: int, selection: Selection, owner: str) -> None:
        self._reads = reads
        self._to_height = to_height
        self._selection = selection
        self._owner = owner
        self._name = None if selection.account is None else selection.account.encode()
        self._subtrees = read_subtrees(reads)
        last = reads.get(Family.BLOCKS, height_key(b"h", to_height))
        header = None if last is None else parse_header(last)
        self._size = 0 if header is None else header.first_leaf + header.leaves

    def cut_blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield height and encoded excerpts of every block that has some."""
        first = _find_first(self._reads, self._selection.from_ms or 0, self._to_height)
        for height in range(first, self._to_height + 1):
            block = _read_block(self._reads, height)
            if not self._selection.has_time(block.header.time_ms):
                return
            if self._may_concern(block) and (shown := self._cut_block(block)) is not None:
                yield height, CUT_BLOCK.encode(shown)

    def _may_concern(self, block: _Stored) -> bool:
        """Whether the account's name stands in the bytes at all: cheap, and true of few blocks."""
        if self._name is None or self._name in block.entry:
            return True
        named = TEXT.encode(self._selection.account or "")
        events = (event for done in block.archive.submissions for answer in done.answers for event in answer.events)
        return any(named in event for event in (*block.archive.sweeps, *events))

    def _cut_block(self, block: _Stored) -> CutBlock | None:
        raws = parse_entry(block.entry, lambda *_: True).entry.submissions
        submissions = []
        for raw, done in zip(raws, block.archive.submissions, strict=True):
            if done.answers and (shown := self._cut_submission(raw, done, block.header)) is not None:
                submissions.append(shown)
        sweeps = self._cut_sweeps(block.archive.sweeps)
        if not submissions and not sweeps:
            return None
        proof = self._prove(block.header.first_leaf + block.header.leaves - 1)
        return CutBlock(block.leaf, proof, tuple(submissions), sweeps)

    def _prove(self, position: int) -> tuple[bytes, ...]:
        return prove_inclusion(position, self._size, self._subtrees)

    def _cut_submission(self, raw: bytes, done: ArchivedSubmission, header: Header) -> CutSubmission | None:
        items = parse_submission(raw).transactions
        pairs = enumerate(zip(items, done.answers, strict=True))
        chosen = [n for n, (item, answer) in pairs if self._concerns(item, answer)]
        if not chosen:
            return None
        prove = _prover([hash_leaf(RESULT.encode(_result(answer))) for answer in done.answers])
        shown = tuple([_cut_transaction(n, items[n], done.answers[n], prove(n)) for n in chosen])
        return CutSubmission(done.leaf, self._prove(header.first_leaf + parse_record(done.leaf).ordinal), shown)

    def _concerns(self, item: Approved, answer: ArchivedAnswer) -> bool:
        account = self._selection.account
        if account is None:
            return True
        if answer.reason == 0 and any(moves_account(account, event) for event in read_events(b"".join(answer.events))):
            return True
        try:
            transaction = parse_transaction(item.raw)
        except SubmissionError:
            return False
        mine = answer.reason == 0 or transaction.participant == self._owner
        return mine and names_account(account, transaction)

    def _cut_sweeps(self, sweeps: Sequence[bytes]) -> tuple[CutSweep, ...]:
        account = self._selection.account
        chosen = [n for n, raw in enumerate(sweeps) if account is None or moves_account(account, EVENT.decode(raw))]
        if not chosen:
            return ()
        prove = _prover(hash_sweeps(sweeps))
        return tuple([CutSweep(n, len(sweeps), sweeps[n], prove(n)) for n in chosen])


def _result(answer: ArchivedAnswer) -> Result:
    return Result(answer.digest, answer.reason, sha256(b"".join(answer.events)).digest())


def _cut_transaction(ordinal: int, item: Approved, answer: ArchivedAnswer, path: tuple[bytes, ...]) -> CutTransaction:
    approvals = dict(reversed(item.approvals)) if answer.reason == 0 else {}
    shown = tuple([Approval(key, approvals[key]) for key in sorted(approvals)])
    return CutTransaction(ordinal, item.raw, answer.reason, b"".join(answer.events), path, shown)


def _prover(hashes: Sequence[bytes]) -> Callable[[int], tuple[bytes, ...]]:
    """Proves leaves of a small tree that is all at hand."""
    stored = {
        Subtree(run.level, run.first + offset): value
        for run in EMPTY_FRONTIER.extend(hashes).completed
        for offset, value in enumerate(run.hashes)
    }
    return lambda n: prove_inclusion(n, len(hashes), lambda wanted: [stored[subtree] for subtree in wanted])
