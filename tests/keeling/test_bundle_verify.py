"""Each check of a bundle by its own forgery: the verdict names the place and the subject. Rows follow the checks."""

from __future__ import annotations

from typing import Any

import pytest

from keeling.block import RECORD as RECORD_CODEC
from keeling.block import Header, SubmissionRecord, format_header, parse_header, parse_record
from keeling.bundle import BundleError, Failure, Kind, describe_part, format_manifest, parse_bundle
from keeling.bundle_parts import (
    WHOLE_BLOCK,
    Approval,
    CutBlock,
    CutSubmission,
    CutTransaction,
    Selection,
    WholeBlock,
)
from keeling.genesis import GenesisError
from keeling.merkle import hash_leaf
from keeling.verify import verify_bundle
from keeling.verify_block import PartJob
from tests.keeling.bundle_forgery import (
    data_of,
    decode_blocks,
    failure_of,
    forge_cut,
    forge_selection,
    forge_whole,
    genesis,
    parts_of,
    seal,
)

OTHER = b"\x5a" * 32


def in_header(at: int, **fields: Any) -> bytes:
    """The whole bundle with other fields in the header of block `at` (from 0)."""

    def change(blocks: list[WholeBlock]) -> list[WholeBlock]:
        header: Header = parse_header(blocks[at].header)._replace(**fields)
        blocks[at] = blocks[at]._replace(header=format_header(header))
        return blocks

    return forge_whole(change)


def in_block(at: int, **fields: Any) -> bytes:
    return forge_whole(lambda blocks: [*blocks[:at], blocks[at]._replace(**fields), *blocks[at + 1 :]])


def in_record(number: int, **fields: Any) -> bytes:
    """The whole bundle with other fields in a record of block 2."""

    def change(blocks: list[WholeBlock]) -> list[WholeBlock]:
        submissions = list(blocks[1].submissions)
        record: SubmissionRecord = parse_record(submissions[number].leaf)._replace(**fields)
        submissions[number] = submissions[number]._replace(leaf=RECORD_CODEC.encode(record))
        blocks[1] = blocks[1]._replace(submissions=tuple(submissions))
        return blocks

    return forge_whole(change)


def in_result(number: int, ordinal: int, **fields: Any) -> bytes:
    """The whole bundle with another result of a transaction of block 2."""

    def change(blocks: list[WholeBlock]) -> list[WholeBlock]:
        submissions = list(blocks[1].submissions)
        results = list(submissions[number].results)
        results[ordinal] = results[ordinal]._replace(**fields)
        submissions[number] = submissions[number]._replace(results=tuple(results))
        blocks[1] = blocks[1]._replace(submissions=tuple(submissions))
        return blocks

    return forge_whole(change)


def results_of(number: int, results: Any) -> bytes:
    def change(blocks: list[WholeBlock]) -> list[WholeBlock]:
        submissions = list(blocks[1].submissions)
        submissions[number] = submissions[number]._replace(results=results)
        blocks[1] = blocks[1]._replace(submissions=tuple(submissions))
        return blocks

    return forge_whole(change)


H1, H2, H3 = (f"part blocks/1-3, height {height}" for height in (1, 2, 3))
WHOLE = [
    (in_header(1, format=2), H2, "format of the header"),
    (in_header(1, rules=2), H2, "version of the rules (a later release knows later ones)"),
    (in_header(1, network=OTHER), H2, "network in the header"),
    (in_header(1, policy=OTHER), H2, "policy in the header"),
    (in_header(1, next_policy=OTHER), H2, "next policy in the header"),
    (in_header(1, author=OTHER), H2, "author in the header"),
    (in_header(1, height=3), H2, "height in the header"),
    (in_header(1, previous=OTHER), H2, "hash of the previous header"),
    (in_header(0, previous=OTHER), H2, "hash of the previous header"),
    (in_header(1, first_leaf=5), H2, "first leaf of the block"),
    (in_header(1, time_ms=1), H2, "ledger time of the block"),
    (in_header(1, entry=OTHER), H2, "SHA-256 of the entry"),
    (in_header(1, number=9), H2, "number of the entry"),
    (in_header(1, leaves=3), H2, "leaves in the header"),
    (in_header(2, sweeps=OTHER), H3, "root over the sweep events"),
    (in_header(2, writes=OTHER), H3, "root over all leaves (as in the checkpoint)"),
    (in_header(2, position=7), H3, "root over all leaves (as in the checkpoint)"),
    (in_block(1, header=b"\x02"), H2, "header leaf"),
    (in_block(1, entry=b""), H2, "SHA-256 of the entry"),
    (in_block(1, submissions=()), H2, "submissions with results"),
    (in_block(2, sweeps=()), H3, "root over the sweep events"),
    (in_record(0, height=3), f"{H2}, submission 0", "height in the record"),
    (in_record(0, ordinal=1), f"{H2}, submission 0", "ordinal in the record"),
    (in_record(0, digest=OTHER), f"{H2}, submission 0", "digest in the record"),
    (in_record(1, key=OTHER), f"{H2}, submission 1", "key in the record"),
    (in_record(2, key=OTHER), f"{H2}, submission 2", "key in the record"),
    (in_record(1, transactions=2), f"{H2}, submission 1", "transactions in the record"),
    (in_record(1, results_root=OTHER), f"{H2}, submission 1", "root over transactions, reasons and events"),
    (
        in_result(0, 1, reason=300),
        f"{H2}, submission 0, transaction 1",
        "events of a transaction refused with reason 300",
    ),
    (in_result(0, 0, events=b""), f"{H2}, submission 0", "root over transactions, reasons and events"),
    (in_result(0, 2, reason=0), f"{H2}, submission 0", "root over transactions, reasons and events"),
    (in_result(0, 2, reason=999), f"{H2}, submission 0", "root over transactions, reasons and events"),
    (results_of(1, ()), f"{H2}, submission 1", "key in the record"),
    (results_of(2, ((0, b""),)), f"{H2}, submission 2", "submission with results"),
    (forge_whole(lambda blocks: blocks[:2]), "part blocks/1-3", "last height"),
    (forge_whole(lambda blocks: [blocks[0], blocks[2]]), H2, "height in the header"),
    (forge_whole(lambda blocks: [blocks[1], blocks[0], blocks[2]]), H1, "height in the header"),
    (forge_whole(lambda blocks: [*blocks, blocks[2]]), "part blocks/1-3, height 4", "height in the header"),
]


