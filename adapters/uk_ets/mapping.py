"""The UK registry's words and the contract's values, both ways. Pure: what is sent, and what an answer means.

A transaction is done whole or not at all; one that says otherwise is `ShapeError`, as is everything else that the
registry's code does not write. When it will be done is reckoned in `hours`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from adapters.answers import ShapeError, read_instant
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
from adapters.uk_ets.basis import CAPABILITIES
from adapters.uk_ets.hours import print_time
from adapters.web import format_json
from keeling.serials import SerialRange, parse
from keeling.serials.uk_account import AccountNumberError, parse_account

TYPES: Final = {
    Action.TRANSFER: "TransferAllowances",
    Action.USE: "SurrenderAllowances",
    Action.CANCEL: "DeletionOfAllowances",
}
_KINDS: Final = {
    "TransferAllowances": ChangeKind.TRANSFERRED,
    "SurrenderAllowances": ChangeKind.USED,
    "DeletionOfAllowances": ChangeKind.CANCELLED,
}
_OPEN: Final = (
    "AWAITING_APPROVAL",
    "DELAYED",
    "PROPOSED",
    "CHECKED_NO_DISCREPANCY",
    "CHECKED_DISCREPANCY",
    "ACCEPTED",
    "STL_CHECKED_NO_DISCREPANCY",
    "STL_CHECKED_DISCREPANCY",
)
_ENDED: Final = ("TERMINATED", "REJECTED", "CANCELLED", "MANUALLY_CANCELLED", "FAILED")
_STATUSES: Final = (*_OPEN, *_ENDED, "COMPLETED", "REVERSED")
_REACHED: Final = {
    Action.ACCEPT: tuple(status for status in _STATUSES if status not in ("AWAITING_APPROVAL", "REJECTED")),
    Action.DECLINE: ("REJECTED",),
    Action.WITHDRAW: ("MANUALLY_CANCELLED",),
}
_STILL_OPEN: Final = {
    Action.ACCEPT: ("AWAITING_APPROVAL",),
    Action.DECLINE: ("AWAITING_APPROVAL",),
    Action.WITHDRAW: _OPEN,
}
_CODE: Final = re.compile(r"\d{1,9}", re.ASCII)
_TRANSACTION: Final = re.compile(r"UK\d{1,18}", re.ASCII)
_DECISIONS: Final = frozenset(
    {*range(1002, 1008), 1009, 1011, 1012, 1014}
    | {*range(2002, 2005), 2006, 2007, 2009, 2010, 2012, 2013, *range(2015, 2019), 2506, 2507, 2508}
    | {*range(3001, 3006), *range(3010, 3014), 3015, *range(3017, 3021), 3500, *range(10001, 10006)}
)
"""Checks that fail because of the units or accounts; others fail because the message is wrong, or are not known."""
_KEPT: Final = (
    "identifier",
    "id",
    "type",
    "status",
    "quantity",
    "reference",
    "taskIdentifier",
    "transferringAccountFullIdentifier",
    "acquiringAccountFullIdentifier",
    "started",
    "lastUpdated",
    "executionDateTime",
    "blocks",
    "responses",
    "requestIdentifier",
    "transactionIdentifier",
    "startBlock",
    "endBlock",
    "errorCode",
    "errorDetails",
    "code",
    "message",
)
"""What of an answer is kept as evidence: no names of holders and users, no comments."""


class Transaction(NamedTuple):
    """One transaction as `transactions.get` shows it, in values."""

    id: str
    kind: ChangeKind
    status: str
    quantity: int
    blocks: tuple[SerialRange, ...]
    account: str
    to_account: str
    key: str
    request: str
    """The number of the task that waits for the second representative."""
    updated_ms: int
    execution_ms: int
    """0: not decided yet."""
    reason: str


def compose(instruction: Instruction) -> bytes:
    """The body to send: JSON for a proposal, a form for an answer. Raises `UnsendableError`."""
    if instruction.action not in CAPABILITIES.actions:
        raise UnsendableError(f"the UK registry knows no {instruction.action}")
    if not re.fullmatch(SAFE_KEY, instruction.key, re.ASCII):
        raise UnsendableError("a key has 1 to 64 letters, digits, _ or -")
    if not instruction.lots or len(instruction.lots) > CAPABILITIES.lots_max:
        raise UnsendableError(f"{len(instruction.lots)} blocks; 1 to {CAPABILITIES.lots_max} go into one proposal")
    if instruction.action not in TYPES:
        return _compose_answer(instruction)
    if any(lot.scheme != "uka" for lot in instruction.lots):
        raise UnsendableError("the UK registry holds blocks of UK allowances alone")
    body: dict[str, Any] = {
        "type": TYPES[instruction.action],
        "transferringAccountFullIdentifier": instruction.account,
        "transferringAccountIdentifier": _account_number(instruction.account),
        "blocks": [{"type": "ALLOWANCE", "quantity": str(instruction.units)}],
        "reference": instruction.key,
    }
    if instruction.action is Action.TRANSFER:
        _account_number(instruction.to_account)
        if instruction.to_account == instruction.account:
            raise UnsendableError("a transfer goes to another account (2508)")
        body["acquiringAccountFullIdentifier"] = instruction.to_account
    return format_json(body)


def path_of(instruction: Instruction) -> str:
    """Where its body goes."""
    if instruction.action in TYPES:
        return "/api-registry/transactions.propose"
    return f"/api-registry/{'transactions.cancel' if instruction.action is Action.WITHDRAW else 'tasks.complete'}"


def _compose_answer(instruction: Instruction) -> bytes:
    if not _TRANSACTION.fullmatch(instruction.answers):
        raise UnsendableError(f"{instruction.answers[:40]!r} is no transaction like UK1000000 to answer")
    comment = f"{instruction.details.get('comment', '')} [{instruction.key}]".strip()
    if instruction.action is Action.WITHDRAW:
        return urlencode({"transactionIdentifier": instruction.answers, "comment": comment}).encode()
    request = instruction.details.get("request", "")
    if not (request.isascii() and request.isdigit()):
        raise UnsendableError("details name the `request` that waits for an answer, a number")
    outcome = "APPROVED" if instruction.action is Action.ACCEPT else "REJECTED"
    return urlencode({"requestId": request, "taskOutcome": outcome, "comment": comment}).encode()


def _account_number(text: str) -> int:
    try:
        return parse_account(text).identifier
    except AccountNumberError as error:
        raise UnsendableError(str(error)) from error


def read_proposed(value: Any) -> str:
    """The transaction an accepted proposal became; raises `ShapeError`."""
    if isinstance(value, dict) and value.get("errors"):
        raise ShapeError("errors in an answer that says yes")
    identifier = _text(value, "transactionIdentifier")
    if not _TRANSACTION.fullmatch(identifier):
        raise ShapeError(f"transactionIdentifier: {identifier[:40]!r} is none of the registry's")
    return identifier


def read_refusal(status: int, value: Any, evidence: bytes) -> Refused | None:
    """406: checks failed, by their codes; 400: the wrong state for it. None: a check that will pass later (3016).

    Final is only a no by codes that the registry's code uses for units and accounts.
    """
    found = value.get("errorDetails") if isinstance(value, dict) else None
    if not isinstance(found, list) or not found or not all(isinstance(item, dict) for item in found):
        raise ShapeError(f"{status} without errorDetails")
    codes = [_text(item, "code") for item in found]
    reason = "; ".join(f"{_text(item, 'code')} {_text(item, 'message')}".strip() for item in found)[:400]
    if "3016" in codes:
        return None
    final = status == 406 and _DECISIONS.issuperset(int(code) if _CODE.fullmatch(code) else 0 for code in codes)
    return Refused(reason or f"refused with {status}", final, evidence)


def read_transaction(value: Any) -> Transaction:
    """`transactions.get`; raises `ShapeError`."""
    kind, status = _KINDS.get(_text(value, "type")), _text(value, "status")
    if kind is None or status not in _STATUSES:
        raise ShapeError(f"a transaction of type {_text(value, 'type')[:40]!r} and status {status[:40]!r}")
    blocks, quantity = tuple(_read_block(item) for item in take(value, "blocks", list)), read_count(value, "quantity")
    if sum(block.units for block in blocks) != quantity:
        raise ShapeError(f"quantity: {quantity}, and its blocks hold {sum(block.units for block in blocks)}")
    if any(one.overlaps(other) for at, one in enumerate(blocks) for other in blocks[:at]):
        raise ShapeError("blocks: a unit stands in two of them")
    identifier = _text(value, "identifier")
    if not _TRANSACTION.fullmatch(identifier):
        raise ShapeError(f"identifier: {identifier[:40]!r} is none of the registry's")
    task, due = value.get("taskIdentifier"), value.get("executionDateTime")
    responses = value.get("responses") if isinstance(value.get("responses"), list) else []
    return Transaction(
        identifier,
        kind,
        status,
        quantity,
        blocks,
        _text(value, "transferringAccountFullIdentifier"),
        _text(value, "acquiringAccountFullIdentifier"),
        _text(value, "reference"),
        str(task) if isinstance(task, int) and not isinstance(task, bool) else "",
        read_instant(value.get("lastUpdated"), "lastUpdated", zoned=True),
        0 if due is None else read_instant(due, "executionDateTime", zoned=True),
        "; ".join(_text(item, "details") for item in responses if isinstance(item, dict))[:400],
    )


def read_report(found: Transaction, instruction: Instruction, evidence: bytes) -> Report | Refused:
    """What a transaction means for the proposal it became; raises `ShapeError` where it cannot be its."""
    if found.quantity != instruction.units or found.key not in ("", instruction.key):
        raise ShapeError(f"transaction {found.id} is not of {instruction.units} units under this key")
    if _KINDS[TYPES[instruction.action]] is not found.kind:
        raise ShapeError(f"transaction {found.id} is {found.kind}")
    if found.status in _ENDED:
        return Refused(f"{found.status} {found.reason}".strip(), final=True, evidence=evidence)
    if found.status in _OPEN:
        waits = "waits for the second representative"
        if found.execution_ms:
            waits = f"executes {print_time(found.execution_ms)}"
        return Report(found.id, (), found.quantity, 0, waits, None, found.execution_ms, evidence=evidence)
    moment, undone = Moment(found.updated_ms), found.status == "REVERSED"
    return Report(found.id, found.blocks, 0, 0, "", moment, undone=undone, evidence=evidence)


def read_answered(found: Transaction, instruction: Instruction, evidence: bytes) -> Report | Refused | None:
    """Whether an approval, rejection or withdrawal had its effect; None: not yet. Raises `ShapeError`."""
    if found.id != instruction.answers or found.quantity != instruction.units:
        raise ShapeError(f"transaction {found.id} of {found.quantity} units is not what was answered")
    if found.status in _REACHED[instruction.action]:
        return Report(found.id, found.blocks, 0, 0, found.status, Moment(found.updated_ms), evidence=evidence)
    if found.status in _STILL_OPEN[instruction.action]:
        return None
    return Refused(f"too late: {found.id} is {found.status}", final=True, evidence=evidence)


def read_changes(found: Transaction, evidence: bytes) -> list[Change]:
    """The events a transaction's status stands for, one for each block."""
    kind = ChangeKind.NOTICE
    if found.status == "AWAITING_APPROVAL":
        kind = ChangeKind.PROPOSED
    elif found.status in _OPEN:
        kind = ChangeKind.PENDING
    elif found.status in ("COMPLETED", "REVERSED"):
        kind = ChangeKind.REVERSED if found.status == "REVERSED" else found.kind
    told = {"status": found.status} | ({"request": found.request} if kind is ChangeKind.PROPOSED else {})
    return [
        Change(
            f"{found.id}/{found.status}/{place}",
            kind,
            found.updated_ms,
            block,
            found.account,
            found.to_account,
            found.id,
            found.key,
            Moment(found.updated_ms),
            told,
            evidence,
        )
        for place, block in enumerate(found.blocks)
    ]


