"""What a registry says of how an account behaved: breaches, which go on record, and bans, which stop its link.

The ban is the registry's; while it lasts the ledger refuses new holds there, and it ends by itself.
"""

from __future__ import annotations

from collections import deque
from datetime import date, datetime, time
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from adapters.contract import Change, ChangeKind
from hub.dispatch.orders import KIND, derive_numbers
from hub.dispatch.seat import Seat
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

BREACH: Final = "BREACH"
DEBARRED: Final = "DEBARRED"
NEWS_KEPT: Final = 100


class News(NamedTuple):
    """One thing a registry said of an account."""

    registry: str
    account: str
    """Here."""
    at_ms: int
    text: str


class Conduct:
    """Of one hub's accounts. For one event loop. Raises `LedgerError` when the ledger does not answer."""

    def __init__(self, seat: Seat) -> None:
        self.breaches: Final[dict[str, int]] = {}
        """By registry, heard of by this process."""
        self._seat = seat
        self._news: deque[News] = deque(maxlen=NEWS_KEPT)
        self._heard: set[tuple[str, str]] = set()

    def list_news(self) -> list[News]:
        """What was heard since this process started, oldest first."""
        return list(self._news)

    async def hear(self, registry: str, change: Change) -> list[str]:
        """Take news; returns the registry account it is about if it was a breach or a ban of ours, else nothing."""
        said = change.details.get("event", "")
        if change.kind is not ChangeKind.NOTICE or said not in (BREACH, DEBARRED):
            return []
        accounts = [each for each in await self._seat.ledger.accounts() if self._is_ours(each, registry, change)]
        for account in accounts:
            if said == BREACH:
                await self._record(registry, account.account, change)
            else:
                await self._stop(registry, account, change)
        return [change.account] if accounts else []

    def _is_ours(self, account: pb.Account, registry: str, change: Change) -> bool:
        link = account.link
        there = (link.registry, link.registry_account) == (registry, change.account)
        return account.HasField("link") and there and link.hub == self._seat.participant

    async def _record(self, registry: str, account: str, change: Change) -> None:
        """A breach: its evidence on the ledger, once, by whichever hub and however often it is heard."""
        facts = change.details
        name = f"breach/{registry}/{change.account}/{facts.get('session', change.id)}"[:200]
        said = op.Anchor(kind=KIND, name=name, digest=self._seat.keep(change.evidence or repr(change[:7]).encode()))
        await self._seat.ledger.submit(said, number=self._number(registry, account, change))
        number, session, offered, free = (facts.get(each, "?") for each in ("breaches", "session", "offered", "free"))
        text = f"breach {number} of the quarter: {offered} offered in the session of {session}, {free} free"
        self._tell(registry, account, change, text)
        if (registry, change.id) not in self._heard:
            self._heard.add((registry, change.id))
            self.breaches[registry] = self.breaches.get(registry, 0) + 1

    async def _stop(self, registry: str, account: pb.Account, change: Change) -> None:
        """A ban: the link is suspended until it ends, unless it is so already."""
        text = change.details.get("until", "")
        try:
            until = date.fromisoformat(text)
        except ValueError:
            self._tell(registry, account.account, change, f"debarred, and until when cannot be read: {text[:40]!r}")
            return
        calendar = self._seat.adapters[registry].capabilities.calendar
        zone = ZoneInfo(calendar.zone if calendar is not None else "UTC")
        until_ms = int(datetime.combine(until, time(), zone).timestamp()) * 1000
        reason, now = f"debarred until {until}", self._seat.now_ms()
        self._tell(registry, account.account, change, reason)
        if until_ms <= now or any(window.reason == reason for window in account.link_windows):
            return
        said = op.LinkState(account=account.account, state=op.LinkState.SUSPENDED, until_ms=until_ms, reason=reason)
        await self._seat.ledger.submit(said, number=self._number(registry, account.account, change))

    def _number(self, registry: str, account: str, change: Change) -> bytes:
        seed = f"conduct|{registry}|{account}|{change.id}".encode()
        return derive_numbers(change.at_ms, self._seat.now_ms(), seed)[0]

    def _tell(self, registry: str, account: str, change: Change, text: str) -> None:
        found = News(registry, account, change.at_ms, text)
        if found not in self._news:
            self._news.append(found)
            about = {"registry": registry, "account": account, "id": change.id, "why": text}
            self._seat.tell("a registry says how an account behaved", about)
