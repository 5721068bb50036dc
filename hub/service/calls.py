"""What a hub does when it is called, whichever way: one handler for each call, with plain values in and out.

`web` puts them on HTTP and JSON, `rpc` on gRPC; neither adds anything. Who may call what is in `routes`. Handlers raise
`Problem`, or a `LedgerError` that `problems` explains.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from adapters.balances import Balance, Balancing
from adapters.capabilities import Action
from hub.certificates.gather import LogProver, gather_certificates
from hub.dispatch import answering, blocking
from hub.dispatch.conduct import News
from hub.dispatch.memory import Pending
from hub.dispatch.ordering import CannotOrder, Wanted
from hub.dispatch.withdrawing import CannotWithdraw
from hub.inbound.waiting import Waiting
from hub.ledger_client import LedgerError
from hub.reconcile.report import Line, Run, name_run
from hub.service.bodies import Told, describe_hold
from hub.service.comparing import Compared
from hub.service.paging import Asked, cut_page
from hub.service.parts import Parts
from hub.service.problems import Problem
from keeling.certificate import Certificate
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

HEALTH_S: Final = 2.0
"""A ledger that takes longer to say how it is counts as not answering."""


class Health(NamedTuple):
    """The ledger as its node says, and how often the dispatcher went round."""

    height: int
    ledger: str
    rounds: int


class Connected(NamedTuple):
    """A registry, and how honest the way to it is."""

    registry: str
    system: str
    driver: str
    marks: str


class Placed(NamedTuple):
    """A hold as it is now; `repeated`: this call was answered before."""

    hold: Told
    repeated: bool


class Decision(NamedTuple):
    """A person's yes or no to a proposal."""

    registry: str
    reference: str
    accepts: bool
    because: str
    """Kept as evidence, with who decided."""
    by: str
    """The caller."""


class Withdrawn(NamedTuple):
    """A hold whose instruction is taken back, as it is now; `outcome`: "withdrawn", or what it waits for."""

    hold: Told
    outcome: str


