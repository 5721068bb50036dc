"""A report as plain facts: what JSON carries and what pages and tables are printed from. Same input, same bytes.

Sums are per file, class, status and grain, and never over grains; every row is in exactly one of them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable
from typing import Any, Final

from hub.reports.findings import FIRST_MAX, Finding, find_troubles
from hub.reports.model import ReportInput, Row

FORMAT: Final = "keeling/report/v1"
LISTED_MAX: Final = 200
"""Rows of a list inside a report; the row-by-row CSV has all."""


def summarise(report: ReportInput) -> dict[str, Any]:
    """Everything the page says."""
    findings = [_facts_of_finding(each) for each in find_troubles(report)]
    moved = [row for row in report.rows if row.moved_to]
    refused = [row for row in report.rows if row.row_class == "refused"]
    unseen = sorted((each for each in report.batches if each.unseen), key=lambda each: (-each.unseen, each.batch))
    return {
        "format": FORMAT,
        "registry": report.registry,
        "run": report.run,
        "files": [_facts_of_file(report, name) for name in report.files],
        "rows": len(report.rows),
        "totals": add_up(report.rows),
        "grains": _add_grains(report.rows),
        "lot_units": _add_units((row.grain, row.units or 0) for row in report.rows if row.row_class == "lot"),
        "outcomes": _count(row.outcome for row in report.rows),
        "batches": {
            "all": len(report.batches),
            "exact": sum(each.exact for each in report.batches),
            "at_least": sum(not each.exact for each in report.batches),
        },
        "unseen": [{"batch": each.batch, "units": each.unseen, "grain": each.grain} for each in unseen[:LISTED_MAX]],
        "unseen_units": _add_units((each.grain, each.unseen) for each in unseen),
        "disagreements": [each._asdict() for each in report.disagreements[:LISTED_MAX]],
        "restricted_units": _add_units((each.grain, each.units) for each in report.disagreements if each.restricted),
        "moved": [_facts_of_row(row) for row in moved[:LISTED_MAX]],
        "refused": [_facts_of_row(row) for row in refused[:LISTED_MAX]],
        "emails_removed": {name: size for name, size in sorted(report.emails_removed.items()) if size},
        "notes": list(report.notes),
        "first": findings[:FIRST_MAX],
        "findings": findings,
    }


def add_up(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows, units and buffer units by class, status and grain, in order."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for row in rows:
        total = sums.setdefault((row.row_class, row.status, row.grain), [0, 0, 0, 0])
        total[0] += 1
        total[1] += row.units or 0
        total[2] += row.buffer_units
        total[3] += row.units is None
    names = ("rows", "units", "buffer_units", "rows_without_units")
    return [
        {"class": key[0], "status": key[1], "grain": key[2], **dict(zip(names, total, strict=True))}
        for key, total in sorted(sums.items())
    ]


def _add_grains(rows: Iterable[Row]) -> list[dict[str, Any]]:
    totals: dict[str, list[int]] = {}
    for row in rows:
        total = totals.setdefault(row.grain, [0, 0])
        total[0] += 1
        total[1] += row.units or 0
    return [{"grain": grain, "rows": rows_, "units": units} for grain, (rows_, units) in sorted(totals.items())]


def _add_units(parts: Iterable[tuple[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for grain, units in parts:
        totals[grain] = totals.get(grain, 0) + units
    return dict(sorted(totals.items()))


def _facts_of_file(report: ReportInput, name: str) -> dict[str, Any]:
    rows = [row for row in report.rows if row.file == name]
    return {"file": name, "rows": len(rows), "totals": add_up(rows), "grains": _add_grains(rows)}


def _count(words: Iterable[str]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for word in words:
        counted[word] = counted.get(word, 0) + 1
    return dict(sorted(counted.items()))


def _facts_of_row(row: Row) -> dict[str, Any]:
    wanted = ("file", "row", "status", "units", "grain", "batch", "serials", "reason", "detail", "moved_to")
    facts = row._asdict()
    return {name: facts[name] for name in wanted}


def _facts_of_finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "severity": finding.severity,
        "title": finding.title,
        "units": dict(finding.units),
        "rows": finding.rows,
        "shown": list(finding.shown),
        "action": finding.action,
    }


def format_json(facts: dict[str, Any]) -> bytes:
    """The facts as canonical JSON: sorted, one line feed at the end. What is anchored is the SHA-256 of these bytes."""
    return (json.dumps(facts, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def digest_report(facts: dict[str, Any]) -> bytes:
    """SHA-256 of the report."""
    return hashlib.sha256(format_json(facts)).digest()


def format_csv(facts: dict[str, Any]) -> bytes:
    """The totals of each file, and of all together, as CSV (RFC 4180)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    columns = ("class", "status", "grain", "rows", "units", "buffer_units", "rows_without_units")
    writer.writerow(("file", *columns))
    for name, totals in [*((each["file"], each["totals"]) for each in facts["files"]), ("", facts["totals"])]:
        writer.writerows((name, *(total[column] for column in columns)) for total in totals)
    return text.getvalue().encode("utf-8")
