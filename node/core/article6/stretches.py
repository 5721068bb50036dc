"""Stretches: positions of one batch that are alike in everything Article 6 looks at.

Authorization, first transfer and ITMO number are marks, each an interval map of its own; here they are laid over one
another and cut where any of them changes. Marks are inherited by every split of a lot, so nothing here knows lots.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from keeling.encoding import Ref
from node.core import tables as t
from node.core.article6.records import ItmoRange
from node.core.context import Context
from node.core.intervals import MarkKind, erase, paint, read_layer
from node.core.records import Batch
from node.core.state import State

ITMO_LAYER: Final = "itmo"
"""The layer of TWIN marks that gives each unit its ITMO identifier."""


class Itmo(NamedTuple):
    """Where ITMO numbers run: position `first` of the batch has the number `number` of the space."""

    space: str
    first: int
    number: int

    def number_at(self, position: int) -> int:
        return self.number + position - self.first


class Stretch(NamedTuple):
    """Alike positions. `version` is that of the authorization at their first transfer, 0 while there was none."""

    batch: int
    first: int
    units: int
    authorization: str
    version: int
    itmo: Itmo | None

    @property
    def stop(self) -> int:
        return self.first + self.units


def format_itmo(space: str, number: int) -> str:
    """The full identifier of one ITMO (6/CMA.4 annex I para 5): approach, registry, Party, number, vintage."""
    head, _, vintage = space.rpartition("-")
    return f"{head}-{number}-{vintage}"


def format_space(approach: str, registry: str, party: str, vintage: int) -> str:
    """The space inside which no ITMO number is used twice."""
    return f"{approach}-{registry}-{party}-{vintage}"


def vintage_of(stretch: Stretch) -> int:
    """The vintage year of an authorized stretch: that of its ITMO identifiers, whatever its batch says."""
    if stretch.itmo is None:
        raise LookupError(f"position {stretch.first} of batch {stretch.batch} has no ITMO number")
    return int(stretch.itmo.space.rpartition("-")[2])


def _format_anchor(itmo: Itmo) -> str:
    """The mark's value says which position has which identifier, so that it holds for every part of the mark."""
    return f"{itmo.first}={format_itmo(itmo.space, itmo.number)}"


def _parse_anchor(value: str) -> Itmo | None:
    if not value:
        return None
    position, _, identifier = value.partition("=")
    head, number, vintage = identifier.rsplit("-", 2)
    return Itmo(f"{head}-{vintage}", int(position), int(number))


def _values(state: State, batch: int, kind: MarkKind, name: str, first: int, units: int) -> list[tuple[int, int, str]]:
    """One layer over the whole range, gaps included: (first, stop, value)."""
    found, at, stop = list[tuple[int, int, str]](), first, first + units
    for start, mark in read_layer(state, batch, kind, name, first, units):
        begin, end = max(start, first), min(start + mark.units, stop)
        if begin > at:
            found.append((at, begin, ""))
        found.append((begin, end, mark.value))
        at = end
    if at < stop:
        found.append((at, stop, ""))
    return found


def read_stretches(state: State, batch: int, first: int, units: int) -> list[Stretch]:
    """The whole range as stretches, in order; those without an authorization among them."""
    authorizations = _values(state, batch, MarkKind.AUTHORIZATION, "", first, units)
    if all(not value for _, _, value in authorizations):
        return [Stretch(batch, first, units, "", 0, None)]
    transfers = _values(state, batch, MarkKind.FIRST_TRANSFER, "", first, units)
    numbers = _values(state, batch, MarkKind.TWIN, ITMO_LAYER, first, units)
    cuts = sorted({cut for layer in (authorizations, transfers, numbers) for row in layer for cut in row[:2]})
    found: list[Stretch] = []
    rows = [iter(layer) for layer in (authorizations, transfers, numbers)]
    now = [next(row) for row in rows]
    for start, stop in pairwise(cuts):
        for i, row in enumerate(rows):
            while now[i][1] <= start:
                now[i] = next(row)
        version = int(now[1][2].partition(" ")[0] or 0)
        found.append(Stretch(batch, start, stop - start, now[0][2], version, _parse_anchor(now[2][2])))
    return join(found)


