"""A run as it is told: JSON that is put on record, a table for people, CSV for spreadsheets, all from the same lines.

Every unit of either side is in exactly one row of the sums. Pure.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hub.reconcile.classes import Difference, Kind, is_unasked_end
from hub.reconcile.join import Row
from hub.reconcile.rules import Action
from keeling.v1 import operations_pb2 as op

COLUMNS = (
    *("class", "space", "first", "last", "units", "there_state", "there_account", "there_reference"),
    *("here_state", "here_account", "hold", "since", "age_s", "action", "outcome", "why"),
)


class Line(NamedTuple):
    """A difference, what is done about it, and what came of that."""

    difference: Difference
    action: Action
    range: op.Range | None
    outcome: str = ""


class Sum(NamedTuple):
    """Units of one class with one action."""

    name: str
    action: str
    units: int
    lines: int
    oldest_ms: int
    """Since when the oldest of them is so; 0: not known."""


class Run(NamedTuple):
    """One reconciliation."""

    registry: str
    driver: str
    grade: str
    at_ms: int
    as_of_ms: int
    """When the registry's books were read, as it says itself."""
    there_units: int
    """Units the registry lists."""
    ended_here: int
    alarm: str = ""
    """Why nothing was compared."""
    agreed_units: int = 0
    ended_units: int = 0
    others_units: int = 0
    lines: tuple[Line, ...] = ()
    anchored: str = ""
    """The height at which the run went on record, or why it did not."""
    unread: tuple[str, ...] = ()
    """The registry's rows that contradict themselves: compared with nothing, their units missing nowhere."""
    believed: str = ""
    """The alarm that was set aside because a person said that the list really is so much shorter."""

    @property
    def broken_units(self) -> int:
        """Units of differences that are not merely in flight."""
        return sum(line.difference.units for line in self.lines if line.difference.kind is not Kind.IN_FLIGHT)

    def carry_ages(self, before: Run | None) -> Run:
        """The same, each difference as old as the run before knew one of its class on some of its units."""
        known = Ages(before.lines if before is not None else ())
        return self._replace(lines=tuple(self._age(line, known) for line in self.lines))

    def _age(self, line: Line, known: Ages) -> Line:
        found = line.difference
        if found.kind in (Kind.IN_FLIGHT, Kind.LATE) and found.since_ms:
            return line
        # A break is as old as the first run that saw it: what the ledger did before that was no break yet.
        return line._replace(difference=found._replace(since_ms=known.find(found) or self.at_ms))


