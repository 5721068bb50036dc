"""What differences of earlier restricted and nobody lifted, though both sides agree again: found, so that it is told.

The hub lifts none of it: that a registry shows units as they were once more does not say why it did not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hub.reconcile.books import Lister, Lots
from hub.reconcile.classes import LIVE_HERE, Difference, Kind
from hub.reconcile.join import Row
from hub.reconcile.report import Line
from hub.reconcile.second_look import RESTRICTED_BY, Looked
from hub.restrictions import MOVED, name_of_kind, subtract
from keeling.v1 import operations_pb2 as op

_PREFIXES: Final = (RESTRICTED_BY, name_of_kind(MOVED))


async def find_to_lift(ledger: Lister, lots: Lots, lines: Iterable[Line]) -> list[Looked]:
    """Live units of linked accounts that are restricted for a difference, and in none of these."""
    different: dict[str, list[op.Range]] = {}
    for line in lines:
        if line.range is not None:
            different.setdefault(line.range.batch, []).append(line.range)
    found: list[Looked] = []
    for account, pool in lots.pools.items():
        for prefix in _PREFIXES:
            for each in await ledger.restrictions(account, prefix):
                counted = lots.counted.get(each.range.batch)
                if counted is None or each.state not in LIVE_HERE:
                    continue
                for item in subtract(each.range, different.get(each.range.batch, ())):
                    first = counted.base + item.first
                    here = Row(first, first + item.units - 1, pool, each.state)
                    why = f"restricted by {each.restriction}, and both sides agree: lift it if the reason is known"
                    told = Difference(counted.space, here.first, here.last, Kind.TO_LIFT, None, here, why=why)
                    found.append(Looked(told, item, True))
                    different.setdefault(item.batch, []).append(item)
    return found