@pytest.mark.parametrize(("data", "where", "what"), WHOLE)
def test_forged_whole_bundle_is_named(data: bytes, where: str, what: str) -> None:
    failure = failure_of(data)
    assert failure is not None
    assert (failure.where, failure.what) == (where, what)
    assert failure.expected != failure.found


def in_cut(at: int, **fields: Any) -> bytes:
    return forge_cut(lambda blocks: [*blocks[:at], blocks[at]._replace(**fields), *blocks[at + 1 :]])


def in_shown(**fields: Any) -> bytes:
    """The cut with another excerpt of Alice's submission in block 2."""

    def change(blocks: list[CutBlock]) -> list[CutBlock]:
        shown: CutSubmission = blocks[1].submissions[0]._replace(**fields)
        blocks[1] = blocks[1]._replace(submissions=(shown,))
        return blocks

    return forge_cut(change)


def in_transaction(at: int, **fields: Any) -> bytes:
    def change(blocks: list[CutBlock]) -> list[CutBlock]:
        shown = blocks[1].submissions[0]
        items: list[CutTransaction] = list(shown.transactions)
        items[at] = items[at]._replace(**fields)
        blocks[1] = blocks[1]._replace(submissions=(shown._replace(transactions=tuple(items)),))
        return blocks

    return forge_cut(change)


def foreign_approval() -> bytes:
    return in_transaction(0, approvals=(Approval(OTHER, bytes(64)),))


def in_sweep(**fields: Any) -> bytes:
    def change(blocks: list[CutBlock]) -> list[CutBlock]:
        blocks[2] = blocks[2]._replace(sweeps=(blocks[2].sweeps[0]._replace(**fields),))
        return blocks

    return forge_cut(change)


def doubled(blocks: list[CutBlock]) -> list[CutBlock]:
    shown = blocks[1].submissions[0]
    again = shown._replace(transactions=(shown.transactions[0], shown.transactions[0]))
    return [blocks[0], blocks[1]._replace(submissions=(again,)), blocks[2]]


P = "part blocks/1-3"
ALICES = f"{P}, height 2, submission 0"
CUT = [
    (in_cut(0, proof=()), f"{P}, height 1", "proof of the header"),
    (in_cut(0, proof=(OTHER,) * 4), f"{P}, height 1", "proof of the header"),
    (in_cut(1, submissions=()), f"{P}, height 2", "excerpts of the block"),
    (forge_cut(lambda blocks: [blocks[0], blocks[2], blocks[1]]), P, "height in the header"),
    (forge_cut(lambda blocks: [blocks[0], blocks[0], blocks[2]]), P, "height in the header"),
    (forge_cut(lambda blocks: blocks[1:]), P, "height of the first block"),
    (forge_cut(lambda blocks: blocks[:2]), P, "height of the last block"),
    (in_shown(leaf=b"\x01"), f"{P}, height 2", "record leaf"),
    (in_shown(proof=()), ALICES, "proof of the record"),
    (in_shown(transactions=()), ALICES, "transactions of the submission"),
    (forge_cut(doubled), f"{ALICES}, transaction 0", "number of the transaction"),
    (in_transaction(0, raw=b"another"), f"{ALICES}, transaction 0", "transaction, reason and events"),
    (in_transaction(0, reason=300), f"{ALICES}, transaction 0", "transaction, reason and events"),
    (in_transaction(2, reason=0), f"{ALICES}, transaction 2", "transaction, reason and events"),
    (in_transaction(0, events=b""), f"{ALICES}, transaction 0", "transaction, reason and events"),
    (in_transaction(0, path=()), f"{ALICES}, transaction 0", "transaction, reason and events"),
    (in_transaction(2, ordinal=9), f"{ALICES}, transaction 9", "transaction, reason and events"),
    (foreign_approval(), f"{ALICES}, transaction 0", f"approval by {OTHER.hex()}"),
    (
        in_transaction(2, approvals=(Approval(OTHER, bytes(64)),)),
        f"{ALICES}, transaction 2",
        "approvals shown of a refused transaction",
    ),
    (
        in_transaction(0, approvals=(Approval(OTHER, bytes(64)),) * 2),
        f"{ALICES}, transaction 0",
        "keys of the approvals",
    ),
    (in_sweep(ordinal=1), f"{P}, height 3, sweep 1", "sweep event"),
    (in_sweep(swept=3), f"{P}, height 3, sweep 0", "sweep event"),
    (in_sweep(event=b""), f"{P}, height 3, sweep 0", "sweep event"),
    (in_sweep(path=()), f"{P}, height 3, sweep 0", "sweep event"),
    (
        forge_selection(Selection("bob-main", None, None)),
        f"{P}, height 1, submission 0, transaction 0",
        "accounts of the transaction",
    ),
    (forge_selection(Selection("alice-main", None, 5)), f"{P}, height 1", "ledger time of the block"),
    (forge_selection(Selection("alice-main", 2**63, None)), f"{P}, height 1", "ledger time of the block"),
]