class Ages:
    """Since when differences stand, by their units: one that grew, shrank or was cut is no new one."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._known: dict[tuple[str, Kind], list[tuple[int, int, int]]] = {}
        for line in lines:
            each = line.difference
            self._known.setdefault(_name_age(each), []).append((each.first, each.last, each.since_ms))
        for rows in self._known.values():
            rows.sort()

    def find(self, found: Difference) -> int:
        """The oldest of its class that shares a unit with it; 0: there is none."""
        rows = self._known.get(_name_age(found), [])
        since = 0
        for place in range(max(bisect_right(rows, (found.first,)) - 1, 0), len(rows)):
            first, last, since_ms = rows[place]
            if first > found.last:
                break
            if last >= found.first:
                since = min(since or since_ms, since_ms)
        return since

    def find_whole(self, found: Difference) -> int:
        """Since when all of its units are known to be so; 0: they are not."""
        rows = self._known.get(_name_age(found), [])
        since, at = 0, found.first
        for first, last, since_ms in rows[max(bisect_right(rows, (found.first + 1,)) - 1, 0) :]:
            if first > at or at > found.last:
                break
            if last >= at:
                since, at = max(since, since_ms), last + 1
        return since if at > found.last else 0


def _name_age(found: Difference) -> tuple[str, Kind]:
    """What differences age together: units that ended there do, whether or not an instruction may explain it."""
    return found.space, Kind.STATE if is_unasked_end(found) else found.kind


def sum_up(run: Run) -> list[Sum]:
    """The run in a few rows that together are every unit of both sides."""
    found: dict[tuple[str, str], list[Difference]] = {}
    for line in run.lines:
        found.setdefault((line.difference.kind.value, line.action.value), []).append(line.difference)
    rows = [Sum("agreed", "", run.agreed_units, 0, 0)]
    rows += [Sum("ended, no longer listed there", "", run.ended_units, 0, 0)] if run.ended_units else []
    rows += [Sum("accounts of others", "", run.others_units, 0, 0)] if run.others_units else []
    for (name, action), each in sorted(found.items()):
        oldest = min((item.since_ms for item in each if item.since_ms), default=0)
        rows.append(Sum(name, action, sum(item.units for item in each), len(each), oldest))
    return rows


def tell_line(run: Run, line: Line) -> dict[str, Any]:
    """One difference by the names of `COLUMNS`: numbers as text, because they may be longer than others can read."""
    found = line.difference
    there, here = found.there or Row(0, 0, "", ""), found.here or Row(0, 0, "", "")
    return {
        "class": found.kind.value,
        "space": found.space,
        "first": str(found.first),
        "last": str(found.last),
        "units": str(found.units),
        "there_state": there.state,
        "there_account": there.account,
        "there_reference": there.reference,
        "here_state": here.state,
        "here_account": here.account,
        "hold": here.reference,
        "since": format_instant(found.since_ms),
        "age_s": str((run.at_ms - found.since_ms) // 1000) if found.since_ms else "",
        "action": line.action.value,
        "outcome": line.outcome,
        "why": found.why,
    }


def tell_run(run: Run) -> dict[str, Any]:
    """The whole run for JSON."""
    return {
        "registry": run.registry,
        "driver": run.driver,
        "grade": run.grade,
        "at": format_instant(run.at_ms),
        "as_of": format_instant(run.as_of_ms),
        "alarm": run.alarm,
        "believed": run.believed,
        "registry_units": str(run.there_units),
        "unread": list(run.unread),
        "sums": [_tell_sum(each) for each in sum_up(run)],
        "differences": [tell_line(run, line) for line in run.lines],
    }


def _tell_sum(found: Sum) -> dict[str, Any]:
    oldest = format_instant(found.oldest_ms)
    units = str(found.units)
    return {"class": found.name, "action": found.action, "units": units, "lines": found.lines, "oldest": oldest}


def encode_run(run: Run) -> bytes:
    """The document that is kept and whose SHA-256 is on the ledger: one spelling for one run."""
    return json.dumps(tell_run(run), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def compute_digest(run: Run) -> bytes:
    """SHA-256 of `encode_run`."""
    return hashlib.sha256(encode_run(run)).digest()


def name_run(run: Run) -> str:
    """The run's name on the ledger."""
    return f"{run.registry}/{format_instant(run.at_ms)}"


def write_csv(run: Run) -> str:
    """One row for each difference; the same values as in JSON."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for line in run.lines:
        writer.writerow({name: _disarm(text) for name, text in tell_line(run, line).items()})
    return out.getvalue()


def _disarm(text: str) -> str:
    """A cell that a spreadsheet would take for a formula, marked as text."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def draw_table(run: Run, most: int = 40) -> list[str]:
    """The run for a terminal: sums, then the first differences, oldest first."""
    head = f"{run.registry} ({run.driver}, grade {run.grade}) as of {format_instant(run.as_of_ms)}"
    if run.alarm:
        return [head, f"ALARM {run.alarm}", "nothing was compared and nothing changed"]
    warnings = [f"BELIEVED because a person said so: {run.believed}"] if run.believed else []
    warnings += [f"not read, because it contradicts itself: {row}" for row in run.unread[:most]]
    if len(run.unread) > most:
        warnings.append(f"... and {len(run.unread) - most:,} more rows that were not read")
    rows = [("class", "action", "units", "lines", "oldest")]
    rows += [(s.name, s.action, f"{s.units:,}", str(s.lines or ""), format_instant(s.oldest_ms)) for s in sum_up(run)]
    drawn = [head, *warnings, *_align(rows)]
    ordered = sorted(
        run.lines, key=lambda line: (line.difference.since_ms, line.difference.space, line.difference.first)
    )
    if ordered:
        told = [tell_line(run, line) for line in ordered[:most]]
        names = ("class", "space", "first", "last", "units", "there_state", "here_state", "age_s", "action", "outcome")
        drawn += ["", *_align([names, *(tuple(item[name] for name in names) for item in told)])]
    if len(ordered) > most:
        drawn.append(f"... and {len(ordered) - most:,} more; --csv and --json have all of them")
    return drawn


def _align(rows: Iterable[tuple[str, ...]]) -> list[str]:
    table = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def format_instant(ms: int) -> str:
    """ISO 8601 in UTC to the millisecond; empty for 0."""
    if not ms:
        return ""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"
