"""A ledger with Puro units of alice, Puro's sandbox with the same units, and hubs that carry between the two.

The hub's clock, ledger time and the sandbox's clock are one, and move when a test says so.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from adapters.contract import Adapter, Driver, Settings
from adapters.puro import SYSTEM
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.puro import ACCOUNTS, ISSUANCE, KEY_ID, KEY_SECRET, PuroSandbox
from hub.dispatch.run import Dispatcher
from hub.dispatch.seat import Seat, describe_buyer
from hub.ledger_client import digest_of
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from tests.hub.memory_ledger import MemoryLedger
from tests.node.reads.trading_world import DIGEST, IndexedWorld, hold_id

DAY_MS = 86_400_000
SETTLING_MS = 60_000
UNITS = 10_000
SERIAL = f"PURO_PR_CORC100+_FI_643002_2024_{ISSUANCE}_1-{UNITS}"
EVIDENCE = op.Evidence(digest=DIGEST, grade="C", reference="export")
RECORDS = [
    op.SetRecord(
        id="registry:puro",
        version=1,
        source="test policy",
        registry=op.RegistryPolicy(
            scheme="puro",
            attestors=["hub"],
            importers=["hub"],
            capture_grade="B",
            attestors_needed=1,
            settling_ms=SETTLING_MS,
        ),
    ),
    op.SetRecord(
        id="corc",
        version=1,
        source="test rules",
        programme=op.Programme(
            registry="puro", grain="T_CO2E", scheme="puro", transfer_rule=op.Programme.FREE, retirable=True
        ),
    ),
]
ROLES: dict[str, Sequence[str]] = {"reg": ("registry",), "hub": ("exchange",), "alice": ("group",), "bob": ("group",)}


def open_puro_world(link_account: str = "alice/puro", attestors: tuple[str, ...] = ("hub",)) -> IndexedWorld:
    """alice's account linked to her account at Puro, with 10,000 units; all attestors must sign."""
    records = [op.SetRecord.FromString(each.SerializeToString()) for each in RECORDS]
    records[0].registry.attestors[:] = attestors
    records[0].registry.attestors_needed = len(attestors)
    world = IndexedWorld(ROLES | dict.fromkeys(attestors, ("exchange",)), records)
    world.must("alice", op.OpenAccount(account=link_account, owner="alice"))
    world.must("hub", op.RegisterProject(project="char", programme="corc", name="Biochar", host="FI"))
    seen = [op.Observation(first_number="1", units=UNITS, status=op.Observation.ACTIVE)]
    issue = op.Issue(
        batch="corc-1",
        project="char",
        programme="corc",
        space=f"puro:{ISSUANCE}",
        first_number="1",
        units=UNITS,
        extent=op.Issue.AT_LEAST,
        serial_form=SERIAL,
        evidence=EVIDENCE,
        observations=seen,
    )
    world.must("hub", issue, approvals=attestors)
    link = op.Link(
        account=link_account,
        registry="puro",
        registry_account=ACCOUNTS[0],
        hub="hub",
        control=op.Link.CUSTODY,
        claims=[op.Range(batch="corc-1", first=1, units=UNITS)],
        evidence=EVIDENCE,
    )
    world.must("alice", link, approvals=("alice", *attestors))
    return world


class Stage:
    """Everything of one test. `hub()` starts a hub that remembers nothing."""

    def __init__(self, sandbox: PuroSandbox, adapter: Adapter, world: IndexedWorld) -> None:
        self.sandbox, self.adapter, self.world = sandbox, adapter, world
        self.ledger = MemoryLedger(world, "hub")
        self.shelf: dict[bytes, bytes] = {}

    def hub(self, ledger: MemoryLedger | None = None, adapter: Any = None) -> Dispatcher:
        return Dispatcher(self.seat("hub", ledger, adapter))

    def seat(self, participant: str, ledger: MemoryLedger | None = None, adapter: Any = None) -> Seat:
        randomness = random.Random(7)
        return Seat(
            participant=participant,
            ledger=ledger or self.ledger,
            adapters={"puro": adapter or self.adapter},
            keep=self.keep,
            now_ms=lambda: self.world.now_ms,
            jitter=lambda: randomness.randrange(1001),
            details=describe_buyer,
            limits={"puro": ()},
        )

    def keep(self, document: bytes) -> bytes:
        self.shelf[digest_of(document)] = document
        return digest_of(document)

    def place(self, name: str = "one", units: int = 100, first: int | None = None, **fields: Any) -> bytes:
        """alice holds units for bob to retire."""
        selection = op.Selection(units=units)
        if first is not None:
            selection = op.Selection(ranges=[op.Range(batch="corc-1", first=first, units=units)])
        hold = op.Hold(
            hold=hold_id(name),
            account="alice/puro",
            selection=selection,
            purpose=op.Hold.FOR_RETIREMENT,
            expires_ms=self.world.now_ms + DAY_MS,
            buyer="bob",
            **fields,
        )
        self.world.must("alice", hold)
        return hold_id(name)

    def later(self, ms: int) -> None:
        """The one clock moves; the ledger sees it with an empty block."""
        self.world.later(ms)
        self.world.block()
        self.sandbox.clock.advance(ms)

    async def hold(self, hold: bytes) -> pb.HoldInfo:
        return await self.ledger.hold(hold)

    async def settle(self, hub: Dispatcher, hold: bytes, rounds: int = 200) -> pb.HoldInfo:
        """Rounds, each when the last said the next is due, until the hold is over."""
        for _ in range(rounds):
            due = await hub.step()
            found = await self.hold(hold)
            if found.phase not in ("OPEN", "INSTRUCTED"):
                return found
            self.later(max(due - self.world.now_ms, 1))
        return await self.hold(hold)

    @property
    def effects(self) -> dict[str, int]:
        """What really happened at the registry, by its own books."""
        return self.sandbox.book.effects()

    def retired_units(self) -> int:
        """What the ledger shows as retired."""
        from node.reads.batches import get_batch

        totals = get_batch(self.world.store, pb.GetBatchRequest(batch="corc-1")).totals
        return sum(total.units for total in totals if total.state == "RETIRED")


@asynccontextmanager
async def open_stage(approval_ms: int = 0, attestors: tuple[str, ...] = ("hub",)) -> AsyncIterator[Stage]:
    world = open_puro_world(attestors=attestors)
    sandbox = PuroSandbox(SandboxClock(world.now_ms), approval_ms=approval_ms)
    sandbox.fill(UNITS)
    assert SYSTEM.open is not None
    secrets = {"key-id": KEY_ID, "key-secret": KEY_SECRET}
    adapter = SYSTEM.open(Driver.SANDBOX, Settings(await sandbox.start(), secrets.__getitem__))
    try:
        yield Stage(sandbox, adapter, world)
    finally:
        await adapter.close()
        await sandbox.stop()


def play(
    story: Callable[[Stage], Awaitable[None]], approval_ms: int = 0, attestors: tuple[str, ...] = ("hub",)
) -> None:
    """Run a story on a stage of its own."""

    async def run() -> None:
        async with open_stage(approval_ms, attestors) as stage:
            await story(stage)

    asyncio.run(run())
