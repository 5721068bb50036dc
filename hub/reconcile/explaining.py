"""What proves that an instruction which is not over did not end units that it does not name. Pure.

Where a registry chooses the serials, what ended there unasked may be an instruction's doing: until it is known that it
asks for something else or for units of another project, came later, or has not done it by the registry's own word. How
many units it may stand for is counted in `hub.reconcile.classes`; facts are gathered in `run`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from adapters.contract import ChangeKind, Report
from hub.dispatch.hearing import OUTCOMES
from hub.dispatch.memory import Remembered
from hub.dispatch.sight import Standing
from hub.reconcile.books import Lots
from hub.reconcile.classes import Difference
from hub.reconcile.report import Ages
from keeling.serials import SerialRange
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op


class Open(NamedTuple):
    """An instruction that is not over."""

    purpose: str
    first_dispatched_ms: int
    """When it was dispatched first; 0: not known, it was dispatched again since."""
    answered_ms: int = 0
    """The registry has said what it did of it, when it was asked then; 0: it has not, or not of all of it."""
    done: tuple[SerialRange, ...] = ()
    """The serials that it has used by then."""


def describe_open(hold: pb.HoldInfo, known: Remembered | None) -> Open:
    """An instruction by the ledger and, where the dispatcher carries it, by the registry's newest answers."""
    found = Open(hold.purpose, hold.dispatched_ms if hold.attempt == 1 else 0)
    reports: list[tuple[int, Report]] = []
    for message in known.messages if known is not None else ():
        answer = message.answer
        if message.standing is not Standing.ANSWERED or not isinstance(answer, Report) or answer.unseen:
            return found
        reports.append((message.seen_ms, answer))
    if not reports:
        return found
    done = tuple(part for _, answer in reports for part in answer.done)
    return found._replace(answered_ms=min(seen_ms for seen_ms, _ in reports), done=done)


class Proofs:
    """All that is known when differences are put down to instructions."""

    def __init__(
        self,
        opened: Mapping[str, Open],
        lots: Lots,
        restricted: Iterable[op.Range],
        seen: Ages,
        settling_ms: int,
    ) -> None:
        """`opened`: by hold in hex. `restricted`: what is restricted for a difference. `seen`: what the run before
        told. `settling_ms`: for how long the registry's answers may not show what it did."""
        self._opened, self._seen, self._settling_ms = opened, seen, settling_ms
        self._borders = lots.list_borders()
        self._stopped: dict[str, list[tuple[int, int]]] = {}
        for item in restricted:
            counted = lots.counted.get(item.batch)
            if counted is not None:
                first = counted.base + item.first
                self._stopped.setdefault(counted.space, []).append((first, first + item.units - 1))
        for rows in self._stopped.values():
            rows.sort()

    def cannot(self, ended: Difference, waiting: Difference) -> bool:
        """Whether the hold of `waiting` is surely not what ended the units of `ended`."""
        opened = self._opened.get(waiting.here.reference) if waiting.here is not None else None
        if opened is None or ended.there is None:
            return False
        since = self._seen.find_whole(ended)
        answered = bool(since) and opened.answered_ms >= since + self._settling_ms
        return (
            ChangeKind(ended.there.state) not in OUTCOMES[opened.purpose]
            or self._find_class(ended) != self._find_class(waiting)
            or self._is_stopped(ended)
            or 0 < since < opened.first_dispatched_ms
            or (answered and not any(_shares(ended, part) for part in opened.done))
        )

    def _find_class(self, found: Difference) -> tuple[str, str]:
        """Programme and project: an instruction of one ends no units of another."""
        borders = self._borders.get(found.space, [])
        place = bisect_right(borders, found.first, key=lambda each: each[0]) - 1
        return borders[place][1].made_of if place >= 0 else ("", "")

    def _is_stopped(self, found: Difference) -> bool:
        """Whether all of the units are restricted for a difference already: no instruction may use them."""
        at = found.first
        for first, last in self._stopped.get(found.space, ()):
            if first > at:
                break
            at = max(at, last + 1)
        return at > found.last


def _shares(found: Difference, part: SerialRange) -> bool:
    return part.space == found.space and part.first <= found.last and found.first <= part.last
