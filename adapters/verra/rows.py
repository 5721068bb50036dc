"""Verra's public rows as values: pages, issuances, holdings, retirements, cancellations. Pure; reads only.

What a row means for an instruction is in `mapping`. What names a person never leaves this module, but for the
beneficiary, which is compared and forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from adapters.answers import ShapeError
from adapters.contract import Change, ChangeKind, Holding, HoldingState, Moment
from adapters.verra.basis import PAGE_ROWS_MAX
from adapters.web import format_json
from keeling.serials import SerialError, SerialRange, parse, parse_segments

_KEY: Final = re.compile(r"\[([\w-]{1,64})\]", re.ASCII)
"""How our key stands in details and remarks."""
_KEPT: Final = (
    "entityId",
    "serialNo",
    "serial_no",
    "holdingQuantity",
    "block_start",
    "block_end",
    "retiredDate",
    "cancellation_date",
    "issueDate",
    "vcsProjectId",
    "stateCode",
    "status",
    "isBuffer",
)
"""What of a row is kept as evidence: nothing that anybody typed."""
_EXPORT: Final = "Cancel/Export - "


class Page(NamedTuple):
    """One page of a search, rows in order of `entityId`."""

    rows: Sequence[Mapping[str, Any]]
    start: int
    total: int

    @property
    def next_start(self) -> int:
        return self.start + len(self.rows)


class EndRow(NamedTuple):
    """One retirement or cancellation, or that it was taken back."""

    entity: int
    kind: ChangeKind
    """RETIRED, CANCELLED or REVERSED."""
    serials: SerialRange
    day_ms: int
    account: str
    owner: str
    """The beneficiary; empty: not shown."""
    key: str
    evidence: bytes


def read_page(value: Any, start: int, *, downwards: bool = False) -> Page:
    """The envelope of a search that asked from `start`; raises `ShapeError` where its numbers cannot be true."""
    rows, total = take(value, "entities", list), read_units(value, "totalEntities")
    if read_units(value, "start") != start:
        raise ShapeError(f"asked from {start}, answered from {value['start']}")
    if not all(isinstance(row, dict) for row in rows):
        raise ShapeError("entities: a row is no object")
    if len(rows) > PAGE_ROWS_MAX or start + len(rows) > total or (start < total and not rows):
        raise ShapeError(f"{len(rows)} rows from {start} of a total of {total}")
    numbers = [read_units(row, "entityId") for row in rows]
    if sorted(set(numbers), reverse=downwards) != numbers:
        raise ShapeError("entityId: the rows are not in the order that was asked for")
    return Page(rows, start, total)


def read_end(row: Any, resource: str) -> EndRow:
    """A row of `retirements` or `cancellations`; raises `ShapeError`."""
    if resource == "retirements":
        state, names = take(row, "stateCode", str), ("serialNo", "retiredDate")
        kinds = {"RETIRED": ChangeKind.RETIRED, "REVERSED": ChangeKind.REVERSED}
        account, words = text(row, "accountName"), text(row, "retirementReasonDetails")
        owner = text(row, "beneficialOwner") if row.get("makeBeneficialOwnerPublic") is True else ""
    else:
        state, names = take(row, "status", str), ("serial_no", "cancellation_date")
        kinds = {"Cancelled": ChangeKind.CANCELLED, "Reversed": ChangeKind.REVERSED}
        account, words = text(row, "trading_name").removeprefix(_EXPORT), text(row, "cancellation_remarks")
        owner = ""
    if state not in kinds:
        raise ShapeError(f"{state!r} is no state of {resource}")
    serials = read_serials(row, names[0])
    found = _KEY.search(words)
    return EndRow(
        read_units(row, "entityId"),
        kinds[state],
        serials,
        read_day(take(row, names[1], str)),
        account,
        owner,
        found[1] if found else "",
        strip_private(row),
    )


def is_anothers(row: Any, key: str) -> bool:
    """Whether a row of `retirements` or `cancellations` carries the key of another instruction than this."""
    found = _KEY.search(text(row, "retirementReasonDetails") + text(row, "cancellation_remarks"))
    return found is not None and found[1] != key


def read_change(row: Any, resource: str) -> Change:
    """A row of `issuances`, `retirements` or `cancellations` as an event; raises `ShapeError`."""
    if resource == "issuances":
        day, number = read_day(take(row, "issueDate", str)), read_units(row, "entityId")
        kind, serials = ChangeKind.BUFFERED if row.get("isBuffer") is True else ChangeKind.ISSUED, read_serials(row)
        return _change(resource, number, kind, serials, day, text(row, "accountName"), "", strip_private(row))
    end = read_end(row, resource)
    return _change(resource, end.entity, end.kind, end.serials, end.day_ms, end.account, end.key, end.evidence)


def _change(
    resource: str, entity: int, kind: ChangeKind, serials: SerialRange, day_ms: int, account: str, key: str, raw: bytes
) -> Change:
    name = f"{resource}/{entity}"
    moment = Moment(day_ms, exact=False)
    return Change(name, kind, day_ms, serials, account, "", name, key, moment, evidence=raw)


def read_holding(row: Any, resource: str) -> Holding | None:
    """A row of `holdings`, `retirements` or `cancellations` as units that are there; None: taken back since."""
    if resource == "holdings":
        state = HoldingState.BUFFER if row.get("isBuffer") is True else HoldingState.ACTIVE
        return Holding(read_serials(row), text(row, "accountName"), state)
    end = read_end(row, resource)
    states = {ChangeKind.RETIRED: HoldingState.RETIRED, ChangeKind.CANCELLED: HoldingState.CANCELLED}
    if end.kind not in states:
        return None
    return Holding(end.serials, end.account, states[end.kind], f"{resource}/{end.entity}")


def read_serials(row: Any, name: str = "serialNo") -> SerialRange:
    """The serial of a row, which must hold as many units as the row says; raises `ShapeError`."""
    printed = take(row, name, str)
    try:
        found = parse(printed, "verra", units=read_units(row, "holdingQuantity"))
    except SerialError as error:
        raise ShapeError(f"{name}: {error}") from error
    for border, number in (("block_start", found.first), ("block_end", found.last)):
        if border in row and read_units(row, border) != number:
            raise ShapeError(f"{border}: {row[border]} is not {number} of {printed!r}")
    return found


def read_project(printed: str) -> str:
    """The project inside a serial, as `vcsProjectId` shows it."""
    return parse_segments(printed, "verra")["project"].lstrip("0")


def read_units(value: Any, name: str) -> int:
    """A whole number, also where it is written with decimals ("235604.0"); raises `ShapeError`."""
    found = value.get(name) if isinstance(value, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        raise ShapeError(f"{name} is missing or no number")
    if not 0 <= found < 2**63 or found != int(found):
        raise ShapeError(f"{name}: {found} is no number of whole units")
    return int(found)


def read_day(printed: str) -> int:
    """The start of a day, in ms; what follows the date is ignored. Raises `ShapeError`."""
    try:
        day = date.fromisoformat(printed[:10])
    except ValueError as error:
        raise ShapeError(f"{printed[:40]!r} is no date") from error
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days * 86_400_000


def strip_private(row: Mapping[str, Any]) -> bytes:
    """The row as evidence: numbers, dates and states."""
    return format_json({name: _plain(row[name]) for name in _KEPT if name in row})


def take(value: Any, name: str, kind: type) -> Any:
    """A member that must be there and of this type; raises `ShapeError`."""
    if not isinstance(value, dict) or not isinstance(value.get(name), kind):
        raise ShapeError(f"{name} is missing or no {kind.__name__}")
    return value[name]


def text(value: Any, name: str) -> str:
    """A member that may be missing or null."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | bool) or value is None else str(value)
