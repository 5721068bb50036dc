"""CAR's exports: Windows-1252, undoubled quotes, American dates, and cancellations that are conversions."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from adapters.exports import Amount, Answer, EvidenceRow, Label, Precision, RefusedRow, RowFault, UnitRow, UnitStatus
from adapters.registry import parse_file
from tests.adapters.exports import SAMPLES, check_outcome, read_sample


def test_issuances_are_evidence_with_their_parts() -> None:
    (row,) = read_sample("car", "car-issuances.csv")
    assert isinstance(row, EvidenceRow)
    assert (row.units, row.buffer_units, row.project) == (9166, 45, "9264")
    assert row.amounts == (Amount("reserve-buffer", 45), Amount("converted-to-vcu", 12))
    assert Label("corresponding-adjustment", Answer.NO) in row.labels
    assert Label("kind:reduction", Answer.YES) in row.labels
    assert not any(label.name == "ccp" for label in row.labels)


def test_windows_1252_with_undoubled_quotes_loads_and_lists_what_cannot_be_repaired() -> None:
    name = "car-retirements-cp1252.csv"
    parsed = parse_file("car", (SAMPLES / name).read_bytes(), file_name=name)
    assert parsed.encoding == "cp1252"
    assert parsed.notes == (
        "read as Windows-1252, because it is not UTF-8",
        "column 'ICVCM CCP Eligible' read as 'CCP Approved'",
    )
    records = list(parsed.rows())
    notes = {record.source.row: record.note for record in records if isinstance(record, UnitRow)}
    assert notes == {
        1: "Retired for Café Exémple",
        2: 'Retired for "Example Events" in 2025',
        3: 'Retired for "Example, Sons" and "Other, Inc" in 2025',
        6: 'a proper "quote", with a comma',
    }
    refused = [record for record in records if isinstance(record, RefusedRow)]
    assert [str(record) for record in refused] == [
        "row 4 (line 5): has 24 fields where the header has 23",
        "row 5 (line 6): has 22 fields where the header has 23",
    ]
    assert {record.fault for record in refused} == {RowFault.UNREADABLE}


def test_dates_are_american_and_the_beneficiary_is_not_guessed() -> None:
    row = read_sample("car", "car-retirements-cp1252.csv")[0]
    assert isinstance(row, UnitRow)
    assert row.effective == (datetime(2025, 10, 27, tzinfo=UTC), Precision.DATE)
    assert (row.holder, row.beneficiary, row.batch.host, row.batch.issued) == ("Example Broker, LLC", "", "MEX", None)


def test_conversions_exports_and_cancellations() -> None:
    records = [record for record in read_sample("car", "car-cancellations.csv") if isinstance(record, UnitRow)]
    assert [(record.status, record.twin and record.twin.destination) for record in records] == [
        (UnitStatus.CONVERTED, "arb"),
        (UnitStatus.CONVERTED, "wa_ecology"),
        (UnitStatus.CANCELLED, "exported to Verra,\nreissued as VCUs"),
        (UnitStatus.CANCELLED, None),
    ]


@given(st.text(max_size=200))
def test_any_text_behind_the_header(text: str) -> None:
    header = (SAMPLES / "car-retirements-cp1252.csv").read_bytes().splitlines(keepends=True)[0]
    check_outcome("car", header + text.encode("cp1252", "replace"))
