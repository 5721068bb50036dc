"""Isometric's lists: kilograms without serials, some of them in the buffer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.exports import EvidenceKind, EvidenceRow, RefusedRow, RowFault, UnitRow, UnitStatus
from adapters.registry import parse_file
from keeling.serials import Grain
from tests.adapters.exports import SAMPLES, check_outcome, read_sample

ISSUED = (SAMPLES / "isometric-issuances.csv").read_bytes()


def test_an_issuance_becomes_opaque_kilograms_the_last_of_them_in_the_buffer() -> None:
    (row,) = read_sample("isometric", "isometric-issuances.csv")
    assert isinstance(row, UnitRow)
    assert (row.units, row.grain, row.buffer_units, row.status) == (2_765_370, Grain.KG_CO2E, 55_308, UnitStatus.ACTIVE)
    assert (row.serials.scheme, row.serials.first, row.batch.vintage, row.batch.host) == ("opaque", 0, None, "USA")


def test_a_retirement_is_evidence_down_to_the_kilogram() -> None:
    (row,) = read_sample("isometric", "isometric-retirements.csv")
    assert isinstance(row, EvidenceRow)
    assert (row.kind, row.units, row.grain) == (EvidenceKind.RETIREMENT, 4, Grain.KG_CO2E)
    assert (row.beneficiary, row.reason) == ("Example Software", "public_environmental_claims, corporate_targets")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"2765.37,", b"2765.371,", RowFault.QUANTITY_DISAGREES),
        (b"2710062", b"2710063", RowFault.CONTRADICTION),
        (b"55.308,55308", b"55.308,", RowFault.MISSING),
        (b"iss_1KP6EDZ8K1S0EXMP", b"1KP6", RowFault.MISSING),
        (b"2026-04-14T", b"14.04.2026 ", RowFault.BAD_DATE),
    ],
)
def test_refusals(old: bytes, new: bytes, fault: RowFault) -> None:
    (row,) = parse_file("isometric", ISSUED.replace(old, new, 1), file_name="a.csv").rows()
    assert isinstance(row, RefusedRow)
    assert (row.fault, row.grain) == (fault, Grain.KG_CO2E)


@given(st.text(max_size=200))
def test_any_text_behind_the_header(text: str) -> None:
    check_outcome("isometric", ISSUED.splitlines(keepends=True)[0] + text.encode("utf-8", "replace"))
