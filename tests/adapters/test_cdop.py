"""CDOP files: nested lists, the current status among several, and a row for each block."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from adapters.exports import DuplicateRow, FileError, FileFault, Record, RefusedRow, RowFault, UnitRow, UnitStatus
from adapters.registry import parse_file

RECORD: dict[str, Any] = {
    "project": {"current_registry_project_id": "9352"},
    "unit": {
        "descriptor": [{"metric": "tCO2e", "type": "VCU"}],
        "owner_account_id": "A1",
        "reference": [{"serial_number": "29902-1139690318-1139690417-VCS-VCU-500-VER-US-9352-01012024-31122024-0"}],
        "status": [{"status": "Active", "is_current": False}, {"status": "Retired", "is_current": True}],
        "credit_block": [{"quantity": 100, "block_start": 1139690318, "block_end": 1139690417}],
        "retirement": [{"retirement_beneficiary": "Example GmbH", "retirement_detail": "by jane@example.org"}],
    },
    "vintage": {"vintage": "2024-01-01"},
}


def read(document: object) -> list[Record]:
    return list(parse_file("cdop", json.dumps(document).encode(), file_name="units.json").rows())


def changed(path: str, value: object) -> dict[str, Any]:
    record = copy.deepcopy(RECORD)
    at: Any = record
    *steps, last = path.split(".")
    for step in steps:
        at = at[int(step)] if isinstance(at, list) else at[step]
    at[int(last) if isinstance(at, list) else last] = value
    return record


def test_the_current_status_counts_and_the_batch_is_the_registrys() -> None:
    (row,) = read(RECORD)
    assert isinstance(row, UnitRow)
    assert (row.status, row.units, row.batch.key, row.batch.host) == (UnitStatus.RETIRED, 100, "verra:29902", "USA")
    assert (row.beneficiary, row.note) == ("Example GmbH", "by [e-mail removed]")


def test_each_pair_of_reference_and_block_is_a_row() -> None:
    record = copy.deepcopy(RECORD)
    record["unit"]["reference"].append(record["unit"]["reference"][0])
    record["unit"]["credit_block"].append(record["unit"]["credit_block"][0])
    first, second = read([record])
    assert isinstance(first, UnitRow)
    assert isinstance(second, DuplicateRow)


def test_an_account_state_is_a_label_of_an_active_unit() -> None:
    (row,) = read([changed("unit.status.1.status", "On Hold")])
    assert isinstance(row, UnitRow)
    assert row.status is UnitStatus.ACTIVE
    assert [label.name for label in row.labels] == ["registry-state:on hold", "product:vcu"]


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        ([], RowFault.UNREADABLE),
        ({"unit": {"serial_number": "1"}}, RowFault.UNREADABLE),
        (changed("unit.status", "retired"), RowFault.UNREADABLE),
        (changed("unit.status.1.is_current", False), RowFault.UNREADABLE),
        (changed("unit.credit_block", []), RowFault.UNREADABLE),
        (changed("unit.status.1.status", "Lost"), RowFault.BAD_STATUS),
        (changed("unit.descriptor.0.metric", "MWh"), RowFault.BAD_QUANTITY),
        (changed("unit.credit_block.0.quantity", 100.5), RowFault.BAD_QUANTITY),
        (changed("unit.credit_block.0.quantity", 99), RowFault.QUANTITY_DISAGREES),
        (changed("unit.credit_block.0.block_end", 1139690418), RowFault.CONTRADICTION),
        (changed("vintage.vintage", "2023-01-01"), RowFault.CONTRADICTION),
        (changed("vintage.vintage", None), RowFault.BAD_DATE),
        (changed("unit.reference.0.serial_number", ""), RowFault.MISSING),
        (
            changed(
                "unit.reference.0.serial_number",
                "8339-449183249-449183748-VCS-VCU-4721-VCS-KEN-14-2023-01012023-31122023-0",
            ),
            RowFault.BAD_SERIAL,
        ),
    ],
)
def test_refusals(record: object, fault: RowFault) -> None:
    row, good = read([record, RECORD])
    assert isinstance(row, RefusedRow)
    assert row.fault is fault
    assert isinstance(good, UnitRow)


@pytest.mark.parametrize("raw", [b"[1,", b'{"a": NaN}', b"[" * 100_000, b'["\xff"]', b"[" + b"9" * 5000])
def test_what_is_no_json_is_one_line(raw: bytes) -> None:
    with pytest.raises(FileError) as caught:
        parse_file("cdop", raw, file_name="units.json")
    assert caught.value.fault is FileFault.JSON
    assert "\n" not in str(caught.value)
