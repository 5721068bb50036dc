"""Cercarbono's lists: sizes without numbers, numbers in columns of their own, kilograms, what is not public."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.exports import Extent, Period, RefusedRow, RowFault, UnitRow, UnitStatus
from adapters.registry import parse_file
from keeling.serials import print_label
from tests.adapters.exports import SAMPLES, check_outcome, read_sample

RETIRED = (SAMPLES / "cercarbono-retirements.csv").read_bytes()


def test_an_issuance_has_a_size_and_no_known_first_number() -> None:
    free, buffer = read_sample("cercarbono", "cercarbono-issuances.csv")
    assert isinstance(free, UnitRow)
    assert isinstance(buffer, UnitRow)
    assert (free.units, free.batch.extent, free.batch.first_known) == (9516, Extent.EXACT, False)
    assert (free.batch.project, free.batch.host) == ("902", "")
    assert free.batch.vintage == Period(date(2011, 8, 22), date(2018, 12, 28))
    assert [label.name for label in free.labels] == ["eligible:icc", "eligible:cv"]
    assert (buffer.status, buffer.batch.host) == (UnitStatus.BUFFER, "COL")


def test_a_retirement_has_its_numbers_in_other_columns_and_may_start_at_zero() -> None:
    zero, other = read_sample("cercarbono", "cercarbono-retirements.csv")
    assert isinstance(zero, UnitRow)
    assert isinstance(other, UnitRow)
    assert (zero.serials.first, zero.serials.last, zero.units) == (0, 9515, 9516)
    assert print_label(zero.serials) == "CDC_902_1_1_321_14_1"
    assert (zero.beneficiary, zero.note) == ("", "passive subject: EXAMPLE FUELS S.A.")
    assert (other.beneficiary, other.note, other.batch.vintage_exact) == ("Example S.A.S", "", False)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b",0,9515,", b",0,9516,", RowFault.QUANTITY_DISAGREES),
        (b",0,9515,", b",9515,0,", RowFault.END_BEFORE_START),
        (b",0,9515,", b",-1,9514,", RowFault.BAD_QUANTITY),
        (b"CDC_902_1_1_321_14_1,", b"CDC-902,", RowFault.BAD_SERIAL),
        (b"CDC_902_1_1_321_14_1,", b"CDC_902_1_1_321_14_1#0-9515,", RowFault.BAD_SERIAL),
        (b"CDC_902_1_1_321_14_1,", b",", RowFault.MISSING),
        (b",2012,", b",soon,", RowFault.BAD_DATE),
    ],
)
def test_refusals(old: bytes, new: bytes, fault: RowFault) -> None:
    first = next(parse_file("cercarbono", RETIRED.replace(old, new, 1), file_name="a.csv").rows())
    assert isinstance(first, RefusedRow)
    assert first.fault is fault


def test_a_retirement_in_kilograms_is_refused() -> None:
    raw = RETIRED.replace(b",industry\n", b",is_kg\n").replace(b",Not defined\n", b",True\n")
    assert all(
        isinstance(record, RefusedRow) and "in kilograms" in record.message
        for record in parse_file("cercarbono", raw, file_name="a.csv").rows()
    )


@given(st.text(max_size=200))
def test_any_text_behind_the_header(text: str) -> None:
    check_outcome("cercarbono", RETIRED.splitlines(keepends=True)[0] + text.encode("utf-8", "replace"))
