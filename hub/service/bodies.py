"""What callers send and are told, as JSON: read strictly, written in one way. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hub.dispatch import blocking
from hub.dispatch.answering import Line
from hub.dispatch.memory import Pending
from hub.dispatch.ordering import Wanted
from hub.dispatch.sessions import Kind, OrderName
from hub.reconcile.report import Run, format_instant, name_run, tell_run, write_csv
from hub.service.comparing import Compared
from hub.service.problems import Problem
from keeling.certificate import Certificate
from keeling.serials import SerialError, SerialRange, parse, print_range
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

_PURPOSES: Final = {
    "retire": op.Hold.FOR_RETIREMENT,
    "cancel": op.Hold.FOR_CANCELLATION,
    "transfer": op.Hold.FOR_TRANSFER,
}
UNITS_MAX: Final = 2**63 - 1
BECAUSE_MAX: Final = 2_000
"""Characters of the words that a decision is given."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Positions(_Strict):
    """A range of a batch."""

    batch: str = Field(min_length=1, max_length=256)
    first: int = Field(ge=0, le=UNITS_MAX)
    units: int = Field(ge=1, le=UNITS_MAX)


class HoldBody(_Strict):
    """`POST /v1/holds`: units of a linked account that were sold; the hold is the instruction to the registry."""

    account: str = Field(min_length=1, max_length=256)
    units: int | None = Field(default=None, ge=1, le=UNITS_MAX)
    positions: list[Positions] = Field(default=[], max_length=100)
    purpose: Literal["retire", "cancel", "transfer"]
    expires_ms: int = Field(ge=1, le=UNITS_MAX)
    buyer: str = Field(default="", max_length=256)
    to_account: str = Field(default="", max_length=256)
    mandate: str = Field(default="", max_length=256)
    beneficiary: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")

    @model_validator(mode="after")
    def _check_together(self) -> HoldBody:
        if (self.units is None) == (not self.positions):
            raise ValueError("either units or positions say what is held")
        return self


class DecisionBody(_Strict):
    """`POST /v1/proposals/REGISTRY/REFERENCE`: a person's answer; `because` is kept as evidence with who decided."""

    action: Literal["accept", "decline"]
    because: str = Field(default="", max_length=BECAUSE_MAX)


class WithdrawalBody(_Strict):
    """`POST /v1/holds/HOLD/withdrawal`: `because` is kept as evidence with who said it."""

    because: str = Field(min_length=1, max_length=BECAUSE_MAX)


class BlockBody(_Strict):
    """`POST /v1/blocks`: units of a linked account for a session of an exchange; `because` is kept as evidence."""

    action: Literal["block", "unblock"]
    account: str = Field(min_length=1, max_length=256)
    exchange: str = Field(pattern=r"^[\w.-]{1,40}$")
    session: str = Field(pattern=r"^[\w.-]{1,40}$")
    units: int | None = Field(default=None, ge=1, le=UNITS_MAX)
    serials: list[str] = Field(default=[], max_length=100)
    because: str = Field(default="", max_length=BECAUSE_MAX)

    @model_validator(mode="after")
    def _check_together(self) -> BlockBody:
        if (self.units is None) == (not self.serials):
            raise ValueError("either units or serials say what is blocked")
        return self


B = TypeVar("B", bound=BaseModel)


def _read_body(raw: bytes, shape: type[B]) -> B:
    try:
        return shape.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Problem(400, "bad-body", f"{where}: {first['msg']}") from error


def read_decision(raw: bytes) -> DecisionBody:
    """The answer in a body; raises `Problem`."""
    return _read_body(raw, DecisionBody)


def read_withdrawal(raw: bytes) -> WithdrawalBody:
    """Why something is taken back; raises `Problem`."""
    return _read_body(raw, WithdrawalBody)


def read_block(raw: bytes, number: bytes, by: str) -> Wanted:
    """The order that a body asks for; raises `Problem`."""
    body = _read_body(raw, BlockBody)
    name = OrderName(Kind(body.action), body.exchange, body.session, number)
    return Wanted(name, body.account, body.units or 0, read_serials(body.serials), by, body.because)


def read_serials(texts: Sequence[str]) -> tuple[SerialRange, ...]:
    """Serials as a registry prints them; raises `Problem`."""
    try:
        return tuple(parse(text) for text in texts)
    except SerialError as error:
        raise Problem(400, "bad-body", f"serials: {error}") from error


def read_hold(raw: bytes, number: bytes) -> op.Hold:
    """The operation that a body asks for; raises `Problem`."""
    body = _read_body(raw, HoldBody)
    ranges = [op.Range(batch=each.batch, first=each.first, units=each.units) for each in body.positions]
    selection = op.Selection(ranges=ranges) if ranges else op.Selection(units=body.units or 0)
    return op.Hold(
        hold=number,
        account=body.account,
        selection=selection,
        purpose=_PURPOSES[body.purpose],
        expires_ms=body.expires_ms,
        buyer=body.buyer,
        to_account=body.to_account,
        mandate=body.mandate,
        beneficiary=bytes.fromhex(body.beneficiary),
    )


