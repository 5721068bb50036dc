"""Reading comma-separated text as registries really export it: encodings, broken quotes, headers that drift.

Here bytes become rows of cells with their line numbers. What a column means is not known here.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from functools import lru_cache
from typing import BinaryIO, Final, NamedTuple

from adapters.exports import FileError, FileFault, Raw, open_raw

_RECORD_LINES_MAX: Final = 200
"""Lines one row may span. A quote that is never closed would otherwise swallow the rest of the file."""

_CHUNK_BYTES: Final = 1 << 20

_LINE_BYTES_MAX: Final = 1 << 24
"""Bytes between two line feeds, at least in one part of a file; a file in one endless line is no export."""

_REMEMBERED_CHARACTERS_MAX: Final = 120
"""Headings repeat from file to file, but a file's cells may be long: only short texts are remembered."""

_COMPARED_MAX: Final = 200
"""Headings of a file in which the name of a missing column is looked for; no registry has half as many."""

_RESEMBLES: Final = 0.5
"""Share of the characters that two headings must have in common to be taken for one that was renamed."""

_CONTAINERS: Final = (
    (b"PK\x03\x04", "a zip container such as an .xlsx workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"\x1f\x8b", "gzip data"),
    (b"%PDF", "a PDF"),
    (b"PAR1", "a parquet file"),
)
_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HTML: Final = re.compile(rb"\s*<(?:!doctype\s|html|head|body|\?xml|!--|script|div|table|meta)", re.IGNORECASE)
_QUOTED: Final = re.compile(r'"((?:[^"]|"")*+)"(?=,|$)')
_DASHES: Final = re.compile("[\u2010\u2011\u2012\u2013\u2014\u2015\u2212]")
_SPACES: Final = re.compile(r"\s+")


class Column(NamedTuple):
    """One column of a layout: our name for it and the headings it has been seen under, newest first."""

    field: str
    headings: tuple[str, ...]
    required: bool = True


class Layout(NamedTuple):
    """The columns of one kind of export file."""

    kind: str
    columns: tuple[Column, ...]
    free_text: str = ""
    """Field into which surplus cells of a row are merged (undoubled quotes around commas); empty: never merge."""


class Cells(NamedTuple):
    """One row: its number, the line it starts on, and its cells with one empty cell added behind them.

    The added cell is what the index -1 of an absent optional column finds. `fault` says why the cells are unusable.
    """

    row: int
    line: int
    cells: list[str]
    fault: str = ""


class Binding(NamedTuple):
    """A layout found in a header: where each field is."""

    layout: Layout
    width: int
    indexes: dict[str, int]
    notes: tuple[str, ...]

    def at(self, field: str) -> int:
        """Index of the field's cell; -1, the added empty cell, where an optional column is absent."""
        return self.indexes[field]


class Table(NamedTuple):
    """A text file that is known to be comma-separated, and its header."""

    raw: Raw
    encoding: str
    header: list[str]
    header_lines: int


def plain(text: str) -> str:
    """Return text for comparison: one kind of dash, single spaces, no case."""
    return _plain(text) if len(text) <= _REMEMBERED_CHARACTERS_MAX else _plain.__wrapped__(text)


@lru_cache(maxsize=1024)
def plain_headings(column: Column) -> tuple[str, ...]:
    """Return the headings of a column for comparison."""
    return tuple(map(plain, column.headings))


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    return _SPACES.sub(" ", _DASHES.sub("-", text)).strip().casefold()


def open_table(raw: Raw, *, file_name: str) -> Table:
    """Check that the bytes are a comma-separated text and read its header; raise `FileError` otherwise."""
    _refuse_other_forms(raw, file_name)
    encoding = _find_encoding(raw, file_name)
    try:
        with _text(raw, encoding) as text:
            reader = csv.reader(text)
            header = next(reader, [])
    except csv.Error as error:
        raise FileError(
            FileFault.HEADER,
            file_name,
            found=f"a first line that is no CSV header ({error})",
            expected="column names separated by commas",
            action="export the file again as CSV",
        ) from error
    if len(header) == 1 and (mark := next((mark for mark in ";\t|" if mark in header[0]), None)):
        name = {";": "semicolons", "\t": "tabs", "|": "bars"}[mark]
        raise FileError(
            FileFault.DELIMITER,
            file_name,
            found=f"columns separated by {name}",
            expected="columns separated by commas",
            action="use the registry's file as downloaded, or save it as comma-separated CSV",
        )
    return Table(raw, encoding, header, reader.line_num)


def bind(layout: Layout, header: Sequence[str]) -> tuple[Binding | None, list[Column]]:
    """Find the layout's columns in the header; return the binding, or None and the required columns it lacks."""
    places: dict[str, int] = {}
    for place, heading in enumerate(header):
        places.setdefault(plain(heading), place)
    indexes, missing, notes, used = {}, [], [], set()
    for column in layout.columns:
        names = plain_headings(column)
        found = next((name for name in names if name in places), None)
        if found is None:
            indexes[column.field] = -1
            if column.required:
                missing.append(column)
            continue
        indexes[column.field] = places[found]
        used.add(places[found])
        if found != names[0]:
            notes.append(f"column {header[places[found]]!r} read as {column.headings[0]!r}")
    if missing:
        return None, missing
    unknown = [heading for place, heading in enumerate(header) if place not in used and not _unnamed(heading)]
    if unknown:
        notes.append("columns not used: " + ", ".join(repr(heading) for heading in unknown))
    return Binding(layout, len(header), indexes, tuple(notes)), []


def lacks_columns(layout: Layout, headings: Set[str]) -> bool:
    """Return whether one of the layout's required columns is not among headings made `plain`."""
    return any(column.required and headings.isdisjoint(plain_headings(column)) for column in layout.columns)


def nearest_heading(column: Column, header: Sequence[str]) -> str | None:
    """Return which of the headings (those of no other column) most resembles a missing one, or None if none does."""
    known = {
        plain(heading): heading for heading in header[:_COMPARED_MAX] if len(heading) <= _REMEMBERED_CHARACTERS_MAX
    }
    for heading in plain_headings(column):
        nearest = _nearest(heading, known)
        if nearest is not None:
            return known[nearest]
    return None


def _nearest(heading: str, known: Iterable[str]) -> str | None:
    """Return the text most like a heading. The dear comparison is made only while a cheap bound promises better."""
    matcher, bounds = difflib.SequenceMatcher(b=heading), []
    for other in known:
        matcher.set_seq1(other)
        if matcher.real_quick_ratio() > _RESEMBLES:
            bounds.append((matcher.quick_ratio(), other))
    nearest, closest = None, _RESEMBLES
    for bound, other in sorted(bounds, reverse=True):
        if bound <= closest:
            break
        matcher.set_seq1(other)
        if (ratio := matcher.ratio()) > closest:
            nearest, closest = other, ratio
    return nearest


def read_rows(table: Table, binding: Binding) -> Iterator[Cells]:
    """Read the rows below the header one after another; blank lines are no rows.

    A row with broken quotes or too few or too many cells is repaired only where that is certain (see `_repair`), else
    it comes with a `fault`. A row that swallowed later lines because a quote was not closed gives those lines back.
    """
    with _text(table.raw, table.encoding) as text:
        yield from _read_rows(_Lines(text, table.header_lines), binding)


def _read_rows(lines: _Lines, binding: Binding) -> Iterator[Cells]:
    reader = csv.reader(lines, strict=True)
    width, row = binding.width, 0
    while True:
        lines.start_row()
        try:
            cells = next(reader, None)
        except csv.Error:
            cells = []
        if not lines.taken:
            return
        if cells is not None and len(cells) == width:
            row += 1
            cells.append("")
            yield Cells(row, lines.row_line, cells)
        elif any(map(str.strip, lines.taken)):
            row += 1
            lines.give_back_all_but_first()
            yield _repair(row, lines.row_line, lines.taken[0], binding)


class _Lines:
    """Feeds lines to the CSV reader, remembers those of the current row, and takes back those a row swallowed."""

    def __init__(self, source: Iterator[str], skip: int) -> None:
        self._source: Final = source
        self._returned: list[str] = []
        self._line: int = sum(1 for _ in itertools.islice(source, skip))
        self.row_line: int = self._line + 1
        self.taken: list[str] = []

    def start_row(self) -> None:
        self.row_line = self._line + 1
        self.taken = []

    def give_back_all_but_first(self) -> None:
        self._returned.extend(reversed(self.taken[1:]))
        self._line -= len(self.taken) - 1
        self.taken = self.taken[:1]

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= _RECORD_LINES_MAX:
            raise StopIteration
        line = self._returned.pop() if self._returned else next(self._source)
        self._line += 1
        self.taken.append(line)
        return line


def _repair(row: int, row_line: int, line: str, binding: Binding) -> Cells:
    """Split a line with broken quotes; merge surplus cells only into free text whose own quotes are the broken ones.

    A cell with undoubled quotes is taken to end at its first quote before a comma. If the number of cells is then the
    header's, nothing was ambiguous. Otherwise the row is refused rather than shifted.
    """
    cells, broken = _split_broken_line(line.rstrip("\r\n"))
    surplus = len(cells) - binding.width
    text_at = binding.indexes.get(binding.layout.free_text, -1)
    if surplus > 0 and broken == [text_at]:
        merged = ",".join(cells[text_at : text_at + surplus + 1])
        cells = [*cells[:text_at], merged, *cells[text_at + surplus + 1 :]]
        surplus = 0
    fault = f"has {len(cells)} fields where the header has {binding.width}" if surplus else ""
    return Cells(row, row_line, [*cells, ""], fault)


def _split_broken_line(line: str) -> tuple[list[str], list[int]]:
    """Return the cells of one line and the places of those with broken quotes."""
    cells: list[str] = []
    broken: list[int] = []
    at = 0
    while at <= len(line):
        if found := _QUOTED.match(line, at):
            cells.append(found[1].replace('""', '"'))
            at = found.end()
        elif line.startswith('"', at):
            end = line.find('",', at + 1)
            end = len(line) if end < 0 else end + 1
            broken.append(len(cells))
            cells.append(line[at:end].removeprefix('"').removesuffix('"'))
            at = end
        else:
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            cells.append(line[at:end])
            at = end
        at += 1
    return cells, broken


def _refuse_other_forms(raw: Raw, file_name: str) -> None:
    fault, found, action = FileFault.NOT_TEXT, None, "download the CSV export; renaming a file does not convert it"
    with open_raw(raw) as stream:
        head = stream.read(4096)
        blank, binary, longest = _survey(head, stream)
    if blank:
        fault, found, action = FileFault.EMPTY, "an empty file", "download the export again"
    elif _HTML.match(head.removeprefix(codecs.BOM_UTF8)):
        fault, found = FileFault.HTML, "an HTML page"
        action = "log in to the registry and use its download button; a saved or expired page is no export"
    elif head.startswith(_UTF16_MARKS) or head.count(b"\x00") > len(head) // 4:
        fault, found, action = FileFault.ENCODING, "UTF-16 text", 'save it as "CSV UTF-8", or export it again'
    else:
        found = next((name for mark, name in _CONTAINERS if head.startswith(mark)), None)
        if found is None and binary:
            found = "binary data"
        if found is None and longest > _LINE_BYTES_MAX:
            found, action = f"a line of more than {_LINE_BYTES_MAX:,} bytes", "export the file again: rows are lines"
    if found is not None:
        raise FileError(fault, file_name, found=found, expected="a CSV text in UTF-8", action=action)


def _survey(head: bytes, stream: BinaryIO) -> tuple[bool, bool, int]:
    """Return whether there is nothing but blanks, whether there is a zero byte, and how long the longest line is."""
    blank, binary, longest, line, chunk = True, False, 0, 0, head
    while chunk:
        blank, binary = blank and chunk.isspace(), binary or b"\x00" in chunk
        line += len(chunk) if (at := chunk.find(b"\n")) < 0 else at
        longest = max(longest, line)
        line = line if at < 0 else len(chunk) - chunk.rfind(b"\n") - 1
        chunk = stream.read(_CHUNK_BYTES)
    return blank, binary, longest


def _find_encoding(raw: Raw, file_name: str) -> str:
    with open_raw(raw) as stream:
        marked = stream.read(3) == codecs.BOM_UTF8
    for encoding in ("utf-8-sig",) if marked else ("utf-8", "cp1252"):
        if _decodes(raw, encoding):
            return encoding
    raise FileError(
        FileFault.ENCODING,
        file_name,
        found="bytes that are neither UTF-8 nor Windows-1252",
        expected="a CSV text in UTF-8",
        action="export the file again without opening it in another program",
    )


def _decodes(raw: Raw, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with open_raw(raw) as stream:
        try:
            while chunk := stream.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", True)
        except UnicodeDecodeError:
            return False
    return True


def _text(raw: Raw, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_raw(raw), encoding=encoding, newline="")


def _unnamed(heading: str) -> bool:
    return not heading.strip() or heading.startswith("Unnamed: ")
