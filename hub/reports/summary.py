"""A report as plain facts: what JSON carries and what pages and tables are printed from. Same input, same bytes.

Sums are per file, class, status and grain, and never over grains; every row is in exactly one of them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hub.reports.covered import Covered
from hub.reports.findings import (
    FIRST_MAX,
    Finding,
    Findings,
    find_contradictions,
    find_personal_data,
    find_unseen,
)
from hub.reports.model import BatchState, Disagreement, Row

FORMAT: Final = "keeling/report/v1"
LISTED_MAX: Final = 200
"""Rows of a list inside a report; the row-by-row CSV has all."""


class Summary:
    """Adds a report up, row by row, batch by batch, disagreement by disagreement; what is kept is bounded."""

    def __init__(self, registry: str, run: str, files: Sequence[str], notes: Sequence[str]) -> None:
        self._head: Final = {"format": FORMAT, "registry": registry, "run": run}
        self._notes: Final = notes
        self._findings: Final = Findings(registry)
        self._files: Final = {name: _Sums() for name in files}
        self._all: Final = _Sums()
        self._outcomes: Final = Counter[str]()
        self._lots: Final = Counter[str]()
        self._moved: list[dict[str, Any]] = []
        self._refused: list[dict[str, Any]] = []
        self._batches: Final = {"all": 0, "exact": 0, "at_least": 0}
        self._holes: Final = _Holes()
        self._disagreements: list[Disagreement] = []
        self._in_dispute: Final = Covered()
        self._stopped: Final = Covered()
        self._disputed: Final = Counter[str]()
        self._restricted: Final = Counter[str]()
        self._disagreements_all = 0

    def add_row(self, row: Row) -> None:
        """Add a row of a file."""
        self._findings.add(row)
        self._files[row.file].add(row)
        self._all.add(row)
        self._outcomes[row.outcome] += 1
        if row.row_class == "lot":
            self._lots[row.grain] += row.units or 0
        if row.moved_to and len(self._moved) < LISTED_MAX:
            self._moved.append(_facts_of_row(row))
        if row.row_class == "refused" and len(self._refused) < LISTED_MAX:
            self._refused.append(_facts_of_row(row))

    def add_batch(self, batch: BatchState) -> None:
        """Add a batch of the files."""
        self._batches["all"] += 1
        self._batches["exact" if batch.exact else "at_least"] += 1
        self._holes.add(batch)

    def add_disagreement(self, each: Disagreement) -> None:
        """Add a disagreement about units of the files. Units that several are about count once."""
        self._disagreements_all += 1
        self._disputed[each.grain] += self._in_dispute.add(each.batch, each.first, each.units)
        if each.restricted:
            self._restricted[each.grain] += self._stopped.add(each.batch, each.first, each.units)
        if len(self._disagreements) < LISTED_MAX:
            self._disagreements.append(each)

    def finish(self, emails_removed: Mapping[str, int]) -> dict[str, Any]:
        """Everything the page says."""
        holes = self._holes.largest()
        others = [
            *find_contradictions(self._disagreements, self._disputed, self._restricted, self._disagreements_all),
            *find_unseen(holes, self._holes.units, self._holes.size),
            *find_personal_data(emails_removed),
        ]
        findings = [_facts_of_finding(each) for each in self._findings.finish(others)]
        return {
            **self._head,
            "files": [{"file": name, **sums.facts()} for name, sums in self._files.items()],
            **self._all.facts(),
            "lot_units": dict(sorted(self._lots.items())),
            "outcomes": dict(sorted(self._outcomes.items())),
            "batches": self._batches,
            "unseen": [{"batch": each.batch, "units": each.unseen, "grain": each.grain} for each in holes],
            "unseen_batches": self._holes.size,
            "unseen_units": dict(sorted(self._holes.units.items())),
            "disagreements": [each._asdict() for each in self._disagreements],
            "disagreements_all": self._disagreements_all,
            "restricted_units": dict(sorted(self._restricted.items())),
            "moved": self._moved,
            "refused": self._refused,
            "emails_removed": {name: size for name, size in sorted(emails_removed.items()) if size},
            "notes": list(self._notes),
            "first": findings[:FIRST_MAX],
            "findings": findings,
        }


class _Sums:
    """Rows, units and buffer units by class, status and grain."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, str], list[int]] = {}

    def add(self, row: Row) -> None:
        total = self._sums.setdefault((row.row_class, row.status, row.grain), [0, 0, 0, 0])
        total[0] += 1
        total[1] += row.units or 0
        total[2] += row.buffer_units
        total[3] += row.units is None

    def facts(self) -> dict[str, Any]:
        names = ("rows", "units", "buffer_units", "rows_without_units")
        grains: dict[str, list[int]] = {}
        for (_, _, grain), (rows, units, *_) in self._sums.items():
            total = grains.setdefault(grain, [0, 0])
            total[0] += rows
            total[1] += units
        return {
            "rows": sum(total[0] for total in self._sums.values()),
            "totals": [
                {"class": key[0], "status": key[1], "grain": key[2], **dict(zip(names, total, strict=True))}
                for key, total in sorted(self._sums.items())
            ],
            "grains": [
                {"grain": grain, "rows": rows, "units": units} for grain, (rows, units) in sorted(grains.items())
            ],
        }


class _Holes:
    """Batches with units that nobody has shown: all of them added up, and those with most."""

    def __init__(self) -> None:
        self.size = 0
        self.units: Counter[str] = Counter()
        self._largest: list[BatchState] = []

    def add(self, batch: BatchState) -> None:
        if batch.unseen:
            self.size += 1
            self.units[batch.grain] += batch.unseen
            self._largest.append(batch)
            if len(self._largest) > 2 * LISTED_MAX:
                self._largest = self.largest()

    def largest(self) -> list[BatchState]:
        return sorted(self._largest, key=lambda each: (-each.unseen, each.batch))[:LISTED_MAX]


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
