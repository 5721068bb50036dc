"""The exchange of messages without a registry: signatures, envelopes, and shapes that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from adapters.answers import ShapeError
from adapters.capabilities import Action
from adapters.contract import Instruction, Report
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
