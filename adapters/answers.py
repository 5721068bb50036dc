"""What registries' answers have in common: values that must be there, noes, and records whose note has our key. Pure.

`Record` and what it means are shared by registries that know no idempotency key and keep a free note (Gold Standard,
I-REC, Isometric). How each of them writes such a record is in its own `mapping`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

from adapters.contract import (
    SAFE_KEY,
    Instruction,
    Moment,
    Question,
    Refused,
    Report,
    Unknown,
    UnsendableError,
    WrongShape,
)
from adapters.web import Reply, format_json
from keeling.serials import SerialRange

SKEW_MS: Final = 300_000
"""How far the registry's clock may be off when a record is recognised without our key."""
R = TypeVar("R")
T = TypeVar("T")
UNITS_MAX: Final = 2**63
DECISIONS: Final = ("NOT_ACTIVE", "NOT_YOURS", "UNKNOWN_UNITS", "INSUFFICIENT_QUANTITY", "DECLINED")
"""Codes of errors by which a registry says what it decided of the units: assumed, for none publishes a list."""
_NOES: Final = (400, 403, 404)
_NOTE: Final = re.compile(r"\[([\w-]{1,64})\]", re.ASCII)


class ShapeError(ValueError):
    """The JSON is not what this registry answers; the text names the place."""


class Stage(StrEnum):
    """How far a registry got with an order."""

    WAITING = "waiting"
    PARTLY = "partly"
    DONE = "done"
    REFUSED = "refused"
    UNDONE = "undone"


class Record(NamedTuple):
    """An order as the registry's list shows it."""

    reference: str
    stage: Stage
    units: int
    done: tuple[SerialRange, ...]
    refused_units: int
    reason: str
    key: str
    """Ours, from the note; empty: somebody else's order, or the note is not shown."""
    account: str
    recorded_ms: int
    decided_ms: int
    evidence: bytes


def check_instruction(instruction: Instruction, lots_max: int, scheme: str, name: str) -> None:
    """Refuse what no such registry can be told: another registry's units, too many ranges, a key that cannot be read
    back. Raises `UnsendableError`."""
    if not re.fullmatch(SAFE_KEY, instruction.key, re.ASCII):
        raise UnsendableError("a key has 1 to 64 letters, digits, _ or -")
    if not 0 < len(instruction.lots) <= lots_max:
        raise UnsendableError(f"{len(instruction.lots)} ranges; 1 to {lots_max} go into one message")
    if any(lot.scheme != scheme for lot in instruction.lots):
        raise UnsendableError(f"{name} knows serials of {scheme} alone")


def write_note(instruction: Instruction, chars_max: int) -> str:
    """The purpose and our key, as the registry keeps it. Raises `UnsendableError`."""
    words = instruction.details.get("purpose", "")
    note = f"{words} [{instruction.key}]".strip()
    if len(note) > chars_max or "[" in words:
        raise UnsendableError(f"purpose and key have more than {chars_max} characters, or the purpose a [")
    return note


def read_key(note: Any) -> str:
    """Our key in a note, or nothing."""
    found = _NOTE.search(note) if isinstance(note, str) else None
    return found[1] if found else ""


def read_no(reply: Reply, decisions: Iterable[str]) -> Refused | WrongShape | Unknown:
    """A 4xx with an `error` (or `title`, `code`) and words beside it.

    Nothing happened where the request itself was no good (400) or not allowed (403, 404). Final is only what the
    registry decided of these units, by the codes that are known of it. Any other status may be about what a first
    message did, or come from a gateway that lost patience: only asking tells.
    """
    said = reply.json if isinstance(reply.json, dict) else {}
    code = said.get("error") or said.get("title") or said.get("code")
    if not isinstance(code, str):
        return WrongShape(f"{reply.status} without a reason", reply.body)
    detail = said.get("message") or said.get("detail")
    reason = f"{code}: {detail}" if isinstance(detail, str) else code
    if reply.status not in _NOES:
        return Unknown(f"{reply.status}: {reason}", answered=True)
    return Refused(reason, reply.status == 400 and code in frozenset(decisions), reply.body)


