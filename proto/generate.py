"""Writes keeling/operations.py and keeling/decoding.py from the .proto files: run by `make proto`.

The core must not import protobuf, so each message of operations.proto and transaction.proto has a NamedTuple twin; the
.proto file stays the only place where fields, numbers and meanings are written. Nothing else is generated here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

HEADER = '''"""{what}

Generated from keeling/v1/*.proto by `make proto`; do not edit. Meanings, units and who approves: the .proto files.
"""

from __future__ import annotations

'''
SCALARS = {
    FieldDescriptor.TYPE_STRING: ("str", '""'),
    FieldDescriptor.TYPE_BYTES: ("bytes", 'b""'),
    FieldDescriptor.TYPE_UINT64: ("int", "0"),
    FieldDescriptor.TYPE_UINT32: ("int", "0"),
    FieldDescriptor.TYPE_INT64: ("int", "0"),
    FieldDescriptor.TYPE_BOOL: ("bool", "False"),
    FieldDescriptor.TYPE_ENUM: ("int", "0"),
}
FILES = ("keeling/v1/operations.proto", "keeling/v1/transaction.proto")
UNDECODED = {"Operation", "SetRecord"}  # those with a oneof: written out below


def snake(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))


def ordered(messages: list[Descriptor]) -> list[Descriptor]:
    """The messages so that each comes after those it contains."""
    done: list[Descriptor] = []

    def visit(message: Descriptor) -> None:
        for field in message.fields:
            if field.message_type is not None:
                visit(field.message_type)
        if message not in done:
            done.append(message)

    for message in messages:
        visit(message)
    return done


def field_type(field: FieldDescriptor) -> tuple[str, str]:
    """The annotation and the default of a field."""
    if field.message_type is not None:
        name = field.message_type.name
        return (f"tuple[{name}, ...]", "()") if field.is_repeated else (f"{name} | None", "None")
    kind, default = SCALARS[field.type]
    return (f"tuple[{kind}, ...]", "()") if field.is_repeated else (kind, default)


def enum_lines(enum: EnumDescriptor, prefix: str) -> list[str]:
    lines = [f"class {prefix}{enum.name}(IntEnum):"]
    lines += [f"    {value.name} = {value.number}" for value in enum.values]
    return [*lines, "", ""]


def type_lines(message: Descriptor) -> list[str]:
    lines: list[str] = []
    for enum in message.enum_types:
        lines += enum_lines(enum, message.name)
    if message.name == "Operation":
        return lines
    lines.append(f"class {message.name}(NamedTuple):")
    if message.name == "SetRecord":
        plain = [f for f in message.fields if f.containing_oneof is None]
        lines += [f"    {f.name}: {field_type(f)[0]} = {field_type(f)[1]}" for f in plain]
        bodies = " | ".join(f.message_type.name for f in message.fields if f.containing_oneof is not None)
        lines.append(f"    body: {bodies} | None = None")
    else:
        lines += [f"    {f.name}: {field_type(f)[0]} = {field_type(f)[1]}" for f in message.fields]
    return [*lines, "", ""]


def value_expression(field: FieldDescriptor) -> str:
    at = f"m.{field.name}"
    if field.message_type is not None:
        if field.message_type.name == "Operation":
            return f"tuple([decode_operation(x) for x in {at}])"
        call = f"_{snake(field.message_type.name)}"
        if field.is_repeated:
            # Most lists are empty, and an empty one costs as much to walk as three fields to read.
            return f"tuple([{call}(x) for x in found]) if (found := {at}) else ()"
        return f"{call}({at}) if m.HasField({field.name!r}) else None"
    return f"tuple({at})" if field.is_repeated else at


def decode_lines(message: Descriptor) -> list[str]:
    lines = [f"def _{snake(message.name)}(m: Any) -> o.{message.name}:"]
    plain = [f for f in message.fields if f.containing_oneof is None]
    parts = [value_expression(f) for f in plain]
    if message.name == "SetRecord":
        bodies = [f for f in message.fields if f.containing_oneof is not None]
        table = ", ".join(f"{f.name!r}: _{snake(f.message_type.name)}" for f in bodies)
        parts.append(f"_body(m, {{{table}}})")
    return [*lines, f"    return _new(o.{message.name}, ({', '.join(parts)}{',' if len(parts) == 1 else ''}))", "", ""]


def write_operations(messages: list[Descriptor], operation: Descriptor, root: Path) -> None:
    lines = ["from enum import IntEnum", "from typing import Final, NamedTuple", "", ""]
    for message in messages:
        if message.name not in ("SignedTransaction", "Submission", "SignedSubmission", "Approval", "Transaction"):
            lines += type_lines(message)
    lines.append("AnyOperation = (")
    lines += [f"    {'| ' if i else ''}{f.message_type.name}" for i, f in enumerate(operation.fields)]
    lines += [")", "", "", "class Transaction(NamedTuple):", "    id: bytes", "    participant: str"]
    lines += ["    not_after_ms: int", "    operations: tuple[AnyOperation | None, ...]", "", ""]
    lines.append("NUMBERS: Final[dict[type, int]] = {")
    lines += [f"    {f.message_type.name}: {f.number}," for f in operation.fields]
    lines += ["}", '"""The number of each operation: its field number in `Operation`."""']
    text = HEADER.format(what="The operations and what they are made of, as plain immutable values.") + "\n".join(lines)
    (root / "keeling/operations.py").write_text(text + "\n")


def write_decoding(messages: list[Descriptor], operation: Descriptor, root: Path) -> None:
    lines = ["from collections.abc import Callable", "from typing import Any, Final, TypeVar", ""]
    lines += ["from keeling import operations as o", "", '_T = TypeVar("_T")']
    lines.append("_new: Final[Callable[[type[_T], tuple[Any, ...]], _T]] = tuple.__new__  # type: ignore[assignment]")
    about = "Half the price of calling a NamedTuple, which only sorts arguments that are in order here."
    lines += [f'"""{about}"""', "", ""]
    lines += ["def _body(m: Any, bodies: dict[str, Callable[[Any], Any]]) -> Any:"]
    lines += ['    name = m.WhichOneof("body")', "    return bodies[name](getattr(m, name)) if name else None", "", ""]
    for message in messages:
        if message.name not in ("Operation", "SignedTransaction", "Submission", "SignedSubmission", "Approval"):
            if message.name == "Transaction":
                lines += ["_OPERATIONS: Final[dict[str, Callable[[Any], Any]]] = {"]
                lines += [f"    {f.name!r}: _{snake(f.message_type.name)}," for f in operation.fields]
                lines += ["}", "", "", "def decode_operation(m: Any) -> o.AnyOperation | None:"]
                lines += ['    """The plain value of an `Operation` message; None when it names no operation."""']
                lines += ['    name = m.WhichOneof("operation")']
                lines += ["    return _OPERATIONS[name](getattr(m, name)) if name else None", "", ""]
                decode = decode_lines(message)
                decode[0] = "def decode_transaction(m: Any) -> o.Transaction:"
                lines += [decode[0], '    """The plain value of a `Transaction` message."""', *decode[1:]]
            else:
                lines += decode_lines(message)
    text = HEADER.format(what="From protobuf messages to the plain values of `keeling.operations`.") + "\n".join(lines)
    (root / "keeling/decoding.py").write_text(text.rstrip() + "\n")


def main(descriptors: Path, root: Path) -> None:
    """Read the compiled descriptor set and write both modules below `root`."""
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        pool.Add(file)  # type: ignore[no-untyped-call]
    found = [m for name in FILES for m in pool.FindFileByName(name).message_types_by_name.values()]
    messages = ordered(found)
    operation = next(m for m in messages if m.name == "Operation")
    write_operations(messages, operation, root)
    write_decoding(messages, operation, root)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