def read_other(row: tuple[int, str, str, int]) -> Change | None:
    """A row of `transactions.list` of a type that is never proposed here (an allocation, a reversal), as news for a
    person; None: it is of one of ours. What came of it, the books show."""
    updated_ms, identifier, kind, quantity = row
    if kind in _KINDS:
        return None
    told = {"type": kind[:80], "quantity": str(quantity)}
    evidence = format_json({"id": identifier, "lastUpdatedMs": updated_ms, **told})
    name = f"{identifier}/{updated_ms}"
    return Change(name, ChangeKind.NOTICE, updated_ms, reference=identifier, details=told, evidence=evidence)


def read_list(value: Any, page: int) -> tuple[Sequence[Any], int]:
    """Rows of a list and how many there are in all; raises `ShapeError`."""
    rows, total = take(value, "items", list), read_count(value, "totalResults")
    if read_count(value, "page") != page or len(rows) > total or (not rows and page == 0 and total):
        raise ShapeError(f"{len(rows)} rows of {total} on page {value.get('page')}")
    return rows, total


def read_row(row: Any) -> tuple[int, str, str, int]:
    """Last update, transaction, type and quantity of a row of `transactions.list`; raises `ShapeError`."""
    identifier = _text(row, "id")
    if not _TRANSACTION.fullmatch(identifier):
        raise ShapeError(f"id: {identifier[:40]!r} is no transaction")
    quantity = read_count(take(row, "units", dict), "quantity")
    return read_instant(row.get("lastUpdated"), "lastUpdated", zoned=True), identifier, _text(row, "type"), quantity


