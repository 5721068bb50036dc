"""Between ledger positions and registry serials: what a range of a batch is called there, and back.

How a batch counts is read once and kept, unless its numbers are only assumed yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from hub.ledger_client import LedgerRefusal, NotOnLedger
from hub.restrictions import Laid, cut
from keeling.serials import Grain, SerialError, SerialFault, SerialRange, find_scheme, parse_form
from keeling.serials.scheme import Scheme
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op


class Unnameable(ValueError):
    """The units cannot be named as the registry names them, or are in no batch of this ledger."""


class Numbering(NamedTuple):
    """How a batch counts: position = number - base."""

    batch: str
    space: str
    base: int
    form: SerialRange


class Reader(Protocol):
    """What of a ledger client is needed here."""

    async def batch(self, batch: str) -> pb.Batch: ...

    async def find_lots(self, space: str, first: int, last: int) -> pb.FindLotsResponse: ...


def read_numbering(batch: pb.Batch) -> Numbering:
    """How the batch counts; raises `Unnameable` where its serial form cannot be read."""
    name, _, version = batch.scheme.partition("/")
    try:
        scheme = find_scheme(name, int(version) if version.isdecimal() else None)
        form = _parse_form(scheme, batch) if batch.serial_form else None
    except SerialError as error:
        raise Unnameable(f"batch {batch.batch}: {error}") from error
    if form is None:
        grain = Grain[batch.grain] if batch.grain in Grain.__members__ else Grain.OPAQUE
        form = SerialRange(scheme.name, scheme.version, batch.space, 0, 0, grain, f"{batch.space}#", "-")
    return Numbering(batch.batch, batch.space, int(batch.base_number), form._replace(space=batch.space))


def _parse_form(scheme: Scheme, batch: pb.Batch) -> SerialRange:
    """Where a serial is read only beside its quantity (Isometric), that is the batch's extent."""
    try:
        return parse_form(scheme, batch.serial_form)
    except SerialError as error:
        if error.fault is not SerialFault.RANGE_ELSEWHERE:
            raise
    return scheme.parse(batch.serial_form, int(batch.last_number) - int(batch.first_number) + 1)


