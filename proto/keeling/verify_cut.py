"""The check of one part of a cut bundle: that each transaction and sweep event shown is in the log, with its result.

Every excerpt leads by its own path to the final checkpoint, so nothing beside it need be shown. What a cut leaves out
it says nothing about; the submitter's signature covers the whole submission and is vouched for by the record, while
approvals are checked one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from keeling.block import RESULT, SWEPT, Header, Result, SubmissionRecord, Swept, parse_record
from keeling.bundle import BundleError, check_digest, expect, is_full, parse_blocks_name
from keeling.bundle_parts import (
    CUT_BLOCK,
    CutBlock,
    CutSubmission,
    CutSweep,
    CutTransaction,
    Place,
    Selection,
    moves_account,
    names_account,
    read_block,
    read_events,
)
from keeling.encoding import EncodingError
from keeling.events import EVENT, SWEEP
from keeling.merkle import ProofError, check_inclusion, hash_leaf
from keeling.submission import SubmissionError, parse_transaction
from keeling.verify_block import PartDone, PartJob, Tally, Trust, check_approval, check_header, check_refusal

_ALL: Selection = Selection(None, None, None)


def check_cut_part(job: PartJob) -> PartDone:
    """Check every excerpt of the part; the findings name the first failure, if there is one.

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
    tally = Tally()
    at, height = 0, first_height - 1
    while at < len(data):
        place = Place(name)
        if is_full(tally.blocks, at):
            raise BundleError(place, "place of a block", "the next part, because this one is full", f"byte {at}")
        block, at = read_block(CUT_BLOCK, data, at, place)
        header = check_header(block.header, trust, place)
        if not height < header.height <= last_height:
            expected = f"above {height}, up to {last_height}"
            raise BundleError(place, "height in the header", expected, header.height)
        if not tally.blocks:
            expect(place, "height of the first block", first_height, header.height)
        height = header.height
        tally = tally.plus(_check_block(block, header, trust, Place(name, height)))
    expect(f"part {name}", "height of the last block", last_height, height)
    if not job.is_last and not is_full(tally.blocks, at):
        raise BundleError(f"part {name}", "length", "as many blocks as fit", f"{tally.blocks} blocks")
    return PartDone(None, tally)


def _included(place: Place, what: str, position: int, trust: Trust, leaf: bytes, proof: Sequence[bytes]) -> None:
    try:
        check_inclusion(position, trust.size, hash_leaf(leaf), proof, trust.root)
    except ProofError as error:
        raise BundleError(place, what, f"a path to the root {trust.root.hex()}", str(error)) from error


def _check_block(block: CutBlock, header: Header, trust: Trust, place: Place) -> Tally:
    selection = trust.selection or _ALL
    _included(place, "proof of the header", header.first_leaf + header.leaves - 1, trust, block.header, block.proof)
    if not selection.has_time(header.time_ms):
        raise BundleError(place, "ledger time of the block", f"in the period of {selection}", header.time_ms)
    if not block.submissions and not block.sweeps:
        raise BundleError(place, "excerpts of the block", "at least one", 0)
    tally, before = Tally(blocks=1), -1
    for shown in block.submissions:
        record = _check_record(shown, header, trust, place)
        here = place._replace(submission=record.ordinal)
        _check_order(here, "number of the submission", before, record.ordinal)
        before = record.ordinal
        tally = tally.plus(_check_transactions(shown, record, trust, here))
    before = -1
    for sweep in block.sweeps:
        here = place._replace(sweep=sweep.ordinal)
        _check_order(here, "number of the sweep event", before, sweep.ordinal)
        before = sweep.ordinal
        _check_sweep(sweep, header, selection, here)
    return tally.plus(Tally(sweeps=len(block.sweeps)))


def _check_order(place: Place, what: str, before: int, found: int) -> None:
    if found <= before:
        raise BundleError(place, what, f"above {before}", found)


def _check_record(shown: CutSubmission, header: Header, trust: Trust, place: Place) -> SubmissionRecord:
    try:
        record = parse_record(shown.leaf)
    except EncodingError as error:
        raise BundleError(place, "record leaf", "a record in canonical form", str(error)) from error
    here = place._replace(submission=record.ordinal)
    expect(here, "height in the record", header.height, record.height)
    if record.ordinal >= header.leaves - 1:
        raise BundleError(here, "number of the submission", f"below {header.leaves - 1}", record.ordinal)
    _included(here, "proof of the record", header.first_leaf + record.ordinal, trust, shown.leaf, shown.proof)
    return record


def _check_transactions(shown: CutSubmission, record: SubmissionRecord, trust: Trust, place: Place) -> Tally:
    if not shown.transactions:
        raise BundleError(place, "transactions of the submission", "at least one", 0)
    before, accepted, signatures = -1, 0, 0
    for item in shown.transactions:
        here = place._replace(transaction=item.ordinal)
        _check_order(here, "number of the transaction", before, item.ordinal)
        before = item.ordinal
        digest = sha256(item.raw).digest()
        leaf = RESULT.encode(Result(digest, item.reason, sha256(item.events).digest()))
        try:
            check_inclusion(item.ordinal, record.transactions, hash_leaf(leaf), item.path, record.results_root)
        except ProofError as error:
            expected = f"a path to the record's root {record.results_root.hex()}"
            raise BundleError(here, "transaction, reason and events", expected, str(error)) from error
        check_refusal(here, item.reason, item.events)
        signatures += _check_approvals(item, digest, trust, here)
        accepted += not item.reason
        _check_concern(item, trust.selection or _ALL, here)
    return Tally(submissions=1, transactions=len(shown.transactions), accepted=accepted, signatures=signatures)


def _check_approvals(item: CutTransaction, digest: bytes, trust: Trust, place: Place) -> int:
    if item.reason:
        expect(place, "approvals shown of a refused transaction", 0, len(item.approvals))
    keys = [approval.key for approval in item.approvals]
    if keys != sorted({*keys}):
        raise BundleError(place, "keys of the approvals", "ascending, each once", " ".join(key.hex() for key in keys))
    for key, signature in item.approvals:
        check_approval(place, trust.network, digest, key, signature)
    return len(item.approvals)


def _check_concern(item: CutTransaction, selection: Selection, place: Place) -> None:
    if selection.account is None:
        return
    try:
        events, transaction = read_events(item.events), parse_transaction(item.raw)
    except (EncodingError, SubmissionError) as error:
        raise BundleError(place, "transaction and events", "canonical form", str(error)) from error
    account = selection.account
    if not names_account(account, transaction) and not any(moves_account(account, event) for event in events):
        raise BundleError(place, "accounts of the transaction", f"account {account} among them", "others only")


def _check_sweep(sweep: CutSweep, header: Header, selection: Selection, place: Place) -> None:
    leaf = SWEPT.encode(Swept(sweep.ordinal, sweep.swept, sweep.event))
    try:
        check_inclusion(sweep.ordinal, sweep.swept, hash_leaf(leaf), sweep.path, header.sweeps)
        event = EVENT.decode(sweep.event)
    except (ProofError, EncodingError) as error:
        raise BundleError(place, "sweep event", f"a path to the root {header.sweeps.hex()}", str(error)) from error
    expect(place, "transaction number of a sweep event", SWEEP, event.transaction)
    if selection.account is not None and not moves_account(selection.account, event):
        raise BundleError(place, "accounts of the event", f"account {selection.account} among them", "others only")
