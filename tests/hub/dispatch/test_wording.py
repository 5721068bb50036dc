"""From a hold to what a registry is told: what a use is for is said in its words, whichever way it was given."""

from __future__ import annotations

import pytest

from adapters.contract import UnsendableError
from adapters.national_62 import mapping
from hub.dispatch.wording import build_instruction, hide_words
from keeling.serials import parse
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

LOTS = [parse("CA0004-GHA01-GHA-1-2023 - CA0004-GHA01-GHA-10-2023")]
USE = op.Purposeful


def told(use: op.Purposeful) -> dict[str, str]:
    hold = pb.HoldInfo(hold=bytes(16), purpose="FOR_USE", use=use)
    instruction = build_instruction(hold, "GHA-100-0001", "", LOTS, {"beneficiary": "alps"})
    return dict(mapping.place(instruction, "GHA01").facts)


@pytest.mark.parametrize(
    ("use", "facts"),
    [
        (USE(kind=USE.NDC, year=2026), {"action type": "Use", "purpose": "NDC", "use year": "2026"}),
        (USE(kind=USE.NDC, year=2026, scheme="ours"), {"action type": "Use", "purpose": "NDC", "use year": "2026"}),
        (USE(kind=USE.OIMP), {"action type": "Use", "purpose": "OIMP"}),
        (USE(kind=USE.OIMP, scheme="CORSIA"), {"action type": "Use", "purpose": "CORSIA"}),
        (USE(kind=USE.COMPLIANCE, year=2026, scheme="CORSIA"), {"action type": "Use", "purpose": "CORSIA"}),
    ],
)
def test_what_a_use_is_for_is_said(use: op.Purposeful, facts: dict[str, str]) -> None:
    assert told(use) == facts


def test_a_use_for_nothing_cannot_be_said() -> None:
    with pytest.raises(UnsendableError, match="a use says for what"):
        told(USE())


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("DECLINED: Jane Doe has left", "DECLINED: … has left"),
        ("DECLINED: JANE DOE of Jane Doe & Sons", "DECLINED: … of …"),
        ("bob may not: ab", "bob may not: ab"),
        ("C-7.(1 is closed", "… is closed"),
        ("", ""),
    ],
)
def test_what_a_registry_was_told_in_confidence_is_not_repeated(said: str, shown: str) -> None:
    details = {"beneficiary": "Jane Doe", "firm": "Jane Doe & Sons", "buyer": "bob", "of": "ab", "contract": "C-7.(1"}
    assert hide_words(said, details, ["bob", "alice"]) == shown