class Names:
    """Serials of ranges and ranges of serials, with the numberings read so far."""

    def __init__(self, reader: Reader) -> None:
        self._reader: Final = reader
        self._known: dict[str, Numbering] = {}
        self._reading: dict[str, asyncio.Lock] = {}

    async def to_serials(self, ranges: Iterable[op.Range]) -> tuple[SerialRange, ...]:
        """The registry's names of ledger ranges; raises `Unnameable`."""
        found = []
        for item in ranges:
            numbering = await self._numbering(item.batch)
            first = numbering.base + item.first
            found.append(numbering.form._replace(first=first, last=first + item.units - 1))
        return tuple(found)

    async def to_ranges(self, serials: Sequence[SerialRange]) -> list[op.Range]:
        """The ledger ranges of registry serials, cut at batches; raises `Unnameable` for units no batch here has."""
        return [part.range for part in await self.find(serials)]

    async def find(self, serials: Sequence[SerialRange]) -> list[Part]:
        """The same, cut at lots too, each with its state, account and hold as the ledger has them now."""
        parts: list[Part] = []
        for item, found in [pair for each in serials for pair in await self._find(each)]:
            if found.unknown or found.unseen:
                raise Unnameable(f"some of {item.first}..{item.last} of {item.space} are not known on this ledger")
            for each in found.lots:
                base = int(each.lot.first_number) - each.lot.range.first
                low = max(item.first - base, each.lot.range.first)
                high = min(item.last - base, each.lot.range.first + each.lot.range.units - 1)
                exact = op.Range(batch=each.lot.range.batch, first=low, units=high - low + 1)
                lot, since = each.lot, _find_since(each)
                laid = _find_restrictions(each, exact)
                back = frozenset(_read_fact(event, "reference") for event in each.custody if event.kind == "REVERSED")
                part = Part(exact, lot.state, lot.account, lot.hold, _find_capture(each), since, laid, back)
                named = next((_read_fact(event, "reference") for event in each.custody[:1]), "")
                parts.append(part._replace(reference=named, captures=_find_captures(each)))
        return parts

    async def find_gaps(self, serials: SerialRange) -> list[Gap]:
        """The numbers of a range that no lot has, in order: in a batch whose units were not all seen, or in none."""
        gaps: list[Gap] = []
        for item, found in await self._look(serials):
            if found is None:
                gaps.append(Gap("", item.first, item.last))
                continue
            gaps += [Gap("", int(each.first_number), int(each.last_number)) for each in found.unknown]
            for unseen in found.unseen:
                first = int((await self._reader.batch(unseen.batch)).base_number) + unseen.first
                gaps.append(Gap(unseen.batch, first, first + unseen.units - 1))
        joined: list[Gap] = []
        for gap in sorted(gaps, key=lambda each: each.first):
            if joined and (joined[-1].batch, joined[-1].last + 1) == (gap.batch, gap.first):
                joined[-1] = joined[-1]._replace(last=gap.last)
            else:
                joined.append(gap)
        return joined

    async def _find(self, serials: SerialRange) -> list[tuple[SerialRange, pb.FindLotsResponse]]:
        """The lots of a range, all of which must be on the ledger."""
        looked = await self._look(serials)
        found = [(item, answer) for item, answer in looked if answer is not None]
        if len(found) < len(looked):
            raise Unnameable(f"some of {serials.first}..{serials.last} of {serials.space} are not known on this ledger")
        return found

    async def _look(self, serials: SerialRange) -> list[tuple[SerialRange, pb.FindLotsResponse | None]]:
        """The lots of a range; halved where a node finds too many to give them at once. None: no batch has any."""
        try:
            return [(serials, await self._reader.find_lots(serials.space, serials.first, serials.last))]
        except NotOnLedger:
            return [(serials, None)]
        except LedgerRefusal as error:
            if error.reason == "BAD_FIELD":  # a number longer than any on the ledger
                return [(serials, None)]
            if error.reason != "TOO_MANY_LOTS" or serials.units == 1:
                raise
        middle = (serials.first + serials.last) // 2
        halves = serials._replace(last=middle), serials._replace(first=middle + 1)
        return [pair for half in halves for pair in await self._look(half)]

    async def _numbering(self, batch: str) -> Numbering:
        async with self._reading.setdefault(batch, asyncio.Lock()):
            known = self._known.get(batch)
            if known is None:
                found = await self._reader.batch(batch)
                known = read_numbering(found)
                if not found.numbers_assumed:
                    self._known[batch] = known
        return known


class Gap(NamedTuple):
    """Registry numbers that no lot has."""

    batch: str
    """The batch in whose extent they are; empty: none."""
    first: int
    last: int


class Part(NamedTuple):
    """A range inside one lot, and where the lot is."""

    range: op.Range
    state: str
    account: str
    hold: bytes
    captured_by: str
    """The hold (hex) whose capture brought the units where they are; empty: something else did."""
    since_ms: int = 0
    """When what brought them where they are took effect, as its source says; 0: not known."""
    restrictions: tuple[Laid, ...] = ()
    """What restricts some of them, and where."""
    taken_back: frozenset[str] = frozenset()
    """The registry's references of ends that it took back, as far as their chain of custody is shown."""
    captures: frozenset[str] = frozenset()
    """The holds (hex) whose captures moved the units, whatever became of them since; not what was taken back."""
    reference: str = ""
    """The registry's, of what brought them where they are; empty: not known."""


def _find_restrictions(found: pb.FoundLot, exact: op.Range) -> tuple[Laid, ...]:
    laid = [Laid(mark.name, cut(exact, mark.range)) for mark in found.marks if mark.kind == "RESTRICTION"]
    return tuple(each for each in laid if each.range.units)


def _find_capture(found: pb.FoundLot) -> str:
    return _read_capture(found.custody[0]) if found.custody else ""


def _find_captures(found: pb.FoundLot) -> frozenset[str]:
    chain = list(found.custody)
    back = next((place for place, event in enumerate(chain) if event.kind == "REVERSED"), len(chain))
    return frozenset(_read_capture(event) for event in chain[:back]) - {""}


def _read_capture(event: pb.Event) -> str:
    """The hold of a capture: one for a transfer is an event about it, one that ended units names it among its facts."""
    return event.subject if event.kind == "CAPTURED" else _read_fact(event, "hold")


def _read_fact(event: pb.Event, name: str) -> str:
    return next((fact.value for fact in event.facts if fact.name == name), "")


def _find_since(found: pb.FoundLot) -> int:
    return next((int(event.effective.ms or event.time_ms) for event in found.custody[:1]), 0)
