"""News that a hold asks for which another hub instructed: its own to take, and no contradiction to anybody else.

Hubs of several organisations read one registry's events, and each may hear of an outcome before the one that asked for
it has recorded it. What is about a hold of ours is the dispatcher's, and what nobody asked for is the intake's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from adapters.contract import Change, ChangeKind
from hub.dispatch.hearing import OUTCOMES
from hub.dispatch.memory import INSTRUCTED
from hub.units import Part
from keeling.v1 import ledger_pb2 as pb


class Ledger(Protocol):
    """What of `hub.ledger_client.LedgerClient` is needed."""

    async def hold(self, hold: bytes) -> pb.HoldInfo: ...

    async def account(self, account: str) -> pb.Account: ...


async def is_asked_for(ledger: Ledger, change: Change, parts: Sequence[Part]) -> bool:
    """Whether all units of the news are instructed, and each of their holds asks for what happened to them."""
    if not parts or any(part.state != INSTRUCTED for part in parts):
        return False
    for name in dict.fromkeys(part.hold for part in parts):
        hold = await ledger.hold(name)
        if change.kind not in OUTCOMES[hold.purpose]:
            return False
        if change.kind is ChangeKind.TRANSFERRED:
            taker = await ledger.account(hold.to_account)
            if change.to_account != taker.link.registry_account:
                return False
    return True
