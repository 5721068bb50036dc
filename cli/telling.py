"""Ledger messages in words: events with their moves, results, places, times. No calls are made here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from cli.identifiers import format_id
from cli.output import Grid, facts_of
from cli.quantities import format_amount, format_moment, format_time, format_units

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1 import operations_pb2 as op

_STATES_ITS_EXTENT = ("ISSUED", "EXTENDED")
"""Events whose ranges are the extent of a batch: what they moved says more."""
MOVES_SHOWN_MAX = 20
"""More moves of one transaction are counted, not listed; `--json` has them all."""


def format_place(place: pb.Place) -> str:
    """Write where something was decided: height and ordinal."""
    return f"{place.height}.{place.ordinal}"


def format_when(when: op.When) -> str:
    """Write a moment as its source stated it; empty when it said nothing."""
    return format_moment(when.ms, when.precision == 1) if when.precision else ""


def format_range(item: op.Range) -> str:
    """Write positions of a batch."""
    return f"{item.batch} {item.first}..{item.first + item.units - 1}"


def describe_refusal(result: pb.TransactionResult) -> str:
    """One line: the reason, what explains it, and what to do."""
    line = f"{result.reason_name}: {result.detail}" if result.detail else result.reason_name
    return f"{line}; {result.advice}" if result.advice else line


def facts_of_result(result: pb.TransactionResult, number: bytes) -> dict[str, Any]:
    """A result as facts."""
    facts = facts_of(result)
    facts["id"] = format_id(result.id or number)
    facts["accepted"] = result.reason == 0
    facts["values"] = {value.name: value.value for value in result.values}
    facts["events"] = [facts_of_event(event) for event in result.events]
    facts["time"] = format_time(result.time_ms) if result.time_ms else None
    return facts


def facts_of_event(event: pb.Event) -> dict[str, Any]:
    """An event as facts: its place as one text, its facts as one object."""
    facts = facts_of(event)
    facts["place"] = format_place(event.place)
    facts["facts"] = {fact.name: fact.value for fact in event.facts}
    facts["time"] = format_time(event.time_ms) if event.time_ms else None
    return facts


def tell_events(events: Iterable[pb.Event]) -> list[str | Grid]:
    """What events moved, and which units they were about, for people."""
    rows = [row for event in events for row in _rows(event)]
    if not rows:
        return []
    rest = len(rows) - MOVES_SHOWN_MAX
    shown: list[str | Grid] = [Grid(("what", ">amount", "which", "from", "to"), rows[:MOVES_SHOWN_MAX])]
    return [*shown, f"and {rest} more"] if rest > 0 else shown


def _rows(event: pb.Event) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for move in event.moves:
        here = f"{move.from_account} {move.from_state}".strip()
        there = f"{move.to_account} {move.to_state}".strip()
        which = move.serials or format_range(move.range)
        rows.append((event.kind, format_units(move.range.units), which, here, there))
    for cash in event.cash:
        amount = format_amount(cash.amount, cash.scale)
        rows.append((event.kind, amount, cash.currency, cash.from_account, cash.to_account))
    if event.kind not in _STATES_ITS_EXTENT:
        for about in event.ranges:
            which = about.serials or format_range(about.range)
            rows.append((event.kind, format_units(about.range.units), which, "", ""))
    return rows


def tell_adjustments(events: Iterable[pb.Event]) -> list[str | Grid]:
    """The corresponding adjustments that followed, or were withdrawn, as their Parties apply them."""
    rows: list[Sequence[str]] = []
    for event in events:
        facts = {fact.name: fact.value for fact in event.facts}
        if event.kind == "ADJUSTED":
            metric, host = facts.get("metric", ""), facts["side"] == "HOST"
            # The host adds and the user subtracts; for a metric other than GHG the signs are the opposite.
            amount = ("+" if host != bool(metric) else "-") + format_units(int(facts["units"]))
            what = "first transferred" if host else "used"
            rows.append(
                (
                    event.subject,
                    facts["party"],
                    facts["year"],
                    f"{amount} {metric}".strip(),
                    what,
                    facts["authorization"],
                )
            )
        elif event.kind == "ACTION_WITHDRAWN":
            amount = format_units(int(facts["units"]))
            rows += [
                (name, "", "", amount, "withdrawn", event.subject) for name in facts.get("adjustments", "").split()
            ]
    if not rows:
        return []
    rest = len(rows) - MOVES_SHOWN_MAX
    columns = ("adjustment", "Party", "year", ">units", "because", "authorization")
    shown: list[str | Grid] = [Grid(columns, rows[:MOVES_SHOWN_MAX])]
    return [*shown, f"and {rest} more"] if rest > 0 else shown


def tell_event(event: pb.Event) -> str:
    """One line for an event, as `keeling events` prints it."""
    parts = [format_place(event.place), format_time(event.time_ms), event.kind, event.subject]
    effective = format_when(event.effective)
    if effective:
        parts.append(f"effective {effective}")
    parts += [f"{fact.name}={fact.value}" for fact in event.facts if fact.value]
    rows = _rows(event)
    for _, amount, which, here, there in rows[:MOVES_SHOWN_MAX]:
        way = f": {here} -> {there}" if here or there else ""
        parts.append(f"[{amount} of {which}{way}]")
    if len(rows) > MOVES_SHOWN_MAX:
        parts.append(f"[and {len(rows) - MOVES_SHOWN_MAX} more]")
    return "  ".join(parts)
