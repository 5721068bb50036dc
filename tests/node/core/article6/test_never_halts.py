"""Whatever the fields of an Article 6 operation hold, it is accepted or refused; nothing stops the ledger (G10)."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from keeling.v1 import operations_pb2 as op
from tests.node.core.article6.parties import Parties, accepted, approach, date, evidence, party, programme, terms

KNOWN = [
    "",
    "GHA",
    "CHE",
    "CA0004",
    "GHA-1",
    "b",
    "p",
    "GHA-CP",
    "1.0",
    "gha-epa",
    "swiss-co",
    "GHA-2023-FT-1.1",
    "é",
    "\0",
]
NUMBERS: dict[int, list[int]] = {
    FieldDescriptor.TYPE_UINT32: [0, 1, 2, 2023, 2025, 65_536, 2**32 - 1],
    FieldDescriptor.TYPE_UINT64: [0, 1, 8, 1000, 2**63, 2**64 - 1],
    FieldDescriptor.TYPE_INT64: [0, 1_750_000_000_000, -(2**63), 2**63 - 1],
    FieldDescriptor.TYPE_ENUM: [0, 1, 2, 3, 4, 7, 300, -1],
    FieldDescriptor.TYPE_BOOL: [False, True],
}
STEP, NDC = op.ReportAdjustment.REPORTED, op.Purposeful.NDC
SAMPLES: list[tuple[str, Message]] = [
    (
        "gha-epa",
        op.Authorize(authorization="GHA-2", party="GHA", approach="CA0004", terms=terms("issuance"), date=date(2025)),
    ),
    ("gha-epa", op.AmendAuthorization(authorization="GHA-1", version=2, terms=terms("authorization"), date=date(2025))),
    ("gha-epa", op.RevokeAuthorization(authorization="GHA-1", reason="why", date=date(2025), due=date(2026))),
    ("gha-epa", op.Recognise(authorization="GHA-1", height=13, ordinal=1, party="GHA", at=date(2025))),
    ("gha-epa", op.ReportAdjustment(party="GHA", reported_year=2025, version="1.0", step=STEP, date=date(2026))),
    ("gha-epa", op.FinaliseAdjustment(party="GHA", first_year=2024, last_year=2025)),
    ("reg", party("CHE", "che-bafu", "swiss-co", version=2)),
    ("reg", approach(version=2)),
    ("reg", programme("GHA-CP")),
    ("swiss-co", op.Use(account="ch", selection=op.Selection(units=1), use=op.Purposeful(kind=NDC, year=2025))),
    ("ghana-co", op.Transfer(units=[op.UnitLeg(from_account="gh", to_account="ch", selection=op.Selection(units=3))])),
]


def mutate(draw: Any, message: Message) -> None:
    """Change a few fields, at any depth, to values that programs did not expect."""
    for _ in range(draw(st.integers(1, 3))):
        at = message
        while True:
            field = draw(st.sampled_from(list(at.DESCRIPTOR.fields)))
            if field.message_type is None:
                break
            if field.is_repeated:
                items = getattr(at, field.name)
                at = items[0] if items else items.add()
            else:
                at = getattr(at, field.name)
                at.SetInParent()
        _set(draw, at, field)


def _set(draw: Any, message: Message, field: FieldDescriptor) -> None:
    if field.type == FieldDescriptor.TYPE_STRING:
        value: Any = draw(st.sampled_from(KNOWN) | st.text(max_size=300))
    elif field.type == FieldDescriptor.TYPE_BYTES:
        value = draw(st.binary(max_size=40))
    else:
        value = draw(st.sampled_from(NUMBERS[field.type]))
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


@st.composite
def requests(draw: Any) -> tuple[str, Message]:
    by, sample = draw(st.sampled_from(SAMPLES))
    message = type(sample)()
    message.CopyFrom(sample)
    if "evidence" in message.DESCRIPTOR.fields_by_name:
        message.evidence.CopyFrom(evidence())
    mutate(draw, message)
    return by, message


@settings(max_examples=40, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=8))
def test_any_field_may_hold_anything(steps: list[tuple[str, Message]]) -> None:
    world = Parties()
    accepted(world.issue())
    accepted(world.authorize())
    accepted(world.send("gh", "ch", 400))
    for by, message in steps:
        world.run(by, message)
    world.run("ghana-co", op.Retire(account="gh", selection=op.Selection(units=1)))
    assert world.blocks[-1].header.height == len(world.blocks)
