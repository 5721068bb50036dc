"""Units and audit rows of a CAD Trust node as values of the contract. Pure; reads only.

A node repeats what it was told, so a unit whose serial, blocks and count disagree is not believed: `UnitError` says
why, and the row is told as unread. An envelope that is not the node's language is `ShapeError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from adapters.any_registry import read_any_unit
from adapters.cadt.basis import PAGE_ROWS
from adapters.contract import Change, ChangeKind, Holding, HoldingState, Moment
from adapters.delimited import plain
from adapters.documents import text_of
from adapters.exports import RowRefused
from adapters.web import format_json, parse_json
from keeling.serials import SerialRange

_STATES: Final = {
    "held": (HoldingState.ACTIVE, ChangeKind.ACTIVE),
    "issued": (HoldingState.ACTIVE, ChangeKind.ACTIVE),
    "buffer": (HoldingState.BUFFER, ChangeKind.BUFFERED),
    "retired": (HoldingState.RETIRED, ChangeKind.RETIRED),
    "cancelled": (HoldingState.CANCELLED, ChangeKind.CANCELLED),
    "expired": (HoldingState.CANCELLED, ChangeKind.CANCELLED),
}
"""Inactive and Rejected say too little to become the state of a unit."""
_KEPT: Final = (
    "cadTrustUnitId",
    "orgUid",
    "unitSerialId",
    "unitStartBlock",
    "unitEndBlock",
    "unitCount",
    "unitStatus",
    "unitStatusDate",
    "unitVintageYear",
    "unitMetric",
    "unitType",
    "unitItmosReferenceId",
    "cadTrustIssuanceId",
)
"""What of a unit is kept as evidence: no owner, no beneficiary, nothing that was typed freely."""
_SECONDS: Final = re.compile(r"\d{1,11}", re.ASCII)
_ORGANISATION: Final = re.compile(r"[0-9A-Za-z]{1,128}", re.ASCII)


class ShapeError(ValueError):
    """The JSON is not what a node of version 2 answers; the text names the place."""


class UnitError(ValueError):
    """One unit says things that cannot all be true, or too little."""


class Page(NamedTuple):
    """One page of a list, counted from 1; `pages` is how many there are."""

    rows: Sequence[Mapping[str, Any]]
    page: int
    pages: int


class Unit(NamedTuple):
    """A range of units as its record shows them."""

    id: str
    organisation: str
    serials: SerialRange
    state: HoldingState
    kind: ChangeKind
    ended: Moment | None


class AuditRow(NamedTuple):
    """One row of an organisation's audit."""

    id: int
    organisation: str
    type: str
    table: str
    generation: int
    at_ms: int
    change: str


def read_page(value: Any, page: int) -> Page:
    """The envelope of a list that was asked for this page; raises `ShapeError` where its numbers cannot be true."""
    rows, pages = take(value, "data", list), take(value, "pageCount", int)
    if str(value.get("page")) != str(page):
        raise ShapeError(f"page: asked for {page}, answered {str(value.get('page'))[:20]}")
    if not all(isinstance(row, dict) for row in rows):
        raise ShapeError("data: a row is no object")
    if len(rows) > PAGE_ROWS or (page < pages and len(rows) != PAGE_ROWS) or (rows and page > pages) or pages < 0:
        raise ShapeError(f"data: {len(rows)} rows on page {page} of {pages}")
    if not rows and page <= pages:
        raise ShapeError(f"data: page {page} of {pages} is empty")
    return Page(rows, page, pages)


def read_organisations(value: Any) -> tuple[str, ...]:
    """The organisations a node is subscribed to, in order; raises `ShapeError`."""
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise ShapeError("organizations: no object of organisations")
    found = sorted(name for name, item in value.items() if item.get("subscribed") in (True, 1))
    if not all(_ORGANISATION.fullmatch(name) for name in found):
        raise ShapeError("organizations: a key is no orgUid")
    return tuple(found)


