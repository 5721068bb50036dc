"""The real exports, where they lie beside the repository: every row in one class, sums as the files have them."""

from __future__ import annotations

import pytest

from adapters.exports import EvidenceRow, Extent, UnitRow, UnitStatus
from adapters.registry import FILE_ADAPTERS, parse_file
from adapters.totals import Totals
from keeling.serials import Grain, print_label, print_range
from tests.adapters.exports import read_export

KG = Grain.KG_CO2E
T = Grain.T_CO2E

FILES = [
    ("verra", "verra/transactions.csv", {("units", "active", T): (50, 1_730_799), ("units", "ended", T): (50, 66_011)}),
    ("gold_standard", "gold-standard/issuances.csv", {("units", "active", T): (50, 2_388_803)}),
    (
        "gold_standard",
        "gold-standard/retirements.csv",
        {("units", "retired", T): (46, 311_293), ("units", "cancelled", T): (4, 649_481)},
    ),
    ("acr", "american-carbon-registry/issuances.csv", {("evidence", "issuance", T): (50, 4_634_768)}),
    ("acr", "american-carbon-registry/retirements.csv", {("units", "retired", T): (50, 109_771)}),
    (
        "acr",
        "american-carbon-registry/cancellations.csv",
        {("units", "converted", T): (23, 1_643_833), ("units", "cancelled", T): (2, 12_893)},
    ),
    ("car", "climate-action-reserve/issuances.csv", {("evidence", "issuance", T): (50, 5_459_482)}),
    ("car", "climate-action-reserve/retirements.csv", {("units", "retired", T): (50, 852_368)}),
    ("car", "climate-action-reserve/cancellations.csv", {("units", "converted", T): (25, 2_648_313)}),
    ("art", "art-trees/issuances.csv", {("evidence", "issuance", T): (6, 21_706_790)}),
    ("art", "art-trees/retirements.csv", {("units", "retired", T): (4, 194_207)}),
    ("art", "art-trees/cancellations.csv", {("units", "cancelled", T): (2, 36_000)}),
    (
        "cercarbono",
        "cercarbono/issuances.csv",
        {("units", "active", T): (29, 711_416), ("units", "buffer", T): (21, 261_771)},
    ),
    ("cercarbono", "cercarbono/retirements.csv", {("units", "retired", T): (50, 284_583)}),
    ("isometric", "isometric/issuances.csv", {("units", "active", KG): (50, 36_681_380)}),
    ("isometric", "isometric/retirements.csv", {("evidence", "retirement", KG): (50, 6_208_448)}),
    ("arb", "arb/nc-arboc_issuance_sheet3.csv", {("evidence", "issuance", T): (50, 3_633_285)}),
]


def records_of(registry: str, path: str) -> list[UnitRow | EvidenceRow]:
    records = list(parse_file(registry, read_export(path), file_name=path).rows())
    return [record for record in records if isinstance(record, UnitRow | EvidenceRow)]


@pytest.mark.parametrize(("registry", "path", "expected"), FILES, ids=[path for _, path, _ in FILES])
def test_every_row_is_in_one_class_and_the_sums_are_the_files(
    registry: str, path: str, expected: dict[tuple[str, str, Grain], tuple[int, int]]
) -> None:
    parsed = parse_file(registry, read_export(path), file_name=path)
    totals = Totals(parsed.rows())
    assert {key: each[:2] for key, each in totals.sums.items()} == expected
    assert parsed.notes == ()


@pytest.mark.parametrize(("registry", "path"), [row[:2] for row in FILES], ids=[path for _, path, _ in FILES])
def test_every_serial_prints_as_the_registry_wrote_it(registry: str, path: str) -> None:
    raw = read_export(path).decode("utf-8")
    for record in records_of(registry, path):
        if isinstance(record, UnitRow) and record.serials.scheme != "opaque":
            assert print_label(record.serials) in raw
            assert print_range(record.serials).startswith(record.serials.prefix)


def test_106_issuances_without_serials_and_156_blocks_with() -> None:
    records = [record for name, path, _ in FILES if name in ("acr", "car", "art") for record in records_of(name, path)]
    assert sum(isinstance(record, EvidenceRow) for record in records) == 106
    assert sum(isinstance(record, UnitRow) for record in records) == 156
    conversions = [record for record in records if isinstance(record, UnitRow) and record.twin]
    assert {record.status for record in conversions} == {UnitStatus.CONVERTED}
    assert {record.twin.destination for record in conversions if record.twin} == {"arb", "wa_ecology"}
    buffer = sum(record.buffer_units for record in records_of("art", "art-trees/issuances.csv"))
    assert buffer == 1_307_766


def test_gold_standard_cancellations_have_no_date_and_two_seem_to_have_moved() -> None:
    rows = [record for record in records_of("gold_standard", "gold-standard/retirements.csv") if record.units]
    cancelled = [row for row in rows if isinstance(row, UnitRow) and row.status is UnitStatus.CANCELLED]
    assert [row.effective for row in cancelled] == [None] * 4
    moved = [row for row in cancelled if row.twin]
    assert (len(moved), sum(row.units for row in moved)) == (2, 479_359)
    assert {row.twin.destination for row in moved if row.twin} == {"Zimbabwe Carbon Registry"}
    pairs = [
        record.units
        for record in records_of("gold_standard", "gold-standard/issuances.csv")
        if isinstance(record, UnitRow) and record.serials.scheme == "gs_cer_pair"
    ]
    assert pairs == [3_657, 133]


def test_cercarbono_starts_at_0_or_at_1_and_vintages_are_spans() -> None:
    issued = [each for each in records_of("cercarbono", "cercarbono/issuances.csv") if isinstance(each, UnitRow)]
    ended = [each for each in records_of("cercarbono", "cercarbono/retirements.csv") if isinstance(each, UnitRow)]
    assert all(not row.batch.first_known and row.batch.extent is Extent.EXACT for row in issued)
    units_of_space = {row.serials.space: row.units for row in issued}
    from_zero = [row for row in ended if row.serials.first == 0]
    assert [row.units for row in from_zero] == [units_of_space[row.serials.space] for row in from_zero]
    assert sorted(row.units for row in from_zero) == [9_516, 15_245]
    assert sum(row.serials.space not in units_of_space for row in ended) == 7
    spans = [row for row in issued if row.batch.vintage and row.batch.vintage.first.year != row.batch.vintage.last.year]
    assert len(spans) == 10


def test_isometric_counts_kilograms() -> None:
    issued = records_of("isometric", "isometric/issuances.csv")
    assert sum(record.buffer_units for record in issued) == 1_258_111
    retired = records_of("isometric", "isometric/retirements.csv")
    assert min(record.units or 0 for record in retired) == 2
    assert {record.grain for record in [*issued, *retired]} == {KG}


def test_arb_has_a_period_without_a_quantity() -> None:
    records = list(parse_file("arb", read_export("arb/nc-arboc_issuance_sheet3.csv"), file_name="arb.csv").rows())
    assert Totals(records).of("evidence").rows_without_units == 1
    assert all(isinstance(record, EvidenceRow) for record in records)


def test_every_adapter_of_a_real_export_is_tested() -> None:
    assert {name for name, _, _ in FILES} | {"cdop", "cadt"} == set(FILE_ADAPTERS)
