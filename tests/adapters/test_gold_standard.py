"""Gold Standard's exports: pairs of CERs, planned units, and cancellations of two kinds without a date."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from adapters.exports import Answer, Label, Period, RefusedRow, RowFault, TwinProposal, UnitRow, UnitStatus
from adapters.registry import parse_file
from tests.adapters.exports import SAMPLES, check_outcome, read_sample

ISSUED = (SAMPLES / "gold-standard-issuances.csv").read_bytes()
RETIRED = (SAMPLES / "gold-standard-retirements.csv").read_bytes()


def test_issuances() -> None:
    own, cer, planned = read_sample("gold_standard", "gold-standard-issuances.csv")
    assert isinstance(own, UnitRow)
    assert isinstance(cer, UnitRow)
    assert isinstance(planned, UnitRow)
    assert (own.status, own.units, own.batch.key) == (UnitStatus.ACTIVE, 1500, "gold_standard:99001-16-2024-50001")
    assert own.batch.host == "KEN"
    assert own.labels == (
        Label("ccp", Answer.YES),
        Label("kind:reduction", Answer.YES),
        Label("article6", Answer.NOT_APPLICABLE),
        Label("product:ver", Answer.YES),
    )
    assert (cer.units, cer.serials.space, cer.batch.key) == (3657, "cer:RW", "cer:RW-7999-2-2-2019")
    assert (cer.batch.programme, cer.batch.project) == ("CDM", "99002")
    assert {label.name for label in planned.labels} == {"kind:removal", "product:per", "ex-ante", "assigned"}


def test_retirements_and_the_cancellations_among_them() -> None:
    retired, destroyed, moved = read_sample("gold_standard", "gold-standard-retirements.csv")
    assert isinstance(retired, UnitRow)
    assert isinstance(destroyed, UnitRow)
    assert isinstance(moved, UnitRow)
    assert (retired.status, retired.units, retired.beneficiary) == (UnitStatus.RETIRED, 91, "Example GmbH")
    assert retired.effective is not None
    assert retired.effective.at.date() == date(2026, 4, 10)
    assert retired.batch.vintage == Period(date(2025, 1, 1), date(2025, 12, 31))
    assert (destroyed.status, destroyed.effective, destroyed.twin) == (UnitStatus.CANCELLED, None, None)
    assert moved.status is UnitStatus.CANCELLED
    assert moved.twin == TwinProposal("Zimbabwe Carbon Registry", "Transferred to Zimbabwe Carbon Registry")
    assert (destroyed.source.row, destroyed.source.line) == (2, 5)


def test_refusals() -> None:
    for old, new, fault in [
        (b",Issued,", b",Frozen,", RowFault.BAD_STATUS),
        (b"GS99001-16-2024", b"GS99009-16-2024", RowFault.CONTRADICTION),
        (b"-16-2024-", b"-16-2023-", RowFault.CONTRADICTION),
        (b"-50001-1-1500", b"-50001-1-1499", RowFault.QUANTITY_DISAGREES),
        (b"GS1-1-KE", b"XX1-1-KE", RowFault.BAD_SERIAL),
    ]:
        first = next(parse_file("gold_standard", ISSUED.replace(old, new, 1), file_name="a.csv").rows())
        assert isinstance(first, RefusedRow)
        assert first.fault is fault
    dated = next(parse_file("gold_standard", RETIRED.replace(b",Retired,", b",Issued,"), file_name="a.csv").rows())
    assert isinstance(dated, RefusedRow)
    assert dated.fault is RowFault.CONTRADICTION


@given(st.text(max_size=200))
def test_any_text_behind_the_header(text: str) -> None:
    check_outcome("gold_standard", RETIRED.splitlines(keepends=True)[0] + text.encode("utf-8", "replace"))
