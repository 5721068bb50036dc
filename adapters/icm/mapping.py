"""India's registry in JSON and the contract's values, both ways. Pure: what is ordered, and what an answer means.

Anything else than what is assumed of it is `ShapeError`; it never becomes a report.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from adapters.answers import ShapeError, check_apart, read_instant
from adapters.balances import Balance
from adapters.capabilities import Action
from adapters.contract import (
    SAFE_KEY,
    Change,
    ChangeKind,
    Holding,
    HoldingState,
    Instruction,
    Moment,
    Refused,
    Report,
    UnsendableError,
)
from adapters.icm.basis import CAPABILITIES
from adapters.icm.sessions import EXCHANGES, read_session
from adapters.web import format_json
from keeling.serials import SerialError, SerialRange, parse, print_range

OPERATIONS: Final = {
    Action.BLOCK: "BLOCK",
    Action.UNBLOCK: "RELEASE",
    Action.TRANSFER: "TRANSFER",
    Action.USE: "SURRENDER",
    Action.RETIRE: "EXTINGUISH",
    Action.CANCEL: "CANCEL",
}
_KINDS: Final = {
    "ISSUED": ChangeKind.ISSUED,
    "BLOCKED": ChangeKind.BLOCKED,
    "RELEASED": ChangeKind.UNBLOCKED,
    "TRANSFERRED": ChangeKind.TRANSFERRED,
    "SURRENDERED": ChangeKind.USED,
    "EXTINGUISHED": ChangeKind.RETIRED,
    "CANCELLED": ChangeKind.CANCELLED,
    "REVERSED": ChangeKind.REVERSED,
    "BANKED": ChangeKind.NOTICE,
    "BREACH": ChangeKind.NOTICE,
    "DEBARRED": ChangeKind.NOTICE,
}
_IN_SESSION: Final = (Action.BLOCK, Action.UNBLOCK, Action.TRANSFER)
_YEAR: Final = re.compile(r"20\d{2}(-\d{2})?", re.ASCII)
_STATUSES: Final = ("PENDING", "PARTIAL", "DONE", "REFUSED", "REVERSED")


class Ordered(NamedTuple):
    """One order as the registry shows it, in values."""

    id: str
    key: str
    status: str
    units: int
    done: tuple[SerialRange, ...]
    refused_units: int
    reason: str
    decided_ms: int
    due_ms: int


def compose(instruction: Instruction) -> bytes:
    """The body of an order. `to_account`: the exchange for a block, else the buyer. Raises `UnsendableError`."""
    operation = OPERATIONS.get(instruction.action)
    if operation is None:
        raise UnsendableError(f"this registry has no order to {instruction.action}")
    if not re.fullmatch(SAFE_KEY, instruction.key, re.ASCII):
        raise UnsendableError("an Idempotency-Key has 1 to 64 letters, digits, _ or -")
    if not instruction.lots or len(instruction.lots) > CAPABILITIES.lots_max:
        raise UnsendableError(f"{len(instruction.lots)} blocks; 1 to {CAPABILITIES.lots_max} go into one order")
    if any(lot.scheme != "icm_ccc" for lot in instruction.lots):
        raise UnsendableError("this registry keeps carbon credit certificates, no other units")
    body: dict[str, Any] = {
        "operation": operation,
        "account": instruction.account,
        "blocks": [print_range(lot) for lot in instruction.lots],
        "quantity": instruction.units,
    }
    if instruction.action in _IN_SESSION:
        body |= _describe_session(instruction)
    if instruction.action is Action.USE:
        year = instruction.details.get("use_year", "")
        if not _YEAR.fullmatch(year):
            raise UnsendableError(f"a surrender names its compliance year, not {year!r}")
        body["complianceYear"] = year
    return format_json(body)


def _describe_session(instruction: Instruction) -> dict[str, str]:
    """Exchange and session; there is no other way to sell."""
    exchange = instruction.to_account if instruction.action is Action.BLOCK else instruction.details.get("exchange", "")
    if exchange not in EXCHANGES:
        raise UnsendableError(
            f"certificates are sold at {', '.join(EXCHANGES)} only, not at {exchange or 'no exchange'}"
        )
    try:
        session = read_session(instruction.details.get("session", ""))
    except ValueError as error:
        raise UnsendableError(f"a session is named by its day: {error}") from error
    found = {"exchange": exchange, "session": session.isoformat()}
    if instruction.action is Action.TRANSFER:
        if not instruction.to_account:
            raise UnsendableError("a transfer names the buyer's account")
        found["toAccount"] = instruction.to_account
    return found


def read_order(value: Any) -> Ordered:
    """One order; raises `ShapeError`, also where its quantities cannot be true."""
    status = _field(value, "status", str)
    if status not in _STATUSES:
        raise ShapeError(f"status: {status!r} is unknown")
    found = Ordered(
        id=_field(value, "orderId", str),
        key=_field(value, "key", str),
        status=status,
        units=read_units(value, "quantity"),
        done=tuple(read_block(item) for item in _field(value, "done", list)),
        refused_units=read_units(value, "refusedQuantity"),
        reason=_field(value, "reason", str),
        decided_ms=read_instant(value["decidedAt"], "decidedAt", zoned=True)
        if value.get("decidedAt") is not None
        else 0,
        due_ms=read_instant(value["dueAt"], "dueAt", zoned=True) if value.get("dueAt") is not None else 0,
    )
    check_apart(found.done, f"order {found.id}")
    done = sum(item.units for item in found.done)
    if status == "REFUSED" and found.refused_units not in (0, found.units):
        raise ShapeError(f"REFUSED for {found.refused_units} of {found.units}")
    if done + found.refused_units > found.units:
        raise ShapeError(f"{done} done and {found.refused_units} refused of {found.units}")
    if status in ("DONE", "REVERSED") and (done + found.refused_units != found.units or not found.decided_ms):
        raise ShapeError(f"{status} with {done} of {found.units}")
    if status in ("PENDING", "REFUSED") and done:
        raise ShapeError(f"{status} with {done} done")
    return found


def read_report(found: Ordered, instruction: Instruction, evidence: bytes) -> Report | Refused:
    """What the order means for the instruction; raises `ShapeError` where it cannot be its answer."""
    if found.key != instruction.key or found.units != instruction.units:
        raise ShapeError(f"order {found.id} of {found.units} under {found.key!r} is not the one asked about")
    if found.status == "REFUSED":
        return Refused(found.reason or "refused", final=True, evidence=evidence)
    done = sum(item.units for item in found.done)
    return Report(
        reference=found.id,
        done=found.done,
        pending_units=found.units - done - found.refused_units,
        refused_units=found.refused_units,
        reason=found.reason,
        effective=Moment(found.decided_ms) if done else None,
        due_ms=found.due_ms,
        undone=found.status == "REVERSED",
        evidence=evidence,
    )


def read_event(value: Mapping[str, Any]) -> Change:
    """One event; raises `ShapeError`."""
    named = _field(value, "event", str)
    if named not in _KINDS:
        raise ShapeError(f"event: {named!r} is unknown")
    facts = value.get("facts", {})
    if not isinstance(facts, dict) or not all(isinstance(each, str) for each in facts.values()):
        raise ShapeError("facts: names with texts")
    block = value.get("block")
    at_ms = read_instant(_field(value, "at", str), "at", zoned=True)
    return Change(
        id=_field(value, "id", str),
        kind=_KINDS[named],
        at_ms=at_ms,
        serials=None if block is None else read_block(block),
        account=_field(value, "account", str),
        to_account=_field(value, "toAccount", str),
        reference=_field(value, "orderId", str),
        key=_field(value, "key", str),
        effective=Moment(at_ms),
        details={"event": named} | facts,
        evidence=format_plain(value),
    )


def read_holding(value: Mapping[str, Any]) -> Holding:
    """One block of the books; raises `ShapeError`."""
    try:
        state = HoldingState(_field(value, "state", str))
    except ValueError as error:
        raise ShapeError(f"state: {error}") from error
    block = read_block(_field(value, "block", str))
    if read_units(value, "quantity") != block.units:
        raise ShapeError(f"block {value['block']!r} holds {block.units} certificates, not {value['quantity']}")
    return Holding(block, _field(value, "account", str), state, _field(value, "orderId", str))


def read_balance(value: Any) -> Balance:
    """The sub-balances of an account; raises `ShapeError`."""
    return Balance(
        free=read_units(value, "free"),
        blocked=read_units(value, "blocked"),
        banked=read_units(value, "banked"),
        surrendered=read_units(value, "surrendered"),
        extinguished=read_units(value, "extinguished"),
        breaches=read_units(value, "breaches"),
        debarred_until=_field(value, "debarredUntil", str),
    )


def read_rows(value: Any, name: str) -> Sequence[Mapping[str, Any]]:
    """The objects of a list; raises `ShapeError`."""
    rows: list[Mapping[str, Any]] = _field(value, name, list)
    if not all(isinstance(row, dict) for row in rows):
        raise ShapeError(f"{name}: a row is no object")
    return rows


def read_block(text: Any) -> SerialRange:
    """A block of certificates; raises `ShapeError`."""
    try:
        found = parse(text) if isinstance(text, str) else None
    except SerialError as error:
        raise ShapeError(f"block {text!r}: {error}") from error
    if found is None or found.scheme != "icm_ccc":
        raise ShapeError(f"{text!r} is no block of certificates")
    return found


def read_units(value: Any, name: str) -> int:
    """A whole number from 0 on; raises `ShapeError`."""
    found = _field(value, name, int)
    if isinstance(found, bool) or not 0 <= found < 2**63:
        raise ShapeError(f"{name}: {found!r} is no quantity")
    return int(found)


def format_plain(value: Any) -> bytes:
    """The answer as evidence; raises `ShapeError` where it holds what the registry's language has not."""
    try:
        return format_json(value)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"no plain values: {error}") from error


def _field(value: Any, name: str, kind: type) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get(name), kind):
        raise ShapeError(f"{name} is missing or no {kind.__name__}")
    return value[name]
