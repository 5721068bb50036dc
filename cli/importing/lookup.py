"""Asks the ledger what it knows of the batches a file speaks of: extents, lots with labels, neighbours in the space.

What follows from the answers is decided in `plan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Final

from cli.exits import ExitCode, Failed
from cli.importing.model import KnownBatch, KnownLot, Stranger, UnitSource
from cli.session import Session
from keeling.v1 import ledger_pb2 as pb

_WINDOW_ROWS: Final = 40
"""Rows looked up in one call: the ledger finds at most a hundred lots, each with its history."""
_CALLS_AT_ONCE: Final = 8
_LABEL: Final = "LABEL"
_REGISTRY_STATE: Final = "REGISTRY_STATE"

_Asked = tuple[int, int]
"""First and last number of a question."""


def look_up(session: Session, batches: Mapping[str, Sequence[UnitSource]]) -> dict[str, KnownBatch]:
    """What the ledger has of each batch."""
    _ = session.ledger  # opened once, before threads use it
    with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
        found = pool.map(lambda key: look_up_batch(session, key, batches[key]), batches)
        return dict(zip(batches, found, strict=True))


def look_up_batch(session: Session, key: str, rows: Sequence[UnitSource]) -> KnownBatch:
    """What the ledger has of one batch, as far as its rows touch it, and which other batches lie between."""
    batch = _get_batch(session, key)
    low, high = _span(rows, batch)
    starts = sorted({row.record.serials.first for row in rows})
    inner = starts[_WINDOW_ROWS::_WINDOW_ROWS] if batch is not None else ()  # a new batch has no lots to look through
    borders = [low, *(at for at in inner if low < at <= high), high + 1]
    space, lots, others = rows[0].record.serials.space, list[KnownLot](), set[str]()
    for first, after in pairwise(borders):
        for asked, answer in _find(session, space, first, after - 1):
            lots += [part for found in answer.lots if found.lot.range.batch == key for part in _clip(found, asked)]
            others |= {found.lot.range.batch for found in answer.lots} | {item.batch for item in answer.unseen}
    strangers = tuple(_stranger(session, name) for name in sorted(others - {key}))
    if batch is None:
        return KnownBatch(strangers=strangers)
    return KnownBatch(
        first=int(batch.first_number),
        last=int(batch.last_number),
        base=int(batch.base_number),
        exact=batch.exact,
        unseen=batch.unseen,
        lots=tuple(sorted(lots, key=lambda lot: lot.first)),
        strangers=strangers,
        assumed=batch.numbers_assumed,
    )


def _get_batch(session: Session, key: str) -> pb.Batch | None:
    try:
        return session.ask(session.ledger.GetBatch, pb.GetBatchRequest(batch=key))
    except Failed as failed:
        if failed.code is ExitCode.NOT_FOUND:
            return None
        raise


def _span(rows: Sequence[UnitSource], batch: pb.Batch | None) -> tuple[int, int]:
    """First and last number to look at: the rows, number 0 where they count from 0 or 1, and any gap to the batch."""
    low = min(row.record.serials.first - (not row.record.batch.first_known) for row in rows)
    high = max(row.record.serials.last for row in rows)
    if batch is None:
        return low, high
    if batch.numbers_assumed:
        high = max(high, int(batch.last_number))
    return min(low, int(batch.last_number) + 1), max(high, int(batch.first_number) - 1)


def _find(session: Session, space: str, first: int, last: int) -> Iterator[tuple[_Asked, pb.FindLotsResponse]]:
    """Find the lots of a range, in as many calls as it takes, each with the range it was asked for."""
    request = pb.FindLotsRequest(space=space, first_number=str(first), last_number=str(last))
    try:
        yield (first, last), session.ask(session.ledger.FindLots, request)
    except Failed as failed:
        if failed.code is ExitCode.NOT_FOUND:
            return
        if failed.reason != "TOO_MANY_LOTS" or first == last:
            raise
        middle = (first + last) // 2
        yield from _find(session, space, first, middle)
        yield from _find(session, space, middle + 1, last)


def _clip(found: pb.FoundLot, asked: _Asked) -> list[KnownLot]:
    """The part of a lot that was asked for, cut where labels begin and end: marks are told for that part only."""
    lot = found.lot
    whole = (int(lot.first_number), int(lot.last_number))
    shift = whole[0] - lot.range.first  # number = position + shift
    low, high = max(whole[0], asked[0]), min(whole[1], asked[1])
    marks = [
        (mark.kind, mark.name or mark.value, mark.range.first + shift, mark.range.first + mark.range.units - 1 + shift)
        for mark in found.marks
        if mark.kind in (_LABEL, _REGISTRY_STATE)
    ]
    borders = {low, high + 1}
    for _, _, first, last in marks:
        borders |= {at for at in (first, last + 1) if low < at <= high}
    parts = []
    for first, after in pairwise(sorted(borders)):
        on = [(kind, name) for kind, name, start, end in marks if start <= first and after - 1 <= end]
        labels = frozenset(name for kind, name in on if kind == _LABEL)
        said = next((name for kind, name in on if kind == _REGISTRY_STATE), "")
        parts.append(KnownLot(first, after - 1, lot.state, lot.account, labels, said, whole))
    return parts


def _stranger(session: Session, name: str) -> Stranger:
    batch = session.ask(session.ledger.GetBatch, pb.GetBatchRequest(batch=name))
    return Stranger(name, int(batch.first_number), int(batch.last_number))
