"""ART's exports: sovereign programmes of two standards, a buffer beside the credits, and how units end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.exports import Amount, EvidenceRow, UnitRow, UnitStatus
from tests.adapters.exports import SAMPLES, check_outcome, read_sample


def test_the_buffer_is_beside_the_credits() -> None:
    (row,) = read_sample("art", "art-issuances.csv")
    assert isinstance(row, EvidenceRow)
    assert (row.units, row.buffer_units, row.amounts) == (1000, 100, (Amount("buffer", 100), Amount("total", 1100)))


def test_both_standards_and_both_ends() -> None:
    (retired,) = read_sample("art", "art-retirements.csv")
    (cancelled,) = read_sample("art", "art-cancellations.csv")
    assert isinstance(retired, UnitRow)
    assert isinstance(cancelled, UnitRow)
    assert (retired.status, retired.batch.key, retired.batch.host) == (
        UnitStatus.RETIRED,
        "art:FCPF-CI-930-2023-20",
        "CIV",
    )
    assert (retired.beneficiary, retired.labels) == ("Example Fashion", ())
    assert (cancelled.status, cancelled.units, cancelled.reason) == (UnitStatus.CANCELLED, 1000, "CORSIA Compliance")
    assert [label.name for label in cancelled.labels] == ["corsia", "corsia:pilot", "corsia:first"]


@given(st.text(max_size=200))
def test_any_text_behind_the_header(text: str) -> None:
    header = (SAMPLES / "art-cancellations.csv").read_bytes().splitlines(keepends=True)[0]
    check_outcome("art", header + text.encode("utf-8", "replace"))
