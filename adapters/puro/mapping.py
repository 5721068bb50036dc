"""Puro's JSON and the contract's values, both ways. Pure: what is sent, and what an answer means.

Anything that is not what the documentation describes is `ShapeError`; it never becomes a report.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
    Question,
    Refused,
    Report,
    UnsendableError,
)
from adapters.fields import read_host
from adapters.puro.basis import CAPABILITIES
from adapters.web import format_json
from keeling.serials import SerialError, SerialRange, parse, print_range

_TEXT_MAX: Final = 100
_PRICE: Final = re.compile(r"\d{1,18}\.\d{1,2}", re.ASCII)
_KINDS: Final = {
    "Issuance": ChangeKind.ISSUED,
    "Transfer": ChangeKind.TRANSFERRED,
    "InternalTransfer": ChangeKind.TRANSFERRED,
    "Retirement": ChangeKind.RETIRED,
    "Withdrawal": ChangeKind.CANCELLED,
}
_PRIVATE: Final = (
    "accountHolderName",
    "beneficiaryContactPersonEmail",
    "beneficiaryLocation",
    "beneficiaryName",
    "publicStatementUrl",
    "retirementPurpose",
)


class Page(NamedTuple):
    """One page of a list: its rows, and where the whole list ends."""

    rows: Sequence[Mapping[str, Any]]
    offset: int
    total: int

    @property
    def next_offset(self) -> int:
        return self.offset + len(self.rows)


class Transaction(NamedTuple):
    """One transaction as Puro shows it, in values."""

    id: str
    kind: ChangeKind
    status: str
    key: str
    account: str
    bundles: tuple[SerialRange, ...]
    refused_units: int
    volume: int
    completed_ms: int
    reason: str
    beneficiary: str = ""
    """To be compared and forgotten; empty: not shown, for a time it may be hidden."""
    issuance: Mapping[str, str] = {}
    """Of an issuance, what its details say, as `Change.details` names it."""

    @property
    def done(self) -> bool:
        return self.status in ("COMPLETED", "PARTIALLY_COMPLETED", "REVERSED")

    @property
    def open(self) -> bool:
        """More may come of it."""
        return self.status in ("PENDING", "PARTIALLY_COMPLETED")


def compose(instruction: Instruction) -> bytes:
    """The body of a retirement request: one spelling for one instruction. Raises `UnsendableError`."""
    if instruction.action is not Action.RETIRE:
        raise UnsendableError(f"Puro's interface retires and nothing else; this is to {instruction.action}")
    if not re.fullmatch(SAFE_KEY, instruction.key, re.ASCII):
        raise UnsendableError("an Idempotency-Key has 1 to 64 letters, digits, _ or -, and no quotes")
    if not instruction.lots or len(instruction.lots) > CAPABILITIES.lots_max:
        raise UnsendableError(f"{len(instruction.lots)} bundles; 1 to {CAPABILITIES.lots_max} go into one message")
    said = instruction.details
    price = said.get("unit_price", "0.00")
    if not _PRICE.fullmatch(price):
        raise UnsendableError(f"a unit price is written like 12.50, not {price!r}")
    for name in ("beneficiary", "beneficiary_location"):
        if len(said.get(name, "")) > _TEXT_MAX:
            raise UnsendableError(f"{name} has more than {_TEXT_MAX} characters")
    if not said.get("beneficiary"):
        raise UnsendableError("a retirement names its beneficiary")
    body: dict[str, Any] = {
        "sourceAccountNumber": instruction.account,
        "certificateBundles": [{"bundle": print_bundle(lot), "amount": lot.units} for lot in instruction.lots],
        "unitPrice": price,
        "currency": said.get("currency", "EUR"),
        "beneficiaryName": said["beneficiary"],
        "beneficiaryType": said.get("beneficiary_type", "END_CONSUMER"),
    }
    for name, field in (("beneficiary_location", "beneficiaryLocation"), ("purpose", "retirementPurpose")):
        if said.get(name):
            body[field] = said[name]
    return format_json(body)


def print_bundle(lot: SerialRange) -> str:
    """`<issuance>_<first>-<last>`, the short form."""
    if lot.scheme == "puro":
        issuance = lot.space.partition(":")[2]
        return f"{issuance}_{lot.first}-{lot.last}"
    return print_range(lot)


def read_bundle(text: Any) -> SerialRange:
    """A bundle as it is printed, long or short; raises `ShapeError`."""
    if not isinstance(text, str):
        raise ShapeError(f"a bundle is text, not {text!r}")
    try:
        found = parse(text)
    except SerialError as error:
        raise ShapeError(f"bundle {text!r}: {error}") from error
    if not found.scheme.startswith("puro"):
        raise ShapeError(f"bundle {text!r} is of {found.scheme}, not of Puro")
    return found


def read_page(value: Any) -> Page:
    """The envelope of a list; raises `ShapeError`, also where rows and totals cannot both be true."""
    pagination, rows = _field(value, "pagination", dict), _field(value, "data", list)
    offset, total = _count(pagination, "offset"), _count(pagination, "total")
    if offset + len(rows) > total or (offset < total and not rows):
        raise ShapeError(f"{len(rows)} rows from {offset} of a total of {total}")
    if not all(isinstance(row, dict) for row in rows):
        raise ShapeError("data: a row is no object")
    return Page(rows, offset, total)


def read_transaction(value: Any) -> Transaction:
    """One transaction; raises `ShapeError`."""
    kind = _KINDS.get(_field(value, "type", str))
    if kind is None:
        raise ShapeError(f"type: {value['type']!r} is none that Puro documents")
    completed, status = value.get("completedOn"), value.get("status")
    if status is None:  # none is documented: what has no time of completion may show what was asked for
        status = "PENDING" if completed is None else "COMPLETED"
    if status not in ("PENDING", "COMPLETED", "PARTIALLY_COMPLETED", "REJECTED", "REVERSED"):
        raise ShapeError(f"status: {status!r} is unknown")
    bundles = tuple(read_bundle(_field(item, "certificates", str)) for item in _field(value, "bundles", list))
    volume = _count(value, "volume")
    if sum(item.units for item in bundles) > volume:
        raise ShapeError(f"volume: {volume}, and its bundles hold more")
    refused = _count(value, "rejectedVolume") if "rejectedVolume" in value else 0
    if sum(item.units for item in bundles) + refused > volume:
        raise ShapeError(f"rejectedVolume: {refused} and the bundles are more than {volume}")
    return Transaction(
        id=_field(value, "transactionId", str),
        kind=kind,
        status=status,
        key=_text(value, "idempotencyKey"),
        account=_text(value, "sourceAccountNumber"),
        bundles=bundles,
        refused_units=refused,
        volume=volume,
        completed_ms=0 if completed is None else read_instant(completed, "completedOn"),
        reason=_text(value, "reason"),
        beneficiary=_read_beneficiary(value.get("retirementDetails")),
        issuance=_read_issuance(value.get("issuanceDetails")),
    )


def _read_beneficiary(value: Any) -> str:
    return _text(value, "beneficiaryName") if isinstance(value, dict) else ""


def _read_issuance(value: Any) -> dict[str, str]:
    """Facility, vintage and country, each where it is said; short serials do not say them."""
    if not isinstance(value, dict):
        return {}
    told = {
        "project": _text(value, "productionFacilityCode"),
        "vintage": str(value.get("vintage") or ""),
        "host": read_host(_text(value, "countryCode")),
    }
    return {name: text for name, text in told.items() if text}


def read_report(found: Transaction, instruction: Instruction, evidence: bytes) -> Report | Refused:
    """What the transaction means for the instruction it answers; raises `ShapeError` where it cannot be the answer."""
    if found.kind is not ChangeKind.RETIRED or found.volume != instruction.units:
        raise ShapeError(f"transaction {found.id} is {found.kind} of {found.volume}, not of {instruction.units}")
    if found.key not in ("", instruction.key):
        raise ShapeError(f"transaction {found.id} has another key")
    if found.status == "REJECTED":
        if found.refused_units not in (0, found.volume):
            raise ShapeError(f"transaction {found.id} is REJECTED for {found.refused_units} of {found.volume} units")
        return Refused(found.reason or "rejected", final=True, evidence=evidence)
    done = found.bundles if found.done else ()
    units = sum(item.units for item in done)
    check_apart(done, f"transaction {found.id}")
    if not found.open and units + found.refused_units != found.volume:
        raise ShapeError(f"transaction {found.id} is {found.status} with {units} of {found.volume} units")
    return Report(
        reference=found.id,
        done=done,
        pending_units=found.volume - units - found.refused_units,
        refused_units=found.refused_units,
        reason=found.reason,
        effective=Moment(found.completed_ms) if found.completed_ms else None,
        undone=found.status == "REVERSED",
        evidence=evidence,
    )


def matches(found: Transaction, question: Question, skew_ms: int) -> bool:
    """Whether this is the instruction asked about: by key, by reference, or where neither is shown, by serials and
    beneficiary. Raises `ShapeError` where that is not shown either: it could be somebody else's."""
    if found.kind is not ChangeKind.RETIRED:
        return False
    if found.key:
        return found.key == question.instruction.key
    if found.id in question.references:
        return True
    recent = not found.completed_ms or found.completed_ms >= question.sent_ms - skew_ms
    units = question.instruction.units
    ours = any(part.overlaps(lot) for part in found.bundles for lot in question.instruction.lots)
    if not (recent and ours and found.volume == units):
        return False
    if not found.beneficiary:
        raise ShapeError(f"transaction {found.id} is of these units without a sign whose it is: a person must look")
    return _fold(found.beneficiary) == _fold(question.instruction.details.get("beneficiary", ""))


