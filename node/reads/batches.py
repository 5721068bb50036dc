"""Batches: what was issued, what of it is known, and in which states the units are."""

from __future__ import annotations

from typing import Final

from keeling.units import UnitState
from keeling.v1 import ledger_pb2 as pb
from node.core import tables as t
from node.core.records import Batch
from node.reads.messages import convert_gap, convert_place, convert_when
from node.reads.pages import open_page, read_rows
from node.reads.view import ReadState
from node.store.contract import Reads

GAPS_MAX: Final = 100
"""Unseen ranges shown of one batch."""


def get_batch(view: Reads, request: pb.GetBatchRequest) -> pb.Batch:
    """A batch by its name, with its totals and unseen ranges: reads all its lots. Raises `NotFound`."""
    state = ReadState(view)
    number, batch = state.batch_named(request.batch)
    message = convert_batch(state, batch)
    totals: dict[int, list[int]] = {}
    at = batch.low
    for key, lot in state.scan_prefix(t.LOTS, number):
        first = t.LOTS.parts(key)[1]
        if first > at and len(message.gaps) < GAPS_MAX:
            message.gaps.append(convert_gap(batch, at, first - at))
        at = first + lot.units
        total = totals.setdefault(lot.state, [0, 0])
        total[0] += lot.units
        total[1] += 1
    if at <= batch.high and len(message.gaps) < GAPS_MAX:
        message.gaps.append(convert_gap(batch, at, batch.high + 1 - at))
    for unit_state, (units, lots) in sorted(totals.items()):
        message.totals.add(state=UnitState(unit_state).name, units=units, lots=lots)
        message.lots += lots
    return message


def list_batches(view: Reads, request: pb.ListRequest) -> pb.ListBatchesResponse:
    """Batches in the order of their issuance here; with `account`, those it has units of. Raises `NotFound`."""
    state = ReadState(view)
    page = open_page(state.height, request.page_size, request.page_token, "batches", request.account)
    if request.account:
        account = state.account_named(request.account)[0]
        held = sorted({t.TOTALS.parts(key)[2] for key, _ in state.scan_prefix(t.TOTALS, account)})
        prefixes = [t.BATCHES.key(number) for number in held]
    else:
        prefixes = [t.BATCHES.key()]
    rows, last = read_rows(state, t.BATCHES, prefixes, page)
    response = pb.ListBatchesResponse(next_page_token=page.token(last), height=state.height)
    response.batches.extend(convert_batch(state, batch) for _, batch in rows)
    return response


def count_unseen(batch: Batch) -> int:
    """Positions of the extent that nobody has shown."""
    return batch.high - batch.low + 1 - batch.seen


def convert_batch(state: ReadState, batch: Batch) -> pb.Batch:
    """The batch without what takes reading its lots."""
    message = pb.Batch(
        batch=batch.name,
        programme=batch.programme,
        project=batch.project,
        registry=batch.registry,
        host=batch.host,
        grain=batch.grain,
        scheme=batch.scheme,
        space=batch.space,
        first_number=str(batch.base + batch.low),
        last_number=str(batch.base + batch.high),
        base_number=str(batch.base),
        exact=batch.exact,
        numbers_assumed=state.get(t.ASSUMED, state.get(t.BATCH_NUMBERS, batch.name)) is not None,
        seen=batch.seen,
        unseen=count_unseen(batch),
        ndc_year=batch.ndc_year,
        serial_form=batch.serial_form,
        height=state.height,
    )
    message.issued.CopyFrom(convert_place(batch.issued))
    for field, when in (("vintage_start", batch.vintage_start), ("vintage_end", batch.vintage_end)):
        converted = convert_when(when)
        if converted is not None:
            getattr(message, field).CopyFrom(converted)
    return message
