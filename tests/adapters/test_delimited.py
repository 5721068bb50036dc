"""Bytes as registries export them to rows of cells: other forms of file, headers that drift, quotes that break."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.delimited import Column, Layout, bind, nearest_heading, open_table, read_rows
from adapters.exports import FileError, FileFault

LAYOUT = Layout(
    "transfers",
    (
        Column("serial", ("Serial",)),
        Column("quantity", ("Quantity", "Units")),
        Column("details", ("Details",), required=False),
    ),
    free_text="details",
)


def rows_of(raw: bytes) -> list[tuple[int, int, list[str], str]]:
    table = open_table(raw, file_name="a.csv")
    binding, missing = bind(LAYOUT, table.header)
    assert binding is not None, missing
    return [(row, line, cells[:-1], fault) for row, line, cells, fault in read_rows(table, binding)]


@pytest.mark.parametrize(
    ("raw", "fault", "found"),
    [
        (b"", FileFault.EMPTY, "an empty file"),
        (b"\r\n \n", FileFault.EMPTY, "an empty file"),
        (b"PK\x03\x04\x14\x00\x06\x00", FileFault.NOT_TEXT, "a zip container such as an .xlsx workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", FileFault.NOT_TEXT, "an old Excel workbook (.xls)"),
        (b"\x1f\x8b\x08abc", FileFault.NOT_TEXT, "gzip data"),
        (b"Serial,Quantity\n\x00,1", FileFault.NOT_TEXT, "binary data"),
        (b"<!DOCTYPE html>\n<html></html>", FileFault.HTML, "an HTML page"),
        (b"\xef\xbb\xbf  <html lang=en>", FileFault.HTML, "an HTML page"),
        ("Serial,Quantity\n1,2\n".encode("utf-16"), FileFault.ENCODING, "UTF-16 text"),
        ("Serial,Quantity\n1,2\n".encode("utf-16-le"), FileFault.ENCODING, "UTF-16 text"),
        (b"Serial,Quantity\n\x81,\xff\n", FileFault.ENCODING, "bytes that are neither UTF-8 nor Windows-1252"),
        (b"Serial;Quantity\n1;2\n", FileFault.DELIMITER, "columns separated by semicolons"),
        (b"Serial\tQuantity\n1\t2\n", FileFault.DELIMITER, "columns separated by tabs"),
    ],
)
def test_a_file_of_another_form_is_one_line(raw: bytes, fault: FileFault, found: str) -> None:
    with pytest.raises(FileError) as caught:
        open_table(raw, file_name="a.csv")
    assert caught.value.fault is fault
    assert str(caught.value).startswith(f"a.csv: found {found}; expected ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("raw", ["Serial,Quantity\né,1\n".encode(), "\ufeffSerial,Quantity\né,1\n".encode()])
def test_a_byte_order_mark_is_no_part_of_the_header(raw: bytes) -> None:
    assert rows_of(raw) == [(1, 2, ["é", "1"], "")]


def test_windows_1252_is_read() -> None:
    assert open_table("Serial,Quantity\nCafé,1\n".encode("cp1252"), file_name="a.csv").encoding == "cp1252"


@pytest.mark.parametrize(
    "header", ["serial,QUANTITY", "Serial , Quantity", "Serial,Units", "Other,Serial,Quantity", "Quantity,Serial,,"]
)
def test_headings_may_drift(header: str) -> None:
    binding, missing = bind(LAYOUT, header.split(","))
    assert missing == []
    assert binding is not None
    assert binding.at("details") == -1


def test_drift_is_said() -> None:
    binding, _ = bind(LAYOUT, ["Serial", "Units", "Colour", "Unnamed: 3", ""])
    assert binding is not None
    assert binding.notes == ("column 'Units' read as 'Quantity'", "columns not used: 'Colour'")


@given(st.lists(st.text("abc d", min_size=1, max_size=8), max_size=8))
def test_the_nearest_heading_is_the_one_most_alike(header: list[str]) -> None:
    ratios = [difflib.SequenceMatcher(a=" ".join(heading.split()), b="abcd").ratio() for heading in header]
    nearest = nearest_heading(Column("serial", ("abcd",)), header)
    if nearest is None:
        assert max(ratios, default=0) <= 0.5
    else:
        assert ratios[header.index(nearest)] == max(ratios) > 0.5


def test_a_renamed_heading_is_not_looked_for_without_end() -> None:
    wide = [f"Column {number}" for number in range(300)]
    assert nearest_heading(LAYOUT.columns[0], ["Serials", *wide]) == "Serials"
    assert nearest_heading(LAYOUT.columns[0], [*wide, "Serials"]) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a,1,x\nb,2,y\n", [(1, 2, ["a", "1", "x"], ""), (2, 3, ["b", "2", "y"], "")]),
        ("a,1,x\n\n  \nb,2,y", [(1, 2, ["a", "1", "x"], ""), (2, 5, ["b", "2", "y"], "")]),
        ('a,1,"x\ny"\r\nb,2,z', [(1, 2, ["a", "1", "x\ny"], ""), (2, 4, ["b", "2", "z"], "")]),
        ('a,1,"x ""q"", y"\n', [(1, 2, ["a", "1", 'x "q", y'], "")]),
        ('a,1,"x "q" y"\n', [(1, 2, ["a", "1", 'x "q" y'], "")]),
        ('a,1,"x "q, r" y"\n', [(1, 2, ["a", "1", 'x "q, r" y'], "")]),
        ('a,1,"x "q", y"\n', [(1, 2, ["a", "1", 'x "q, y"'], "")]),
        ('"a "q", b",1,x\n', [(1, 2, ['a "q', ' b"', "1", "x"], "has 4 fields where the header has 3")]),
        ("a,1\nb,2,y\n", [(1, 2, ["a", "1"], "has 2 fields where the header has 3"), (2, 3, ["b", "2", "y"], "")]),
        ("a,1,x,z\n", [(1, 2, ["a", "1", "x", "z"], "has 4 fields where the header has 3")]),
        ('a,1,"open\nb,2,y\n', [(1, 2, ["a", "1", "open"], ""), (2, 3, ["b", "2", "y"], "")]),
        (
            'a,"1,open\nb,2,"y"\n',
            [(1, 2, ["a", "1,open"], "has 2 fields where the header has 3"), (2, 3, ["b", "2", "y"], "")],
        ),
    ],
)
def test_rows_and_their_repair(body: str, expected: list[tuple[int, int, list[str], str]]) -> None:
    assert rows_of(b"Serial,Quantity,Details\n" + body.encode()) == expected


def test_an_open_quote_costs_one_row_of_a_thousand() -> None:
    body = "".join(f'{number},1,"x"\n' for number in range(500))
    rows = rows_of(f'Serial,Quantity,Details\n{body}"open,1,x\n{body}'.encode())
    assert len(rows) == 1001
    assert [row for row, _, _, fault in rows if fault] == [501]


def test_an_open_quote_before_rows_without_quotes_costs_one_row_too() -> None:
    body = "".join(f"{number},1,x\n" for number in range(500))
    rows = rows_of(f'Serial,Quantity,Details\n"open,1,x\n{body}'.encode())
    assert [(row, bool(fault)) for row, _, _, fault in rows] == [(1, True), *((row, False) for row in range(2, 502))]


@given(st.text(st.sampled_from('a,"\n\r é'), max_size=60))
def test_lines_are_never_lost_or_read_twice(body: str) -> None:
    rows = rows_of(b"Serial,Quantity,Details\n" + body.encode())
    lines = [line for _, line, _, _ in rows]
    assert lines == sorted(set(lines))
    assert [row for row, _, _, _ in rows] == list(range(1, len(rows) + 1))
    assert bool(rows) == bool(body.strip())
