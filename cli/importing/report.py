"""The report of an import: every row with its class, sums that equal the file's, as facts, lines and a CSV file."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from adapters.exports import DuplicateRow, EvidenceRow, Record, RefusedRow, UnitRow, UnitStatus
from cli.importing.model import ROW_CLASS, BatchPlan, Fate, SourceRow, Verdict
from cli.output import Grid
from cli.quantities import format_quantity, format_units
from keeling.serials import print_range

COLUMNS = (
    "file",
    "row",
    "line",
    "class",
    "outcome",
    "status",
    "units",
    "grain",
    "batch",
    "serials",
    "reason",
    "detail",
    "moved_to",
    "row_digest",
)


class Line(NamedTuple):
    """One row of the file and what became of it."""

    source: SourceRow
    verdict: Verdict


class Report(NamedTuple):
    """All rows in file order, and what the plans of their batches came to."""

    files: tuple[str, ...]
    lines: tuple[Line, ...]
    plans: tuple[BatchPlan, ...]


def judge(record: Record) -> Verdict | None:
    """The fate of a row that no ledger is needed to decide; None for one that names units."""
    match record:
        case EvidenceRow():
            return Verdict(Fate.EVIDENCE, "", f"{record.kind.value}: no serials")
        case DuplicateRow():
            return Verdict(Fate.DUPLICATE, "", f"same units and state as row {record.of_row}")
        case RefusedRow():
            return Verdict(Fate.REFUSED, record.fault.name, record.message)
        case UnitRow():
            return None


def format_csv(report: Report) -> bytes:
    """The row-by-row report as CSV (RFC 4180) in UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for line in report.lines:
        facts = facts_of_line(report, line)
        writer.writerow([facts[name] for name in COLUMNS])
    return text.getvalue().encode("utf-8")


def facts_of_line(report: Report, line: Line) -> dict[str, Any]:
    """One row of the report."""
    record, verdict = line.source.record, line.verdict
    units = record if isinstance(record, UnitRow) else None
    return {
        "file": report.files[line.source.file],
        "row": record.source.row,
        "line": record.source.line,
        "class": ROW_CLASS[verdict.fate],
        "outcome": verdict.fate.value,
        "status": units.status.value if units else "",
        "units": "" if record.units is None else record.units,
        "grain": record.grain.name,
        "batch": units.batch.key if units else "",
        "serials": print_range(units.serials) if units else "",
        "reason": verdict.reason,
        "detail": verdict.detail,
        "moved_to": units.twin.destination if units and units.twin else "",
        "row_digest": record.source.digest.hex(),
    }


def facts_of_report(report: Report) -> dict[str, Any]:
    """Sums: rows and units by class, status and grain; batches; what is new. They add up to the file."""
    fates = Counter(line.verdict.fate.value for line in report.lines)
    sums: dict[tuple[str, str, str], list[int]] = {}
    for line in report.lines:
        record = line.source.record
        status = _status_of(record)
        total = sums.setdefault((ROW_CLASS[line.verdict.fate], status, record.grain.name), [0, 0, 0])
        total[0] += 1
        total[1] += record.units or 0
        total[2] += record.buffer_units if isinstance(record, UnitRow | EvidenceRow) else 0
    refused = [line for line in report.lines if line.verdict.fate is Fate.REFUSED]
    twins = [line.source.record for line in report.lines if _twin_of(line.source.record)]
    units: Counter[str] = Counter()
    for plan in report.plans:
        units.update(plan.units)
    return {
        "rows": len(report.lines),
        "rows_by_outcome": {fate.value: fates[fate.value] for fate in Fate},
        "totals": [
            {"class": name, "status": status, "grain": grain, "rows": rows, "units": total, "buffer_units": buffer}
            for (name, status, grain), (rows, total, buffer) in sorted(sums.items())
        ],
        "units_by_outcome": {name: units[name] for name in ("new", "changed", "known", "contradicts")},
        "batches": len(report.plans),
        "batches_new": sum(not plan.exists and plan.is_news for plan in report.plans),
        "batches_exact": sum(_is_exact(plan) for plan in report.plans),
        "lots_split": sum(plan.lots_split for plan in report.plans),
        "unseen_grown": sum(max(0, plan.unseen_after - plan.unseen_before) for plan in report.plans),
        "twins_proposed": {"rows": len(twins), "units": sum(record.units or 0 for record in twins)},
        "refused": [facts_of_line(report, line) for line in refused],
    }