def read_unit(row: Mapping[str, Any]) -> Unit:
    """One unit in camelCase; raises `UnitError`."""
    states = _STATES.get(plain(_cell(row, "unitStatus")))
    if states is None:
        raise UnitError(f"status {text_of(row.get('unitStatus'))[:40]!r} is none of {', '.join(_STATES)}")
    if plain(_cell(row, "unitMetric")) != "tco2e":
        raise UnitError(f"metric {text_of(row.get('unitMetric'))[:40]!r} is not tCO2e")
    names = ("unitSerialId", "unitCount", "unitStartBlock", "unitEndBlock", "unitVintageYear")
    try:
        serials, _ = read_any_unit(*(_cell(row, name) for name in names))
    except RowRefused as refused:
        raise UnitError(str(refused)) from refused
    ended = None if states[0] is HoldingState.ACTIVE else _read_day(_cell(row, "unitStatusDate"))
    return Unit(_cell(row, "cadTrustUnitId"), _cell(row, "orgUid"), serials, *states, ended)


def read_holding(row: Mapping[str, Any]) -> Holding:
    """A unit as part of the books; the account is the organisation that publishes it. Raises `UnitError`."""
    unit = read_unit(row)
    return Holding(unit.serials, unit.organisation, unit.state, unit.id)


def read_audit(value: Mapping[str, Any]) -> AuditRow:
    """A row of the audit; raises `ShapeError`."""
    seconds = _cell(value, "onchainConfirmationTimeStamp")
    if not _SECONDS.fullmatch(seconds):
        raise ShapeError(f"onchainConfirmationTimeStamp: {seconds[:40]!r} is no time in seconds")
    return AuditRow(
        take(value, "id", int),
        take(value, "orgUid", str),
        take(value, "type", str),
        _cell(value, "table"),
        take(value, "generation", int),
        int(seconds) * 1000,
        _cell(value, "change"),
    )


def read_change(row: AuditRow) -> Change | None:
    """What a row of the audit tells about units; None: it is about something else. Never raises.

    A record that was deleted is not named, and one that cannot be believed says why: both are notices for a person.
    """
    if row.table != "unit" or row.type == "NO CHANGE":
        return None
    if row.type == "DELETE" or not row.change:
        return _notice(row, str(row.id), "the record of a unit was deleted; the audit does not say which", b"")
    try:
        record = parse_json(row.change.encode())
        if not isinstance(record, dict):
            raise UnitError("the change is no record")
        fields = {_camel(name): value for name, value in record.items()}
    except (ValueError, UnicodeEncodeError) as error:
        return _notice(row, str(row.id), f"the change cannot be read: {error}", b"")
    kept = strip_private(fields)
    try:
        unit = read_unit(fields)
    except UnitError as error:
        return _notice(row, _cell(fields, "cadTrustUnitId"), str(error), kept)
    return Change(
        id=_name(row, unit.id),
        kind=unit.kind,
        at_ms=row.at_ms,
        serials=unit.serials,
        account=row.organisation,
        reference=unit.id,
        effective=unit.ended or Moment(row.at_ms),
        evidence=kept,
    )


def strip_private(row: Mapping[str, Any]) -> bytes:
    """A unit as evidence: serials, counts, states and dates."""
    return format_json({name: _cell(row, name) for name in _KEPT if name in row})


def take(value: Any, name: str, kind: type) -> Any:
    """A member that must be there and of this type; raises `ShapeError`."""
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        raise ShapeError(f"{name} is missing or no {kind.__name__}")
    return found


def _notice(row: AuditRow, name: str, why: str, evidence: bytes) -> Change:
    kept = evidence or format_json({"orgUid": row.organisation, "type": row.type, "generation": row.generation})
    number = _name(row, name)
    return Change(number, ChangeKind.NOTICE, row.at_ms, account=row.organisation, details={"why": why}, evidence=kept)


def _name(row: AuditRow, unit: str) -> str:
    """The same after a node was reset and read its generations again."""
    return f"{row.organisation}/{row.generation}/{unit}"


def _read_day(text: str) -> Moment | None:
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        return None
    since = datetime(day.year, day.month, day.day, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return Moment(since.days * 86_400_000, exact=False)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _cell(row: Mapping[str, Any], name: str) -> str:
    return text_of(_plain(row.get(name)))


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | bool) or value is None else str(value)