def read_key(text: str) -> bytes:
    """An Idempotency-Key: a UUIDv7, bare or as a quoted string (RFC 8941). It becomes the id of hold and transaction.

    So the ledger itself does what the same key asks once, for every hub and after every restart. Raises `Problem`.
    """
    bare = text.strip()
    if len(bare) > 1 and bare[0] == bare[-1] == '"':
        bare = bare[1:-1]
    try:
        found = uuid.UUID(bare)
    except ValueError:
        found = uuid.UUID(int=0)
    if found.version != 7:
        detail = "send an Idempotency-Key header with a fresh UUIDv7, and the same one again for the same request"
        raise Problem(400, "no-idempotency-key", detail)
    return found.bytes


def tell_message(message: Message) -> dict[str, Any]:
    """A message of the ledger as JSON: bytes in hex, whole numbers as text."""
    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    for field, value in message.ListFields():
        if field.type == field.TYPE_BYTES and not field.is_repeated:
            found[field.name] = value.hex()
    return found


def tell_pending(lines: Sequence[Pending]) -> list[dict[str, Any]]:
    """The backlog."""
    return [{**line._asdict(), "hold": line.hold.hex()} for line in lines]


def tell_proposal(line: Line) -> dict[str, Any]:
    """An open proposal, and how its answer stands."""
    found = line.proposal
    names = ("registry", "reference", "account", "to_account", "at_ms", "due_ms")
    told = {name: getattr(found, name) for name in names}
    told |= {"units": str(found.units), "serials": [print_range(lot) for lot in found.lots]}
    return {**told, "decided": line.decided, "why": line.why, "alert": line.alert, "at_risk": line.at_risk}


def tell_block(line: blocking.Line) -> dict[str, Any]:
    """An order for a session, and how it stands."""
    name = line.name
    told: dict[str, Any] = {
        "order": name.number.hex(),
        "action": name.kind.value,
        "exchange": name.exchange,
        "session": name.session,
    }
    told |= {
        "account": line.account,
        "registry": line.registry,
        "units": str(line.units),
        "serials": list(line.serials),
    }
    told |= {"standing": line.standing, "why": line.why, "alert": line.alert}
    return {**told, "since_ms": line.since_ms, "expected_ms": line.expected_ms}


class Told(NamedTuple):
    """A hold, and in one line what a buyer is told of it."""

    hold: pb.HoldInfo
    told: str


def tell_hold(found: Told) -> dict[str, Any]:
    """A hold, with what a buyer is told of it."""
    return {**tell_message(found.hold), "told": found.told}


def tell_certificate(found: Certificate) -> dict[str, Any]:
    """A certificate in a few words; the document itself is asked for by its event."""
    names = ("event", "status", "registry", "driver", "reference", "grade", "ended")
    told = {name: getattr(found, name) for name in names}
    return {**told, "units": str(found.units), "withdrawn_units": str(found.withdrawn_units)}


def tell_whole_run(run: Run) -> dict[str, Any]:
    """A reconciliation with everything in it, the same as CSV too."""
    told = {"run": name_run(run), "anchored": run.anchored, "broken_units": str(run.broken_units)}
    return {**tell_run(run), **told, "csv": write_csv(run)}


def tell_compared(found: Compared) -> dict[str, Any]:
    """How far a comparison is, and the newest run without its differences."""
    progress = None if found.progress is None else {**found.progress._asdict(), "units": str(found.progress.units)}
    newest = None
    if found.newest is not None:
        newest = {name: value for name, value in tell_run(found.newest).items() if name != "differences"}
        newest |= {"run": name_run(found.newest), "anchored": found.newest.anchored}
    return {"registry": found.registry, "progress": progress, "newest": newest}


def describe_hold(hold: pb.HoldInfo, *, owner_control: bool, expected_ms: int, driver: str) -> str:
    """In one line, for a buyer. `owner_control`: the owner can still move the units at the registry."""
    by = f", expected by {format_instant(expected_ms)}" if expected_ms else ""
    waits = {
        "OPEN": "held; not yet with the registry",
        "INSTRUCTED": f"instructed{by}; the registry has not confirmed it",
    }
    said = waits.get(hold.phase, f"{hold.phase.lower()}: {hold.captured:,} done, {hold.released:,} released")
    if hold.phase in waits and owner_control:
        said += f"; until {hold.registry} confirms, the seller could still move it there"
    return f"{said} (sandbox: not a real registry)" if driver == "sandbox" else said
