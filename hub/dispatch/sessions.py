"""Units that wait blocked at their registry for a session of an exchange, as the ledger shows them: restrictions.

The name of such a restriction is the order that laid it, so that nothing else need be kept. How an order is carried
is in `blocking`; what the restrictions of others are called, in `hub.restrictions`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from hub.dispatch.wording import join_ranges
from hub.ledger_client import NotOnLedger
from hub.restrictions import SESSION, cut, subtract
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

_NAME: Final = re.compile(rf"{SESSION}(block|unblock)/([\w.-]{{1,40}})/([\w.-]{{1,40}})/([0-9a-f]{{32}})", re.ASCII)
_FREE: Final = "FREE"


class Kind(StrEnum):
    """What an order asks for."""

    BLOCK = "block"
    UNBLOCK = "unblock"


class OrderName(NamedTuple):
    """An order as the name of its restriction."""

    kind: Kind
    exchange: str
    session: str
    """The day it is held: "2027-01-27"."""
    number: bytes
    """The id of the order, of its transaction, and its key at the registry."""

    @property
    def text(self) -> str:
        return f"{SESSION}{self.kind}/{self.exchange}/{self.session}/{self.number.hex()}"


def parse_name(text: str) -> OrderName | None:
    """The order of a restriction's name; None: it is another restriction."""
    found = _NAME.fullmatch(text)
    return OrderName(Kind(found[1]), found[2], found[3], bytes.fromhex(found[4])) if found else None


def find_prefix(kind: Kind, exchange: str, session: str) -> str:
    """How all restrictions of one kind for one session begin."""
    return f"{SESSION}{kind}/{exchange}/{session}/"


class Reserved(NamedTuple):
    """An order's restriction on units of an account."""

    name: OrderName
    ranges: tuple[op.Range, ...]
    """What it lies on now."""
    began: tuple[int, int]
    """The event that laid it."""


class Reader(Protocol):
    """What of a ledger client is needed here."""

    async def lots(self, *, account: str = "", batch: str = "", state: str = "") -> list[pb.Lot]: ...

    async def restrictions(self, account: str, prefix: str = "") -> list[pb.RestrictionInfo]: ...

    async def event_at(self, height: int, ordinal: int) -> pb.Event: ...


async def list_reserved(ledger: Reader, account: str, prefix: str = SESSION) -> list[Reserved]:
    """The orders whose restrictions lie on units of an account, by name."""
    found: dict[str, list[pb.RestrictionInfo]] = {}
    for info in await ledger.restrictions(account, prefix):
        found.setdefault(info.restriction, []).append(info)
    reserved = []
    for text, infos in sorted(found.items()):
        name = parse_name(text)
        if name is not None:
            ranges = tuple(join_ranges(info.range for info in infos))
            began = infos[0].began
            reserved.append(Reserved(name, ranges, (began.height, began.ordinal)))
    return reserved


async def find_free(ledger: Reader, account: str) -> list[op.Range]:
    """What of an account nobody has and nothing restricts, lowest first."""
    stopped = [info.range for info in await ledger.restrictions(account)]
    lots = [lot.range for lot in await ledger.lots(account=account, state=_FREE)]
    return join_ranges(part for lot in lots for part in subtract(lot, [s for s in stopped if s.batch == lot.batch]))


async def find_laid(ledger: Reader, reserved: Reserved) -> tuple[int, list[op.Range]]:
    """When an order went on record, and all units it was about; raises `NotOnLedger` where that is not kept."""
    event = await ledger.event_at(*reserved.began)
    return int(event.time_ms), join_ranges(each.range for each in event.ranges)


def choose(ranges: Iterable[op.Range], units: int) -> list[op.Range]:
    """The first so many units; fewer where there are no more."""
    chosen, left = list[op.Range](), units
    for item in ranges:
        if left:
            size = min(left, item.units)
            chosen.append(op.Range(batch=item.batch, first=item.first, units=size))
            left -= size
    return chosen


def count_units(ranges: Iterable[op.Range]) -> int:
    """How many units these are."""
    return sum(int(item.units) for item in ranges)


async def find_session(ledger: Reader, hold: pb.HoldInfo) -> dict[str, str]:
    """The words for a hold that sells out of a block: its exchange and session; none for any other.

    Such a sale lifts the block and holds the units in one transaction, so that nobody can come between: what was lifted
    stands on the ledger just before the hold.
    """
    place = hold.opened
    if hold.purpose != "FOR_TRANSFER" or not place.ordinal:
        return {}
    try:
        lifted = await ledger.event_at(place.height, place.ordinal - 1)
        held = await ledger.event_at(place.height, place.ordinal)
    except NotOnLedger:
        return {}
    name = parse_name(lifted.subject) if lifted.kind == "UNRESTRICTED" else None
    if name is None or name.kind is not Kind.BLOCK or lifted.transaction != held.transaction:
        return {}
    return {"exchange": name.exchange, "session": name.session}


def find_within(wanted: Sequence[op.Range], reserved: Iterable[Reserved]) -> list[tuple[OrderName, list[op.Range]]]:
    """Which orders' restrictions lie on which of these units."""
    found = []
    for each in reserved:
        common = [cut(one, other) for one in wanted for other in each.ranges]
        common = [item for item in common if item.units]
        if common:
            found.append((each.name, join_ranges(common)))
    return found
