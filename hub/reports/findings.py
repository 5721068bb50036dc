"""What the owner of an export should fix, ranked by units and how bad it is. One function finds one kind of trouble.

The weight of a finding is its units, in tonnes, times its severity; nothing is added over grains but this weight,
which only orders the list. What a kind of trouble means stands in its text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from hub.reports.model import ENDED_STATES, KG_PER_TONNE, ReportInput, Row

FIRST_MAX: Final = 5
"""Findings a page begins with: more than five are none."""
ROWS_SHOWN_MAX: Final = 8


class Finding(NamedTuple):
    """One kind of trouble: how much, where, and what to do. Severity 1 (worth knowing) to 5 (wrong)."""

    kind: str
    severity: int
    title: str
    units: tuple[tuple[str, int], ...]
    """(grain, units), sorted."""
    rows: int
    shown: tuple[str, ...]
    """Some of the rows, by file, or some of the batches."""
    action: str

    @property
    def weight(self) -> Fraction:
        return self.severity * sum((_tonnes(grain, units) for grain, units in self.units), Fraction(0))


def _tonnes(grain: str, units: int) -> Fraction:
    return Fraction(units, KG_PER_TONNE) if grain == "KG_CO2E" else Fraction(units)


def find_troubles(report: ReportInput) -> list[Finding]:
    """All findings, heaviest first; those without units last, by rows."""
    found = [finding for find in _FINDERS for finding in find(report)]
    return sorted(found, key=lambda each: (-each.weight, -each.severity, -each.rows, each.kind))


def _of_rows(kind: str, severity: int, title: str, rows: Iterable[Row], action: str) -> Iterator[Finding]:
    chosen = list(rows)
    if not chosen:
        return
    units: dict[str, int] = {}
    for row in chosen:
        units[row.grain] = units.get(row.grain, 0) + (row.units or 0)
    yield Finding(kind, severity, title, tuple(sorted(units.items())), len(chosen), _name_rows(chosen), action)


def _name_rows(rows: Sequence[Row]) -> tuple[str, ...]:
    """For each file its first rows: "issuances.csv rows 3, 4, 25 and 20 more"."""
    files: dict[str, list[int]] = {}
    for row in rows:
        files.setdefault(row.file, []).append(row.row)
    named = []
    for file, numbers in files.items():
        listed = ", ".join(str(number) for number in numbers[:ROWS_SHOWN_MAX])
        more = f" and {len(numbers) - ROWS_SHOWN_MAX:,} more" if len(numbers) > ROWS_SHOWN_MAX else ""
        named.append(f"{file} row{'s' if len(numbers) > 1 else ''} {listed}{more}")
    return tuple(named)


_REFUSED_WORDS: Final = {
    "OVERLAP": "Units that two rows of the file claim",
    "END_BEFORE_START": "Serials that end before they start",
    "QUANTITY_DISAGREES": "Quantities that are not what the serials hold",
    "UNREADABLE": "Rows that cannot be read",
    "SERIALS_OVERLAP": "Serials that another batch of the registry has",
    "OUTSIDE_EXTENT": "Serials outside what was issued",
}


def _refused(report: ReportInput) -> Iterator[Finding]:
    refused = [row for row in report.rows if row.row_class == "refused"]
    for reason in sorted({row.reason for row in refused}):
        title = _REFUSED_WORDS.get(reason, f"Rows refused: {reason.lower().replace('_', ' ')}")
        rows = [row for row in refused if row.reason == reason]
        action = f"Ask {report.registry} for a corrected file; first: {rows[0].detail}"
        yield from _of_rows(f"refused:{reason}", 5, title, rows, action)


def _contradictions(report: ReportInput) -> Iterator[Finding]:
    if not report.disagreements:
        return
    units: dict[str, int] = {}
    for each in report.disagreements:
        units[each.grain] = units.get(each.grain, 0) + each.units
    shown = tuple(each.batch for each in report.disagreements[:ROWS_SHOWN_MAX])
    title = "Units of which the ledger and the registry say different things"
    action = "They are restricted until one side is proved: keeling discrepancy list --open"
    yield Finding("contradiction", 5, title, tuple(sorted(units.items())), len(report.disagreements), shown, action)


def _moved(report: ReportInput) -> Iterator[Finding]:
    for destination in sorted({row.moved_to for row in report.rows if row.moved_to}):
        rows = [row for row in report.rows if row.moved_to == destination]
        title = f"Tonnes that seem to live on at {destination}: not destroyed"
        action = "Decide each with evidence of both registries: keeling proposal list, then accept or decline"
        yield from _of_rows(f"moved:{destination}", 4, title, rows, action)


def _undated(report: ReportInput) -> Iterator[Finding]:
    rows = (row for row in report.rows if row.row_class == "lot" and row.status in ENDED_STATES and not row.effective)
    title = "Units that ended without a date"
    action = f"Ask {report.registry} when: a report for a year cannot count them"
    yield from _of_rows("undated", 4, title, rows, action)


def _unseen(report: ReportInput) -> Iterator[Finding]:
    holes = sorted((batch for batch in report.batches if batch.unseen), key=lambda each: (-each.unseen, each.batch))
    if not holes:
        return
    units: dict[str, int] = {}
    for batch in holes:
        units[batch.grain] = units.get(batch.grain, 0) + batch.unseen
    shown = tuple(f"{batch.batch} ({batch.unseen:,})" for batch in holes[:ROWS_SHOWN_MAX])
    title = f"Units between the first and the last of {len(holes):,} batches that no file has shown"
    action = "They are in no account: import the registry's whole list, or the files of the other states"
    yield Finding("unseen", 3, title, tuple(sorted(units.items())), 0, shown, action)


def _ex_ante(report: ReportInput) -> Iterator[Finding]:
    rows = (row for row in report.rows if row.ex_ante and row.status not in ENDED_STATES)
    title = "Units issued for reductions that are still planned"
    yield from _of_rows("ex-ante", 3, title, rows, "They may be traded, not retired: keep them out of claims")


def _without_serials(report: ReportInput) -> Iterator[Finding]:
    rows = (row for row in report.rows if row.row_class == "evidence")
    title = "Quantities without serial numbers"
    action = "Kept as evidence, never as units: get the registry's holdings report, which has serials"
    yield from _of_rows("no-serials", 2, title, rows, action)


def _unclear_end(report: ReportInput) -> Iterator[Finding]:
    rows = (row for row in report.rows if row.row_class == "lot" and row.status == "ended")
    title = "Units that were retired or cancelled: the file does not say which"
    action = "Take the registry's certificate for each one you report as retired"
    yield from _of_rows("unclear-end", 2, title, rows, action)


def _duplicates(report: ReportInput) -> Iterator[Finding]:
    rows = (row for row in report.rows if row.row_class == "duplicate")
    yield from _of_rows("duplicate", 2, "Rows that say the same twice", rows, "Counted once; tell the registry")


def _no_beneficiary(report: ReportInput) -> Iterator[Finding]:
    ended = [row for row in report.rows if row.status in ("retired", "retirement", "ended")]
    naming = {row.file for row in ended if row.beneficiary_named}  # a file without such a column cannot be completed
    rows = (row for row in ended if row.file in naming and not row.beneficiary_named)
    title = "Retirements that name nobody they are for"
    yield from _of_rows("no-beneficiary", 1, title, rows, "Have the account holder complete the retirement record")


def _long_vintages(report: ReportInput) -> Iterator[Finding]:
    rows = (row for row in report.rows if row.vintage_years > 1 and row.status not in ENDED_STATES)
    title = "Vintages that cover several calendar years"
    yield from _of_rows(
        "long-vintage", 1, title, rows, "Agree on the year before an Article 6 use: they stay spans here"
    )


def _buffers(report: ReportInput) -> Iterator[Finding]:
    rows = [row for row in report.rows if row.status == "buffer" or row.buffer_units]
    parts = [row._replace(units=row.units if row.status == "buffer" else row.buffer_units) for row in rows]
    yield from _of_rows("buffer", 1, "Buffer units", parts, "Never sold or retired: leave them out of what you own")


def _personal_data(report: ReportInput) -> Iterator[Finding]:
    removed = {name: size for name, size in report.emails_removed.items() if size}
    if removed:
        shown = tuple(f"{name} ({size:,})" for name, size in sorted(removed.items()))
        title = "E-mail addresses in the file"
        action = "Removed before anything was hashed or kept; delete the file, and ask the registry not to export them"
        yield Finding("personal-data", 4, title, (), sum(removed.values()), shown, action)


_FINDERS: Final[Sequence[Callable[[ReportInput], Iterator[Finding]]]] = (
    _refused,
    _contradictions,
    _moved,
    _undated,
    _unseen,
    _ex_ante,
    _without_serials,
    _unclear_end,
    _duplicates,
    _no_beneficiary,
    _long_vintages,
    _buffers,
    _personal_data,
)
