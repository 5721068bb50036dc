"""Gold Standard's blocks and (assumed) account orders, and the contract's values, both ways. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapters.answers import (
    Record,
    ShapeError,
    Stage,
    check_instruction,
    keep,
    read_instant,
    read_key,
    take,
    take_units,
    text,
    write_note,
)
from adapters.contract import Change, ChangeKind, Holding, HoldingState, Instruction, Moment, UnsendableError
from adapters.gold_standard.basis import CAPABILITIES, NOTE_CHARS_MAX
from adapters.web import format_json
from keeling.serials import SerialError, SerialRange, parse, print_range

_ENTITY_CHARS_MAX: Final = 200
_STAGES: Final = {
    "PENDING_REVIEW": Stage.WAITING,
    "PARTIALLY_RETIRED": Stage.PARTLY,
    "RETIRED": Stage.DONE,
    "REJECTED": Stage.REFUSED,
    "UNDONE": Stage.UNDONE,
}
_STATES: Final = {
    "ISSUED": HoldingState.ACTIVE,
    "ASSIGNED": HoldingState.ACTIVE,
    "RETIRED": HoldingState.RETIRED,
    "CANCELED": HoldingState.CANCELLED,
    "CANCELLED": HoldingState.CANCELLED,
}
_KINDS: Final = {
    "ISSUANCE": ChangeKind.ISSUED,
    "RETIREMENT": ChangeKind.RETIRED,
    "UNDO_RETIREMENT": ChangeKind.REVERSED,
    "TRANSFER": ChangeKind.TRANSFERRED,
    "CANCELLATION": ChangeKind.CANCELLED,
}
_PLANNED: Final = "PER"
_KEPT: Final = (
    "id",
    "order",
    "type",
    "status",
    "account",
    "number_of_credits",
    "rejected_credits",
    "credits",
    "serial_number",
    "created_at",
    "decided_at",
)
"""What of an order is kept as evidence: nothing that anybody typed."""


def compose(instruction: Instruction) -> bytes:
    """The body of a retirement; raises `UnsendableError`."""
    if instruction.action not in CAPABILITIES.actions:
        raise UnsendableError(f"Gold Standard's account interface retires; this is to {instruction.action}")
    check_instruction(instruction, CAPABILITIES.lots_max, "gold_standard", "Gold Standard")
    entity = instruction.details.get("beneficiary", "")
    if not 0 < len(entity) <= _ENTITY_CHARS_MAX:
        raise UnsendableError(f"a retirement names its using entity in 1 to {_ENTITY_CHARS_MAX} characters")
    body = {
        "account": instruction.account,
        "credits": [{"serial_number": print_range(lot), "number_of_credits": lot.units} for lot in instruction.lots],
        "number_of_credits": instruction.units,
        "using_entity": entity,
        "use_case": instruction.details.get("use_case", "Voluntary"),
        "note": write_note(instruction, NOTE_CHARS_MAX),
    }
    return format_json(body)


def read_serials(row: Any) -> SerialRange:
    """The serial of a block, which must hold as many units as the row says; raises `ShapeError`."""
    printed, units = take(row, "serial_number", str), take_units(row, "number_of_credits")
    scheme = "gold_standard" if printed.lstrip().startswith("GS") else "gs_cer_pair"
    try:
        found = parse(printed, scheme, units=units)
    except SerialError as error:
        raise ShapeError(f"serial_number: {error}") from error
    for name, number in (("starting_credit_number", found.first), ("ending_credit_number", found.last)):
        if name in row and take_units(row, name) != number:
            raise ShapeError(f"{name}: {row[name]} is not {number} of {printed!r}")
    return found


def read_block(row: Mapping[str, Any]) -> Holding:
    """A block of the list; raises `ShapeError`. Planned reductions are pending, whatever else they are."""
    state = _STATES.get(take(row, "status", str))
    if state is None:
        raise ShapeError(f"status: {row['status'][:40]!r} is none of {', '.join(_STATES)}")
    product = row.get("product")
    if state is HoldingState.ACTIVE and isinstance(product, dict) and product.get("abbreviation") == _PLANNED:
        state = HoldingState.PENDING
    return Holding(read_serials(row), text(row, "account"), state, str(take(row, "id", int)))


def read_order(row: Any) -> Record:
    """An order of the account; raises `ShapeError`."""
    stage = _STAGES.get(take(row, "status", str))
    if stage is None:
        raise ShapeError(f"status: {row['status'][:40]!r} is none of {', '.join(_STAGES)}")
    decided = text(row, "decided_at")
    return Record(
        reference=str(take(row, "id", int)),
        stage=stage,
        units=take_units(row, "number_of_credits"),
        done=tuple(read_serials(item) for item in take(row, "credits", list)),
        refused_units=take_units(row, "rejected_credits"),
        reason=text(row, "reason"),
        key=read_key(row.get("note")),
        account=text(row, "account"),
        recorded_ms=read_instant(row.get("created_at"), "created_at"),
        decided_ms=read_instant(decided, "decided_at") if decided else 0,
        evidence=keep(row, _KEPT),
    )


def read_event(row: Any) -> Change:
    """A transaction of the account, one block each; raises `ShapeError`."""
    kind = _KINDS.get(take(row, "type", str))
    if kind is None:
        raise ShapeError(f"type: {row['type'][:40]!r} is none of {', '.join(_KINDS)}")
    at_ms = read_instant(row.get("created_at"), "created_at")
    return Change(
        id=str(take(row, "id", int)),
        kind=kind,
        at_ms=at_ms,
        serials=read_serials(row),
        account=text(row, "account"),
        to_account=text(row, "to_account"),
        reference=str(row["order"]) if isinstance(row.get("order"), int) else "",
        key=read_key(row.get("note")),
        effective=Moment(at_ms),
        evidence=keep(row, _KEPT),
    )
