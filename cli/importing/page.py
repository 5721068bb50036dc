"""From an import to the report its owner reads: rows and batches as `hub.reports` takes them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.exports import Effective, EvidenceRow, Period, Precision, Record, UnitRow
from adapters.labels import EX_ANTE
from cli.importing.model import ROW_CLASS, BatchPlan, SourceRow, Verdict
from hub.reports.model import BatchState, Row
from keeling.serials import print_range


def build_batch(plan: BatchPlan) -> BatchState:
    """A batch as the report takes it."""
    return BatchState(plan.key, plan.becomes_exact or plan.was_exact, plan.unseen_after, plan.about.grain)


def build_row(files: Sequence[str], source: SourceRow, verdict: Verdict) -> Row:
    """A row as the report takes it."""
    record = source.record
    row = Row(
        files[source.file],
        record.source.row,
        ROW_CLASS[verdict.fate],
        verdict.fate.value,
        "",
        record.units,
        record.grain.name,
        reason=verdict.reason,
        detail=verdict.detail,
    )
    return _with_facts(row, record)


def _with_facts(row: Row, record: Record) -> Row:
    if isinstance(record, UnitRow):
        return row._replace(
            status=record.status.value,
            batch=record.batch.key,
            serials=print_range(record.serials),
            moved_to=record.twin.destination if record.twin else "",
            effective=_format_effective(record.effective),
            buffer_units=record.buffer_units,
            beneficiary_named=bool(record.beneficiary),
            vintage_years=_count_years(record.batch.vintage),
            ex_ante=any(label.name == EX_ANTE for label in record.labels),
        )
    if isinstance(record, EvidenceRow):
        return row._replace(
            status=record.kind.value,
            effective=_format_effective(record.effective),
            buffer_units=record.buffer_units,
            beneficiary_named=bool(record.beneficiary),
            vintage_years=_count_years(record.vintage),
        )
    return row


def _format_effective(effective: Effective | None) -> str:
    if effective is None:
        return ""
    return effective.at.date().isoformat() if effective.precision is Precision.DATE else effective.at.isoformat()


def _count_years(vintage: Period | None) -> int:
    return vintage.last.year - vintage.first.year + 1 if vintage else 0
