"""The check of one part of a whole bundle: every block in it, down to each signature and result.

What ties parts together (the first header to the part before, all leaves to the checkpoint) is in `keeling.verify`.
Whether the results follow from the rules is not asked here: that is re-execution.
"""

from __future__ import annotations

from hashlib import sha256

from keeling.block import (
    RECORD_LEAF,
    Header,
    SubmissionRecord,
    compute_results_root,
    compute_sweeps_root,
    encode_record,
    parse_record,
)
from keeling.bundle import BundleError, check_digest, expect, is_full, parse_blocks_name
from keeling.bundle_parts import WHOLE_BLOCK, Place, ResultRow, WholeBlock, WholeSubmission, read_block
from keeling.ed25519 import check_signature
from keeling.encoding import EncodingError
from keeling.entry import SignedEntry, parse_entry
from keeling.merkle import EMPTY_ROOT, hash_leaf
from keeling.submission import Submission, SubmissionError, parse_submission
from keeling.verify_block import (
    PartDone,
    PartJob,
    Tally,
    Trust,
    check_approval,
    check_header,
    check_link,
    check_refusal,
)


def check_whole_part(job: PartJob) -> PartDone:
    """Check every block of the part; the findings name the first failure, if there is one.

    The digest of the part comes last: what it would only call changed, the other checks name by its place.
    """
    try:
        done = _check_part(job)
        check_digest(job.part, job.data)
        return done
    except BundleError as error:
        return PartDone(error.failure)


def _check_part(job: PartJob) -> PartDone:
    name, data, trust = job.part.name, job.data, job.trust
    first_height, last_height = parse_blocks_name(name)
    tally, hashes = Tally(), bytearray()
    first = before = b""
    at, height = 0, first_height
    while at < len(data):
        place = Place(name, height)
        if is_full(height - first_height, at):
            raise BundleError(place, "place of the block", "the next part, because this one is full", f"part {name}")
        block, at = read_block(WHOLE_BLOCK, data, at, place)
        header = check_header(block.header, trust, place)
        expect(place, "height in the header", height, header.height)
        if before:
            check_link(before, block.header, trust, place)
        tally = tally.plus(_check_block(block, header, trust, place))
        for done in block.submissions:
            hashes += hash_leaf(done.leaf)
        hashes += hash_leaf(block.header)
        first, before = first or block.header, block.header
        height += 1
    expect(f"part {name}", "last height", last_height, height - 1)
    if not job.is_last and not is_full(height - first_height, at):
        raise BundleError(f"part {name}", "length", "as many blocks as fit", f"{height - first_height} blocks")
    return PartDone(None, tally, bytes(hashes), first, before)


def _check_block(block: WholeBlock, header: Header, trust: Trust, place: Place) -> Tally:
    entry = _check_entry(block.entry, header, trust, place)
    height = place.height
    raws = entry.entry.submissions
    expect(place, "leaves in the header", len(raws) + 1, header.leaves)
    expect(place, "submissions with results", len(raws), len(block.submissions))
    expect(place, "root over the sweep events", header.sweeps, compute_sweeps_root(block.sweeps))
    tally = Tally(blocks=1, submissions=len(raws), sweeps=len(block.sweeps), signatures=1)
    transactions = accepted = signatures = 0
    for number, (raw, done) in enumerate(zip(raws, block.submissions, strict=True)):
        signatures += _check_submission(raw, done, trust, Place(place.part, height, number))
        transactions += len(done.results)
        accepted += sum([not row.reason for row in done.results])
    return tally.plus(Tally(transactions=transactions, accepted=accepted, signatures=signatures))


def _check_entry(data: bytes, header: Header, trust: Trust, place: Place) -> SignedEntry:
    expect(place, "SHA-256 of the entry", header.entry, sha256(data).digest())
    try:
        entry = parse_entry(data, check_signature)
    except EncodingError as error:
        raise BundleError(place, "entry", "an entry signed by its author", str(error)) from error
    expect(place, "network in the entry", trust.network, entry.entry.network)
    expect(place, "author of the entry", header.author, entry.entry.author)
    expect(place, "number of the entry", header.number, entry.entry.number)
    return entry


def _check_submission(raw: bytes, done: WholeSubmission, trust: Trust, place: Place) -> int:
    """Check one submission against its record; returns how many signatures were good.

    One that was not authentic when it was executed has no results, and its record names no key: whether that was right
    depends on the state, which only re-execution knows.
    """
    height, number = place.height or 0, place.submission or 0
    if done.results:
        submission = _parse(raw, trust, place)
        signatures = _check_signatures(submission, done.results, trust, place)
        pairs = zip(submission.transactions, done.results, strict=True)
        results = [(item.digest, row.reason, sha256(row.events).digest()) for item, row in pairs]
        root = compute_results_root(results)
        found = SubmissionRecord(RECORD_LEAF, height, number, submission.digest, submission.key, len(results), root)
    else:
        signatures = 0
        found = SubmissionRecord(RECORD_LEAF, height, number, sha256(raw).digest(), bytes(32), 0, EMPTY_ROOT)
    if encode_record(found) != done.leaf:
        _name_difference(done.leaf, found, place)
    return signatures


def _name_difference(leaf: bytes, found: SubmissionRecord, place: Place) -> None:
    try:
        stated = parse_record(leaf)
    except EncodingError as error:
        raise BundleError(place, "record leaf", "a record in canonical form", str(error)) from error
    for name, expected, computed in zip(stated._fields, stated, found, strict=True):
        words = "root over transactions, reasons and events" if name == "results_root" else f"{name} in the record"
        expect(place, words, expected, computed)


def _parse(raw: bytes, trust: Trust, place: Place) -> Submission:
    try:
        submission = parse_submission(raw)
    except SubmissionError as error:
        raise BundleError(place, "submission with results", "one in canonical form", str(error)) from error
    expect(place, "network in the submission", trust.network, submission.network)
    return submission


def _check_signatures(submission: Submission, results: tuple[ResultRow, ...], trust: Trust, place: Place) -> int:
    expect(place, "results", len(submission.transactions), len(results))
    if not check_signature(submission.key, submission.signature, submission.signed):
        what = f"signature of the submitter {submission.key.hex()}"
        raise BundleError(place, what, "a genuine signature", submission.signature)
    checked = 1
    for number, (item, row) in enumerate(zip(submission.transactions, results, strict=True)):
        if row.reason:
            if row.events:
                check_refusal(place._replace(transaction=number), row.reason, row.events)
            continue
        for key, signature in item.approvals:
            check_approval(place._replace(transaction=number), trust.network, item.digest, key, signature)
            checked += 1
    return checked
