"""Calls to registries: each in its turn, watched by the breaker of its link, whose verdicts go on the ledger.

What is said and what an answer means for a hold is not here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from adapters.contract import Throttled, Unauthorised, Unavailable, Unknown, WrongShape
from hub.dispatch.breaker import MARK, Breaker, Verdict, record_call, reopen_breaker
from hub.dispatch.pacing import Pace
from hub.dispatch.quiet import Quiet, QuietTimes
from hub.dispatch.seat import Seat
from hub.ledger_client import LedgerError
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

_THROTTLED_LATELY_MS: Final = 3_600_000
_FAILURES: Final = (Unavailable, Unknown, WrongShape)

T = TypeVar("T")


@dataclass
class LinkMemory:
    """What this process knows of one link. Written by `Lines` alone."""

    account: str
    registry: str
    breaker: Breaker = field(default_factory=Breaker)
    stopped: str = ""
    stopped_until_ms: int = 0
    windows: list[pb.LinkWindow] = field(default_factory=list)


class Lines:
    """All links of a hub. For one event loop."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._links: dict[str, LinkMemory] = {}
        self._paces = {
            name: Pace(seat.limits.get(name, adapter.capabilities.limits)) for name, adapter in seat.adapters.items()
        }
        self._quiet = QuietTimes(seat.quiet)

    def see(self, account: pb.Account) -> LinkMemory:
        """Take in how the link stands on the ledger, by the hub's clock: ledger time stands while the ledger rests."""
        now = self._seat.now_ms()
        link = self._links.setdefault(account.account, LinkMemory(account.account, account.link.registry))
        link.windows = list(account.link_windows)
        begun = [w for w in link.windows if w.from_ms <= now and (not w.until_ms or now < w.until_ms)]
        ours = [w for w in begun if _is_breakers(w)]
        if ours and not link.breaker.is_open:
            link.breaker = reopen_breaker(now)
        link.stopped = "; ".join(f"{op.LinkState.State.Name(w.state)}: {w.reason}" for w in begun)
        ends = [window.until_ms for window in begun]
        link.stopped_until_ms = max(ends) if ends and all(ends) else 0
        return link

    def links(self) -> list[LinkMemory]:
        return list(self._links.values())

    def quiet_until(self, registry: str) -> int:
        """Until when the registry asked to be left alone, in ms of the hub's clock; also before this process began."""
        return self._quiet.of(registry).until_ms

    def keep_quiet(self, registry: str, until_ms: int) -> None:
        """Leave the registry alone until then; 0: it did not ask for it."""
        self._keep(registry, Quiet(until_ms=until_ms))

    def throttled_lately(self, registry: str) -> bool:
        """Whether it said not long ago that it was called too often."""
        said_ms = self._quiet.of(registry).throttled_ms
        return said_ms > 0 and self._seat.now_ms() - said_ms < _THROTTLED_LATELY_MS

    def _keep(self, registry: str, quiet: Quiet) -> None:
        try:
            self._quiet.keep(registry, quiet)
        except OSError as error:
            self._seat.tell("a restart would forget how long to wait", {"registry": registry, "why": str(error)})

    async def turn(self, registry: str) -> None:
        """Wait for a call's turn under the registry's limits."""
        await self._paces[registry].take()

    async def call(self, link: LinkMemory, make: Callable[[], Awaitable[T]]) -> tuple[T, int, int]:
        """Make a call whose turn it is; returns its answer, and when it began and ended."""
        began = self._seat.now_ms()
        answer = await make()
        ended = self._seat.now_ms()
        if isinstance(answer, Throttled):
            self._keep(link.registry, Quiet(throttled_ms=ended))
        if not isinstance(answer, Throttled | Unauthorised):
            spoke = isinstance(answer, Unknown) and answer.answered
            await self._judge(link, isinstance(answer, _FAILURES) and not spoke, began, ended)
        return answer, began, ended

    async def ask(self, registry: str, make: Callable[[], Awaitable[T]]) -> T | Throttled:
        """A question about no hold of ours, in its turn. It is not made while the registry wants to be left alone:
        `Throttled` then, as the registry would say; and what it says of that now holds for everybody."""
        await self.turn(registry)
        rest_ms = self.quiet_until(registry) - self._seat.now_ms()
        if rest_ms > 0:
            return Throttled(rest_ms, "not called: it asked to be left alone")
        answer = await make()
        if isinstance(answer, Throttled):
            now = self._seat.now_ms()
            self._keep(registry, Quiet(now + (answer.retry_after_ms or 0), now))
        return answer

    async def probe(self, registry: str) -> None:
        """Try every link to it whose breaker is open and rested, with a question that has no effect and is soon
        answered: the first page of the registry's books. (All its events since the beginning may be very many.)"""
        now, adapter = self._seat.now_ms(), self._seat.adapters[registry]
        rested = [each for each in self.links() if each.registry == registry and each.breaker.is_open]

        async def try_one(link: LinkMemory) -> None:
            await self.turn(registry)
            await self.call(link, adapter.snapshot)

        if now >= self.quiet_until(registry):
            await asyncio.gather(*(try_one(each) for each in rested if each.breaker.lets_try(now)))

    async def _judge(self, link: LinkMemory, failed: bool, began_ms: int, ended_ms: int) -> None:
        took = ended_ms - began_ms
        link.breaker, verdict = record_call(link.breaker, self._seat.rule, ended_ms, failed=failed, took_ms=took)
        if verdict is Verdict.NOTHING:
            return
        if any(_is_others(window) and window.from_ms <= ended_ms for window in link.windows):
            return  # stopped for another reason, which this would take the place of: the breaker rests by itself
        said = op.LinkState(account=link.account, state=op.LinkState.SUSPENDED)
        if verdict is Verdict.STOP:
            said.reason = link.breaker.describe()
            link.stopped = said.reason
        elif all(_is_breakers(window) for window in link.windows if window.from_ms <= ended_ms):
            said.state = op.LinkState.NORMAL
            link.stopped = ""
        else:
            # A stop that is over already ends the breaker's own and leaves what others announced.
            said = op.LinkState(account=link.account, state=op.LinkState.SUSPENDED, from_ms=1, until_ms=2)
        try:
            await self._seat.ledger.submit(said)
        except LedgerError as error:
            link.stopped = link.stopped or f"the ledger does not answer: {error}"


def _is_others(window: pb.LinkWindow) -> bool:
    return window.state == op.LinkState.SUSPENDED and not window.whole_registry and not _is_breakers(window)


def _is_breakers(window: pb.LinkWindow) -> bool:
    return window.state == op.LinkState.SUSPENDED and not window.whole_registry and window.reason.startswith(MARK)
