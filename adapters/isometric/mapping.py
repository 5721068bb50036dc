"""Isometric's retirements and credit batches, and the contract's values, both ways. Pure.

Credits are taken oldest first, so serials in an instruction are a wish; a retirement's batches say which were used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from adapters.answers import (
    Record,
    ShapeError,
    Stage,
    check_instruction,
    read_instant,
    read_key,
    take,
    take_units,
    text,
    write_note,
)
from adapters.contract import Change, ChangeKind, Holding, HoldingState, Instruction, Moment, UnsendableError
from adapters.isometric.basis import CAPABILITIES, NOTE_CHARS_MAX, PAGE_ROWS, PURPOSES
from adapters.web import format_json
from keeling.serials import SerialError, SerialRange, parse, parse_segments, print_range

_ACCOUNT: Final = re.compile(r"(org_[0-9A-Za-z]{16,33})/(spl_[0-9A-Za-z]{16,33})", re.ASCII)
_ID: Final = re.compile(r"[a-z]{3}_[0-9A-Za-z]{16,33}", re.ASCII)
_STATES: Final = {"active": HoldingState.ACTIVE, "retired": HoldingState.RETIRED}


class Page(NamedTuple):
    """One page of a list; `cursor` is where the next one begins, empty: this is the last."""

    rows: Sequence[Mapping[str, Any]]
    total: int
    cursor: str
    end: str
    """Where this one ended; empty: it has no rows."""


class Retirement(NamedTuple):
    """A retirement without its batches."""

    id: str
    owner: str
    kilograms: int
    retired_ms: int
    reversed_ms: int
    key: str


def compose(instruction: Instruction) -> bytes:
    """The body of a retirement of oldest credits; raises `UnsendableError`."""
    if instruction.action not in CAPABILITIES.actions:
        raise UnsendableError(f"Isometric's interface retires; this is to {instruction.action}")
    check_instruction(instruction, CAPABILITIES.lots_max, "isometric", "Isometric")
    suppliers = {parse_segments(print_range(lot), "isometric")["supplier"] for lot in instruction.lots}
    if len(suppliers) != 1:
        raise UnsendableError(f"one retirement takes credits of one supplier, not of {', '.join(sorted(suppliers))}")
    account, said = _ACCOUNT.fullmatch(instruction.account), instruction.details
    if account is None:
        raise UnsendableError(f"an account at Isometric is org_…/spl_…, not {instruction.account[:80]!r}")
    beneficiary = said.get("beneficiary_id", "")
    if not _ID.fullmatch(beneficiary) or not beneficiary.startswith("org_"):
        raise UnsendableError(f"beneficiary_id: a retirement names an org_… of Isometric, not {beneficiary[:40]!r}")
    purpose = said.get("purpose", "")
    body = {
        "owner_organisation_id": account[1],
        "beneficiary_organisation_id": beneficiary,
        "supplier_id": account[2],
        "retirement_purposes": [purpose if purpose in PURPOSES else "other"],
        "credit_quantity_kg": instruction.units,
        "notes": write_note(instruction, NOTE_CHARS_MAX),
    }
    return format_json(body)


def read_id(value: Any, prefix: str) -> str:
    """An id of this kind; raises `ShapeError`."""
    if not isinstance(value, str) or not _ID.fullmatch(value) or not value.startswith(prefix):
        raise ShapeError(f"id: {str(value)[:40]!r} is no {prefix}…")
    return value


def read_page(value: Any, after: str) -> Page:
    """A page that was asked for after a cursor; raises `ShapeError` where it cannot be followed."""
    rows, info, total = take(value, "nodes", list), take(value, "page_info", dict), take_units(value, "total_count")
    if not all(isinstance(row, dict) for row in rows) or len(rows) > min(PAGE_ROWS, total):
        raise ShapeError(f"nodes: {len(rows)} rows of a total of {total}, or one is no object")
    more, end = take(info, "has_next_page", bool), text(info, "end_cursor")
    if (rows and not end) or (more and (not rows or end == after)):
        raise ShapeError("page_info: it does not say where the next page begins")
    return Page(rows, total, end if more else "", end if rows else "")


def read_retirement(row: Any) -> Retirement:
    """A retirement of the list; raises `ShapeError`."""
    undone = row.get("reversed_at") if isinstance(row, dict) else None
    return Retirement(
        read_id(take(row, "id", str), "ret_"),
        read_id(take(row, "owner", dict).get("id"), "org_"),
        take_units(take(row, "credit_batch_size_total", dict), "credit_kgs"),
        read_instant(row.get("retired_at"), "retired_at"),
        read_instant(undone, "reversed_at") if undone is not None else 0,
        read_key(row.get("notes")),
    )


def read_batch(row: Any) -> SerialRange:
    """The serials of a credit batch, as many as its size; raises `ShapeError`."""
    kilograms = take_units(take(row, "size", dict), "credit_kgs")
    try:
        return parse(take(row, "serial_number", str), "isometric", units=kilograms)
    except SerialError as error:
        raise ShapeError(f"serial_number: {error}") from error


def read_holding(row: Any) -> Holding | None:
    """A credit batch as part of the books; None: it was split, its parts stand for it. Raises `ShapeError`."""
    status = take(row, "status", str)
    if status == "split":
        return None
    if status not in _STATES:
        raise ShapeError(f"status: {status[:40]!r} is none of active, split, retired")
    account = f"{read_id(take(row, 'owner', dict).get('id'), 'org_')}/{read_id(row.get('supplier_id'), 'spl_')}"
    return Holding(read_batch(row), account, _STATES[status], text(row, "retirement_id"))


def join_record(found: Retirement, batches: Sequence[SerialRange], asked: int) -> Record:
    """A retirement with its batches as the answer to an order of `asked` units; raises `ShapeError`."""
    units = sum(part.units for part in batches)
    if units != found.kilograms:
        raise ShapeError(f"{found.id} is of {found.kilograms} kg, and its batches hold {units}")
    whole = max(asked, units)
    stage = Stage.UNDONE if found.reversed_ms else Stage.DONE
    reason = "" if units == whole else f"it retired {units} of {whole} kg"
    at_ms = found.reversed_ms or found.retired_ms
    return Record(
        found.id,
        stage,
        whole,
        tuple(batches),
        whole - units,
        reason,
        found.key,
        found.owner,
        found.retired_ms,
        at_ms,
        _evidence(found, batches),
    )


def read_changes(found: Retirement, batches: Sequence[SerialRange], accounts: Sequence[str]) -> list[Change]:
    """The events of a retirement, one for each batch."""
    kind = ChangeKind.REVERSED if found.reversed_ms else ChangeKind.RETIRED
    at_ms = found.reversed_ms or found.retired_ms
    return [
        Change(
            id=f"{found.id}/{kind}/{part.space}/{part.first}",
            kind=kind,
            at_ms=at_ms,
            serials=part,
            account=account,
            reference=found.id,
            key=found.key,
            effective=Moment(at_ms),
            evidence=_evidence(found, [part]),
        )
        for part, account in zip(batches, accounts, strict=True)
    ]


def _evidence(found: Retirement, batches: Sequence[SerialRange]) -> bytes:
    return format_json({**found._asdict(), "batches": [[print_range(part), part.units] for part in batches]})
