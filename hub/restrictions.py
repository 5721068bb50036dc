"""What a hub calls the restrictions it lays for a registry's word, and which of them a later word ends. Pure.

A name tells what the registry said, when, under which of its references and by which event: so what is lifted is
exactly what was laid for it, whoever laid it, and an event that is read again neither lifts what came after it nor lays
anew what is over. Which units they are is not here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from keeling.v1 import operations_pb2 as op

BLOCK: Final = "block"
"""The registry blocks the units."""
MOVED: Final = "moved"
"""The units left the registry account that the ledger has them in."""
SESSION: Final = "session/"
"""Restrictions of units that we had blocked ourselves, for a session of an exchange, are called so."""
AUTHORIZATION: Final = "authorization/"
"""Of a revoked letter, laid by the ledger itself: the letter's name follows."""
UNKNOWN: Final = "0" * 12
"""The reference of a stop whose cause the registry did not name."""
_NAME: Final = re.compile(r"inbound/(block|moved)/([0-9a-f]{12})-(\d{15})-([0-9a-f]{16})", re.ASCII)


class Stop(NamedTuple):
    """A restriction for a registry's word."""

    kind: str
    at_ms: int
    """When the registry recorded what it is for."""
    reference: str
    """A digest of the registry's reference; `UNKNOWN`: it gave none."""
    event: str
    """A digest of the event's id."""

    @property
    def name(self) -> str:
        return f"{name_of_reference(self.kind, self.reference)}{self.at_ms:015}-{self.event}"

    def is_of(self, reference: str) -> bool:
        """Whether it may be for what the digest of a reference names."""
        return UNKNOWN in (self.reference, reference) or self.reference == reference


class Laid(NamedTuple):
    """A restriction on units: its name, and where of what was asked for it lies."""

    name: str
    range: op.Range


def digest_reference(registry: str, reference: str) -> str:
    """The digest of a reference; `UNKNOWN` of none."""
    return _digest(registry, reference)[:12] if reference else UNKNOWN


def make_stop(kind: str, registry: str, at_ms: int, reference: str, event: str) -> Stop:
    """The restriction for one event of a registry."""
    at = min(max(at_ms, 0), 10**15 - 1)
    return Stop(kind, at, digest_reference(registry, reference), _digest(registry, event)[:16])


def parse_stop(name: str) -> Stop | None:
    """The stop of a name; None: it is another restriction."""
    found = _NAME.fullmatch(name)
    return Stop(found[1], int(found[3]), found[2], found[4]) if found else None


def name_of_reference(kind: str, reference: str) -> str:
    """How all stops of a kind begin that are for one reference, by its digest."""
    return f"{name_of_kind(kind)}{reference}-"


def name_of_kind(kind: str) -> str:
    """How all stops of a kind begin."""
    return f"inbound/{kind}/"


def is_for_block(name: str) -> bool:
    """Whether units so restricted are kept here from moving because their registry keeps them from it."""
    stop = parse_stop(name)
    return name.startswith((SESSION, AUTHORIZATION)) or (stop is not None and stop.kind == BLOCK)


def covers(stop: Stop, name: str, reference: str) -> bool:
    """Whether a restriction of this name already stands for what `stop` would be laid for.

    `reference` is the registry's, in clear. Another block needs a restriction of its own: the two end one by one. Units
    that are away are away.
    """
    known = parse_stop(name)
    if stop.kind == MOVED:
        return known is not None and known.kind == MOVED
    if name.startswith(SESSION) or (reference and name == f"{AUTHORIZATION}{reference}"):
        return True
    return known is not None and known.kind == BLOCK and known.is_of(stop.reference)


def find_ended(laid: Sequence[Laid], kind: str, at_ms: int, reference: str | None) -> list[Laid]:
    """The stops of a kind that a word of `at_ms` ends. `reference`: the digest of its reference; None: all of them."""
    older = _list_stops(laid, kind, at_ms)
    return [each for each, stop in older if reference is None or (stop.is_of(reference) and reference != UNKNOWN)]


def find_alone(laid: Sequence[Laid], kind: str, at_ms: int) -> list[Laid]:
    """Those that lie alone on their units: what a word ends that names no reference, or one that nothing is for."""
    known = _list_stops(laid, kind, 10**15)
    return [
        each
        for each, stop in known
        if stop.at_ms <= at_ms and not any(_share(each, other) for other, _ in known if other is not each)
    ]


def _list_stops(laid: Sequence[Laid], kind: str, at_ms: int) -> list[tuple[Laid, Stop]]:
    known = [(each, parse_stop(each.name)) for each in laid]
    return [(each, stop) for each, stop in known if stop is not None and stop.kind == kind and stop.at_ms <= at_ms]


def subtract(whole: op.Range, parts: Iterable[op.Range]) -> list[op.Range]:
    """What is left of a range without these, in order."""
    left, at = list[op.Range](), whole.first
    for part in sorted(parts, key=lambda each: each.first):
        if part.batch != whole.batch or part.first + part.units <= at:
            continue
        if part.first > at:
            units = min(part.first, whole.first + whole.units) - at
            if units > 0:
                left.append(op.Range(batch=whole.batch, first=at, units=units))
        at = max(at, part.first + part.units)
    if at < whole.first + whole.units:
        left.append(op.Range(batch=whole.batch, first=at, units=whole.first + whole.units - at))
    return left


def cut(item: op.Range, other: op.Range) -> op.Range:
    """What two ranges have in common; no units: nothing."""
    low = max(item.first, other.first)
    high = min(item.first + item.units, other.first + other.units)
    return op.Range(batch=item.batch, first=low, units=max(high - low, 0) if item.batch == other.batch else 0)


def _share(one: Laid, other: Laid) -> bool:
    return bool(cut(one.range, other.range).units)


def _digest(registry: str, text: str) -> str:
    return hashlib.sha256(f"{registry}|{text}".encode()).hexdigest()
