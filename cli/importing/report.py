"""The report of an import: every row with its class, sums that equal the file's, as facts, lines and a CSV file.

Rows are added one after another and not kept. What their owner should fix is in `hub.reports`.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

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
REFUSED_LISTED_MAX: Final = 1_000
"""Refused rows in the answer of the command; the row-by-row report has all."""
_PIECE_CHARACTERS: Final = 1 << 18


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


class RowWriter:
    """The row-by-row report as CSV (RFC 4180) in UTF-8, piece by piece."""

    def __init__(self, files: Sequence[str], write: Callable[[bytes], object]) -> None:
        self._files: Final = files
        self._write: Final = write
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text)
        self._writer.writerow(COLUMNS)

    def add(self, source: SourceRow, verdict: Verdict) -> None:
        """Write one row."""
        facts = facts_of_row(self._files, source, verdict)
        self._writer.writerow([facts[name] for name in COLUMNS])
        if self._text.tell() > _PIECE_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        """Write what is left."""
        self._write(self._text.getvalue().encode("utf-8"))
        self._text.seek(0)
        self._text.truncate()


def facts_of_row(files: Sequence[str], source: SourceRow, verdict: Verdict) -> dict[str, Any]:
    """One row of the report."""
    record = source.record
    units = record if isinstance(record, UnitRow) else None
    return {
        "file": files[source.file],
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


class Tally:
    """Sums: rows and units by class, status and grain; batches; what is new. They add up to the file."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files: Final = files
        self._fates: Counter[str] = Counter()
        self._sums: dict[tuple[str, str, str], list[int]] = {}
        self._refused: list[dict[str, Any]] = []
        self._twins = [0, 0]

    def add(self, source: SourceRow, verdict: Verdict) -> None:
        """Add one row."""
        record, fate = source.record, verdict.fate
        self._fates[fate.value] += 1
        total = self._sums.setdefault((ROW_CLASS[fate], _status_of(record), record.grain.name), [0, 0, 0])
        total[0] += 1
        total[1] += record.units or 0
        total[2] += record.buffer_units if isinstance(record, UnitRow | EvidenceRow) else 0
        if fate is Fate.REFUSED and len(self._refused) < REFUSED_LISTED_MAX:
            self._refused.append(facts_of_row(self._files, source, verdict))
        if isinstance(record, UnitRow) and record.twin is not None:
            self._twins[0] += 1
            self._twins[1] += record.units

    def facts(self, plans: Iterable[BatchPlan]) -> dict[str, Any]:
        """Everything added up, with what the plans of the batches come to."""
        sums = [
            {"class": name, "status": status, "grain": grain, "rows": rows, "units": total, "buffer_units": buffer}
            for (name, status, grain), (rows, total, buffer) in sorted(self._sums.items())
        ]
        return {
            "rows": sum(self._fates.values()),
            "rows_by_outcome": {fate.value: self._fates[fate.value] for fate in Fate},
            "totals": sums,
            **_facts_of_plans(plans),
            "twins_proposed": {"rows": self._twins[0], "units": self._twins[1]},
            "refused": self._refused,
        }


def _facts_of_plans(plans: Iterable[BatchPlan]) -> dict[str, Any]:
    units: Counter[str] = Counter()
    facts = dict.fromkeys(("batches", "batches_new", "batches_exact", "lots_split", "unseen_grown"), 0)
    for plan in plans:
        units.update(plan.units)
        facts["batches"] += 1
        facts["batches_new"] += not plan.exists and plan.is_news
        facts["batches_exact"] += plan.becomes_exact or plan.was_exact
        facts["lots_split"] += plan.lots_split
        facts["unseen_grown"] += max(0, plan.unseen_after - plan.unseen_before)
    names = ("new", "changed", "known", "older", "contradicts")
    return {"units_by_outcome": {name: units[name] for name in names}, **facts}


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
        split = "1 lot" if facts["lots_split"] == 1 else f"{format_units(facts['lots_split'])} lots"
        lines.append(f"{split} split, {changed} units changed state")
    if facts["unseen_grown"]:
        lines.append(f"{format_units(facts['unseen_grown'])} units between them are unseen: in no account")
    if outcomes["older"]:
        older = f"{format_units(outcomes['older'])} rows, {format_units(facts['units_by_outcome']['older'])} units"
        lines.append(f"{older}: the ledger has later news of them than this file, of which nothing was taken")
    twins = facts["twins_proposed"]
    if twins["rows"]:
        moved = f"{format_units(twins['rows'])} rows, {format_units(twins['units'])} units"
        lines.append(f"{moved}, seem to live on elsewhere: a person or a rule decides (keeling proposal list --all)")
    if facts["refused"]:
        rows = [(each["file"], str(each["row"]), each["reason"], each["detail"]) for each in facts["refused"][:20]]
        lines += [Grid(("refused in", ">row", "reason", "because"), rows)]
        more = outcomes["refused"] - len(rows)
        lines += [f"and {format_units(more)} more, see the report"] if more else []
    return lines


_RARE = ("changed", "labelled", "older", "contradicts", "evidence", "duplicate", "refused")


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
    of_batches = f" · {format_units(batches)} batch{'es' if batches != 1 else ''}, {extent}" if batches else ""
    return f"{format_units(sum(each['rows'] for each in sums))} rows: {' · '.join(parts)} · total {total}{of_batches}"


_STATUS_WORDS = {UnitStatus.ENDED.value: "retired-or-cancelled"}


def _status_of(record: Record) -> str:
    if isinstance(record, UnitRow):
        return record.status.value
    return record.kind.value if isinstance(record, EvidenceRow) else ""
