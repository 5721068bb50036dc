"""One reconciliation from beginning to end: read both sides, compare, look again, act by the table, put it on record.

The shell around pure parts. It may be broken off anywhere and run again: everything it writes on the ledger has a name
made of what it says, so that the same again changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple, Protocol

from google.protobuf.message import Message

from adapters.capabilities import SerialChoice
from adapters.contract import Adapter, Change, ChangeKind, Holdings, Trouble
from hub.dispatch.carry import Carrier
from hub.dispatch.memory import Pending
from hub.ledger_client import LedgerError, NotOnLedger, Receipt
from hub.reconcile.books import Alarm, Baseline, Books, Lister, Lots, check_size, read_books, read_lots
from hub.reconcile.classes import (
    LIVE_HERE,
    Difference,
    Kind,
    compare,
    explain_other_serials,
    is_unasked_end,
    is_waiting,
)
from hub.reconcile.explaining import Open, Proofs, describe_open
from hub.reconcile.join import Row
from hub.reconcile.report import Ages, Line, Run, compute_digest, encode_run, name_run
from hub.reconcile.rules import Action, choose_action
from hub.reconcile.second_look import RESTRICTED_BY, Looked, Looker, Surroundings, is_for_difference, look_again
from hub.reconcile.to_lift import find_to_lift
from hub.restrictions import BLOCK, make_stop
from hub.units import Names, Reader, Unnameable
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

LOOKS_MAX: Final = 20_000
"""Differences that are looked at again and acted on in one run; what is beyond is told and left to a person."""
AT_ONCE: Final = 16

_STATUSES: Final = {
    "active": op.Observation.ACTIVE,
    "retired": op.Observation.RETIRED,
    "cancelled": op.Observation.CANCELLED,
    "used": op.Observation.ENDED,
    "ended": op.Observation.ENDED,
    "converted": op.Observation.CONVERTED,
    "buffer": op.Observation.BUFFER,
    "pending": op.Observation.PENDING,
}
"""What the ledger has a word for; a unit that is blocked there is restricted here."""


class Ledger(Lister, Looker, Reader, Protocol):
    """What of `hub.ledger_client.LedgerClient` is needed."""

    async def submit(self, *operations: Message, number: bytes | None = None, attests: bool = False) -> Receipt: ...

    async def batch(self, batch: str) -> pb.Batch: ...

    async def find_lots(self, space: str, first: int, last: int) -> pb.FindLotsResponse: ...

    async def registry_policy(self, registry: str) -> op.RegistryPolicy: ...


class Dispatch(Protocol):
    """What of the dispatcher is needed."""

    @property
    def carrier(self) -> Carrier: ...

    def backlog(self) -> list[Pending]: ...

    async def hear(self, registry: str, change: Change) -> bool: ...


Page = Holdings | Trouble
Ask = Callable[[str, Callable[[], Awaitable[Page]]], Awaitable[Page]]


class Bench(NamedTuple):
    """What a reconciler is given."""

    ledger: Ledger
    adapters: Mapping[str, Adapter]
    dispatch: Dispatch
    keep: Callable[[bytes], bytes]
    """Puts a document on the shelf and returns its SHA-256."""
    now_ms: Callable[[], int]
    ask: Ask | None = None
    """Asks a registry in its turn, and not while it wants to be left alone; None: at once."""


class Reconciler:
    """Compares one registry at a time. For one event loop."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._names = Names(bench.ledger)

    async def reconcile(
        self, registry: str, before: Run | None = None, *, act: bool = True, believe_shrunk: bool = False
    ) -> Run:
        """Compare a registry with the ledger. `before`: the last run, for ages and sizes.

        `act`: restrict, heal and put the run on record; else only tell. `believe_shrunk`: a person has seen that the
        registry's list really is so much shorter. Raises `LedgerError` if the ledger does not answer.
        """
        bench, adapter = self._bench, self._bench.adapters[registry]
        lots = await read_lots(bench.ledger, registry)
        books = await read_books(lambda page: self._list(registry, page), lots.names)
        if isinstance(books, Alarm):
            return await self._record(self._open(registry, adapter, lots, None, books), act)
        baseline = None if before is None or before.alarm else Baseline(before.there_units, before.ended_here)
        shrank = check_size(books, lots, baseline)
        if shrank is not None and not believe_shrunk:
            return await self._record(self._open(registry, adapter, lots, None, shrank), act)
        run = self._open(registry, adapter, lots, books, None)
        run = run._replace(unread=books.unread, believed=shrank.detail if shrank is not None else "")
        if act and before is not None:
            await self._ask_again(run, before)
        run = await self._compare(run, lots, books, before)
        run = run.carry_ages(before)
        if act:
            gate = asyncio.Semaphore(AT_ONCE)

            async def act_on(line: Line) -> Line:
                async with gate:
                    return await self._act(run, line)

            run = run._replace(lines=tuple(await asyncio.gather(*map(act_on, run.lines))))
        return await self._record(run, act)

    async def _list(self, registry: str, page: str) -> Page:
        """One page of the registry's books, in its turn."""
        adapter, ask = self._bench.adapters[registry], self._bench.ask
        return await (adapter.snapshot(page) if ask is None else ask(registry, lambda: adapter.snapshot(page)))

    def _open(self, registry: str, adapter: Adapter, lots: Lots, books: Books | None, alarm: Alarm | None) -> Run:
        now = self._bench.now_ms()
        return Run(
            registry=registry,
            driver=adapter.driver.value,
            grade=adapter.capabilities.grade,
            at_ms=now,
            as_of_ms=books.as_of_ms if books is not None and books.as_of_ms else now,
            there_units=books.units if books is not None else 0,
            ended_here=lots.ended_units,
            alarm=f"{alarm.kind}: {alarm.detail}" if alarm is not None else "",
        )

    async def _compare(self, run: Run, lots: Lots, books: Books, before: Run | None) -> Run:
        ours = frozenset(lots.names.values())
        # In a thread: of a million rows each it takes seconds, in which holds are carried and registries heard.
        compared = await asyncio.to_thread(compare, books.rows, lots.rows, ours)
        found = compared.differences
        if self._bench.adapters[run.registry].capabilities.serials is SerialChoice.REGISTRY:
            found = await self._explain(run.registry, found, lots, before)
        backlog = {each.hold.hex(): each for each in self._bench.dispatch.backlog()}
        around = Surroundings(run.registry, books.as_of_ms, ours, lots.pools, backlog, bool(books.unread))
        gate = asyncio.Semaphore(AT_ONCE)

        async def look(each: Difference) -> tuple[list[Looked], int]:
            async with gate:
                return await look_again(self._bench.ledger, each, around)

        looked = await asyncio.gather(*(look(each) for each in found[:LOOKS_MAX]))
        lines = [_make_line(each, run.grade) for part, _ in looked for each in part]
        lines += [Line(_doubt(each, books), Action.ASK, None, "not looked at again") for each in found[LOOKS_MAX:]]
        agreed = compared.agreed_units + sum(units for _, units in looked)
        if len(found) <= LOOKS_MAX:
            over = [_make_line(each, run.grade) for each in await find_to_lift(self._bench.ledger, lots, lines)]
            lines += over
            agreed -= sum(line.difference.units for line in over)
        return run._replace(
            agreed_units=agreed,
            ended_units=compared.ended_units,
            others_units=compared.others_units,
            lines=tuple(lines),
        )

    async def _ask_again(self, run: Run, before: Run) -> None:
        """Ask about what the last run put down to instructions: whether they have done it is known by now."""
        asked = {line.difference.here: line.difference for line in before.lines if is_unasked_end(line.difference)}
        by_hold = {here.reference: each for here, each in asked.items() if here is not None and each.confirms}
        for _, found in sorted(by_hold.items()):
            await self._heal(run, found)

    async def _explain(
        self, registry: str, found: list[Difference], lots: Lots, before: Run | None
    ) -> list[Difference]:
        """What ended unasked, as far as instructions may explain it. Asks the ledger alone."""
        ended = {each.here.account for each in found if each.here is not None and is_unasked_end(each)}
        holds = sorted(
            {e.here.reference for e in found if e.here is not None and is_waiting(e) and e.here.account in ended}
        )
        if not holds:
            return found
        ledger, carried = self._bench.ledger, self._bench.dispatch.carrier.known
        opened: dict[str, Open] = {}
        for hold in holds:
            try:
                info = await ledger.hold(bytes.fromhex(hold))
            except NotOnLedger:
                continue
            opened[hold] = describe_open(info, carried.get(info.hold))
        accounts = [account for account, pool in lots.pools.items() if pool in ended]
        laid = [each for account in accounts for each in await ledger.restrictions(account)]
        restricted = [each.range for each in laid if is_for_difference(each.restriction)]
        settling_ms = int((await ledger.registry_policy(registry)).settling_ms)
        proofs = Proofs(opened, lots, restricted, Ages(before.lines if before is not None else ()), settling_ms)
        return await asyncio.to_thread(explain_other_serials, found, proofs.cannot)

    async def _act(self, run: Run, line: Line) -> Line:
        """Do what the table says; the line tells what came of it. One that fails leaves the others unharmed."""
        if line.outcome:
            return line
        try:
            if line.action is Action.HEAL:
                return line._replace(outcome=await self._heal(run, line.difference))
            if line.action is Action.RESTRICT and line.range is not None:
                return line._replace(outcome=await self._restrict(run, line.difference, line.range))
        except LedgerError as error:
            return line._replace(outcome=f"not done: {error}"[:200])
        return line

    async def _heal(self, run: Run, found: Difference) -> str:
        """Ask the registry about the hold that these units stand for; the dispatcher records the answer."""
        here = found.here
        if here is None or not here.reference:
            return "not done: no hold is known"
        try:
            info = await self._bench.ledger.hold(bytes.fromhex(here.reference))
            serials = await self._names.to_serials(info.ranges)
        except (NotOnLedger, Unnameable) as error:
            return f"not done: {error}"
        name = f"reconciliation/{here.reference}"
        for item in serials[:1]:
            news = Change(name, ChangeKind.NOTICE, run.at_ms, serials=item, key=here.reference)
            if await self._bench.dispatch.hear(run.registry, news):
                return "asked"
        return "not done: the hold is not ours, or over"

    async def _restrict(self, run: Run, found: Difference, units: op.Range) -> str:
        said = self._contradict(run, found, units)
        receipt = await self._bench.ledger.submit(said, attests=True)
        if not receipt.accepted:
            return f"not done: {receipt.reason}"
        return "contradiction recorded" if isinstance(said, op.Attest) else "restricted"

    def _contradict(self, run: Run, found: Difference, units: op.Range) -> op.Attest | op.Restrict:
        """What goes on the ledger: the registry's word where it has one for these units, else a restriction."""
        said = f"{found.space}|{found.first}|{found.last}|{found.kind}|{_say(found.there)}|{_say(found.here)}"
        name = hashlib.sha256(f"{run.registry}|{said}|{found.since_ms}".encode()).hexdigest()[:32]
        status = _STATUSES.get(found.there.state) if found.there is not None else None
        if found.kind in (Kind.STATE, Kind.TWIN) and status is not None:
            digest = self._bench.keep(said.encode())
            reference = (found.there.reference if found.there is not None else "") or "reconciliation"
            evidence = op.Evidence(digest=digest, grade=run.grade, reference=reference[:200])
            return op.Attest(
                registry=run.registry,
                attestation=f"{RESTRICTED_BY}{name}",
                range=units,
                status=status,
                evidence=evidence,
            )
        reason = f"{found.kind}: the registry says {_say(found.there)}, the ledger {_say(found.here)}"[:200]
        if found.kind is Kind.STATE and found.there is not None and found.there.state == "blocked":
            # As the registry's own event would: so that the event that ends the block lifts it.
            stop = make_stop(BLOCK, run.registry, run.as_of_ms, found.there.reference, f"{RESTRICTED_BY}{name}")
            return op.Restrict(restriction=stop.name, ranges=[units], reason=reason)
        return op.Restrict(restriction=f"{RESTRICTED_BY}{name}", ranges=[units], reason=reason)

    async def _record(self, run: Run, act: bool) -> Run:
        """Keep the report and put its digest on the ledger."""
        if not act:
            return run
        digest = self._bench.keep(encode_run(run))
        said = op.Anchor(kind="reconciliation", name=name_run(run), digest=compute_digest(run))
        if digest != said.digest:
            raise ValueError("the shelf names a document by something else than its SHA-256")
        try:
            receipt = await self._bench.ledger.submit(said)
        except LedgerError as error:
            return run._replace(anchored=f"not on record: {error}"[:200])
        return run._replace(anchored=str(receipt.height) if receipt.accepted else f"not on record: {receipt.reason}")


def _doubt(found: Difference, books: Books) -> Difference:
    """What is missing from a list of which not all rows could be read is not known to be missing."""
    return found._replace(kind=Kind.UNREAD) if found.kind is Kind.MISSING_THERE and books.unread else found


def _make_line(looked: Looked, grade: str) -> Line:
    found = looked.difference
    action = choose_action(found, grade)
    outcome = ""
    live = found.here is not None and found.here.state in LIVE_HERE
    if action is Action.RESTRICT and looked.restricted:
        outcome = "restricted already"
    elif action is Action.RESTRICT and not live and found.kind not in (Kind.STATE, Kind.TWIN):
        action = Action.ASK
    return Line(found, action, looked.range, outcome)


def _say(row: Row | None) -> str:
    return "nothing" if row is None else f"{row.state} in {row.account or 'an account it does not name'}"
