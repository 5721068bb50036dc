"""Guarantee G10: whatever canonical bytes a member signs, executing them is an answer and never an exception.

Transactions are made from the message descriptors: every field gets names that exist, names that do not, and numbers at
the edges of what protobuf carries, enum values nobody defined included.
"""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeling.operations import NUMBERS
from keeling.v1 import operations_pb2 as op
from tests.fakes.world import START_MS, wrap
from tests.node.core.sample import ACCOUNTS, HOLD, PARTICIPANTS, Case, sample_world
from tests.node.core.test_operations import TABLES

KNOWN = [
    *ACCOUNTS,
    *PARTICIPANTS,
    "nat",
    "vcs",
    "partly",
    "NAT",
    "VCS",
    "A64",
    "project-NAT",
    "INR@bank",
    "A",
    "B",
    "1",
]
TEXTS = st.sampled_from([*KNOWN, "", "new", "x" * 300, "\x00", "é", "unassigned@verra", "registry:verra"])
U64 = st.sampled_from([0, 1, 2, 10, 100, 1000, 10_001, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1])
U32 = st.sampled_from([0, 1, 2, 3, 40, 300, 65_536, 2**32 - 1])
I64 = st.sampled_from([0, 1, -1, START_MS, START_MS + 86_400_000, 2**63 - 1, -(2**63)])
ENUMS = st.sampled_from([0, 1, 2, 3, 4, 300, -1, 2**31 - 1])
BYTES = st.sampled_from([b"", HOLD, b"\x05" * 32, bytes(16), b"xyz", b"\xff" * 32])
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: TEXTS,
    FieldDescriptor.TYPE_UINT64: U64,
    FieldDescriptor.TYPE_UINT32: U32,
    FieldDescriptor.TYPE_INT64: I64,
    FieldDescriptor.TYPE_ENUM: ENUMS,
    FieldDescriptor.TYPE_BYTES: BYTES,
    FieldDescriptor.TYPE_BOOL: st.booleans(),
}


@st.composite
def messages(draw: st.DrawFn, kind: type[Message]) -> Message:
    """Any value of a message type, most fields filled."""
    made = kind()
    for field in kind.DESCRIPTOR.fields:
        if draw(st.integers(0, 9)) == 0:
            continue
        many = draw(st.integers(1, 2)) if field.is_repeated else 1
        for _ in range(many):
            value = (
                draw(messages(getattr(op, field.message_type.name)))
                if field.message_type is not None
                else draw(SCALARS[field.type])
            )
            if field.is_repeated:
                getattr(made, field.name).append(value)
            elif field.message_type is not None:
                getattr(made, field.name).CopyFrom(value)
            else:
                setattr(made, field.name, value)
    return made


ANY = st.sampled_from([kind.__name__ for kind in NUMBERS]).flatmap(lambda name: messages(getattr(op, name)))
EVERYBODY = ["verra", "importer", "bob", "bank", "ex", "hub", "reg", "authority"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(["alice", "reg", "mallory"]), ANY), min_size=5, max_size=25))
def test_no_signed_bytes_halt_execution(steps: list[tuple[str, Message]]) -> None:
    world = sample_world()
    for by, operation in steps:
        raw = world.transaction(by, operation)
        approvals = EVERYBODY if by == "alice" else []
        block = world.block(world.submission(by, raw, approvals=approvals))
        assert len(block.submissions[0].answers) == 1
        assert wrap(operation).WhichOneof("operation") is not None


ROWS = [case for cases in TABLES.values() for case in cases]


@st.composite
def nearly_good(draw: st.DrawFn) -> tuple[Case, Message]:
    """A row of the tables, with a few of its operation's fields changed to anything."""
    case = draw(st.sampled_from(ROWS))
    operation = type(case.operation)()
    operation.CopyFrom(case.operation)
    for _ in range(draw(st.integers(1, 3))):
        mutate(draw, operation)
    return case, operation


def mutate(draw: st.DrawFn, message: Message) -> None:
    """Change one field somewhere in the message."""
    fields: list[Any] = list(message.DESCRIPTOR.fields)
    if not fields:
        return
    field = draw(st.sampled_from(fields))
    value = getattr(message, field.name)
    if field.message_type is not None:
        if not field.is_repeated:
            mutate(draw, value)
            value.SetInParent()
        elif value and draw(st.booleans()):
            mutate(draw, draw(st.sampled_from(list(value))))
        else:
            value.append(draw(messages(getattr(op, field.message_type.name))))
    elif field.is_repeated:
        value.append(draw(SCALARS[field.type]))
    else:
        setattr(message, field.name, draw(SCALARS[field.type]))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(nearly_good(), st.booleans())
def test_no_nearly_good_operation_halts_execution(made: tuple[Case, Message], everybody: bool) -> None:
    case, operation = made
    world = sample_world()
    for by, step, *signed in case.before:
        world.must(by, step, approvals=signed[0] if signed else ())
    world.later(case.later_ms)
    raw = world.transaction(case.by, operation)
    approvals = tuple(name for name in EVERYBODY if name != case.by) if everybody else case.approvals
    block = world.block(world.submission(case.by, raw, approvals=approvals))
    assert len(block.submissions[0].answers) == 1