def read_unit_block(row: Any) -> Holding:
    """A row of the unit block report; raises `ShapeError`."""
    block, reserved = _read_block(row), _text(row, "reservedForTransaction")
    if read_count(row, "quantity") != block.units:
        raise ShapeError(f"quantity: {row['quantity']}, and block {block.first} to {block.last} holds {block.units}")
    states = {"UK_SURRENDER_ACCOUNT": HoldingState.USED, "UK_DELETION_ACCOUNT": HoldingState.CANCELLED}
    state = states.get(_text(row, "holdingAccountType"), HoldingState.BLOCKED if reserved else HoldingState.ACTIVE)
    return Holding(block, _text(row, "accountNumber"), state, reserved or _text(row, "lastTransaction"))


def _read_block(value: Any) -> SerialRange:
    first, last = read_count(value, "startBlock"), read_count(value, "endBlock")
    if last < first or _text(value, "type" if "type" in value else "unitType") != "ALLOWANCE":
        raise ShapeError(f"{first} to {last} is no block of allowances")
    return parse(f"UKA-{first}-{last}", "uka")


def read_count(value: Any, name: str) -> int:
    """A whole number; raises `ShapeError`."""
    found = take(value, name, int)
    if isinstance(found, bool) or not 0 <= found < 2**63:
        raise ShapeError(f"{name}: {found!r} is no quantity")
    return int(found)


def strip_private(value: Any) -> bytes:
    """An answer as evidence."""
    return format_json(_keep(value))


def _keep(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _keep(item) for name, item in value.items() if name in _KEPT}
    if isinstance(value, list):
        return [_keep(item) for item in value]
    return value if isinstance(value, str | int | bool) or value is None else str(value)


def take(value: Any, name: str, kind: type) -> Any:
    """A member that must be there and of this type; raises `ShapeError`."""
    if not isinstance(value, dict) or not isinstance(value.get(name), kind):
        raise ShapeError(f"{name} is missing or no {kind.__name__}")
    return value[name]


def _text(value: Any, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
