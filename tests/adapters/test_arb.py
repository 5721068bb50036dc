"""ARB's list of issuances: evidence by the projects they came from, never units of ours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.exports import Amount, EvidenceRow
from tests.adapters.exports import SAMPLES, check_outcome, read_sample


def test_every_row_is_evidence_and_a_missing_quantity_is_not_zero() -> None:
    issued, empty = read_sample("arb", "arb-issuances.csv")
    assert isinstance(issued, EvidenceRow)
    assert isinstance(empty, EvidenceRow)
    assert (issued.units, issued.buffer_units, issued.origin, issued.reference) == (
        147_666,
        28_352,
        "CAR973",
        "CAFR9003-B",
    )
    assert Amount("voluntary", 96) in issued.amounts
    assert (empty.units, empty.vintage, empty.effective, empty.amounts) == (None, None, None, ())


@given(st.text(max_size=200))
def test_any_text_behind_the_header(text: str) -> None:
    header = (SAMPLES / "arb-issuances.csv").read_bytes().splitlines(keepends=True)[0]
    check_outcome("arb", header + text.encode("utf-8", "replace"))
