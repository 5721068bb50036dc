"""Verra's export: all that a row says, old forms of dates and quantities, labels in any spelling."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.exports import (
    Answer,
    DuplicateRow,
    Label,
    Period,
    Precision,
    Record,
    RefusedRow,
    RowFault,
    UnitRow,
    UnitStatus,
)
from adapters.registry import parse_file
from adapters.totals import Totals
from tests.adapters.exports import SAMPLES, check_outcome, read_export

SAMPLE = (SAMPLES / "verra-transactions.csv").read_bytes()
ROWS = list(csv.reader(io.StringIO(SAMPLE.decode())))


def read(raw: bytes) -> list[Record]:
    return list(parse_file("verra", raw, file_name="vcus.csv").rows())


def sheet(*rows: dict[str, str]) -> bytes:
    """Return a file of the sample's first row, once for each dict, with the dict's columns changed."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ROWS[0])
    writer.writeheader()
    for changed in rows:
        writer.writerow(dict(zip(ROWS[0], ROWS[1], strict=True)) | changed)
    return out.getvalue().encode()


def test_the_real_export_adds_up() -> None:
    records = read(read_export("verra/transactions.csv"))
    totals = Totals(records)
    assert totals.rows == 100
    assert totals.of("units", "active")[:2] == (50, 1_730_799)
    assert totals.of("units", "ended")[:2] == (50, 66_011)
    assert totals.of("units")[:2] == (100, 1_796_810)
    batches = {record.batch.key for record in records if isinstance(record, UnitRow)}
    assert len(batches) == 63


def test_a_batch_of_many_blocks_in_the_real_export() -> None:
    blocks = [
        record.serials
        for record in read(read_export("verra/transactions.csv"))
        if isinstance(record, UnitRow) and record.batch.key == "verra:19298"
    ]
    seen = sum(block.units for block in blocks)
    span = max(block.last for block in blocks) - min(block.first for block in blocks) + 1
    assert (len(blocks), seen, span - seen) == (28, 346, 1_099)


def test_a_row_says_everything_it_knows() -> None:
    active, ended = (record for record in read(SAMPLE)[:2])
    assert isinstance(active, UnitRow)
    assert isinstance(ended, UnitRow)
    assert (active.status, active.units, active.batch.key, active.batch.project) == (
        UnitStatus.ACTIVE,
        1_200,
        "verra:29001",
        "9101",
    )
    assert active.batch.vintage == Period(date(2024, 10, 1), date(2024, 12, 31))
    assert active.batch.host == "RWA"
    assert active.effective is None
    assert (ended.status, ended.beneficiary, ended.holder) == (UnitStatus.ENDED, "Example Airline", "")
    assert ended.effective is not None
    assert ended.effective == (datetime(2026, 3, 20, tzinfo=UTC), Precision.DATE)
    assert ended.labels == (
        Label("article6:imp", Answer.YES),
        Label("article6:ndc", Answer.YES),
        Label("corsia:first", Answer.YES),
    )
    assert (ended.source.row, ended.source.line) == (2, 3)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"Quantity Issued": "1,2,00"}, RowFault.BAD_QUANTITY),
        ({"Quantity Issued": "1200.5"}, RowFault.BAD_QUANTITY),
        ({"Serial Number": ""}, RowFault.MISSING),
        ({"Serial Number": "GS1-1-KE-GS11603-16-2025-30256-110-1309"}, RowFault.BAD_SERIAL),
        ({"Serial Number": ROWS[1][11].replace("1139000001", "1139009999")}, RowFault.END_BEFORE_START),
        ({"Quantity Issued": "1,201"}, RowFault.QUANTITY_DISAGREES),
        ({"ID": "9102"}, RowFault.CONTRADICTION),
        ({"Vintage End": "2024-11-30"}, RowFault.CONTRADICTION),
        ({"Vintage Start": "2025-01-31"}, RowFault.CONTRADICTION),
        ({"Serial Number": ROWS[1][11].replace("01102024", "32102024")}, RowFault.BAD_SERIAL),
        ({"Issuance Date": "soon"}, RowFault.BAD_DATE),
        ({"Retirement/Cancellation Date": "31/31/2026"}, RowFault.BAD_DATE),
    ],
)
def test_a_wrong_row_is_refused_by_number_and_the_others_stay(changed: dict[str, str], fault: RowFault) -> None:
    good = {"Serial Number": ROWS[2][11], "Quantity Issued": ROWS[2][10]}
    refused, taken = read(sheet(changed, good))
    assert isinstance(taken, UnitRow)
    assert isinstance(refused, RefusedRow)
    assert (refused.fault, refused.source.row) == (fault, 1)
    assert str(refused).startswith("row 1 (line 2): ")


def test_the_same_units_twice() -> None:
    serial = ROWS[1][11]
    part = serial.replace("1139001200", "1139000100")
    first, again, ended, overlap = read(
        sheet(
            {},
            {},
            {"Retirement/Cancellation Date": "2026-04-01"},
            {"Serial Number": part, "Quantity Issued": "100"},
        )
    )
    assert isinstance(first, UnitRow)
    assert isinstance(again, DuplicateRow)
    assert again.of_row == 1
    assert isinstance(ended, RefusedRow)
    assert isinstance(overlap, RefusedRow)
    assert ended.fault is overlap.fault is RowFault.OVERLAP
    assert "overlap 1139000001 to 1139001200 of row 1" in overlap.message


def test_old_dates_and_old_quantities_read_the_same() -> None:
    (new,) = read(sheet({"Issuance Date": "2026-04-03"}))
    (old,) = read(sheet({"Issuance Date": "03/04/2026", "Vintage Start": "01/10/2024", "Vintage End": "31/12/2024"}))
    assert isinstance(new, UnitRow)
    assert isinstance(old, UnitRow)
    assert new.batch == old.batch


def test_an_address_of_a_person_leaves_no_trace() -> None:
    (with_address,) = read(sheet({"Retirement Details": "ask jane.doe@example.org please"}))
    (other_address,) = read(sheet({"Retirement Details": "ask j@x.example please"}))
    assert isinstance(with_address, UnitRow)
    assert "@" not in with_address.note
    assert with_address.source.digest == other_address.source.digest


def test_any_order_of_dashes_and_spaces_is_one_label() -> None:
    texts = ["Article 6 Authorized – NDC Use", "article 6  authorized - ndc use", "Article 6 Authorized — NDC Use"]
    for text in texts:
        (row,) = read(sheet({"Additional Certifications": text}))
        assert isinstance(row, UnitRow)
        assert row.labels == (Label("article6:ndc", Answer.YES),)


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: SAMPLE + text.encode("utf-8", "replace")))
def test_any_bytes_give_records_or_one_readable_line(raw: bytes) -> None:
    check_outcome("verra", raw)


@given(
    st.dictionaries(
        st.sampled_from(ROWS[0]),
        st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=80),
        max_size=5,
    )
)
def test_any_cells_end_in_exactly_one_class(changed: dict[str, str]) -> None:
    records = read(sheet(changed, {}))
    assert Totals(records).rows == len(records) == 2
