"""Article 6 in a running hub: what Parties announce of transfers is recognised on the ledger as it comes in.

What recognising means is in `hub.adjustments`; the feed of our own events is mounted by `running`. What waits for its
transfer is kept in memory alone: at its start a hub reads the registry's whole list of events again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from adapters.contract import Change, Changes
from hub.adjustments.recognition import Outcome, Recogniser
from hub.inbound.intake import Desk, Intake, Taken
from hub.inbound.polling import Source
from hub.inbound.taken import refuse_unsayable
from hub.units import Names, Unnameable
from keeling.serials import SerialRange
from keeling.v1 import operations_pb2 as op

log = structlog.get_logger()


class Announcements:
    """Those of one registry. For one event loop."""

    def __init__(self, registry: str, recogniser: Recogniser) -> None:
        self.figures: dict[str, int] = {}
        """How many announcements ended how, by the names of `Outcome`."""
        self.waiting: dict[str, Change] = {}
        """Announcements whose transfer is not on the ledger yet."""
        self._registry = registry
        self._recogniser = recogniser
        self._one_at_a_time = asyncio.Lock()

    async def take(self, changes: Iterable[Change]) -> None:
        """Recognise what is announced; the rest is nothing to us. Raises `LedgerError`."""
        news = [change for change in changes if refuse_unsayable(change) is None]
        by_id = {change.id: change for change in news}
        async with self._one_at_a_time:
            for taken in await self._recogniser.take(news):
                if taken.outcome is Outcome.WAITING:
                    self.waiting[taken.change] = by_id[taken.change]
                    continue
                self.waiting.pop(taken.change, None)
                if taken.outcome is Outcome.NOT_ONE:
                    continue
                self.figures[taken.outcome.value] = self.figures.get(taken.outcome.value, 0) + 1
                if taken.outcome in (Outcome.PARTIAL, Outcome.REFUSED, Outcome.IN_FORCE):
                    about = {"registry": self._registry, "id": taken.change, "outcome": taken.outcome.value}
                    log.warning("an announcement needs a person", **about, why=taken.detail)

    async def take_waiting(self) -> None:
        """Try again what waits for its transfer. Raises `LedgerError`."""
        if self.waiting:
            await self.take(list(self.waiting.values()))

    async def read_all(self, source: Source) -> bool:
        """Read the registry's events from the first one. False: it had no answer."""
        cursor = ""
        while True:
            page = await source.changes(cursor)
            if not isinstance(page, Changes):
                log.warning("announcements wait for the registry", registry=self._registry, why=type(page).__name__)
                return False
            await self.take(page.items)
            if not page.more or page.cursor == cursor:
                return True
            cursor = page.cursor


class AnnouncingIntake(Intake):
    """An intake that also recognises: whichever door news came by, announcements are taken once they were taken in."""

    def __init__(self, desk: Desk, announced: Mapping[str, Announcements]) -> None:
        super().__init__(desk)
        self._announced = announced

    async def take(self, registry: str, changes: Sequence[Change], grade: str) -> list[Taken]:
        taken = await super().take(registry, changes, grade)
        if registry in self._announced:
            await self._announced[registry].take(changes)
        return taken


def make_locator(names: Names) -> Callable[[SerialRange], Awaitable[Sequence[op.Range]]]:
    """Where units that a registry names are on the ledger; nothing where it does not know them."""

    async def locate(serials: SerialRange) -> Sequence[op.Range]:
        try:
            return [part.range for part in await names.find([serials])]
        except Unnameable:
            return ()

    return locate