@pytest.mark.parametrize(("data", "where", "what"), CUT)
def test_forged_cut_bundle_is_named(data: bytes, where: str, what: str) -> None:
    failure = failure_of(data)
    assert failure is not None
    assert (failure.where, failure.what) == (where, what)


def part(name: str, number: int, data: bytes) -> bytes:
    bundle = parse_bundle(data_of(name))
    parts = parts_of(bundle)
    parts[number] = data
    return seal(bundle, parts)


@pytest.mark.parametrize("name", ["whole", "cut"])
def test_head_of_a_bundle_is_checked(name: str) -> None:
    bundle = parse_bundle(data_of(name))
    checkpoint, certificate = parts_of(bundle)[:2]
    rows = [
        (
            part(name, 0, checkpoint + checkpoint[checkpoint.rindex(b"\xe2\x80\x94") :]),
            "part checkpoint",
            "signed note",
        ),
        (part(name, 0, checkpoint.replace(b"\n9\n", b"\n8\n")), "part checkpoint", "signed note"),
        (part(name, 1, certificate + b"\x00"), "part certificate", "signatures"),
        (part(name, 1, b""), "part certificate", "signatures"),
        (part(name, 2, b""), "part handovers", "form"),
        (part(name, 2, b"\x00\x00\x00\x01\x00\x00\x00\x00"), "part handovers", "form"),
    ]
    for data, where, what in rows:
        failure = failure_of(data)
        assert failure is not None
        assert (failure.where, failure.what) == (where, what)


def test_manifest_is_not_believed() -> None:
    bundle = parse_bundle(data_of("cut"))
    body = b"".join(parts_of(bundle))
    higher = format_manifest(bundle.manifest._replace(height=4)) + body
    assert failure_of(higher) == Failure("part certificate", "height", "4", "3")
    assert bundle.manifest.kind is Kind.CUT


def test_a_whole_bundle_begins_with_the_first_block() -> None:
    bundle = parse_bundle(data_of("whole"))
    *fixed, blocks = parts_of(bundle)
    last = b"".join(map(WHOLE_BLOCK.encode, decode_blocks(WHOLE_BLOCK, blocks)[1:]))
    infos = (*bundle.manifest.parts[:-1], describe_part("blocks/2-3", last))
    failure = failure_of(format_manifest(bundle.manifest._replace(parts=infos)) + b"".join([*fixed, last]))
    assert failure is not None
    assert (failure.what, failure.expected, failure.found) == ("height in the header", "1", "2")


def test_genesis_must_be_one() -> None:
    with pytest.raises(GenesisError):
        verify_bundle(data_of("whole"), b"{}")
    with pytest.raises(GenesisError, match="policy in the genesis file"):
        verify_bundle(data_of("whole"), genesis().replace(b'"origin": "test', b'"origin": "best'))


def test_parts_may_be_checked_by_others_and_progress_is_told() -> None:
    """What checks a part is a function of values that travel between processes."""
    jobs: list[PartJob] = []
    told: list[tuple[int, int]] = []

    def run(check: Any, parts: Any) -> Any:
        for job in parts:
            jobs.append(job)
            yield check(job)

    verdict = verify_bundle(data_of("whole"), genesis(), run, lambda done, total: told.append((done, total)))
    assert verdict.failure is None
    assert [job.part.name for job in jobs] == ["blocks/1-3"]
    assert told == [(len(jobs[0].data), len(jobs[0].data))]


def test_error_tells_everything() -> None:
    error = BundleError("part x", "root", hash_leaf(b""), 3)
    assert str(error) == f"part x: root: expected {hash_leaf(b'').hex()}, found 3"