class Calls:
    """The handlers of one hub. For one event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def health(self) -> Health:
        """Serving means that the ledger answers and the dispatcher goes round."""
        try:
            status = await asyncio.wait_for(self._parts.ledger.status(), HEALTH_S)
        except (LedgerError, TimeoutError) as error:
            raise Problem(503, "ledger-unreachable", str(error) or "the ledger does not answer") from error
        return Health(status.height, status.health, self._parts.dispatcher.figures.rounds)

    def registries(self, asked: Asked) -> tuple[list[Connected], str]:
        found = [
            Connected(name, system.name, adapter.driver.value, system.marks)
            for name, (system, adapter) in self._parts.systems.items()
        ]
        return cut_page("registries", found, lambda each: each.registry, asked)

    async def links(self, asked: Asked) -> tuple[list[pb.Account], str]:
        """Accounts that this hub carries for."""
        accounts = [each for each in await self._parts.ledger.accounts() if each.HasField("link")]
        ours = [each for each in accounts if each.link.hub == self._parts.config.participant]
        return cut_page("links", ours, lambda each: each.account, asked)

    def backlog(self, asked: Asked) -> tuple[list[Pending], str]:
        """In the order in which holds were placed: their ids begin with the time."""
        return cut_page("backlog", [*map(self._annotate, self._parts.dispatcher.backlog())], _key_pending, asked)

    def _annotate(self, line: Pending) -> Pending:
        """The line, and that its instruction is being taken back, or why it could not be."""
        said = self._parts.withdrawing.describe(line.hold)
        return line._replace(why="; ".join(each for each in (said, line.why) if each))

    def news(self) -> list[News]:
        """What people should know of links: which are stopped, and how registries say that accounts behaved."""
        return self._parts.blocking.list_news()

    def blocks(self, asked: Asked) -> tuple[list[blocking.Line], str]:
        """What is blocked for sessions or waits to be, and what came to an end since this hub started."""
        orders = self._parts.blocking
        return cut_page("blocks", [*orders.ended, *orders.list_orders()], _key_block, asked)

    async def order_block(self, wanted: Wanted) -> blocking.Line:
        """Final on the ledger when this returns, and with the registry if it answers; the same id again is the same."""
        number = wanted.name.number
        if len(number) != 16 or uuid.UUID(bytes=number).version != 7:
            raise Problem(
                400, "no-idempotency-key", "the id of an order is a fresh UUIDv7, the same for the same order"
            )
        try:
            return await self._parts.blocking.order(wanted)
        except CannotOrder as error:
            if error.used:
                raise Problem(422, "key-used", str(error)) from error
            if error.reason:
                raise Problem(409, "refused", str(error), reason=error.reason) from error
            raise Problem(409, "cannot-order", str(error)) from error

    async def balance(self, registry: str, account: str) -> Balance:
        """What a registry says of one of its accounts in sums, now."""
        self._check_registry(registry)
        _, adapter = self._parts.systems[registry]
        teller = adapter if isinstance(adapter, Balancing) else None
        found = None
        if teller is not None:
            found = await self._parts.dispatcher.lines.ask(registry, lambda: teller.balance(account))
        if found is None:
            raise Problem(404, "no-balance", f"{registry} tells no sums of its accounts; see its reconciliation")
        if not isinstance(found, Balance):
            detail = f"{registry} does not answer now: {type(found).__name__}: {found.detail}"
            raise Problem(503, "registry-unreachable", detail)
        return found

    def waiting(self, asked: Asked) -> tuple[list[Waiting], str]:
        """News that cannot be taken yet, the oldest event of each registry first."""
        kept = self._parts.waiting
        found = [line for registry in sorted(kept.registries()) for line in kept.list_all(registry)]
        return cut_page("waiting", found, _key_waiting, asked)

    def proposals(self, asked: Asked) -> tuple[list[answering.Line], str]:
        """Open ones, the soonest to end first."""
        return cut_page("proposals", self._parts.answering.list_open(), _key_proposal, asked)

    async def decide_proposal(self, decision: Decision) -> answering.Line:
        """Final on the ledger when this returns; the registry hears of it next. The same decision again is the same."""
        registry, reference = decision.registry, decision.reference
        self._check_registry(registry)
        proposal = self._parts.proposals.find(registry, reference)
        if proposal is None:
            raise Problem(404, "no-proposal", f"no open proposal of {registry} is called {reference[:80]!r}")
        action = Action.ACCEPT if decision.accepts else Action.DECLINE
        try:
            await self._parts.answering.decide(registry, reference, action, decision.by, decision.because)
        except answering.CannotDecide as error:
            raise Problem(409, "cannot-decide", str(error)) from error
        self._parts.decided.set()
        at_risk = proposal.is_at_risk(self._parts.now_ms())
        return answering.Line(proposal, action.value, "decided, on its way", "", at_risk)

    async def hold(self, hold: bytes) -> Told:
        """What the ledger has, and what a buyer is told: when it is expected, and who could still move the units."""
        info = await self._parts.ledger.hold(_check_id(hold))
        link = (await self._parts.ledger.account(info.account)).link
        pending = next((line for line in self._parts.dispatcher.backlog() if line.hold == hold), None)
        told = describe_hold(
            info,
            owner_control=link.control == op.Link.OWNER,
            expected_ms=pending.expected_ms if pending is not None else 0,
            driver=self._find_driver(info.registry),
        )
        return Told(info, told)

    async def place_hold(self, hold: op.Hold) -> Placed:
        """The id of the hold is also that of the transaction: the ledger itself does once what comes twice."""
        number = hold.hold
        if len(number) != 16 or uuid.UUID(bytes=number).version != 7:
            detail = "the id of a hold is a fresh UUIDv7, and the same one again for the same request"
            raise Problem(400, "no-idempotency-key", detail)
        receipt = await self._parts.ledger.submit(hold, number=number)
        if receipt.reason == "ID_USED_WITH_OTHER_CONTENT":
            raise Problem(422, "key-used", "this Idempotency-Key came with another request")
        if not receipt.accepted:
            raise Problem(409, "refused", receipt.detail, **{**receipt.values, "reason": receipt.reason})
        self._parts.dispatcher.wake()
        return Placed(await self.hold(number), receipt.duplicate)

    async def withdraw(self, hold: bytes, because: str, by: str) -> Withdrawn:
        """Take back what was instructed under a hold, while its registry allows it; the same again is the same."""
        try:
            outcome = await self._parts.withdrawing.withdraw(_check_id(hold), by, because)
        except CannotWithdraw as error:
            raise Problem(409, "too-late" if error.too_late else "cannot-withdraw", str(error)) from error
        self._parts.decided.set()
        return Withdrawn(await self.hold(hold), outcome)

    async def reconcile(self, registry: str, believe_shrunk: bool) -> Run:
        """Compare now; what the last run of this process saw gives the ages."""
        self._check_registry(registry)
        return await self._parts.comparisons.reconcile(registry, believe_shrunk=believe_shrunk)

    def reconciliation(self, registry: str) -> Compared:
        """How far the run under way is, and the newest one."""
        self._check_registry(registry)
        return self._parts.comparisons.describe(registry)

    def last_run(self, registry: str) -> Run:
        """The newest run of this process."""
        self._check_registry(registry)
        found = self._parts.comparisons.newest.get(registry)
        if found is None:
            raise Problem(404, "no-run", f"{registry} was not compared since this hub started")
        return found

    def differences(self, registry: str, run: str, asked: Asked) -> tuple[Run, list[Line], str]:
        """Lines of the newest run, which must be `run` where that is given."""
        found = self.last_run(registry)
        name = name_run(found)
        if run and run != name:
            raise Problem(404, "no-run", f"the newest run is {name}; start again with its first page")
        page, token = cut_page(f"differences {name}", found.lines, _key_line, asked)
        return found, page, token

    async def certificates(self, hold: bytes, asked: Asked) -> tuple[list[Certificate], str]:
        """Made anew at every call, so that what the registry took back since is in them."""
        found = await self._gather(hold)
        return cut_page(f"certificates {hold.hex()}", found, lambda each: _pad_place(each.event), asked)

    async def _gather(self, hold: bytes) -> list[Certificate]:
        ledger = self._parts.ledger
        driver = self._find_driver((await ledger.hold(_check_id(hold))).registry)
        return await gather_certificates(ledger, LogProver(ledger.channel), ledger.network, hold, driver)

    async def certificate(self, hold: bytes, event: str) -> Certificate:
        for found in await self._gather(hold):
            if found.event == event:
                return found
        raise Problem(404, "not-certified", f"no capture of hold {hold.hex()} is event {event[:40]!r}")

    async def watch(self, after: tuple[int, int] | None) -> AsyncIterator[pb.WatchResponse]:
        """The ledger's events after a cursor; None: from now on."""
        if after is None:
            after = (await self._parts.ledger.status()).height, 0
        async for page in self._parts.ledger.watch(after):
            yield page

    def _find_driver(self, registry: str) -> str:
        """How the registry is reached; empty: not by this hub."""
        system = self._parts.systems.get(registry)
        return system[1].driver.value if system is not None else ""

    def _check_registry(self, registry: str) -> None:
        if registry not in self._parts.systems:
            connected = ", ".join(sorted(self._parts.systems))
            raise Problem(
                404, "unknown-registry", f"no registry {registry[:80]!r} is connected; connected here: {connected}"
            )


def _check_id(hold: bytes) -> bytes:
    if len(hold) != 16:
        raise Problem(400, "bad-id", "the id of a hold has 16 bytes: 32 hex digits")
    return hold


def _key_pending(line: Pending) -> str:
    return line.hold.hex()


def _key_waiting(line: Waiting) -> str:
    return f"{line.registry}\0{max(line.change.at_ms, 0):020}\0{line.change.id}"


def _key_block(line: blocking.Line) -> str:
    return f"{line.name.number.hex()} {line.name.kind} {line.standing}"


def _key_proposal(line: answering.Line) -> str:
    found = line.proposal
    ends = f"{found.due_ms:020}" if found.due_ms else "~"
    return f"{ends}\0{found.registry}\0{found.reference}"


def _key_line(line: Line) -> str:
    """Its place by space and number, whatever the length of the number; one place has one line of a class."""
    found = line.difference
    digits = str(found.first)
    return f"{found.space}\0{len(digits):06}{digits}\0{found.last}\0{found.kind}"


def _pad_place(place: str) -> str:
    height, _, ordinal = place.partition(".")
    return f"{height:>20}.{ordinal:>10}"
