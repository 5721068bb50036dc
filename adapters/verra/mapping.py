"""What is told to the desk, and what queue and public rows mean for an instruction. Pure.

A retirement is ours if its details carry our key; where no key is shown, if it used units we named, for the same
beneficiary, not before we asked, and of exactly as many units. What could be ours and could be somebody else's is
`ShapeError`: a person must look.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from adapters.answers import ShapeError, check_apart
from adapters.capabilities import Action
from adapters.contract import SAFE_KEY, ChangeKind, Instruction, Moment, Question, Refused, Report, UnsendableError
from adapters.verra.basis import CAPABILITIES, DAY_MS
from adapters.verra.rows import EndRow, read_project, read_units, take, text
from adapters.web import format_json
from keeling.serials import SerialError, SerialRange, parse, print_range

_WORDS_MAX: Final = 200
_STATES: Final = ("QUEUED", "PARTLY_DONE", "DONE", "REFUSED", "WITHDRAWN", "REVERSED")


class Item(NamedTuple):
    """An instruction in the desk's queue, as the person who carries it out keeps it."""

    reference: str
    status: str
    units: int
    executed: tuple[SerialRange, ...]
    refused_units: int
    reason: str
    due_ms: int


def compose(instruction: Instruction) -> bytes:
    """The instruction for the desk: what to type into the portal. Raises `UnsendableError`."""
    if instruction.action not in CAPABILITIES.actions:
        raise UnsendableError(f"the desk at Verra retires and cancels; this is to {instruction.action}")
    if not re.fullmatch(SAFE_KEY, instruction.key, re.ASCII):
        raise UnsendableError("a key has 1 to 64 letters, digits, _ or -")
    if not instruction.lots or len(instruction.lots) > CAPABILITIES.lots_max:
        raise UnsendableError(f"{len(instruction.lots)} serials; 1 to {CAPABILITIES.lots_max} go into one instruction")
    if any(lot.scheme != "verra" for lot in instruction.lots):
        raise UnsendableError("the desk at Verra knows Verra's serials alone")
    said = instruction.details
    for name in ("beneficiary", "beneficiary_location", "purpose"):
        if len(said.get(name, "")) > _WORDS_MAX or "[" in said.get(name, ""):
            raise UnsendableError(f"{name} has more than {_WORDS_MAX} characters, or a [")
    body: dict[str, Any] = {
        "action": instruction.action.upper(),
        "account": instruction.account,
        "holdings": [{"serialNumber": print_range(lot), "quantity": lot.units} for lot in instruction.lots],
        "quantity": instruction.units,
    }
    words = f"{said.get('purpose', '')} [{instruction.key}]".strip()
    if instruction.action is Action.CANCEL:
        return format_json({**body, "cancellationRemarks": words})
    if not said.get("beneficiary"):
        raise UnsendableError("a retirement names its beneficiary")
    body |= {
        "beneficialOwner": said["beneficiary"],
        "beneficiaryLocation": said.get("beneficiary_location", ""),
        "retirementReason": "Retirement for Person or Organization",
        "retirementReasonDetails": words,
        "makeBeneficialOwnerPublic": True,
        "makeRetirementReasonDetailsPublic": True,
    }
    return format_json(body)


def resource_of(instruction: Instruction) -> str:
    """In which rows it will be confirmed."""
    return "retirements" if instruction.action is Action.RETIRE else "cancellations"


def projects_of(ranges: Iterable[SerialRange]) -> list[str]:
    """The projects of these serials, each once."""
    return sorted({read_project(print_range(item)) for item in ranges})


def read_item(value: Any) -> Item:
    """An entry of the queue; raises `ShapeError`."""
    status = take(value, "status", str)
    if status not in _STATES:
        raise ShapeError(f"status: {status!r} is none of the queue's")
    executed = []
    for place in take(value, "executed", list):
        try:
            found = parse(take(place, "serialNumber", str), "verra", units=read_units(place, "quantity"))
        except SerialError as error:
            raise ShapeError(f"serialNumber: {error}") from error
        executed.append(found)
    check_apart(executed, "executed")
    units, refused = read_units(value, "quantity"), read_units(value, "refusedQuantity")
    if sum(item.units for item in executed) + refused > units:
        raise ShapeError(f"quantity: {units}, and more is done and refused")
    reference, due_ms = take(value, "instruction", str), read_units(value, "dueMs")
    return Item(reference, status, units, tuple(executed), refused, text(value, "reason"), due_ms)


def strip_item(value: Any) -> bytes:
    """An entry of the queue as evidence, without what anybody typed; raises `ShapeError`."""
    item = read_item(value)
    executed = [print_range(part) for part in item.executed]
    return format_json({**item._asdict(), "executed": executed, "reason": ""})


