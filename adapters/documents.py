"""Reading JSON files: a list of records, each made flat, then read like the rows of a table.

Numbers stay the text they were, so none becomes a float. How a long list is read piece by piece is in `json_stream`,
what a field means in the folders of the formats.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from adapters.delimited import Binding, Cells
from adapters.exports import FileError, FileFault, ParsedFile, Raw, Record, open_raw
from adapters.json_stream import stream_records
from adapters.overlaps import RangeBook
from adapters.tabular import Sheet, TableAdapter, read_records

_HEAD_BYTES: Final = 1 << 16

Flatten = Callable[[Any], list[dict[str, str]]]
"""Makes the rows (heading to text) of one record of the file; raises `RecordShapeError` if it is none of the format."""


class RecordShapeError(ValueError):
    """A record of a JSON file is not of the expected shape; the message says what is missing."""


class DocumentAdapter:
    """The file adapter of a format that comes as JSON, or as CSV with the flat names as headings."""

    def __init__(self, name: str, sheet: Sheet, flatten: Flatten) -> None:
        headings = [column.headings[0] for column in sheet.layout.columns]
        places = {column.field: place for place, column in enumerate(sheet.layout.columns)}
        self.name: Final = name
        self._sheet: Final = sheet
        self._flatten: Final = flatten
        self._table: Final = TableAdapter(name, (sheet,))
        self._headings: Final = headings
        self._binding: Final = Binding(sheet.layout, len(headings), places, ())

    def parse(self, raw: Raw, *, file_name: str) -> ParsedFile:
        """Read a JSON list, a page with a list under "data", or one record; raise `FileError` for anything else."""
        with open_raw(raw) as stream:
            head = stream.read(_HEAD_BYTES)
        if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"[", b"{"):
            return self._table.parse(raw, file_name=file_name)
        for _ in _read(raw, file_name):
            pass  # what is no JSON is said before the first record, wherever in the file it stands

        def open_rows(seen: RangeBook) -> Iterator[Record]:
            return read_records(self.name, self._sheet, self._binding, self._rows(_read(raw, file_name)), seen)

        return ParsedFile(self.name, self._sheet.layout.kind, file_name, "utf-8", (), open_rows)

    def _rows(self, records: Iterable[Any]) -> Iterator[Cells]:
        row = 0
        for record in records:
            try:
                flat_rows, fault = self._flatten(record), ""
            except RecordShapeError as error:
                flat_rows, fault = [{}], str(error)
            for flat in flat_rows:
                row += 1
                yield Cells(row, row, [*(flat.get(heading, "") for heading in self._headings), ""], fault)


def text_of(value: Any) -> str:
    """Return a JSON value as the text of a cell: null is empty, truth values are true and false, lists are JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read(raw: Raw, file_name: str) -> Iterator[Any]:
    try:
        with open_raw(raw) as stream:
            yield from stream_records(stream)
    except (ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise FileError(
            FileFault.JSON,
            file_name,
            found=f"text that is no JSON ({reason})",
            expected="a JSON list of records in UTF-8",
            action="export or download it again",
        ) from error
