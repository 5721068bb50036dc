"""A rehearsal's ledger: a real node in a process of its own, its people, and the registries' records, accounts, units.

natreg keeps the ledger, acme has units at the registries and sells them, globex and initech buy, and hub carries
between the two. All keys live in memory and end with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from google.protobuf.message import Message

from adapters.sandbox.clock import SandboxClock
from hub.ledger_client import LedgerClient, Receipt, Signatory
from hub.rehearsal.counters import Counter
from keeling.genesis import Founder, Validator, format_genesis
from keeling.note import KeyType, NoteKey
from keeling.operations import KeyGrant
from keeling.policy import Policy, format_policy
from keeling.policy import Validator as PolicyValidator
from keeling.serials import SerialRange, print_range
from keeling.units import Purpose
from keeling.v1 import operations_pb2 as op
from network.folders import NodeFolder, NodeIdentity, create_node_folder
from network.keys import Role, SeedSigner
from network.ports import find_ports
from network.processes import NotStarted
from network.profiles import open_destination, profile_of
from network.rehearsal import RehearsalClock, create_clock
from network.transport import open_aio_channel

ORIGIN: Final = "rehearsal.keeling.local/ledger"
START_S: Final = 60.0
ROLES: Final = {"acme": ("group",), "globex": ("group",), "initech": ("group",), "hub": ("exchange",)}
_EVERYTHING: Final = int(Purpose.SUBMIT | Purpose.APPROVE | Purpose.ADMIN | Purpose.GOVERN | Purpose.ATTEST)


class RehearsalRefused(Exception):
    """The ledger did not take what the rehearsal is made of; the text is its word."""


class Clock(NamedTuple):
    """The one time: that of ledger and hub, and that of the sandboxes, moved together."""

    ledger: RehearsalClock
    sandbox: SandboxClock

    def now_ms(self) -> int:
        return self.ledger.now_ms()

    def advance(self, by_ms: int) -> None:
        """Move on. The ledger goes first: what a registry does on the way is then never ahead of it."""
        self.ledger.advance(by_ms)
        self.sandbox.advance(by_ms)


class World(NamedTuple):
    """The running ledger, its clients by participant, and the time."""

    ledgers: dict[str, LedgerClient]
    clock: Clock

    async def must(self, by: str, *operations: Message, attests: bool = False) -> Receipt:
        """Hand in what has to be accepted; raises `RehearsalRefused`."""
        receipt = await self.ledgers[by].submit(*operations, attests=attests)
        if not receipt.accepted:
            raise RehearsalRefused(f"{by}: {receipt.reason}: {receipt.detail}")
        return receipt


def open_clock(folder: Path) -> Clock:
    """A clock that begins now."""
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    return Clock(create_clock(folder / "clock", now_ms), SandboxClock(now_ms))


@asynccontextmanager
async def open_world(folder: Path, clock: Clock, counters: Sequence[Counter]) -> AsyncIterator[World]:
    """Run the node, start the sandboxes, link acme's accounts; everything is stopped at the end."""
    signers = {name: SeedSigner(os.urandom(32)) for name in ROLES}
    records = [record for counter in counters for record in _describe_registry(counter)]
    root = NodeFolder(folder / "natreg")
    identity = create_node_folder(
        root.root,
        origin=ORIGIN,
        participant="natreg",
        genesis=lambda made: _found(made, signers, records, clock.now_ms()),
        now=datetime.now(UTC),
        listen=f"127.0.0.1:{find_ports()[0]}",
        metrics="",
    )
    network = hashlib.sha256(root.genesis.read_bytes()).digest()
    process = await _start_node(root, folder / "clock")
    try:
        async with open_aio_channel(open_destination(profile_of(root, identity))) as channel:
            ledgers = {
                name: LedgerClient(channel, network, name, Signatory(signer, (signers["hub"],)), now_ms=clock.now_ms)
                for name, signer in signers.items()
            }
            world = World(ledgers, clock)
            for counter in counters:
                await counter.sandbox.start()
                await _open_account(world, counter)
            yield world
    finally:
        for counter in counters:
            await counter.sandbox.stop()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


