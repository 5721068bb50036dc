"""Units of a CAD Trust node, as JSON and as CSV: serial, blocks and count must agree."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.exports import Precision, Record, RefusedRow, RowFault, TwinProposal, UnitRow, UnitStatus
from adapters.registry import parse_file
from tests.adapters.exports import check_outcome

UNIT: dict[str, Any] = {
    "cadTrustUnitId": "2f1c",
    "unitSerialId": "GS1-1-KE-GS99001-16-2024-50001-1-1500",
    "unitStartBlock": "1",
    "unitEndBlock": "1500",
    "unitCount": 1500,
    "unitStatus": "Held",
    "unitStatusDate": "2026-03-12",
    "unitVintageYear": 2024,
    "unitMetric": "tCO2e",
    "unitType": "Removal - nature",
    "unitItmosReferenceId": None,
}


def read(*units: dict[str, Any]) -> list[Record]:
    return list(parse_file("cadt", json.dumps({"page": 1, "data": units}).encode(), file_name="units.json").rows())


def test_a_held_unit_is_active_and_its_batch_the_registrys() -> None:
    (row,) = read(UNIT)
    assert isinstance(row, UnitRow)
    assert (row.status, row.effective, row.twin) == (UnitStatus.ACTIVE, None, None)
    assert (row.batch.key, row.batch.host) == ("gold_standard:99001-16-2024-50001", "KEN")
    assert [label.name for label in row.labels] == ["kind:removal"]


def test_a_retired_unit_with_an_itmo_has_a_date_and_a_twin() -> None:
    (row,) = read(UNIT | {"unitStatus": "Retired", "unitItmosReferenceId": "CA0004-VU-CH-356-1-1500-2024"})
    assert isinstance(row, UnitRow)
    assert row.effective == (datetime(2026, 3, 12, tzinfo=UTC), Precision.DATE)
    assert row.twin == TwinProposal("itmo", "CA0004-VU-CH-356-1-1500-2024")


def test_a_serial_without_range_takes_the_blocks() -> None:
    (row,) = read(UNIT | {"unitSerialId": "CDC_2_1_1_321_14_1", "unitStartBlock": "0", "unitEndBlock": "1499"})
    assert isinstance(row, UnitRow)
    assert (row.serials.first, row.units, row.batch.vintage_exact) == (0, 1500, False)


def test_the_same_fields_as_csv() -> None:
    raw = ",".join(UNIT) + "\n" + ",".join("" if value is None else str(value) for value in UNIT.values())
    (row,) = parse_file("cadt", raw.encode(), file_name="units.csv").rows()
    assert isinstance(row, UnitRow)
    assert row.units == 1500


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"unitSerialId": "VCS9819-2014-1233022-1234022"}, RowFault.BAD_SERIAL),
        ({"unitSerialId": "IREC-GFNIES10001-SG-2024-1106-1110-1.000000 to 1.001499"}, RowFault.CONTRADICTION),
        ({"unitCount": 1000}, RowFault.QUANTITY_DISAGREES),
        ({"unitEndBlock": "1501"}, RowFault.CONTRADICTION),
        ({"unitStartBlock": "AXJJFSLGHSHEJ1000"}, RowFault.CONTRADICTION),
        ({"unitStatus": "Active"}, RowFault.BAD_STATUS),
        ({"unitStatus": "Rejected"}, RowFault.BAD_STATUS),
        ({"unitMetric": "kt (Kiloton)"}, RowFault.BAD_QUANTITY),
        ({"unitVintageYear": 2023}, RowFault.CONTRADICTION),
    ],
)
def test_refusals(change: dict[str, Any], fault: RowFault) -> None:
    (row,) = read(UNIT | change)
    assert isinstance(row, RefusedRow)
    assert row.fault is fault


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20), st.lists, max_leaves=5)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(sorted(UNIT)), JSON) | JSON)
def test_any_json(value: object) -> None:
    check_outcome("cadt", json.dumps([UNIT | value if isinstance(value, dict) else value]).encode())
