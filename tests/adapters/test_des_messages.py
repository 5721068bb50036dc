"""The exchange of messages without a registry: signatures, envelopes, and shapes that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from adapters.answers import ShapeError
from adapters.capabilities import Action
from adapters.contract import Instruction, Refused, Report
from adapters.des import messages
from adapters.des.signing import SignatureError, check_signature, read_signing_key, seal, sign, unseal
from adapters.sandbox.exchange import HUB_SEED
from keeling.serials import parse
from tests.adapters.exchange_stand import any_json

ISSUE = parse("MMR-UN01-0009-2024-1-7125")


def test_a_signature_that_brings_its_own_content_is_none() -> None:
    key = read_signing_key(HUB_SEED)
    detached = sign(b"hello", key)
    head, _, tail = detached.split(".")
    check_signature(b"hello", detached, key)
    for wrong in (
        f"{head}.aGVsbG8.{tail}",
        detached + ".",
        "",
        "..",
        "a..b",
        detached.replace(head, "eyJhbGciOiJub25lIn0"),
    ):
        with pytest.raises(SignatureError):
            check_signature(b"hello", wrong, key)
    with pytest.raises(SignatureError):
        unseal({**seal({"a": 1}, key), "more": 1}, key)


def test_signed_nonsense_is_a_value_too() -> None:
    """A registry that signs whatever it says: shapes are checked behind the signature as well."""
    instruction = Instruction("a1" * 16, Action.RETIRE, "MMR-AP-0001", (ISSUE.part(1, 10),))

    @settings(max_examples=80, deadline=None)
    @given(any_json())
    def read(value: Any) -> None:
        for parse_it in (
            messages.read_transaction,
            lambda said: messages.read_event(said, b""),
            messages.read_holding,
            lambda said: messages.read_acknowledgement(said, instruction, b""),
        ):
            try:
                found = parse_it(value)
            except ShapeError:
                continue
            assert not isinstance(found, Report), found

    read()


def test_impossible_totals_are_no_transaction() -> None:
    block = messages.format_block(ISSUE.part(1, 10))
    good = {
        "transactionIdentifier": "a",
        "logReference": "r",
        "transactionStatus": 4,
        "transactionStatusDateTime": "2026-03-20T00:00:00.000Z",
        "proposalUnitBlocks": [block],
        "completedUnitBlocks": [block],
        "refusedUnits": 0,
        "evaluationResult": [],
    }
    assert messages.read_transaction(good).units == 10
    wrongs: tuple[dict[str, Any], ...] = (
        {"refusedUnits": 1},
        {"completedUnitBlocks": []},
        {"transactionStatus": 6},
        {"transactionStatus": 99},
        {"transactionStatus": True},
        {"transactionStatusDateTime": "yesterday"},
        {"transactionStatusDateTime": "2026-03-20T00:00:00"},
        {"proposalUnitBlocks": [{**block, "unitSerialBlockEnd": 11}]},
        {"proposalUnitBlocks": [{**block, "serials": "MMR-UN01-0009-2024-1-x"}]},
    )
    for wrong in wrongs:
        with pytest.raises(ShapeError):
            messages.read_transaction({**good, **wrong})


def show_transaction(status: int, **changed: Any) -> dict[str, Any]:
    block = messages.format_block(ISSUE.part(1, 10))
    return {
        "transactionIdentifier": "a",
        "logReference": "r",
        "transactionStatus": status,
        "transactionStatusDateTime": "2026-03-20T00:00:00.000Z",
        "proposalUnitBlocks": [block],
        "completedUnitBlocks": [],
        "refusedUnits": 0,
        "evaluationResult": [],
        **changed,
    }


@pytest.mark.parametrize(("status", "final"), [(1, False), (2, False), (3, False), (5, True), (6, True), (7, True)])
def test_only_a_final_status_is_a_no(status: int, final: bool) -> None:
    """3 and 10, checked with a discrepancy, are told before the transaction is terminated: it is not over yet."""
    asked = Instruction("a", Action.TRANSFER, "ACCOUNT", (ISSUE.part(1, 10),))
    for number in (status, 10) if status == 3 else (status,):
        answer = messages.read_report(messages.read_transaction(show_transaction(number)), asked, b"")
        if final:
            assert isinstance(answer, Refused)
            assert answer.final
        else:
            assert isinstance(answer, Report)
            assert (answer.done_units, answer.pending_units) == (0, 10)


def test_a_no_to_a_part_and_a_unit_done_twice_are_no_transaction() -> None:
    twice = [messages.format_block(ISSUE.part(1, 4)), messages.format_block(ISSUE.part(1, 4))]
    for wrong in (
        show_transaction(5, refusedUnits=6),
        show_transaction(8, completedUnitBlocks=twice),
        show_transaction(4, completedUnitBlocks=twice, refusedUnits=2),
    ):
        with pytest.raises(ShapeError):
            messages.read_transaction(wrong)
    assert messages.read_transaction(show_transaction(5, refusedUnits=10)).refused_units == 10
