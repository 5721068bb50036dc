"""Records and observations as bytes and back, for the temporary file an import lays them down in.

The form is private to one run of the command: it has no version and is never read by another process.
"""

from __future__ import annotations

import marshal
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from adapters.exports import (
    Amount,
    Answer,
    Batch,
    DuplicateRow,
    Effective,
    EvidenceKind,
    EvidenceRow,
    Extent,
    Label,
    Period,
    Precision,
    Record,
    RefusedRow,
    RowFault,
    RowSource,
    TwinProposal,
    UnitRow,
    UnitStatus,
)
from cli.importing.model import About, BatchPlan, KnownLot, Seen
from keeling.serials import Grain, SerialRange

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REMEMBERED: Final = 4096
"""Values that repeat from row to row and are made once: batches, labels, days."""
_MICROSECOND: Final = timedelta(microseconds=1)
_UNITS, _EVIDENCE, _DUPLICATE, _REFUSED = range(4)


def pack_record(record: Record) -> bytes:
    """A record as bytes."""
    match record:
        case UnitRow():
            return _dump(_plain_of_units(record))
        case EvidenceRow():
            vintage, effective = _plain_period(record.vintage), _plain_effective(record.effective)
            labels = tuple((label.name, label.answer.value) for label in record.labels)
            amounts = tuple(map(tuple, record.amounts))
            head = (record.kind.value, record.units, record.grain.value, record.reference, record.project)
            body = (*head, vintage, record.host, effective, labels, amounts, *record[11:])
            return _dump((_EVIDENCE, tuple(record.source), *body))
        case DuplicateRow():
            return _dump((_DUPLICATE, tuple(record.source), record.units, record.grain.value, record.of_row))
        case RefusedRow():
            said = (record.fault.value, record.message, record.units, record.grain.value)
            return _dump((_REFUSED, tuple(record.source), *said))


def unpack_record(packed: bytes) -> Record:
    """The record again."""
    kind, source, *body = marshal.loads(packed)
    where = RowSource(*source)
    if kind == _UNITS:
        return _units_of_plain(where, body)
    if kind == _EVIDENCE:
        return _evidence_of_plain(where, body)
    if kind == _DUPLICATE:
        return DuplicateRow(where, body[0], Grain(body[1]), body[2])
    return RefusedRow(where, RowFault(body[0]), body[1], body[2], Grain(body[3]))


def _plain_of_units(record: UnitRow) -> tuple[Any, ...]:
    serials, batch = record.serials, record.batch
    vintage, issued = _plain_period(batch.vintage), _plain_effective(batch.issued)
    return (
        _UNITS,
        tuple(record.source),
        (*serials[:5], serials.grain.value, *serials[6:]),
        record.status.value,
        (*batch[:3], vintage, batch.host, issued, batch.extent.value, *batch[7:]),
        _plain_effective(record.effective),
        tuple((label.name, label.answer.value) for label in record.labels),
        *record[6:10],
        None if record.twin is None else tuple(record.twin),
        record.buffer_units,
    )


def _units_of_plain(source: RowSource, body: list[Any]) -> UnitRow:
    serials, status, batch, effective, labels, holder, beneficiary, reason, note, twin, buffer_units = body
    return UnitRow(
        source,
        SerialRange._make((*serials[:5], Grain(serials[5]), *serials[6:])),
        UnitStatus(status),
        _batch_of_plain(batch),
        _effective(effective),
        _labels_of_plain(labels),
        holder,
        beneficiary,
        reason,
        note,
        None if twin is None else TwinProposal(*twin),
        buffer_units,
    )


@lru_cache(maxsize=_REMEMBERED)
def _batch_of_plain(plain: tuple[Any, ...]) -> Batch:
    vintage, issued = _period(plain[3]), _effective(plain[5])
    return Batch._make((*plain[:3], vintage, plain[4], issued, Extent(plain[6]), *plain[7:]))


@lru_cache(maxsize=_REMEMBERED)
def _labels_of_plain(plain: tuple[tuple[str, str], ...]) -> tuple[Label, ...]:
    return tuple(Label(name, Answer(answer)) for name, answer in plain)


def _evidence_of_plain(source: RowSource, body: list[Any]) -> EvidenceRow:
    kind, units, grain, reference, project, vintage, host, effective, labels, amounts, *rest = body
    marks = _labels_of_plain(labels)
    parts = tuple(Amount(*amount) for amount in amounts)
    when, period = _effective(effective), _period(vintage)
    head = (EvidenceKind(kind), units, Grain(grain), reference, project, period, host, when, marks, parts)
    return EvidenceRow(source, *head, *rest)


def pack_seen(seen: Seen) -> bytes:
    """An observation as bytes."""
    body = (seen.first, seen.last, seen.state, _plain_effective(seen.effective), _plain_effective(seen.issued))
    return _dump((*body, *seen[5:]))


def unpack_seen(packed: bytes) -> Seen:
    """The observation again."""
    first, last, state, effective, issued, *rest = marshal.loads(packed)
    return Seen(first, last, state, _effective(effective), _effective(issued), *rest)


def pack_plan(plan: BatchPlan) -> bytes:
    """A plan as bytes, without its verdicts and observations."""
    about = plan.about
    vintage, issued = _plain_period(about.vintage), _plain_effective(about.issued)
    plain_about = (*about[:5], issued, vintage, about.grain)
    return _dump((plan.key, plain_about, *plan[2:-4], dict(plan.units)))


def unpack_plan(packed: bytes) -> BatchPlan:
    """The plan again."""
    key, about, *rest = marshal.loads(packed)
    facts = About._make((*about[:5], _effective(about[5]), _period(about[6]), about[7]))
    return BatchPlan._make((key, facts, *rest, (), (), ()))


def pack_lot(lot: KnownLot) -> bytes:
    """A known lot as bytes."""
    return _dump(tuple(lot))


def unpack_lot(packed: bytes) -> KnownLot:
    """The known lot again."""
    return KnownLot(*marshal.loads(packed))


def _dump(value: Any) -> bytes:
    return marshal.dumps(value)


def _plain_period(period: Period | None) -> tuple[int, int] | None:
    return None if period is None else (period.first.toordinal(), period.last.toordinal())


def _period(plain: tuple[int, int] | None) -> Period | None:
    return None if plain is None else Period(date.fromordinal(plain[0]), date.fromordinal(plain[1]))


def _plain_effective(effective: Effective | None) -> tuple[int, bool] | None:
    if effective is None:
        return None
    return (effective.at - _EPOCH) // _MICROSECOND, effective.precision is Precision.DATE


@lru_cache(maxsize=_REMEMBERED)
def _effective(plain: tuple[int, bool] | None) -> Effective | None:
    if plain is None:
        return None
    return Effective(_EPOCH + timedelta(microseconds=plain[0]), Precision.DATE if plain[1] else Precision.INSTANT)