async def _start_node(folder: NodeFolder, clock: Path) -> asyncio.subprocess.Process:
    with (folder.root / "node.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "node", "rehearse", str(folder.root), str(clock)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    said = process.stdout
    line = b"" if said is None else await asyncio.wait_for(said.readline(), START_S)
    if not line.startswith(b"serving"):
        await process.wait()
        words = (folder.root / "node.log").read_text("utf-8", "replace").strip().splitlines()
        raise NotStarted(f"the node of the rehearsal did not start: {words[-1] if words else 'it said nothing'}")
    return process


def _found(identity: NodeIdentity, signers: dict[str, SeedSigner], records: list[op.SetRecord], now_ms: int) -> bytes:
    own = KeyGrant(identity.keys[Role.SUBMISSION], "operator", _EVERYTHING)
    founders = [Founder("natreg", "National registry", ("registry",), (own,))]
    for name, roles in ROLES.items():
        grant = KeyGrant(signers[name].public_key, f"{name}-1", _EVERYTHING)
        founders.append(Founder(name, name.title(), roles, (grant,)))
    log = NoteKey(ORIGIN, KeyType.PLAIN, identity.keys[Role.LOG])
    cosigner = NoteKey(f"{ORIGIN}/natreg", KeyType.COSIGNATURE, identity.keys[Role.COSIGNER])
    policy = format_policy(Policy(ORIGIN, (PolicyValidator("natreg", log, cosigner, identity.keys[Role.VOTE]),)))
    return format_genesis(ORIGIN, now_ms, policy, founders, [Validator("natreg", identity.keys[Role.ENTRY])], records)


def _describe_registry(counter: Counter) -> list[op.SetRecord]:
    scheme, grain = counter.stock.scheme, counter.stock.grain.name
    policy = op.RegistryPolicy(
        scheme=scheme,
        attestors=["hub"],
        importers=["hub"],
        capture_grade="B",
        attestors_needed=1,
        settling_ms=counter.kind.settling_ms,
    )
    programme = op.Programme(
        registry=counter.registry, grain=grain, scheme=scheme, transfer_rule=op.Programme.FREE, retirable=True
    )
    source = "rehearsal"
    return [
        op.SetRecord(id=f"registry:{counter.registry}", version=1, source=source, registry=policy),
        op.SetRecord(id=_programme(counter), version=1, source=source, programme=programme),
    ]


def _programme(counter: Counter) -> str:
    return f"{counter.kind.programme}-{counter.registry}"


async def _open_account(world: World, counter: Counter) -> None:
    """acme's account, tied to the one at the registry, with the units that are shown there."""
    evidence = op.Evidence(digest=hashlib.sha256(b"account statement").digest(), grade="C", reference="statement")
    project = op.RegisterProject(
        project=f"project-{counter.registry}", programme=_programme(counter), name="Rehearsal", host="FI"
    )
    batches = ((counter.spare_batch, counter.spare), (counter.stock_batch, counter.stock))
    issues = [_observe(counter, name, serials, evidence) for name, serials in batches]
    await world.must("hub", project, *issues)
    await world.must("acme", op.OpenAccount(account=counter.ledger_account, owner="acme"))
    link = op.Link(
        account=counter.ledger_account,
        registry=counter.registry,
        registry_account=counter.kind.account,
        hub="hub",
        control=op.Link.CUSTODY if counter.sandbox.blocks else op.Link.OWNER,
        claims=[op.Range(batch=name, first=serials.first, units=serials.units) for name, serials in batches],
        evidence=evidence,
    )
    await world.must("acme", link, attests=True)
    if counter.buyers_account:
        await world.must("globex", op.OpenAccount(account=counter.buyers_account, owner="globex"))
        theirs = op.Link(
            account=counter.buyers_account,
            registry=counter.registry,
            registry_account=counter.kind.buyers_account,
            hub="hub",
            control=link.control,
            evidence=evidence,
        )
        await world.must("globex", theirs, attests=True)


def _observe(counter: Counter, batch: str, serials: SerialRange, evidence: op.Evidence) -> op.Issue:
    first = str(serials.first)
    return op.Issue(
        batch=batch,
        project=f"project-{counter.registry}",
        programme=_programme(counter),
        space=serials.space,
        first_number=first,
        units=serials.units,
        extent=op.Issue.AT_LEAST,
        serial_form=print_range(serials),
        evidence=evidence,
        observations=[op.Observation(first_number=first, units=serials.units, status=op.Observation.ACTIVE)],
    )
