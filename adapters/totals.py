"""Sums over the records of a file: what the report of an import must equal, per class and per grain.

Printing them is not here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from adapters.exports import DuplicateRow, EvidenceRow, Record, RefusedRow, UnitRow
from keeling.serials import Grain


class Sum(NamedTuple):
    """Rows of one kind and the units they state."""

    rows: int
    units: int
    buffer_units: int
    rows_without_units: int
    """Rows of the kind that state no quantity, or none that could be read."""


class Totals:
    """Adds records up. A key is (class, detail, grain), such as ("units", "active", Grain.T_CO2E)."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.sums: Final[dict[tuple[str, str, Grain], Sum]] = {}
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Count one record."""
        key = (*class_of(record), record.grain)
        rows, units, buffer_units, without = self.sums.get(key, (0, 0, 0, 0))
        more_buffer = record.buffer_units if isinstance(record, UnitRow | EvidenceRow) else 0
        self.sums[key] = Sum(
            rows + 1, units + (record.units or 0), buffer_units + more_buffer, without + (record.units is None)
        )

    def of(self, name: str, detail: str | None = None) -> Sum:
        """Return the sum of a class, of one detail of it or of all; only sensible where one grain is concerned."""
        chosen = [each for (klass, kind, _), each in self.sums.items() if klass == name and detail in (None, kind)]
        return Sum(*(sum(column) for column in zip(*chosen, strict=True))) if chosen else Sum(0, 0, 0, 0)

    @property
    def rows(self) -> int:
        """All rows, whatever became of them."""
        return sum(each.rows for each in self.sums.values())


def class_of(record: Record) -> tuple[str, str]:
    """Return the class of a record ("units", "evidence", "duplicate", "refused") and its detail."""
    match record:
        case UnitRow():
            return "units", record.status.value
        case EvidenceRow():
            return "evidence", record.kind.value
        case DuplicateRow():
            return "duplicate", ""
        case RefusedRow():
            return "refused", record.fault.value
