"""What is said in the exchange: proposals, answers to them, transactions, events, unit blocks. Pure.

Field names and codes are those of the Data Exchange Standards where these have them. Anything else than what is
described is `ShapeError`; it never becomes a report.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from adapters.answers import ShapeError, check_apart, read_instant
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
from adapters.web import format_json
from keeling.serials import SerialError, SerialRange, parse, print_range

BLOCKS_MAX: Final = 3_000
"""Unit blocks one proposal may name."""
MAJOR_VERSION: Final = 1
MINOR_VERSION: Final = 1


class TransactionType(IntEnum):
    """What a transaction does."""

    ISSUANCE = 1
    EXTERNAL_TRANSFER = 3
    CANCELLATION = 4
    RETIREMENT = 5
    INTERNAL_TRANSFER = 10


class Status(IntEnum):
    """Where a transaction stands; reversed by a new transaction of the registry's own."""

    PROPOSED = 1
    CHECKED = 2
    DISCREPANCY = 3
    COMPLETED = 4
    TERMINATED = 5
    REJECTED = 6
    CANCELLED = 7
    ACCEPTED = 8
    LOG_CHECKED = 9
    LOG_DISCREPANCY = 10
    REVERSED = 20


REFUSED: Final = (Status.TERMINATED, Status.REJECTED, Status.CANCELLED)
"""Final, and nothing was done. Checked with a discrepancy is not: the transaction is terminated after that."""

KINDS: Final[Mapping[str, ChangeKind]] = {
    "Issuance": ChangeKind.ISSUED,
    "Forwarding": ChangeKind.TRANSFERRED,
    "Internal transfer": ChangeKind.TRANSFERRED,
    "First transfer": ChangeKind.TRANSFERRED,
    "Transfer": ChangeKind.TRANSFERRED,
    "Acquisition": ChangeKind.TRANSFERRED,
    "Use": ChangeKind.USED,
    "Retirement": ChangeKind.RETIRED,
    "Cancellation": ChangeKind.CANCELLED,
    "Reversal": ChangeKind.REVERSED,
    "Restriction": ChangeKind.BLOCKED,
    "Restriction lifted": ChangeKind.UNBLOCKED,
    "Proposal": ChangeKind.PROPOSED,
    "Recognition": ChangeKind.NOTICE,
    "Authorization": ChangeKind.NOTICE,
    "Authorization revoked": ChangeKind.NOTICE,
    "Adjustment": ChangeKind.NOTICE,
    "AEF file": ChangeKind.NOTICE,
}
"""What the event types mean to us. `facts` of an event say more: authorization, Parties, AEF action and subtype."""


class Ends(NamedTuple):
    """Where units come from and go to: registry codes and accounts, and what the action is called in the AEF."""

    kind: TransactionType
    from_registry: str
    to_registry: str
    to_account: str
    facts: Mapping[str, str]


class Transaction(NamedTuple):
    """One transaction as the registry shows it, in values."""

    identifier: str
    reference: str
    status: Status
    proposed: tuple[SerialRange, ...]
    completed: tuple[SerialRange, ...]
    refused_units: int
    reason: str
    at_ms: int
    due_ms: int
    answer: str
    """The identifier of the notification that answered it, where it had to be answered."""

    @property
    def units(self) -> int:
        return sum(block.units for block in self.proposed)


# -- what is said


def compose_proposal(instruction: Instruction, ends: Ends, sender: str, receiver: str) -> bytes:
    """A proposal; the receiver answers first whether it took the message, later what became of it."""
    check_instruction(instruction)
    transaction = {
        "transactionIdentifier": instruction.key,
        "transactionType": int(ends.kind),
        "transferringRegistryCode": ends.from_registry,
        "transferringRegistryAccountIdentifier": instruction.account,
        "acquiringRegistryCode": ends.to_registry,
        "acquiringRegistryAccountIdentifier": ends.to_account,
        "proposalUnitBlocks": [format_block(lot) for lot in instruction.lots],
        "facts": dict(ends.facts),
    }
    return format_json(_envelope(sender, receiver) | {"proposedTransaction": transaction})


