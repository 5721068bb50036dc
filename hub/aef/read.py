"""Reports of others: JSON, CSV or XLSX in, a `Report` out, cell by cell as they were written.

`NA`, an empty cell and white space are kept apart. A file that is no such report is refused with what was found and
what was expected; what is wrong inside a report is not looked at here but in `check`.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Final

from hub.aef.layout import CURRENT, EARLIER, EDITIONS, ITMO, SHEETS, Column, Edition, Report, Row, Sheet

FILE_BYTES_MAX: Final = 64 << 20
"""A larger file is refused, and a workbook that unpacks to more than four times this."""
HEADER_ROWS_MAX: Final = 50
"""The labels of a table stand in its first rows, below what a template says above them."""

Grid = Sequence[Sequence[str]]


class AefError(ValueError):
    """The bytes are no report in this format; the text says what was found and what was expected."""


def parse_report(data: bytes) -> Report:
    """Read a report in whichever format it is."""
    if len(data) > FILE_BYTES_MAX:
        raise AefError(f"the file has {len(data)} bytes; {FILE_BYTES_MAX} at most are read")
    if data[:2] == b"PK":
        return _from_grids(_read_workbook(data))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AefError(f"neither a workbook nor UTF-8 text: byte {error.start} cannot be read") from error
    if text.lstrip()[:1] == "{":
        return _parse_json(text)
    return _from_grids(_split_csv(text))


# -- JSON


def _parse_json(text: str) -> Report:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise AefError(f"not JSON: {error}") from error
    edition = EDITIONS.get(document.get("edition", "")) if document.get("keeling") == "aef" else None
    if edition is None:
        raise AefError(f"no report of edition {' or '.join(EDITIONS)}: found {str(document.get('edition'))[:40]!r}")
    tables = [_json_rows(document, sheet) for sheet in SHEETS]
    return _make_report(edition, tables)


def _json_rows(document: Mapping[str, object], sheet: Sheet) -> list[Row]:
    rows = document.get(f"table{sheet.number}")
    names = [column.name for column in sheet.columns]
    if not isinstance(rows, list):
        raise AefError(f"table{sheet.number} is missing: expected a list of rows")
    found = []
    for i, row in enumerate(rows, 1):
        if not isinstance(row, dict) or set(row) != set(names):
            odd = sorted(set(row) ^ set(names)) if isinstance(row, dict) else [type(row).__name__]
            raise AefError(f"table{sheet.number} row {i}: expected exactly the {len(names)} fields; see {odd[0]!r}")
        cells = [row[name] for name in names]
        if not all(cell is None or isinstance(cell, str) for cell in cells):
            raise AefError(f"table{sheet.number} row {i}: every cell is a text or null")
        found.append(tuple(cell or "" for cell in cells))
    return found


# -- tables of cells


def _split_csv(text: str) -> dict[str, Grid]:
    """One grid for each title line: a title is a line of one cell that names a table."""
    grids: dict[str, list[list[str]]] = {}
    at: list[list[str]] | None = None
    titles = {sheet.title.casefold(): sheet.title for sheet in SHEETS}
    try:
        for line in csv.reader(io.StringIO(text), strict=True):
            title = titles.get(line[0].strip().casefold()) if line and not any(line[1:]) else None
            if title is not None:
                at = grids.setdefault(title, [])
            elif at is not None:
                at.append(line)
    except csv.Error as error:
        raise AefError(f"not CSV: {error}") from error
    return dict(grids)


def _read_workbook(data: bytes) -> dict[str, Grid]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            if sum(part.file_size for part in parts.infolist()) > 4 * FILE_BYTES_MAX:
                raise AefError(f"the workbook unpacks to more than {4 * FILE_BYTES_MAX} bytes")
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        titles = {f"table {sheet.number}": sheet.title for sheet in SHEETS}
        grids: dict[str, Grid] = {}
        for page in book.worksheets:
            title = titles.get(page.title.strip().casefold()[:7])
            if title is not None and title not in grids:
                grids[title] = [[_cell_text(value) for value in row] for row in page.iter_rows(values_only=True)]
        book.close()
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as error:
        if isinstance(error, AefError):
            raise
        raise AefError(f"not a workbook that can be read: {error}") from error
    return grids


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _from_grids(grids: Mapping[str, Grid]) -> Report:
    missing = [sheet.title for sheet in SHEETS if sheet.title not in grids]
    if missing:
        there = ", ".join(grids) or "none of them"
        raise AefError(f"{missing[0]!r} is missing; found {there}")
    tables = [
        _read_down(sheet, grids[sheet.title]) if sheet.down else _read_across(sheet, grids[sheet.title])
        for sheet in SHEETS
    ]
    return _make_report(_guess_edition(tables), tables)


def _read_down(sheet: Sheet, grid: Grid) -> list[Row]:
    """Labels in a column, the value in the next cell that has one."""
    found: dict[str, str] = {}
    for line in grid:
        for i, text in enumerate(line):
            if text.strip().casefold() in _labels(sheet):
                found[text.strip().casefold()] = next((cell for cell in line[i + 1 :] if cell), "")
                break
    missing = [column.label for column in sheet.columns if column.label.casefold() not in found]
    if missing:
        raise AefError(f"{sheet.title}: no field {missing[0]!r}")
    return [tuple(found[column.label.casefold()] for column in sheet.columns)]


def _labels(sheet: Sheet) -> dict[str, Column]:
    return {column.label.casefold(): column for column in sheet.columns}


def _read_across(sheet: Sheet, grid: Grid) -> list[Row]:
    """Labels in one of the first rows, in any case, with empty columns between groups."""
    wanted = _labels(sheet)
    for y, line in enumerate(grid[:HEADER_ROWS_MAX]):
        places: dict[str, int] = {}
        for x, text in enumerate(line):
            places.setdefault(" ".join(text.split()).casefold(), x)
        missing = [column.label for label, column in wanted.items() if label not in places]
        if len(missing) <= len(wanted) // 2:
            if missing:
                raise AefError(f"{sheet.title} row {y + 1}: no column {missing[0]!r}")
            order = [places[label] for label in wanted]
            rows = [tuple(line[x] if x < len(line) else "" for x in order) for line in grid[y + 1 :]]
            return [row for row in rows if any(text.strip() for text in row)]
    raise AefError(f"{sheet.title}: no row with the labels {sheet.columns[0].label!r}, {sheet.columns[1].label!r} ...")


def _guess_edition(tables: Sequence[Sequence[Row]]) -> Edition:
    """The earlier template has full identifiers where the current one has numbers; without rows it is the current."""
    for sheet in SHEETS[2:4]:
        for row in tables[sheet.number - 1]:
            return EARLIER if ITMO.fullmatch(row[sheet.at("FirstID")].strip()) else CURRENT
    return CURRENT


def _make_report(edition: Edition, tables: Sequence[Sequence[Row]]) -> Report:
    if len(tables[0]) != 1:
        raise AefError(f"Table 1 has {len(tables[0])} records; it has exactly one")
    return Report(edition, tables[0][0], *(tuple(rows) for rows in tables[1:]))
