"""Transactions into calls: bounded in number and in bytes, in order, and none lost."""

from __future__ import annotations

import pytest

from cli.importing.packing import TRIAL_TRANSACTIONS_MAX, Parcel, pack_submissions, take_for_trial
from cli.transactions import build_transaction
from keeling.submission import format_submission
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from network.transport import CALL_BYTES_MAX


def parcel(size: int) -> Parcel:
    """A transaction of about so many bytes."""
    return Parcel("verra:7", (op.Anchor(kind="reconciliation", name="n" * size),))


def call_of(parcels: list[Parcel]) -> pb.SubmitRequest:
    submissions = []
    for group in pack_submissions(parcels):
        items = [(build_transaction(bytes(16), "p" * 60, list(each.operations)), ()) for each in group]
        submissions.append(format_submission(bytes(32), bytes(32), items, lambda _: bytes(64)))
    return pb.SubmitRequest(submissions=submissions)


@pytest.mark.parametrize("size", [10, 5_000, 190_000])
def test_a_trial_of_a_long_import_fits_in_one_call(size: int) -> None:
    """A file of a quarter of a million rows makes hundreds of transactions, most of them of tens of kilobytes."""
    parcels = [parcel(size)] * 700
    taken = take_for_trial(parcels)
    assert 0 < len(taken) <= TRIAL_TRANSACTIONS_MAX
    assert call_of(taken).ByteSize() < CALL_BYTES_MAX
    assert len(taken) == TRIAL_TRANSACTIONS_MAX or call_of(parcels[: len(taken) + 1]).ByteSize() > CALL_BYTES_MAX // 2


def test_a_trial_is_the_beginning_and_of_a_short_import_all() -> None:
    parcels = [parcel(100 + at) for at in range(9)]
    assert take_for_trial(iter(parcels)) == parcels


def test_submissions_hold_every_transaction_once_in_order() -> None:
    parcels = [parcel(60_000 + at) for at in range(40)]
    groups = list(pack_submissions(parcels))
    assert [each for group in groups for each in group] == parcels
    assert len(groups) > 1
