"""From an import to the report its owner reads: rows, batches and disagreements as `hub.reports` takes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapters.exports import Effective, EvidenceRow, Period, Precision, Record, UnitRow
from adapters.labels import EX_ANTE
from cli.importing.model import ROW_CLASS
from cli.importing.report import Line, Report
from hub.reports.model import BatchState, Disagreement, ReportInput, Row
from keeling.serials import print_range


def build_report_input(
    registry: str,
    run: str,
    report: Report,
    notes: Sequence[str],
    disagreements: Sequence[Disagreement],
    emails_removed: Mapping[str, int],
) -> ReportInput:
    """Everything the page says, before it is added up."""
    return ReportInput(
        registry,
        run,
        report.files,
        tuple(notes),
        tuple(_build_row(report.files, line) for line in report.lines),
        tuple(
            BatchState(
                plan.key,
                plan.becomes_exact or plan.was_exact,
                plan.unseen_after,
                plan.rows[0].record.grain.name,
            )
            for plan in sorted(report.plans, key=lambda plan: plan.key)
        ),
        tuple(disagreements),
        emails_removed,
    )


def _build_row(files: Sequence[str], line: Line) -> Row:
    record, verdict = line.source.record, line.verdict
    row = Row(
        files[line.source.file],
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