def read_receipt(item: Item, instruction: Instruction, evidence: bytes) -> Report | Refused:
    """What an entry alone says: it waits, or was refused. What it says is done is believed when rows confirm it.

    Raises `ShapeError` where it cannot be the answer.
    """
    if item.units != instruction.units:
        raise ShapeError(f"instruction {item.reference} is of {item.units} units, not of {instruction.units}")
    if item.status in ("REFUSED", "WITHDRAWN"):
        if item.executed:
            raise ShapeError(f"instruction {item.reference} is {item.status.lower()}, and a part of it is executed")
        if item.refused_units not in (0, item.units):
            raise ShapeError(f"{item.reference} is {item.status.lower()} for {item.refused_units} of {item.units}")
        return Refused(item.reason or item.status.lower(), final=True, evidence=evidence)
    refused = item.refused_units
    return Report(item.reference, (), item.units - refused, refused, item.reason, None, item.due_ms, evidence=evidence)


def confirm(item: Item, rows: Sequence[EndRow], instruction: Instruction, evidence: bytes) -> Report | Refused:
    """What the queue says, as far as public rows say it too; the rest is still pending."""
    answer = read_receipt(item, instruction, evidence)
    if isinstance(answer, Refused) or not item.executed:
        return answer
    wanted = ChangeKind.REVERSED if item.status == "REVERSED" else _ended(instruction)
    seen = [row for row in rows if row.kind is wanted and row.key in ("", instruction.key)]
    done = [part for whole in item.executed for part in _covered(whole, seen)]
    if not done:
        return answer
    used = [row for row in seen if any(row.serials.overlaps(part) for part in done)]
    units = sum(part.units for part in done)
    if units + item.refused_units > item.units:
        raise ShapeError(f"instruction {item.reference}: rows of more units than it asked for")
    return answer._replace(
        done=tuple(done),
        pending_units=item.units - units - item.refused_units,
        effective=Moment(max(row.day_ms for row in used), exact=False),
        undone=wanted is ChangeKind.REVERSED,
        evidence=_join(used),
    )


def recognise(rows: Sequence[EndRow], question: Question) -> Report | None:
    """What became of an instruction by public rows alone; None: none of them is it. Raises `ShapeError` in doubt."""
    asked = question.instruction
    ours = [row for row in rows if row.key == asked.key]
    if not ours:
        ours = [row for row in rows if not row.key and _could_be(row, question)]
        if not ours:
            _check_alike(rows, question)
            return None
        if any(not row.owner for row in ours) or sum(row.serials.units for row in ours) != asked.units:
            raise ShapeError("some of these units ended without a sign whose instruction it was: a person must look")
    live = [row for row in ours if row.kind is not ChangeKind.REVERSED]
    told = live or ours
    units, undone = sum(row.serials.units for row in told), sum(row.serials.units for row in ours if row not in told)
    if units + undone > asked.units:
        raise ShapeError(f"{units + undone} units ended under the key of an instruction of {asked.units}")
    return Report(
        reference=f"{resource_of(asked)}/{told[0].entity}",
        done=tuple(row.serials for row in told),
        pending_units=asked.units - units - undone,
        refused_units=undone,
        unseen=True,
        effective=Moment(max(row.day_ms for row in told), exact=False),
        undone=not live,
        evidence=_join(told),
    )


def _check_alike(rows: Iterable[EndRow], question: Question) -> None:
    """Raise `ShapeError` where as many other units ended since for our beneficiary, without a key: the portal may have
    used them for ours, and what is sent again then is done twice."""
    wanted = _fold(question.instruction.details.get("beneficiary", ""))
    alike = [row for row in rows if not row.key and row.owner and _fold(row.owner) == wanted and _is_new(row, question)]
    sizes = [row.serials.units for row in alike]
    if question.instruction.units in (*sizes, sum(sizes)):
        raise ShapeError("as many other units ended for the same beneficiary since: a person must look")


def _is_new(row: EndRow, question: Question) -> bool:
    """Not from before we asked; a day for time zones."""
    return row.day_ms + 2 * DAY_MS > question.sent_ms


def _could_be(row: EndRow, question: Question) -> bool:
    """Without a key: our units, our beneficiary or none shown, and not from before we asked."""
    if not _is_new(row, question):
        return False
    if not any(row.serials.overlaps(lot) for lot in question.instruction.lots):
        return False
    beneficiary = question.instruction.details.get("beneficiary", "")
    return not row.owner or _fold(row.owner) == _fold(beneficiary)


def _covered(whole: SerialRange, rows: Iterable[EndRow]) -> list[SerialRange]:
    """The parts of a range that lie in these rows."""
    inside = [row.serials for row in rows if row.serials.overlaps(whole)]
    return [whole.part(max(whole.first, part.first), min(whole.last, part.last)) for part in inside]


def _ended(instruction: Instruction) -> ChangeKind:
    return ChangeKind.RETIRED if instruction.action is Action.RETIRE else ChangeKind.CANCELLED


def _join(rows: Iterable[EndRow]) -> bytes:
    return b"[" + b",".join(row.evidence for row in rows) + b"]"


def _fold(words: str) -> str:
    return " ".join(words.split()).casefold()
