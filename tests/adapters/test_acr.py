"""ACR's exports: blocks with serials, issuances as evidence, conversions, and what is said of vintage and labels."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.exports import Amount, Answer, EvidenceRow, Label, Period, Precision, UnitRow, UnitStatus
from adapters.registry import parse_file
from tests.adapters.exports import SAMPLES, check_outcome, read_sample


def test_issuances_are_evidence() -> None:
    (row,) = read_sample("acr", "acr-issuances.csv")
    assert isinstance(row, EvidenceRow)
    assert (row.units, row.buffer_units, row.project, row.reference, row.host) == (
        3989,
        768,
        "985",
        "acr:985-2026",
        "USA",
    )
    assert row.amounts == (Amount("to-project", 3221), Amount("to-buffer", 768), Amount("transferred-to-buffer", 0))
    assert row.effective == (datetime(2026, 3, 24, 0, 8, 1, tzinfo=UTC), Precision.INSTANT)


def test_one_project_under_two_spellings_is_one_batch_and_the_holder_is_no_beneficiary() -> None:
    padded, plain = read_sample("acr", "acr-retirements.csv")
    assert isinstance(padded, UnitRow)
    assert isinstance(plain, UnitRow)
    assert padded.batch == plain.batch
    assert (padded.holder, padded.beneficiary, plain.beneficiary) == ("Example Broker", "", "Example Buyer")
    assert padded.effective == (datetime(2026, 4, 13, 12, 17, 56, tzinfo=UTC), Precision.INSTANT)
    assert plain.effective == (datetime(2026, 4, 13, 0, 17, 57, tzinfo=UTC), Precision.INSTANT)


def test_what_is_not_said_is_no_label_and_what_is_denied_is_a_no() -> None:
    row, _ = read_sample("acr", "acr-retirements.csv")
    assert isinstance(row, UnitRow)
    assert row.labels == (
        Label("eligible:arb", Answer.NO),
        Label("eligible:wa-ecology", Answer.NO),
        Label("corsia", Answer.NO),
        Label("corsia:first", Answer.YES),
        Label("ccp", Answer.YES),
    )


@pytest.mark.parametrize(
    ("stated", "vintage"),
    [
        (b"2/7/2025,3/19/2025", Period(date(2025, 2, 7), date(2025, 3, 19))),
        (b",", Period(date(2025, 1, 1), date(2025, 12, 31))),
        (b"2/7/2025,", Period(date(2025, 1, 1), date(2025, 12, 31))),
        (b"2/7/2024,3/19/2025", Period(date(2025, 1, 1), date(2025, 12, 31))),
    ],
)
def test_a_vintage_is_the_days_assigned_within_its_year(stated: bytes, vintage: Period) -> None:
    raw = (SAMPLES / "acr-retirements.csv").read_bytes().replace(b"2/7/2025,3/19/2025", stated, 1)
    first = next(parse_file("acr", raw, file_name="a.csv").rows())
    assert isinstance(first, UnitRow)
    assert first.batch.vintage == vintage


def test_conversions_are_not_destroyed() -> None:
    ecology, arb, removed = read_sample("acr", "acr-cancellations.csv")
    assert isinstance(ecology, UnitRow)
    assert isinstance(arb, UnitRow)
    assert isinstance(removed, UnitRow)
    assert (ecology.status, arb.status, removed.status) == (
        UnitStatus.CONVERTED,
        UnitStatus.CONVERTED,
        UnitStatus.CANCELLED,
    )
    assert ecology.twin is not None
    assert arb.twin is not None
    assert (ecology.twin.destination, arb.twin.destination, removed.twin) == ("wa_ecology", "arb", None)
    assert (removed.reason, removed.note) == ("Removal of credits from the registry", "Premature issuance")


def test_a_heading_with_one_space_or_two_is_one() -> None:
    raw = (SAMPLES / "acr-cancellations.csv").read_bytes().replace(b"Effective  (GMT)", b"Effective (GMT)")
    parsed = parse_file("acr", raw, file_name="a.csv")
    assert parsed.notes == ()
    assert list(parsed.rows()) == read_sample("acr", "acr-cancellations.csv")


@given(st.text(max_size=200))
def test_any_text_behind_the_header(text: str) -> None:
    header = (SAMPLES / "acr-retirements.csv").read_bytes().splitlines(keepends=True)[0]
    check_outcome("acr", header + text.encode("utf-8", "replace"))
