"""The UK registry's answers: read exactly, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.answers import ShapeError
from adapters.capabilities import Action
from adapters.contract import Instruction, UnsendableError
from adapters.sandbox.uk_ets import OURS, OUTSIDE
from adapters.uk_ets import mapping
from keeling.serials import parse
from tests.adapters.exchange_stand import any_json, dump

ASKED = Instruction("a1" * 16, Action.TRANSFER, OURS, (parse("UKA-1-100"),), OUTSIDE)


@pytest.mark.parametrize(
    "changed",
    [
        {"account": "UK-100-1010-0-48"},
        {"to_account": "GB-100-12345-0-12"},
        {"to_account": ""},
        {"to_account": OURS},
        {"key": "with space"},
        {"lots": (parse("ACR-US-934-2024-2891-58384 to 58673"),)},
        {"action": Action.RETIRE},
        {"action": Action.WITHDRAW},
        {"action": Action.ACCEPT, "answers": "UK1000000"},
        {"action": Action.ACCEPT, "answers": "UK1000000", "details": {"request": "1&taskOutcome=APPROVED"}},
    ],
)
def test_what_cannot_be_said_is_not_sent(changed: dict[str, Any]) -> None:
    assert json.loads(mapping.compose(ASKED))["blocks"] == [{"type": "ALLOWANCE", "quantity": "100"}]
    with pytest.raises(UnsendableError):
        mapping.compose(ASKED._replace(**changed))


SHOWN = {
    "identifier": "UK1000000",
    "type": "TransferAllowances",
    "status": "COMPLETED",
    "quantity": 100,
    "taskIdentifier": 6000000,
    "reference": "a1" * 16,
    "transferringAccountFullIdentifier": OURS,
    "acquiringAccountFullIdentifier": OUTSIDE,
    "blocks": [{"startBlock": 1, "endBlock": 100, "type": "ALLOWANCE"}],
    "lastUpdated": "2026-03-20T10:00:00+00:00",
    "executionDateTime": None,
    "responses": [],
}


def test_a_message_that_is_wrong_is_no_decision() -> None:
    for codes, final in ((("2501",), False), (("3005",), True), (("3005", "2501"), False), (("10006",), False)):
        said = {"errorDetails": [{"code": code, "message": "no"} for code in codes]}
        refused = mapping.read_refusal(406, said, b"")
        assert refused is not None
        assert refused.final is final, codes
    for codes in (("4711",), ("3005", "4711"), ("", "3005")):
        said = {"errorDetails": [{"code": code, "message": "no"} for code in codes]}
        refused = mapping.read_refusal(406, said, b"")
        assert refused is not None
        assert not refused.final, "no code the registry is known to use"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"identifier": "1000000"}, "identifier"),
        ({"type": "IssueAllowances"}, "IssueAllowances"),
        ({"status": "DONE"}, "DONE"),
        ({"quantity": 99}, "blocks hold 100"),
        ({"quantity": 100.0}, "quantity"),
        ({"blocks": [{"startBlock": 100, "endBlock": 1, "type": "ALLOWANCE"}]}, "no block"),
        ({"blocks": [{"startBlock": 1, "endBlock": 100, "type": "CER"}]}, "no block"),
        ({"blocks": [{"startBlock": 1, "endBlock": 50, "type": "ALLOWANCE"}] * 2}, "two of them"),
        ({"lastUpdated": "20 March"}, "no instant"),
        ({"lastUpdated": "2026-03-20T10:00:00"}, "no instant"),
        ({"executionDateTime": 7}, "no instant"),
    ],
)
def test_a_transaction_that_contradicts_itself_is_not_read(changed: dict[str, Any], words: str) -> None:
    assert mapping.read_transaction(SHOWN).quantity == 100
    with pytest.raises(ShapeError, match=words):
        mapping.read_transaction({**SHOWN, **changed})


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(SHOWN)), any_json() | st.sampled_from(["DELAYED", "UK1"]), max_size=3),
    any_json(),
)
def test_anything_is_read_or_refused(changed: dict[str, Any], other: Any) -> None:
    shown = json.loads(dump({**SHOWN, **changed}))
    readers: list[Callable[[], Any]] = [
        lambda: mapping.read_changes(mapping.read_transaction(shown), mapping.strip_private(shown)),
        lambda: mapping.read_list({"items": [shown], "totalResults": other, "page": 0}, 0),
        lambda: mapping.read_row(other),
        lambda: mapping.read_unit_block(shown),
        lambda: mapping.read_proposed(other),
        lambda: mapping.read_refusal(406, {"errorDetails": other}, b""),
        lambda: mapping.read_refusal(406, {"errorDetails": [other]}, b""),
    ]
    for read in readers:
        with suppress(ShapeError):
            read()
