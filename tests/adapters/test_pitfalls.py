"""What is easily got wrong between registries: each pitfall of the survey by its number, with the tests that hold it.

Rows that say "here" are below, with fixtures of their own; the others are tests of the part that could get it wrong.

     1  200 is not success: test_web.py test_every_status_is_a_value,
        exchange_suite.py test_any_json_as_an_answer_is_a_value_and_never_a_success
     2  no rows may mean a wrong question: test_verra_exchange.py test_an_empty_registry_is_no_answer
     3  unknown filters are ignored: test_cadt_exchange.py test_a_filter_that_is_ignored_is_found_out,
        test_gold_standard_exchange.py test_the_sandbox_sets_the_traps
     4  page sizes clamp or fail: test_gold_standard_exchange.py test_lists_are_read_to_their_end
     5  an unstable order loses rows: test_verra_exchange.py test_long_lists_are_read_project_by_project
     6  totals of the parent on every block: here test_totals_of_the_parent_are_read_by_nobody
     7  a missing scope, a hyphen within: ../keeling/serials/test_verra.py test_the_scope_may_be_absent
     8  one project under several ids: test_acr.py
        test_one_project_under_two_spellings_is_one_batch_and_the_holder_is_no_beneficiary
     9  dialects of CSV: test_car.py
        test_windows_1252_with_undoubled_quotes_loads_and_lists_what_cannot_be_repaired,
        test_delimited.py test_rows_and_their_repair, test_acr.py test_a_heading_with_one_space_or_two_is_one,
        test_fields.py test_dates
    10  cancelled is often converted: test_acr.py test_conversions_are_not_destroyed
    11  one tonne at CAR and at Verra: test_car.py test_conversions_exports_and_cancellations
    12  status is a state and may be undone: here test_a_retirement_that_is_undone_is_recorded_and_frees_nothing,
        exchange_suite.py test_what_was_taken_back_is_said_so
    13  retired and cancelled under one date: test_verra.py test_a_row_says_everything_it_knows
    14  the holder is no beneficiary: test_acr.py
        test_one_project_under_two_spellings_is_one_batch_and_the_holder_is_no_beneficiary
    15  names that are not public: test_cercarbono.py
        test_a_retirement_has_its_numbers_in_other_columns_and_may_start_at_zero
    16  personal data: test_verra.py test_an_address_of_a_person_leaves_no_trace,
        test_verra_exchange.py test_evidence_and_changes_hold_nothing_about_persons
    17  kilograms, grams, watt hours: test_isometric.py test_a_retirement_is_evidence_down_to_the_kilogram,
        test_cercarbono.py test_a_retirement_in_kilograms_is_refused, test_irec_exchange.py test_volumes_are_exact
    18  NA is Namibia: test_fields.py test_countries
    19  buffer, reserve and planned units: here test_what_is_set_aside_or_planned_is_never_to_be_retired,
        here test_planned_units_are_of_a_programme_that_retires_nothing,
        test_verra_rows.py test_units_of_the_buffer_are_no_holding_to_retire
    20  a split changes serials: test_verra_exchange.py test_a_part_retired_splits_the_serial,
        test_isometric_exchange.py test_a_batch_used_in_part_is_split_and_counted_once
    21  ranges are compared, not texts: ../keeling/serials/test_schemes.py test_two_spellings_of_one_unit_overlap
    22  no idempotency: test_puro.py test_a_key_with_another_body_is_not_the_same_instruction,
        ../hub/dispatch/test_decide.py test_nothing_is_ever_sent_that_may_have_been_sent
    23  retirements take their time: ../hub/dispatch/test_dispatch.py
        test_what_is_pending_is_asked_about_until_it_is_decided
    24  proof lags: ../hub/dispatch/test_dispatch.py test_lagging_reads_lead_to_no_second_effect
    25  one site at two registries: here test_one_site_at_two_registries_is_two_batches_side_by_side
    26  one serial under two revisions: here test_a_second_revision_of_a_serial_is_named_and_not_counted,
        here test_a_revision_in_a_later_file_is_the_same_batch
    27  an adjustment is yes, no or not said: test_acr.py test_what_is_not_said_is_no_label_and_what_is_denied_is_a_no,
        test_labels.py test_answers
    28  a count that is not the range's: here test_a_count_that_disagrees_with_its_range_is_refused,
        test_cadt_exchange.py test_a_unit_that_contradicts_itself_is_told_and_not_counted,
        test_cadt_exchange.py test_nothing_can_be_instructed
    29  throttling looks like wrong credentials: ../hub/dispatch/test_dispatch.py
        test_401_after_429_is_more_throttling_and_alone_an_alert
    30  answers depend on headers, so none is kept: here test_no_adapter_keeps_answers,
        test_verra_exchange.py test_the_sandbox_sets_the_traps
    31  ids with + and .: here test_serials_with_plus_and_point_become_names_without
    32  labels drift: test_labels.py test_every_spelling_seen_has_a_name_and_others_are_kept,
        test_verra.py test_any_order_of_dashes_and_spaces_is_one_label
    33  two CCBs and two GCCs: here test_ccb_is_a_label_and_gcc_no_registry
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import pytest

import adapters
from adapters.exports import Record, RefusedRow, RowFault, UnitRow, UnitStatus
from adapters.labels import EX_ANTE, label_name
from adapters.registry import FILE_ADAPTERS, UnknownRegistryError, find_adapter, parse_file
from adapters.totals import Totals
from cli.importing.model import Fate, SourceRow
from keeling.operations import When
from keeling.serials import Grain, SerialError, detect_scheme, find_scheme, parse, print_range
from keeling.units import UnitState
from network.standard_records import PROGRAMMES
from node.core import tables as t
from tests.adapters.exports import SAMPLES, read_sample
from tests.cli.importing.mirror import import_rows, new_ledger, units_in

HERE: Final = Path(__file__)


def edited(name: str, *changes: dict[str, str]) -> bytes:
    """The first row of one of our samples, once for each of the changes."""
    reader = csv.DictReader(io.StringIO((SAMPLES / name).read_text("utf-8"), newline=""))
    first, text = next(reader), io.StringIO(newline="")
    writer = csv.DictWriter(text, reader.fieldnames or ())
    writer.writeheader()
    writer.writerows({**first, **change} for change in changes)
    return text.getvalue().encode("utf-8")


def records(registry: str, raw: bytes) -> list[Record]:
    return list(parse_file(registry, raw, file_name="some file").rows())


def sourced(registry: str, raw: bytes) -> list[SourceRow]:
    return [SourceRow(0, record) for record in records(registry, raw)]


def cadt_unit(serial: str, first: int, last: int, **changed: Any) -> bytes:
    unit = {
        "unitSerialId": serial,
        "unitStartBlock": str(first),
        "unitEndBlock": str(last),
        "unitCount": last - first + 1,
        "unitStatus": "Held",
        "unitVintageYear": 2020,
        "unitMetric": "tCO2e",
    }
    return json.dumps([unit | changed]).encode()


def cdop_unit(serial: str, first: int, last: int) -> bytes:
    unit = {
        "descriptor": [{"metric": "tCO2e"}],
        "reference": [{"serial_number": serial}],
        "status": [{"status": "Active", "is_current": True}],
        "credit_block": [{"quantity": last - first + 1, "block_start": first, "block_end": last}],
    }
    return json.dumps([{"unit": unit, "project": {}, "vintage": {"vintage": "2020-01-01"}}]).encode()


# 6


def test_totals_of_the_parent_are_read_by_nobody() -> None:
    total = {"Total Vintage Quantity": "9,999,999"}
    (row,) = records("verra", edited("verra-transactions.csv", total))
    assert isinstance(row, UnitRow)
    assert row.units == read_sample("verra", "verra-transactions.csv")[0].units


# 12


def test_a_retirement_that_is_undone_is_recorded_and_frees_nothing() -> None:
    """An export shows a state. What it showed as retired and shows as issued a month later is for a person."""
    serial = "GS1-1-KE-GS99001-16-2025-50002-110-200"
    retired = edited("gold-standard-retirements.csv", {})
    undone = {"Vintage": "2025", "Quantity": "91", "Serial Number": serial}
    world = new_ledger()
    import_rows(world, "gold_standard", sourced("gold_standard", retired), as_of="2026-04-30")
    issued = sourced("gold_standard", edited("gold-standard-issuances.csv", undone))
    report = import_rows(world, "gold_standard", issued, as_of="2026-05-31")
    assert report.facts()["rows_by_outcome"]["contradicts"] == 1
    assert units_in(world, "unassigned@gold_standard", UnitState.RETIRED) == 91
    assert units_in(world, "unassigned@gold_standard", UnitState.FREE) == 0
    ((_, row),) = world.state.scan(t.DISCREPANCIES)
    assert (row.registry, row.piece.units) == ("FREE", 91)


# 19

SET_ASIDE: Final = [
    ("CDC_14_2_1_322_14_CO_1_1_2020_BF", 1, 100),
    ("CDC_28_1_11_321_14_R4_1A_CO_1_4_BFC_2020", 1, 100),
    ("CDC_28_1_11_321_14_R4_1A_CO_1_4_BFI_2020", 1, 100),
    ("BCR-CO-902-14-002-R-2001-2012-0000001-0000100", 1, 100),
    ("PV-fPVC-GT-110200000000902-01012020-31122042-101-200-SPG", 101, 200),
]
CREDITS: Final = [
    ("CDC_14_2_1_322_14_CO_1_1_2020", 1, 100),
    ("BCR-CO-902-14-002-2-2001-2012-0000001-0000100", 1, 100),
    ("PV-rPVC-GT-110200000000902-01012020-31122020-101-200-SPG", 101, 200),
]


@pytest.mark.parametrize("serial", SET_ASIDE, ids=lambda each: each[0])
def test_what_is_set_aside_or_planned_is_never_to_be_retired(serial: tuple[str, int, int]) -> None:
    """A format that says "active" of units whose own serial says "reserve" is not believed."""
    for registry, raw in (("cadt", cadt_unit(*serial)), ("cdop", cdop_unit(*serial))):
        (row,) = records(registry, raw)
        assert isinstance(row, RefusedRow), row
        assert (row.fault, "stands for" in row.message) == (RowFault.CONTRADICTION, True)
    (kept,) = records("cadt", cadt_unit(*serial, unitStatus="Buffer", unitStatusDate="2026-03-12"))
    assert isinstance(kept, UnitRow)
    assert kept.status is UnitStatus.BUFFER


@pytest.mark.parametrize("serial", CREDITS, ids=lambda each: each[0])
def test_credits_beside_them_are_active(serial: tuple[str, int, int]) -> None:
    for registry, raw in (("cadt", cadt_unit(*serial)), ("cdop", cdop_unit(*serial))):
        (row,) = records(registry, raw)
        assert isinstance(row, UnitRow), row
        assert row.status is UnitStatus.ACTIVE


def test_planned_units_are_of_a_programme_that_retires_nothing() -> None:
    world, rows = new_ledger(), read_sample("gold_standard", "gold-standard-issuances.csv")
    import_rows(world, "gold_standard", [SourceRow(0, row) for row in rows])
    planned = [row for row in rows if isinstance(row, UnitRow) and EX_ANTE in {label.name for label in row.labels}]
    programmes = {batch.name: batch.programme for _, batch in world.state.scan(t.BATCHES)}
    assert {programmes[row.batch.key] for row in planned} == {"GS-PER"}
    assert [each.programme for each in PROGRAMMES if not each.retirable] == ["GS-PER"]
    buffer = read_sample("cercarbono", "cercarbono-issuances.csv")[1]
    assert isinstance(buffer, UnitRow)
    assert buffer.status is UnitStatus.BUFFER


# 25


@pytest.mark.parametrize(("months", "overlaps"), [("01022025-28022025", True), ("01102024-31122024", False)])
def test_one_site_at_two_registries_is_two_batches_side_by_side(months: str, overlaps: bool) -> None:
    """A landfill that moved from one programme to another, with the same project, numbers and units in both.

    Nothing is merged or taken for a duplicate, and the ledger has both vintages to the day, so that they can be
    compared: periods one after the other are as they should be, one tonne sold twice would show as an overlap.
    """
    acr = {"Credit Serial Numbers": "ACR-US-902-2025-1-1 to 212", "Project ID": "ACR0902"}
    start, end = (date(int(day[4:]), int(day[2:4]), int(day[:2])) for day in months.split("-"))
    verra = {
        "Serial Number": f"1-1-212-VCS-VCU-1491-VER-US-3-902-{months}-0",
        "Quantity Issued": "212",
        "ID": "902",
        "Vintage Start": start.isoformat(),
        "Vintage End": end.isoformat(),
    }
    world = new_ledger()
    for registry, raw in (
        ("acr", edited("acr-retirements.csv", acr)),
        ("verra", edited("verra-transactions.csv", verra)),
    ):
        assert import_rows(world, registry, sourced(registry, raw)).facts()["units_by_outcome"]["new"] == 212
    assert units_in(world, "unassigned@acr", UnitState.RETIRED) == units_in(world, "unassigned@verra", UnitState.FREE)
    assert not list(world.state.scan(t.DISCREPANCIES))
    found = {batch.registry: batch for _, batch in world.state.scan(t.BATCHES)}
    days = {name: (_day(batch.vintage_start), _day(batch.vintage_end)) for name, batch in found.items()}
    assert days == {"acr": (date(2025, 2, 7), date(2025, 3, 19)), "verra": (start, end)}
    assert (days["acr"][0] <= days["verra"][1] and days["verra"][0] <= days["acr"][1]) is overlaps


def _day(when: When) -> date:
    return datetime.fromtimestamp(when.ms / 1000, UTC).date()


# 26


def revision(number: str, units: int = 1000) -> dict[str, str]:
    return {"serial": f"CDC_902_1_1_321_14_{number}_CO_1_2_2019", "issued_quantity": str(units), "year": "2019"}


def test_a_second_revision_of_a_serial_is_named_and_not_counted() -> None:
    name = "cercarbono-issuances.csv"
    rows = records("cercarbono", edited(name, revision("R6_1A"), revision("R7_1A", 1200), revision("R6_1B", 70)))
    first, second, other = rows
    assert isinstance(first, UnitRow)
    assert isinstance(other, UnitRow), "another variant is another part of the issuance"
    assert isinstance(second, RefusedRow)
    assert second.fault is RowFault.OVERLAP
    assert "R7_1A_CO_1_2_2019 is another revision of CDC_902_1_1_321_14_R6_1A" in second.message
    sums = Totals(rows).sums
    assert {key: each[:2] for key, each in sums.items() if key[0] == "units"} == {
        ("units", "active", Grain.T_CO2E): (2, 1070)
    }
    twice = records("cercarbono", edited(name, revision("R6_1A"), revision("R6_1A")))
    assert [type(row).__name__ for row in twice] == ["UnitRow", "DuplicateRow"]


def test_a_revision_in_a_later_file_is_the_same_batch() -> None:
    """A month later the serial stands there as R7: its units are those of R6, whichever file names them."""
    world, name = new_ledger(), "cercarbono-issuances.csv"
    retired = {"serial": revision("R7_1A")["serial"], "vintage": "2019", "quantity": "40", "from": "1", "to": "40"}
    months = [
        edited(name, revision("R6_1A")),
        edited(name, revision("R7_1A")),
        edited("cercarbono-retirements.csv", retired),
    ]
    fates = [import_rows(world, "cercarbono", sourced("cercarbono", raw)).lines[0][1].fate for raw in months]
    assert fates == [Fate.NEW, Fate.KNOWN, Fate.CHANGED]
    ((_, batch),) = world.state.scan(t.BATCHES)
    assert (batch.exact, batch.high - batch.low + 1, batch.seen) == (True, 1000, 1000)
    assert units_in(world, "unassigned@cercarbono", UnitState.RETIRED) == 40
    ((_, told),) = import_rows(world, "cercarbono", sourced("cercarbono", edited(name, revision("R8_1A", 900)))).lines
    assert (told.reason, told.detail) == (
        "CONTRADICTION",
        "the row shows an issuance of 1 to 900, which was shown as 1 to 1000",
    )


# 28


@pytest.mark.parametrize(
    ("serial", "first", "last", "changed", "fault"),
    [
        # both examples of the two editions of the data model, with a serial that can be read
        ("ACR-US-902-2020-1-1000 to 1010", 1000, 1010, {"unitCount": 10}, RowFault.QUANTITY_DISAGREES),
        ("ACR-US-902-2020-1-33022 to 34022", 33022, 34023, {"unitCount": 1000}, RowFault.QUANTITY_DISAGREES),
        ("ACR-US-902-2020-1-33022 to 34022", 33022, 34023, {"unitCount": 1001}, RowFault.CONTRADICTION),
        ("VCS9819-2014-1233022-1234022", 1233022, 1234023, {"unitCount": 1000}, RowFault.BAD_SERIAL),
    ],
)
def test_a_count_that_disagrees_with_its_range_is_refused(
    serial: str, first: int, last: int, changed: dict[str, Any], fault: RowFault
) -> None:
    (row,) = records("cadt", cadt_unit(serial, first, last, **changed))
    assert isinstance(row, RefusedRow)
    assert (row.fault, row.units) == (fault, changed["unitCount"])


def test_a_field_of_another_name_changes_nothing() -> None:
    plain = records("cadt", cadt_unit("ACR-US-902-2020-1-1 to 10", 1, 10))
    assert isinstance(plain[0], UnitRow)
    assert plain == records("cadt", cadt_unit("ACR-US-902-2020-1-1 to 10", 1, 10, coBenefitId="x", unitOwner="y"))


# 30


def test_no_adapter_keeps_answers() -> None:
    """The same address answers differently by header. Nothing is kept by address, so nothing can be mixed up."""
    caches = re.compile(r"ETag|If-None-Match|If-Modified-Since|aiohttp_client_cache|requests_cache", re.IGNORECASE)
    sources = [path for path in Path(adapters.__file__).parent.rglob("*.py") if "sandbox" not in path.parts]
    assert len(sources) > 40
    assert [path.name for path in sources if caches.search(path.read_text("utf-8"))] == []


# 31


@pytest.mark.parametrize(
    "serial",
    [
        "PURO_PR_CORC100+_NA_583695_2025_d4257227-d51e-4f45-81ef-a50d86368965_2-36",
        "IREC-GFNIES10001-SG-2021-1106-1110-1767.250000 to 1768.249999",
    ],
)
def test_serials_with_plus_and_point_become_names_without(serial: str) -> None:
    """A batch is named by the space of its serial, which is a name of the ledger; the text is kept as it is printed."""
    serials = parse(serial)
    assert print_range(serials) == serial
    (row, *_) = read_sample("gold_standard", "gold-standard-issuances.csv")
    assert isinstance(row, UnitRow)
    world = new_ledger()
    named = row._replace(batch=row.batch._replace(key=serials.space))
    import_rows(world, "gold_standard", [SourceRow(0, named)])
    assert world.state.get(t.BATCH_NUMBERS, serials.space) is not None
    assert not set(serials.space) & set("+. ")


# 33


def test_ccb_is_a_label_and_gcc_no_registry() -> None:
    assert label_name("CCB-Biodiversity Gold") == label_name("CCB–Biodiversity  Gold") == "ccb:biodiversity-gold"
    assert label_name("CCBS-Gold") == "ccb:gold"
    for name in ("ccb", "gcc"):
        assert name not in FILE_ADAPTERS
        with pytest.raises(UnknownRegistryError):
            find_adapter(name)
    for row in read_sample("cercarbono", "cercarbono-issuances.csv"):
        assert isinstance(row, UnitRow)
        assert (row.batch.programme, row.batch.key.partition(":")[0]) == ("CERCARBONO", "cercarbono")
    with pytest.raises(SerialError):
        detect_scheme("CCB_902_1_1_321_14_1")
    with pytest.raises(SerialError):
        find_scheme("gcc")


# the table


def test_every_number_has_a_test_that_exists() -> None:
    rows = re.split(r"^\s{4,5}(\d{1,2})  ", __doc__ or "", flags=re.MULTILINE)[1:]
    numbers, texts = [int(number) for number in rows[::2]], rows[1::2]
    assert numbers == list(range(1, 34))
    for number, text in zip(numbers, texts, strict=True):
        named = re.findall(r"(here|[\w./]+\.py)\s+(test_\w+)", text)
        assert named, number
        for place, name in named:
            path = HERE if place == "here" else (HERE.parent / place).resolve()
            tree = ast.walk(ast.parse(path.read_text("utf-8")))
            assert any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree), (number, place, name)
