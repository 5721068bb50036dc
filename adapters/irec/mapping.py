"""I-REC's redemptions, items and transactions, and the contract's values, both ways. Pure.

Volumes are text in MWh; here they are whole watt hours and never anything else. A volume finer than that is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from adapters.answers import (
    Record,
    ShapeError,
    Stage,
    check_instruction,
    read_instant,
    read_key,
    take,
    text,
    write_note,
)
from adapters.contract import Change, ChangeKind, Holding, HoldingState, Instruction, Moment, UnsendableError
from adapters.irec.basis import CAPABILITIES, NOTE_CHARS_MAX
from adapters.web import format_json
from keeling.serials import Grain, SerialError, SerialRange, parse, parse_segments, print_range

_WH_PER_MWH: Final = 1_000_000
_MWH: Final = re.compile(r"(\d{1,12})(?:\.(\d{1,6})0*)?", re.ASCII)
_CODE: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)
_STAGES: Final = {
    "Pending": Stage.WAITING,
    "Partial": Stage.PARTLY,
    "Approved": Stage.DONE,
    "Rejected": Stage.REFUSED,
    "Reversed": Stage.UNDONE,
}
_KINDS: Final = {
    "Issue": ChangeKind.ISSUED,
    "Transfer": ChangeKind.TRANSFERRED,
    "Redemption": ChangeKind.RETIRED,
    "Reversal": ChangeKind.REVERSED,
}
_STATES: Final = {"Active": HoldingState.ACTIVE, "Reserved": HoldingState.BLOCKED, "Redeemed": HoldingState.RETIRED}


def format_mwh(watt_hours: int) -> str:
    """2414 Wh are "0.002414"."""
    return f"{watt_hours // _WH_PER_MWH}.{watt_hours % _WH_PER_MWH:06d}"


def parse_mwh(printed: Any, name: str) -> int:
    """Watt hours of a volume in MWh; raises `ShapeError`, also below 1 Wh."""
    found = _MWH.fullmatch(printed) if isinstance(printed, str) else None
    if found is None:
        raise ShapeError(f"{name}: {str(printed)[:40]!r} is no volume in MWh of at most six decimals")
    return int(found[1]) * _WH_PER_MWH + int((found[2] or "").ljust(6, "0"))


def compose(instruction: Instruction) -> bytes:
    """The body of a redemption; raises `UnsendableError`."""
    if instruction.action not in CAPABILITIES.actions:
        raise UnsendableError(f"I-REC's interface redeems; this is to {instruction.action}")
    check_instruction(instruction, CAPABILITIES.lots_max, "irec_redex", "I-REC")
    if any(lot.grain is not Grain.WH for lot in instruction.lots):
        raise UnsendableError("I-REC counts watt hours alone")
    said = instruction.details
    destination = instruction.to_account or said.get("redemption_account", "")
    for name, value in (("redemption_account", destination), ("beneficiary_id", said.get("beneficiary_id", ""))):
        if not _CODE.fullmatch(value):
            raise UnsendableError(f"{name}: a redemption names it by its code at I-REC, not as {value[:40]!r}")
    amounts: dict[str, int] = {}
    for lot in instruction.lots:
        amounts[print_code(lot)] = amounts.get(print_code(lot), 0) + lot.units
    start, end = _read_period(instruction)
    body = {
        "source_account_code": instruction.account,
        "destination_account_code": destination,
        "approver_username": said.get("approver", ""),
        "reservation_items": [{"item_code": code, "amount": format_mwh(amounts[code])} for code in sorted(amounts)],
        "rqd_volume": format_mwh(instruction.units),
        "beneficiary_id": said["beneficiary_id"],
        "period_start": start,
        "period_end": end,
        "purpose": said.get("purpose", ""),
        "notes": write_note(instruction, NOTE_CHARS_MAX),
    }
    return format_json(body)


def print_code(lot: SerialRange) -> str:
    """The code of the item a range lies in."""
    return lot.prefix.removesuffix("-")


def read_range(code: Any, value: Any) -> SerialRange:
    """Certificates of an item, which must hold the volume beside them; raises `ShapeError`."""
    if not isinstance(code, str):
        raise ShapeError("item code is missing or no str")
    numbers = f"{take(value, 'start_cert_num', str)} to {take(value, 'end_cert_num', str)}"
    try:
        return parse(f"{code}-{numbers}", "irec_redex", units=parse_mwh(value.get("volume"), "volume"))
    except SerialError as error:
        raise ShapeError(f"items: {error}") from error


def read_redemption(row: Any) -> Record:
    """A redemption as it stands; raises `ShapeError`."""
    status, at_ms = take(row, "status", str), read_time(row.get("time"), "time")
    if status not in _STAGES:
        raise ShapeError(f"status: {status[:40]!r} is none of {', '.join(_STAGES)}")
    done = tuple(_read_items(row.get("items")))
    refused = parse_mwh(row.get("refused_volume", "0"), "refused_volume")
    code, units = take(row, "code", str), parse_mwh(row.get("volume"), "volume")
    if not _CODE.fullmatch(code):
        raise ShapeError(f"code: {code[:40]!r} is no code")
    decided = row.get("decided_time")
    kept = {
        "code": code,
        "status": status,
        "volume": format_mwh(units),
        "refused_volume": format_mwh(refused),
        "time_ms": at_ms,
        "items": [print_range(part) for part in done],
    }
    return Record(
        reference=code,
        stage=_STAGES[status],
        units=units,
        done=done,
        refused_units=refused,
        reason=text(row, "reason"),
        key=read_key(row.get("notes")),
        account=text(row, "source_account"),
        recorded_ms=at_ms,
        decided_ms=read_time(decided, "decided_time") if decided is not None else at_ms,
        evidence=format_json(kept),
    )


def read_changes(row: Any, account: str) -> list[Change]:
    """The events of one transaction of an account, one for each range; raises `ShapeError`."""
    kind, code = _KINDS.get(take(row, "type", str)), take(row, "code", str)
    if kind is None:
        raise ShapeError(f"type: {row['type'][:40]!r} is none of {', '.join(_KINDS)}")
    at_ms = read_time(row.get("time"), "time")
    return [
        Change(
            id=f"{account}/{code}/{kind}/{print_code(part)}/{part.first}",
            kind=kind,
            at_ms=at_ms,
            serials=part,
            account=account,
            to_account=text(row, "destination_account"),
            reference=code,
            key=read_key(row.get("notes")),
            effective=Moment(at_ms),
            evidence=format_json({"code": code, "type": kind, "time_ms": at_ms, "items": [print_range(part)]}),
        )
        for part in _read_items(row.get("items"))
    ]


def read_item(row: Any, account: str) -> Holding:
    """A holding of an account; raises `ShapeError`."""
    state = _STATES.get(take(row, "status", str))
    if state is None:
        raise ShapeError(f"status: {row['status'][:40]!r} is none of {', '.join(_STATES)}")
    return Holding(read_range(row.get("code"), row), account, state, text(row, "asset"))


def read_time(value: Any, name: str) -> int:
    """An object of date and timezone, which must be UTC, in ms; raises `ShapeError`."""
    if take(value, "timezone", str) != "UTC":
        raise ShapeError(f"{name}: timezone is {value['timezone'][:40]!r}, not UTC")
    return read_instant(value.get("date"), name)


def _read_items(value: Any) -> Iterator[SerialRange]:
    if value == []:  # as the registry's language prints an empty table
        return
    if not isinstance(value, Mapping):
        raise ShapeError("items is missing or no dict")
    for code, found in value.items():
        for part in found if isinstance(found, list) else [found]:
            yield read_range(code, part)


def _read_period(instruction: Instruction) -> tuple[str, str]:
    """The period of consumption: as told, else the year of production, which must be one."""
    said = instruction.details
    years = {parse_segments(print_range(lot), "irec_redex")["year"] for lot in instruction.lots}
    if "period_start" not in said and "period_end" not in said:
        if len(years) != 1:
            raise UnsendableError(f"certificates of {len(years)} years: say period_start and period_end")
        (year,) = years
        return f"{year}-01-01", f"{year}-12-31"
    start, end = said.get("period_start", ""), said.get("period_end", "")
    try:
        if date.fromisoformat(start) <= date.fromisoformat(end):
            return start, end
    except ValueError as error:
        raise UnsendableError(f"period {start[:20]!r} to {end[:20]!r}: dates are written YYYY-MM-DD") from error
    raise UnsendableError(f"the period ends on {end}, before it starts on {start}")