def judge(record: Record, instruction: Instruction) -> Report | Refused:
    """What the record means for the instruction it answers; raises `ShapeError` where it cannot be the answer."""
    if record.units != instruction.units:
        raise ShapeError(f"{record.reference} is of {record.units} units, not of {instruction.units}")
    if record.key not in ("", instruction.key):
        raise ShapeError(f"{record.reference} has another key")
    check_apart(record.done, record.reference)
    units = sum(part.units for part in record.done)
    if record.stage is Stage.REFUSED and not units:
        if record.refused_units not in (0, record.units):
            raise ShapeError(f"{record.reference} is refused for {record.refused_units} of {record.units} units")
        return Refused(record.reason or "refused", final=True, evidence=record.evidence)
    pending = record.units - units - record.refused_units
    whole = record.stage in (Stage.DONE, Stage.UNDONE)
    none = record.stage in (Stage.WAITING, Stage.REFUSED)
    if pending < 0 or (pending and whole) or (none and units):
        raise ShapeError(f"{record.reference} is {record.stage} with {units} of {record.units} units")
    return Report(
        reference=record.reference,
        done=record.done,
        pending_units=pending,
        refused_units=record.refused_units,
        reason=record.reason,
        effective=Moment(record.decided_ms) if units else None,
        undone=record.stage is Stage.UNDONE,
        evidence=record.evidence,
    )


def recognise(records: Iterable[Record], question: Question) -> Record | None:
    """The record that answers the question, by reference or key; None: there is none.

    One without a key that used these units since, or waits to use as many, could be ours and could be somebody else's:
    `ShapeError`.
    """
    asked, ours, doubtful = question.instruction, [], []
    for record in records:
        if record.key == asked.key or (not record.key and record.reference in question.references):
            ours.append(record)
        elif not record.key and record.recorded_ms >= question.sent_ms - SKEW_MS and _touches(record, asked):
            doubtful.append(record.reference)
    ours = [record for record in ours if record.reference in question.references] or ours
    if len(ours) > 1:
        raise ShapeError(f"{len(ours)} orders carry one key: {', '.join(record.reference for record in ours)[:200]}")
    if not ours and doubtful:
        raise ShapeError(f"{doubtful[0]} is of these units without a sign whose order it is: a person must look")
    return ours[0] if ours else None


def _touches(record: Record, instruction: Instruction) -> bool:
    """Whether it used these units; which ones it will use cannot be seen while it waits, only how many."""
    waits = record.stage is Stage.WAITING and record.units == instruction.units
    return waits or any(part.overlaps(lot) for part in record.done for lot in instruction.lots)


def check_apart(ranges: Iterable[SerialRange], name: str) -> None:
    """Refuse with `ShapeError` ranges of one answer that name a unit twice: it was done once."""
    known: list[SerialRange] = []
    for part in sorted(ranges, key=lambda each: (each.space, each.first)):
        if known and known[-1].overlaps(part):
            raise ShapeError(f"{name} names units of {part.first}..{part.last} twice")
        known.append(part)


def sift(rows: Iterable[R], read: Callable[[R], T | None], name: str) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """Rows of the books that say something, and one line for each that contradicts itself; None says nothing.

    Raises `ShapeError` where none of several can be read: that is another list.
    """
    found: list[T] = []
    unread: list[str] = []
    understood = False
    for place, row in enumerate(rows):
        try:
            told = read(row)
        except ShapeError as error:
            unread.append(f"{name} {place}: {error}")
            continue
        understood = True
        found += [] if told is None else [told]
    if len(unread) > 1 and not understood:
        raise ShapeError(unread[0])
    return tuple(found), tuple(unread)


def take(value: Any, name: str, kind: type) -> Any:
    """A member that must be there and of this type; raises `ShapeError`."""
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise ShapeError(f"{name} is missing or no {kind.__name__}")
    return found


def take_units(value: Any, name: str) -> int:
    """A whole number of units; raises `ShapeError`."""
    found: int = take(value, name, int)
    if not 0 <= found < UNITS_MAX:
        raise ShapeError(f"{name}: {found} is no quantity")
    return found


def text(value: Mapping[str, Any], name: str) -> str:
    """A member that may be missing or null."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def read_instant(printed: Any, name: str, *, zoned: bool = False) -> int:
    """An ISO 8601 instant, UTC unless it says otherwise, in ms; `zoned`: it must say so. Raises `ShapeError`."""
    try:
        at = datetime.fromisoformat(printed)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None and not zoned else at
        found = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    except (ValueError, TypeError, OverflowError) as error:
        raise ShapeError(f"{name}: {str(printed)[:40]!r} is no instant") from error
    if found < 0:
        raise ShapeError(f"{name}: {str(printed)[:40]!r} is no instant of a registry's")
    return found


def keep(row: Mapping[str, Any], names: Iterable[str]) -> bytes:
    """The named members of a row as evidence; lists and objects as they are, with the same members."""
    wanted = frozenset(names)
    return format_json(_kept(dict(row), wanted))


def _kept(value: Any, wanted: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _kept(item, wanted) for name, item in value.items() if name in wanted}
    if isinstance(value, list):
        return [_kept(item, wanted) for item in value]
    return value if isinstance(value, str | int | bool) or value is None else str(value)
