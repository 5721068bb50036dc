"""Turns the rows of a CSV export into records: picks the layout, strips personal data, numbers, hashes, finds clashes.

What the columns of one registry mean is in that registry's folder, as layouts and one row reader for each.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Final, NamedTuple

from adapters.delimited import (
    Binding,
    Cells,
    Column,
    Layout,
    Table,
    bind,
    lacks_columns,
    nearest_heading,
    open_table,
    plain,
    plain_headings,
    read_rows,
)
from adapters.exports import (
    DuplicateRow,
    EvidenceRow,
    FileError,
    FileFault,
    ParsedFile,
    Raw,
    Record,
    RefusedRow,
    RowFault,
    RowRefused,
    RowSource,
    UnitRow,
    UnitStatus,
    open_raw,
)
from adapters.fields import read_optional_units
from adapters.overlaps import RangeBook
from keeling.serials import Grain

RowReader = Callable[[list[str], RowSource], UnitRow | EvidenceRow]
"""Reads the cells of one row; raises `RowRefused`."""

_EMAIL: Final = re.compile(r"[^\s@,;:<>()\[\]\"']{1,64}@[^\s@,;:<>()\[\]\"']{1,255}")
_EMAIL_REMOVED: Final = "[e-mail removed]"
_LINE_PART_BYTES: Final = 1 << 20
_BETWEEN_CELLS: Final = "\x1f"
_STATES: Final = {status: number for number, status in enumerate(UnitStatus)}
_ROW_DOMAIN: Final = "keeling/row/1 "


class Sheet(NamedTuple):
    """One kind of file of a registry: its layout, and how a row reader is made once the columns are found."""

    layout: Layout
    reader: Callable[[Binding], RowReader]
    grain: Grain = Grain.T_CO2E
    quantity: str = ""
    """Field whose cell is the row's quantity, to say how much a refused row would have been."""


def strip_emails(text: str) -> str:
    """Return the text with every e-mail address replaced."""
    return _EMAIL.sub(_EMAIL_REMOVED, text)


def count_emails(raw: Raw) -> int:
    """Return how many e-mail addresses are in a file's bytes, whatever its encoding (ASCII in all we read)."""
    found = 0
    with open_raw(raw) as stream:
        while line := stream.readline(_LINE_PART_BYTES):
            if b"@" in line:
                found += sum(1 for _ in _EMAIL.finditer(line.decode("latin-1")))
    return found


class TableAdapter:
    """The file adapter of a registry whose exports are comma-separated."""

    def __init__(self, name: str, sheets: Sequence[Sheet]) -> None:
        self.name: Final = name
        self.sheets: Final = tuple(sheets)

    def parse(self, raw: Raw, *, file_name: str) -> ParsedFile:
        """Read a CSV export with the sheet whose columns it has; raise `FileError` if there is none."""
        table = open_table(raw, file_name=file_name)
        sheet, binding = _choose(self, table, file_name)
        notes = binding.notes
        if table.encoding == "cp1252":
            notes = ("read as Windows-1252, because it is not UTF-8", *notes)

        def open_rows(seen: RangeBook) -> Iterator[Record]:
            return read_records(self.name, sheet, binding, read_rows(table, binding), seen)

        return ParsedFile(self.name, sheet.layout.kind, file_name, table.encoding, notes, open_rows)

    def kind_of(self, headings: Set[str]) -> str | None:
        """Return which of the registry's files has these headings, made `plain`, or None."""
        complete = [sheet for sheet in self.sheets if not lacks_columns(sheet.layout, headings)]
        best = max(complete, key=lambda sheet: known_columns(sheet, headings), default=None)
        return best.layout.kind if best else None