def read_changes(found: Transaction, evidence: bytes) -> list[Change]:
    """The events a transaction stands for, one for each bundle: what it did, or that it waits."""
    kind = ChangeKind.REVERSED if found.status == "REVERSED" else found.kind
    if found.status == "PENDING":
        kind = ChangeKind.PENDING
    return [
        Change(
            id=f"{found.id}/{kind}/{bundle.space}/{bundle.first}",
            kind=kind,
            at_ms=found.completed_ms,
            serials=bundle,
            account=found.account,
            reference=found.id,
            key=found.key,
            effective=Moment(found.completed_ms) if found.completed_ms else None,
            details=found.issuance if kind is ChangeKind.ISSUED else {},
            evidence=evidence,
        )
        for bundle in (found.bundles if found.done or found.open else ())
    ]


def read_certificates(row: Any) -> Holding:
    """An active bundle of the registry's list; raises `ShapeError`."""
    serials = read_bundle(_field(row, "certificates", str))
    if _count(row, "volume") != serials.units:
        raise ShapeError(f"bundle {row['certificates']!r} holds {serials.units} units, not {row['volume']}")
    return Holding(serials, _text(row, "accountNumber"), HoldingState.ACTIVE, _text(row, "issuanceId"))


def strip_private(row: Mapping[str, Any]) -> bytes:
    """The row as evidence: without what names a person."""
    return format_json({name: _plain(value) for name, value in row.items() if name not in _PRIVATE})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if name not in _PRIVATE}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | bool) or value is None else str(value)


def _fold(words: str) -> str:
    return " ".join(words.split()).casefold()


def _field(value: Any, name: str, kind: type) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get(name), kind):
        raise ShapeError(f"{name} is missing or no {kind.__name__}")
    return value[name]


def _count(value: Any, name: str) -> int:
    found = _field(value, name, int)
    if isinstance(found, bool) or not 0 <= found < 2**63:
        raise ShapeError(f"{name}: {found!r} is no quantity")
    return int(found)


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