def join(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Neighbours that are alike become one."""
    found: list[Stretch] = []
    for item in stretches:
        last = found[-1] if found else None
        if last is not None and last.stop == item.first and _alike(last, item):
            found[-1] = last._replace(units=last.units + item.units)
        else:
            found.append(item)
    return found


def _alike(a: Stretch, b: Stretch) -> bool:
    if (a.batch, a.authorization, a.version) != (b.batch, b.authorization, b.version):
        return False
    if a.itmo is None or b.itmo is None:
        return a.itmo is b.itmo
    return a.itmo.space == b.itmo.space and a.itmo.number_at(0) == b.itmo.number_at(0)


def join_ranges(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """(first, units) in order, neighbours joined."""
    found: list[tuple[int, int]] = []
    for first, units in sorted(ranges):
        if found and found[-1][0] + found[-1][1] == first:
            found[-1] = (found[-1][0], found[-1][1] + units)
        else:
            found.append((first, units))
    return found


def mark_authorized(tx: Context, stretch: Stretch, authorization: str, itmo: Itmo) -> Stretch:
    """Bring a stretch under an authorization and give it its ITMO numbers."""
    cause, state = tx.next_ref, tx.state
    batch, first, units = stretch.batch, stretch.first, stretch.units
    paint(state, batch, MarkKind.AUTHORIZATION, "", first, units, authorization, cause)
    paint(state, batch, MarkKind.TWIN, ITMO_LAYER, first, units, _format_anchor(itmo), cause)
    return stretch._replace(authorization=authorization, itmo=itmo)


def renumber_itmo(tx: Context, batch: int, old: int, new: int) -> None:
    """The unit at position `old` is known to be the one at `new`: its ITMO identifier stays what it is."""
    (unit,) = read_stretches(tx.state, batch, old, 1)
    if unit.itmo is None:
        return
    space, number = unit.itmo.space, unit.itmo.number_at(old)
    _move_itmo(tx, space, number, batch, new)
    erase(tx.state, batch, MarkKind.TWIN, ITMO_LAYER, old, 1)
    paint(tx.state, batch, MarkKind.TWIN, ITMO_LAYER, new, 1, _format_anchor(Itmo(space, new, number)), tx.next_ref)


def _move_itmo(tx: Context, space: str, number: int, batch: int, position: int) -> None:
    """Cut one number out of the range it was given in; the rest of the range stays what it is."""
    start = t.ITMOS.key(space, number + 1)
    key, given = next(iter(tx.state.scan(t.ITMOS, space, start=start, reverse=True)))
    first = t.ITMOS.parts(key)[1]
    after = first + given.units - number - 1
    if number > first:
        tx.state.put(t.ITMOS, given._replace(units=number - first), space, first)
    if after:
        rest = given._replace(first=given.first + number + 1 - first, units=after)
        tx.state.put(t.ITMOS, rest, space, number + 1)
    tx.state.put(t.ITMOS, ItmoRange(batch, position, 1), space, number)


def mark_first_transferred(tx: Context, stretch: Stretch, version: int, action: Ref) -> None:
    """Say that a stretch was first transferred, by which action and under which version. Happens once (G4)."""
    value = f"{version} {action.height}.{action.ordinal}"
    paint(tx.state, stretch.batch, MarkKind.FIRST_TRANSFER, "", stretch.first, stretch.units, value, action)


def unmark_first_transferred(tx: Context, batch: int, first: int, units: int) -> int:
    """Take the first transfer off a range whose cause was reversed; how many units had it."""
    return erase(tx.state, batch, MarkKind.FIRST_TRANSFER, "", first, units)


def numbers_of(tx: Context, stretch: Stretch) -> tuple[Batch, int, int]:
    """The batch, and the first and last number of the stretch in the batch's own serial space."""
    batch = tx.batch_number(stretch.batch)
    return batch, batch.base + stretch.first, batch.base + stretch.stop - 1


def index_batch(tx: Context, authorization: str, batch: int) -> None:
    """Have the batch found by authorization, and known to have authorized units."""
    if tx.state.get(t.COVERED, authorization, batch) is None:
        tx.state.put(t.COVERED, b"", authorization, batch)
        tx.state.put(t.COVERED_BATCHES, b"", batch)


def is_authorized(tx: Context, batch: int) -> bool:
    """Whether any position of the batch is under an authorization."""
    return tx.state.get(t.COVERED_BATCHES, batch) is not None