def tell_report(facts: Mapping[str, Any]) -> list[str | Grid]:
    """The sums in words: one summary line, then what needs a person."""
    grains = sorted({each["grain"] for each in facts["totals"]})
    lines: list[str | Grid] = [_summary(facts, grain) for grain in grains]
    outcomes = facts["rows_by_outcome"]
    lines.append(
        f"{format_units(outcomes['new'])} new, {format_units(outcomes['known'])} known"
        + "".join(f", {format_units(outcomes[name])} {name}" for name in _RARE if outcomes[name])
    )
    if facts["lots_split"] or facts["units_by_outcome"]["changed"]:
        changed = format_units(facts["units_by_outcome"]["changed"])
        lines.append(f"{format_units(facts['lots_split'])} lots split, {changed} units changed state")
    if facts["unseen_grown"]:
        lines.append(f"{format_units(facts['unseen_grown'])} units between them are unseen: in no account")
    twins = facts["twins_proposed"]
    if twins["rows"]:
        moved = f"{format_units(twins['rows'])} rows, {format_units(twins['units'])} units"
        lines.append(f"{moved}, seem to live on elsewhere: proposed as twins for a person to decide")
    if facts["refused"]:
        rows = [(each["file"], str(each["row"]), each["reason"], each["detail"]) for each in facts["refused"][:20]]
        lines += [Grid(("refused in", ">row", "reason", "because"), rows)]
        more = len(facts["refused"]) - len(rows)
        lines += [f"and {format_units(more)} more, see the report"] if more else []
    return lines


_RARE = ("changed", "labelled", "contradicts", "evidence", "duplicate", "refused")


def _summary(facts: Mapping[str, Any], grain: str) -> str:
    """For example: 100 rows: 50 active 1,730,799 · 50 retired-or-cancelled 66,011 · total 1,796,810 · 63 batches."""
    sums = [each for each in facts["totals"] if each["grain"] == grain]
    parts = []
    for each in sums:
        words = _STATUS_WORDS.get(each["status"], each["status"])
        if each["class"] != "lot":
            words = f"{words} as evidence" if each["class"] == "evidence" else each["class"]
        buffer = f" (buffer {format_units(each['buffer_units'])})" if each["buffer_units"] else ""
        parts.append(f"{format_units(each['rows'])} {words} {format_units(each['units'])}{buffer}")
    total = format_quantity(sum(each["units"] for each in sums), grain)
    exact, batches = facts["batches_exact"], facts["batches"]
    extent = "all AT_LEAST" if not exact else f"{exact} EXACT, {batches - exact} AT_LEAST"
    of_batches = f" · {format_units(batches)} batches, {extent}" if batches else ""
    return f"{format_units(sum(each['rows'] for each in sums))} rows: {' · '.join(parts)} · total {total}{of_batches}"


_STATUS_WORDS = {UnitStatus.ENDED.value: "retired-or-cancelled"}


def _status_of(record: Record) -> str:
    if isinstance(record, UnitRow):
        return record.status.value
    return record.kind.value if isinstance(record, EvidenceRow) else ""


def _twin_of(record: Record) -> bool:
    return isinstance(record, UnitRow) and record.twin is not None


def _is_exact(plan: BatchPlan) -> bool:
    return plan.becomes_exact or plan.was_exact


def replace_verdicts(lines: Sequence[Line], refused: Mapping[str, Verdict]) -> Iterable[Line]:
    """The lines with the ledger's own refusals put on the rows of the batches it refused."""
    for line in lines:
        record = line.source.record
        verdict = refused.get(record.batch.key) if isinstance(record, UnitRow) else None
        takes = line.verdict.fate not in (Fate.REFUSED, Fate.KNOWN)
        yield line._replace(verdict=verdict) if verdict is not None and takes else line