def compose_answer(instruction: Instruction, sender: str, receiver: str) -> bytes:
    """The notification that accepts (8) or rejects (6) a transaction another registry proposed."""
    check_instruction(instruction)
    if not instruction.answers:
        raise UnsendableError("an answer names the transaction it answers")
    status = Status.ACCEPTED if instruction.action is Action.ACCEPT else Status.REJECTED
    notification = {
        "notificationIdentifier": instruction.key,
        "transactionIdentifier": instruction.answers,
        "transactionStatus": int(status),
        "evaluationResult": [],
    }
    return format_json(_envelope(sender, receiver) | {"notification": notification})


def check_instruction(instruction: Instruction) -> None:
    """Refuse with `UnsendableError` what no message can carry."""
    if not re.fullmatch(SAFE_KEY, instruction.key, re.ASCII):
        raise UnsendableError("a transactionIdentifier has 1 to 64 letters, digits, _ or -")
    if not instruction.lots or len(instruction.lots) > BLOCKS_MAX:
        raise UnsendableError(f"{len(instruction.lots)} unit blocks; 1 to {BLOCKS_MAX} go into one proposal")
    if not instruction.account:
        raise UnsendableError("a proposal names the account the units are in")


def format_block(block: SerialRange) -> dict[str, Any]:
    """A unit block: its numbers, and the whole serial they belong to."""
    return {
        "unitSerialBlockStart": block.first,
        "unitSerialBlockEnd": block.last,
        "serials": print_range(block),
    }


def _envelope(sender: str, receiver: str) -> dict[str, Any]:
    return {"from": sender, "to": receiver, "majorVersion": MAJOR_VERSION, "minorVersion": MINOR_VERSION}


# -- what is answered


def read_block(value: Any) -> SerialRange:
    """A unit block whose numbers are those of its serial; raises `ShapeError`."""
    found = read_serials(_field(value, "serials", str))
    if (found.first, found.last) != (
        read_units(value, "unitSerialBlockStart"),
        read_units(value, "unitSerialBlockEnd"),
    ):
        raise ShapeError(f"block {value['serials']!r} does not have the numbers that stand beside it")
    return found


def read_serials(text: str) -> SerialRange:
    """A printed serial range; raises `ShapeError`."""
    try:
        return parse(text)
    except SerialError as error:
        raise ShapeError(f"serials {text!r}: {error}") from error


def read_acknowledgement(message: Mapping[str, Any], instruction: Instruction, evidence: bytes) -> Report | Refused:
    """That the message was taken, and nothing more: its transaction is still to be decided; raises `ShapeError`."""
    result = _field(message, "resultIdentifier", int)
    if result == 0:
        codes = [str(code) for code in _field(message, "responseCodes", list)]
        said = message.get("responseText")
        return Refused(f"message not accepted: {', '.join(codes)} {said or ''}".strip(), final=False, evidence=evidence)
    if result != 1:
        raise ShapeError(f"resultIdentifier: {result} is neither 1 nor 0")
    return Report(
        reference=_field(message, "logReference", str),
        done=(),
        pending_units=instruction.units,
        reason="message accepted, transaction not decided",
        due_ms=_read_due(message),
        evidence=evidence,
    )


def read_transaction(value: Any) -> Transaction:
    """One transaction; raises `ShapeError`, also where its quantities cannot be true."""
    try:
        status = Status(read_units(value, "transactionStatus"))
    except ValueError as error:
        raise ShapeError(f"transactionStatus: {error}") from error
    results = _field(value, "evaluationResult", list)
    found = Transaction(
        identifier=_field(value, "transactionIdentifier", str),
        reference=_field(value, "logReference", str),
        status=status,
        proposed=tuple(read_block(block) for block in _field(value, "proposalUnitBlocks", list)),
        completed=tuple(read_block(block) for block in _field(value, "completedUnitBlocks", list)),
        refused_units=read_units(value, "refusedUnits"),
        reason="; ".join(_read_result(each) for each in results),
        at_ms=read_instant(_field(value, "transactionStatusDateTime", str), "transactionStatusDateTime", zoned=True),
        due_ms=_read_due(value),
        answer=read_text(value, "answerIdentifier"),
    )
    check_apart(found.completed, "completedUnitBlocks")
    done = sum(block.units for block in found.completed)
    if found.status in REFUSED and found.refused_units not in (0, found.units):
        raise ShapeError(f"status {int(status)} for {found.refused_units} of {found.units} units")
    if done + found.refused_units > found.units:
        raise ShapeError(f"{done} units completed and {found.refused_units} refused of {found.units}")
    if found.status in (Status.COMPLETED, Status.REVERSED) and done + found.refused_units != found.units:
        raise ShapeError(f"status {int(status)} with {done} of {found.units} units")
    if done and found.status not in (Status.ACCEPTED, Status.COMPLETED, Status.REVERSED):
        raise ShapeError(f"status {int(status)} with {done} units completed")
    return found


