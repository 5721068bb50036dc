"""A ledger with Ghana, Switzerland and Sweden on it that answers as `LedgerClient` does, for one authority."""

from __future__ import annotations

from collections.abc import AsyncIterator

from google.protobuf.message import Message

from hub.ledger_client import Receipt
from keeling.events import Event, EventKind
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from tests.node.core.article6.parties import AUTHORITIES, Parties


class PartyLedger:
    """What one participant says and reads; pages of `page` events."""

    def __init__(self, world: Parties, participant: str, page: int = 3) -> None:
        self.world, self.participant, self.page = world, participant, page

    async def authorities(self, party: str) -> frozenset[str]:
        return frozenset(name for name, code in AUTHORITIES.items() if code == party)

    async def submit(self, *operations: Message, number: bytes | None = None, attests: bool = False) -> Receipt:
        refusal = self.world.run(self.participant, *operations).refusal
        height = self.world.blocks[-1].header.height
        if refusal is None:
            return Receipt(number or b"", height, "", "", {}, False)
        return Receipt(number or b"", height, refusal.reason.name, refusal.detail, {}, False)

    async def watch(self, after: tuple[int, int] | None, *, until_now: bool = False) -> AsyncIterator[pb.WatchResponse]:
        events = [self._tell(place, event) for place, event in self.world.log() if after is None or place > after]
        for at in range(0, len(events), self.page):
            page = events[at : at + self.page]
            yield pb.WatchResponse(
                events=page, cursor=pb.Cursor(height=page[-1].place.height, ordinal=page[-1].place.ordinal)
            )

    def _tell(self, place: tuple[int, int], event: Event) -> pb.Event:
        facts = [pb.Value(name=name, value=str(value)) for name, value in event.facts]
        effective = op.When(ms=event.effective.ms) if event.effective else None
        return pb.Event(
            place=pb.Place(height=place[0], ordinal=place[1]),
            kind=EventKind(event.kind).name,
            subject=event.subject,
            effective=effective,
            facts=facts,
        )
