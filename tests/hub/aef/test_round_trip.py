"""A report written and read again is the same report, in every format; what is no report is refused in words."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from hub.aef.build import build_report
from hub.aef.layout import ACTIONS, EARLIER, SHEETS, Report, Sheet
from hub.aef.read import AefError, parse_report
from hub.aef.write import FORMATS, format_csv, format_json, format_xlsx
from tests.hub.aef.samples import busy_world, hand_written, picture_of

CELLS = st.one_of(
    st.sampled_from(
        ["", "NA", "0", "1", "2023", "12345678901234567890", "GHA", "007", "1.0", "a;b", 'say "x", y', "=1+1", " NA "]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co")), max_size=12),
)


def rows(sheet: Sheet) -> st.SearchStrategy[tuple[str, ...]]:
    """Rows that are not empty: their first cell says something."""
    first = st.sampled_from(["GHA", "x", "2025-03-14T09:00:00.000Z"])
    return st.tuples(first, *[CELLS for _ in sheet.columns[1:]])


REPORTS = st.builds(
    Report,
    st.just(hand_written().edition),
    rows(SHEETS[0]).map(lambda row: tuple(text.strip() for text in row)),
    *[st.lists(rows(sheet), max_size=3).map(tuple) for sheet in SHEETS[1:]],
)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("party", ["GHA", "CHE", "SWE"])
def test_a_report_of_the_ledger_comes_back(name: str, party: str) -> None:
    report = build_report(picture_of(busy_world()), party, 2025)
    assert parse_report(FORMATS[name](report)) == report


@pytest.mark.parametrize("name", FORMATS)
def test_the_earlier_template_is_known_by_its_identifiers(name: str) -> None:
    report = build_report(picture_of(busy_world()), "GHA", 2025, edition=EARLIER)
    assert parse_report(FORMATS[name](report)) == report


@settings(max_examples=40, deadline=None)
@given(REPORTS)
def test_any_cells_come_back(report: Report) -> None:
    assert parse_report(format_json(report)) == report
    again = parse_report(format_csv(report))
    assert again._replace(edition=report.edition) == report
    book = parse_report(format_xlsx(report))
    assert book._replace(edition=report.edition) == report


def test_a_workbook_carries_no_dates_and_its_numbers_are_numbers() -> None:
    data = format_xlsx(hand_written())
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        assert {info.date_time for info in parts.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert parts.namelist() == sorted(parts.namelist())
        assert b"1980-01-01T00:00:00Z" in parts.read("docProps/core.xml")
    page = load_workbook(io.BytesIO(data))["Table 3 Actions"]
    labels = [cell.value for cell in page[1]]
    assert labels == [column.label for column in ACTIONS.columns]
    assert page.cell(2, labels.index("First ID") + 1).value == 1
    assert page.cell(2, labels.index("Acquiring participating Party ID") + 1).value == "NA"
    assert page.cell(2, labels.index("Result of the consistency checks") + 1).value is None


def test_labels_are_found_in_any_case_below_a_heading_and_between_blank_columns() -> None:
    report = hand_written()
    book = Workbook()
    book.remove(book.worksheets[0])
    for sheet in SHEETS:
        page = book.create_sheet(sheet.title.upper())
        page.append(["Agreed electronic format"])
        labels = [column.label.lower() for column in sheet.columns]
        if sheet.down:
            for label, text in zip(labels, report.submission, strict=True):
                page.append([None, label, None, text or None])
            continue
        page.append([])
        page.append([labels[0], None, *labels[1:]])
        for row in report.rows(sheet):
            page.append([row[0] or None, None, *[text or None for text in row[1:]]])
    out = io.BytesIO()
    book.save(out)
    assert parse_report(out.getvalue()) == report


NO_REPORTS = [
    (b"", "'Table 1 Submission' is missing; found none of them"),
    (b"\xff\xfe\x00", "neither a workbook nor UTF-8 text"),
    (b"{", "not JSON"),
    (b'{"keeling": "aef", "edition": "1999"}', "no report of edition 2026-02 or 2024: found '1999'"),
    (b'{"keeling": "aef", "edition": "2026-02"}', "table1 is missing"),
    (b"PK\x03\x04 no archive", "not a workbook that can be read"),
    (b"Table 1 Submission\r\nParty,GHA\r\n", "'Table 2 Authorizations' is missing; found Table 1 Submission"),
    (format_csv(hand_written()).replace(b"Vintage", b"Year"), "no column 'Vintage'"),
    (format_csv(hand_written()).replace(b"Reported year", b"Year"), "no field 'Reported year'"),
    (format_json(hand_written()).replace(b'"Vintage": "2023"', b'"Vintage": 2023'), "every cell is a text or null"),
]


@pytest.mark.parametrize(("data", "said"), NO_REPORTS, ids=[said for _, said in NO_REPORTS])
def test_what_is_no_report_is_refused_in_words(data: bytes, said: str) -> None:
    with pytest.raises(AefError, match="^" + ".*" + said.replace("(", r"\(")):
        parse_report(data)