class RowIntake:
    """Decides what a row that could be read becomes, given the rows of the file before it."""

    def __init__(self, seen: RangeBook) -> None:
        self._seen: Final = seen

    def take(self, record: UnitRow | EvidenceRow) -> Record:
        """Return the record, or a duplicate or refused row if an earlier row holds some of its units."""
        if isinstance(record, EvidenceRow):
            return record
        serials, source = record.serials, record.source
        state = _STATES[record.status]
        clash = self._seen.add(serials, source.row, state)
        if clash is None:
            return record
        if clash[1:] == (serials.first, serials.last, state):
            return DuplicateRow(source, serials.units, serials.grain, clash.row)
        message = f"units {serials.first} to {serials.last} overlap {clash.first} to {clash.last} of row {clash.row}"
        return RefusedRow(source, RowFault.OVERLAP, message, serials.units, serials.grain)


def read_records(
    registry: str, sheet: Sheet, binding: Binding, rows: Iterable[Cells], seen: RangeBook
) -> Iterator[Record]:
    """Turn rows of cells into records, each row into exactly one."""
    read_row, intake = sheet.reader(binding), RowIntake(seen)
    domain = _ROW_DOMAIN + registry
    for row, line, cells, fault in rows:
        text = _BETWEEN_CELLS.join((domain, *cells))
        if "@" in text:
            cells[:] = [strip_emails(cell) for cell in cells]
            text = _BETWEEN_CELLS.join((domain, *cells))
        source = RowSource(row, line, hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        try:
            if fault:
                raise RowRefused(RowFault.UNREADABLE, fault)
            record = read_row(cells, source)
        except RowRefused as refused:
            units = None if fault else _stated_units(sheet, binding, cells)
            yield RefusedRow(source, refused.fault, str(refused), units, sheet.grain)
        else:
            yield intake.take(record)


def _stated_units(sheet: Sheet, binding: Binding, cells: list[str]) -> int | None:
    if not sheet.quantity:
        return None
    try:
        return read_optional_units(cells[binding.at(sheet.quantity)])
    except RowRefused:
        return None


def _choose(adapter: TableAdapter, table: Table, file_name: str) -> tuple[Sheet, Binding]:
    """Return the sheet that knows most of the header's columns; it must be complete, else a renamed column would pass.

    A retirements file whose date column was renamed has all columns of an issuances file, but more that only
    retirements know.
    """
    headings = frozenset(map(plain, table.header))
    sheet = max(
        adapter.sheets, key=lambda each: (known_columns(each, headings), not lacks_columns(each.layout, headings))
    )
    binding, missing = bind(sheet.layout, table.header)
    if binding is not None:
        return sheet, binding
    if 2 * len(missing) > sum(column.required for column in sheet.layout.columns):
        kinds = ", ".join(sheet.layout.kind for sheet in adapter.sheets)
        raise FileError(
            FileFault.WRONG_FILE,
            file_name,
            found=f"a header that begins {_begin(table.header)}",
            expected=f"an export of {adapter.name} ({kinds})",
            action="check the registry and the kind of file",
        )
    raise _header_error(sheet, missing, table.header, adapter.name, file_name)


def known_columns(sheet: Sheet, headings: Set[str]) -> int:
    """Return how many columns of the sheet, required or not, are among headings made `plain`."""
    return sum(not headings.isdisjoint(plain_headings(column)) for column in sheet.layout.columns)


def _header_error(
    sheet: Sheet, missing: list[Column], header: Sequence[str], registry: str, file_name: str
) -> FileError:
    said, names = [], {name for column in sheet.layout.columns for name in plain_headings(column)}
    others = [heading for heading in header if plain(heading) not in names]
    for column in missing:
        near = nearest_heading(column, others)
        said.append(f"{column.headings[0]!r}" + (f" (nearest is {near!r})" if near else ""))
    return FileError(
        FileFault.HEADER,
        file_name,
        found=f"no column {', '.join(said)}",
        expected=f"the columns of an export of {registry} ({sheet.layout.kind})",
        action="restore the column's name, or report that the registry renamed it",
    )


def _begin(header: Sequence[str]) -> str:
    return repr(", ".join(header)[:60])