def read_report(found: Transaction, instruction: Instruction, evidence: bytes) -> Report | Refused:
    """What the transaction means for the instruction; raises `ShapeError` where it cannot be its answer."""
    if found.units != instruction.units:
        raise ShapeError(f"transaction {found.identifier} is of {found.units} units, not of {instruction.units}")
    if instruction.action is Action.DECLINE and found.status is Status.REJECTED:
        return Report(found.reference, found.proposed, 0, effective=Moment(found.at_ms), evidence=evidence)
    if found.status in REFUSED:
        return Refused(found.reason or f"status {int(found.status)}", final=True, evidence=evidence)
    done = sum(block.units for block in found.completed)
    return Report(
        reference=found.reference,
        done=found.completed,
        pending_units=found.units - done - found.refused_units,
        refused_units=found.refused_units,
        reason=found.reason or f"status {int(found.status)} {found.status.name.lower().replace('_', ' ')}",
        effective=Moment(found.at_ms) if done else None,
        due_ms=found.due_ms,
        undone=found.status is Status.REVERSED,
        evidence=evidence,
    )


def read_event(value: Mapping[str, Any], evidence: bytes) -> Change:
    """One event of the registry's log; raises `ShapeError`."""
    named = _field(value, "eventType", str)
    if named not in KINDS:
        raise ShapeError(f"eventType: {named!r} is none of the exchange")
    facts = value.get("facts", {})
    if not isinstance(facts, dict) or not all(isinstance(each, str) for each in facts.values()):
        raise ShapeError("facts: names with texts")
    serials = read_text(value, "serials")
    at_ms = read_instant(_field(value, "eventDateTime", str), "eventDateTime", zoned=True)
    return Change(
        id=_field(value, "eventIdentifier", str),
        kind=KINDS[named],
        at_ms=at_ms,
        serials=read_serials(serials) if serials else None,
        account=read_text(value, "transferringAccountIdentifier"),
        to_account=read_text(value, "acquiringAccountIdentifier"),
        reference=read_text(value, "logReference"),
        key=read_text(value, "transactionIdentifier"),
        effective=Moment(at_ms),
        details={"event": named} | {str(name): str(said) for name, said in facts.items()},
        evidence=evidence,
        due_ms=_read_due(value),
        answers=read_text(value, "transactionIdentifier") if named == "Proposal" else "",
    )


def read_holding(value: Any) -> Holding:
    """One unit block of the books; raises `ShapeError`."""
    try:
        state = HoldingState(_field(value, "state", str))
    except ValueError as error:
        raise ShapeError(f"state: {error}") from error
    return Holding(read_block(value), _field(value, "accountIdentifier", str), state, read_text(value, "logReference"))


def read_rows(message: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    """The objects of a list in the message; raises `ShapeError`."""
    rows: list[Mapping[str, Any]] = _field(message, name, list)
    if not all(isinstance(row, dict) for row in rows):
        raise ShapeError(f"{name}: a row is no object")
    return rows


def read_units(value: Any, name: str) -> int:
    """A whole number from 0 on; raises `ShapeError`."""
    found = _field(value, name, int)
    if isinstance(found, bool) or not 0 <= found < 2**63:
        raise ShapeError(f"{name}: {found!r} is no quantity")
    return int(found)


def read_text(value: Mapping[str, Any], name: str) -> str:
    """A text that may be absent; raises `ShapeError` where it is something else."""
    found = value.get(name, "")
    if not isinstance(found, str):
        raise ShapeError(f"{name} is no text")
    return found


def _read_due(value: Mapping[str, Any]) -> int:
    """When it will be decided, in ms; 0: not said."""
    name = "decisionDueDateTime"
    return read_instant(value[name], name, zoned=True) if name in value else 0


def _read_result(value: Any) -> str:
    code, said = read_units(value, "responseCode"), read_text(value, "responseText")
    return f"{code} {said}".strip()


def _field(value: Any, name: str, kind: type) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get(name), kind):
        raise ShapeError(f"{name} is missing or no {kind.__name__}")
    return value[name]
