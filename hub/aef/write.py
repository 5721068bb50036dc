"""Reports as bytes: JSON, CSV and XLSX. The same report gives the same bytes, in every format, on any day.

In JSON a cell that the central platform fills is null, one that was not filled is "", and "NA" is "NA". In CSV and XLSX
the first two look alike, as the template has it; the column tells them apart. What rows say is made in `build`.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from typing import Final

from hub.aef.layout import SHEETS, Kind, Need, Report, Row, Sheet

_FIXED_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The oldest moment a ZIP archive can carry: parts of a workbook are dated with it, not with today."""
_WHOLE: Final = re.compile(r"0|[1-9]\d{0,14}", re.ASCII)
"""Whole numbers a spreadsheet keeps exactly; longer ones are written as text."""
_CORE: Final = "docProps/core.xml"
_DATED: Final = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*")


def format_json(report: Report) -> bytes:
    """One object for each table, keyed by technical name."""
    tables = {f"table{sheet.number}": [_json_row(sheet, row) for row in report.rows(sheet)] for sheet in SHEETS}
    document = {"keeling": "aef", "edition": report.edition.name, **tables}
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def _json_row(sheet: Sheet, row: Row) -> dict[str, str | None]:
    return {
        column.name: None if column.need == Need.CARP and not text else text
        for column, text in zip(sheet.columns, row, strict=True)
    }


def format_csv(report: Report) -> bytes:
    """All tables in one file: its title, its labels, its rows; an empty line after each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for sheet in SHEETS:
        writer.writerow([sheet.title])
        writer.writerows(_lines(report, sheet))
        writer.writerow([])
    return out.getvalue().encode("utf-8")


def _lines(report: Report, sheet: Sheet) -> list[list[str]]:
    labels = [column.label for column in sheet.columns]
    rows = report.rows(sheet)
    if sheet.down:
        return [[label, *(row[i] for row in rows)] for i, label in enumerate(labels)]
    return [labels, *(list(row) for row in rows)]


def format_xlsx(report: Report) -> bytes:
    """A workbook with a sheet for each table; whole numbers are numbers, all else is text."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.worksheets[0])
    for sheet in SHEETS:
        page = book.create_sheet(sheet.title)
        for y, line in enumerate(_lines(report, sheet), 1):
            for x, text in enumerate(line, 1):
                column = sheet.columns[y - 1 if sheet.down else x - 1]
                is_label = x == 1 if sheet.down else y == 1
                if text:
                    cell = page.cell(y, x)
                    is_number = column.kind in (Kind.WHOLE, Kind.NUMBER, Kind.ID) and _WHOLE.fullmatch(text)
                    cell.value = int(text) if is_number and not is_label else text
                    if isinstance(cell.value, str):
                        cell.data_type = "s"
    out = io.BytesIO()
    book.save(out)
    return _without_dates(out.getvalue())


def _without_dates(workbook: bytes) -> bytes:
    """The same workbook, its parts in order of name and none of them dated."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as made, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as kept:
        for name in sorted(made.namelist()):
            data = made.read(name)
            if name == _CORE:
                data = _DATED.sub(rb"\g<1>1980-01-01T00:00:00Z", data)
            part = zipfile.ZipInfo(name, _FIXED_TIME)
            part.compress_type = zipfile.ZIP_DEFLATED
            part.external_attr = 0o600 << 16
            part.create_system = 3
            kept.writestr(part, data)
    return out.getvalue()


FORMATS: Final = {"json": format_json, "csv": format_csv, "xlsx": format_xlsx}
"""Writers by name."""
