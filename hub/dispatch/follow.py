"""Waking the dispatcher when something happened on the ledger: a hold is instructed as soon as it is placed.

Nothing depends on it but haste: rounds come by themselves too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from hub.ledger_client import LedgerClient, LedgerError

AGAIN_S: Final = 1.0
"""How long to wait before a broken stream is opened again."""
_WAKING: Final = frozenset({"HELD", "LINK_STATE", "LINKED", "RELEASED", "UNRESTRICTED", "RECORD_SET"})


async def follow(ledger: LedgerClient, wake: Callable[[], None], stop: asyncio.Event) -> None:
    """Call `wake` for every event, from now on, after which a hold may have something to do; until `stop`."""
    reading = asyncio.ensure_future(_read_for_ever(ledger, wake, stop))
    await stop.wait()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def _read_for_ever(ledger: LedgerClient, wake: Callable[[], None], stop: asyncio.Event) -> None:
    cursor: tuple[int, int] | None = None
    while not stop.is_set():
        try:
            if cursor is None:
                cursor = (await ledger.status()).height, 0
                wake()  # what came before this cursor is seen by a round after it
            async for page in ledger.watch(cursor):
                cursor = page.cursor.height, page.cursor.ordinal
                if any(event.kind in _WAKING for event in page.events):
                    wake()
        except LedgerError:
            wake()
        await asyncio.wait({asyncio.ensure_future(stop.wait())}, timeout=AGAIN_S)
