"""Verra's public rows: read exactly, or refused; never taken for something they are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.answers import ShapeError
from adapters.contract import ChangeKind, HoldingState
from adapters.verra import mapping, rows
from tests.adapters.exchange_stand import any_json, dump

SERIAL = "19385-941467007-941467431-VCS-VCU-1507-VER-ET-14-1340-01012020-31122020-1"


def test_units_of_the_buffer_are_no_holding_to_retire() -> None:
    row = {"entityId": 1, "isBuffer": True, "serialNo": SERIAL, "holdingQuantity": Decimal("425.0")}
    found = rows.read_holding(row, "holdings")
    assert found is not None
    assert found.state is HoldingState.BUFFER
    assert rows.read_change({**row, "issueDate": "2026-03-20"}, "issuances").kind is ChangeKind.BUFFERED


RETIRED = {
    "entityId": 7,
    "serialNo": SERIAL,
    "holdingQuantity": Decimal("425.0"),
    "retiredDate": "2026-03-20",
    "stateCode": "RETIRED",
    "vcsProjectId": "1340",
}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"entityId": True}, "entityId"),
        ({"serialNo": None}, "serialNo"),
        ({"serialNo": "GS1-1-KE-GS7495-16-2025-30645-608-30350"}, "serialNo"),
        ({"holdingQuantity": Decimal("424.0")}, "holds 425 units"),
        ({"holdingQuantity": Decimal("425.5")}, "whole units"),
        ({"holdingQuantity": Decimal("1E+999999999")}, "whole units"),
        ({"holdingQuantity": "425"}, "no number"),
        ({"retiredDate": "20/03/2026"}, "no date"),
        ({"stateCode": "ISSUED"}, "no state"),
        ({"block_start": 1}, "block_start"),
    ],
)
def test_a_row_that_contradicts_itself_is_not_read(changed: dict[str, Any], words: str) -> None:
    assert rows.read_end(RETIRED, "retirements").serials.units == 425
    with pytest.raises(ShapeError, match=words):
        rows.read_end({**RETIRED, **changed}, "retirements")


@pytest.mark.parametrize(
    "page",
    [
        {"entities": [], "totalEntities": 3, "start": 0},
        {"entities": [{"entityId": 1}], "totalEntities": 0, "start": 0},
        {"entities": [{"entityId": 1}], "totalEntities": 1, "start": 400},
        {"entities": [{"entityId": 2}, {"entityId": 1}], "totalEntities": 2, "start": 0},
        {"entities": [{"entityId": 1}, {"entityId": 1}], "totalEntities": 2, "start": 0},
        {"entities": [None], "totalEntities": 1, "start": 0},
    ],
)
def test_a_page_whose_numbers_cannot_be_true_is_not_read(page: Any) -> None:
    with pytest.raises(ShapeError):
        rows.read_page(page, 0)


def near(row: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Rows that are almost right: a member is anything, or missing."""
    names = st.sampled_from(sorted(row))
    changed = st.dictionaries(names, any_json() | st.sampled_from([SERIAL, "[a]", "2026-03-20"]), max_size=3)
    return st.tuples(changed, st.sets(names, max_size=2)).map(
        lambda both: {name: value for name, value in {**row, **both[0]}.items() if name not in both[1]}
    )


ITEM = {
    "instruction": "OPS-1",
    "status": "DONE",
    "quantity": 425,
    "executed": [{"serialNumber": SERIAL, "quantity": 425}],
    "refusedQuantity": 0,
    "reason": "",
    "dueMs": 0,
}


def test_an_entry_of_the_queue_is_kept_without_words() -> None:
    shown = {**ITEM, "quantity": Decimal("425.0"), "reason": "Asha rang", "note": "Asha"}
    assert mapping.read_item(shown).reason == "Asha rang"
    assert b"Asha" not in mapping.strip_item(shown)
    assert SERIAL.encode() in mapping.strip_item(shown)


@settings(max_examples=150, deadline=None)
@given(near(RETIRED), near(ITEM), st.sampled_from(["retirements", "cancellations", "issuances", "holdings"]))
def test_any_row_is_read_or_refused(row: dict[str, Any], item: dict[str, Any], resource: str) -> None:
    readers: list[Callable[[], Any]] = [
        lambda: rows.read_page({"entities": [row], "totalEntities": 1, "start": 0}, 0),
        lambda: rows.read_holding(row, resource) if resource != "issuances" else rows.read_change(row, resource),
        lambda: mapping.strip_item(json.loads(dump(item))),
    ]
    for read in readers:
        with suppress(ShapeError):
            read()
