"""The hub's client before a real node in a process of its own: hand in, ask, lose the answer, carry a hold to Puro."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from google.protobuf.message import Message

from adapters.contract import Driver, Settings
from adapters.puro import SYSTEM
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.puro import ACCOUNTS, ISSUANCE, KEY_ID, KEY_SECRET, PuroSandbox
from hub.dispatch.follow import follow
from hub.dispatch.run import Dispatcher
from hub.dispatch.seat import Seat, describe_buyer
from hub.evidence import EvidenceShelf
from hub.ledger_client import LedgerClient, LedgerRefusal, NotOnLedger, OutcomeUnknown, Signatory, make_number
from hub.units import Names, Unnameable
from keeling.serials import parse, print_range
from keeling.v1 import operations_pb2 as op
from network.keys import SeedSigner
from network.transport import open_aio_channel
from tests.cli.running_node import RunningNode
from tests.fakes.real_node import make_folder
from tests.fakes.world import Person
from tests.hub.dispatch.stage import DAY_MS, EVIDENCE, RECORDS, SERIAL, UNITS

PEOPLE = [Person("ops", "natreg"), Person("ops", "alice"), Person("ops", "bob"), Person("ops", "hub")]
ROLES = {"alice": ["group"], "bob": ["group"], "hub": ["exchange"]}


class Desk(NamedTuple):
    """A running node, and its clients by participant."""

    node: RunningNode
    clients: dict[str, LedgerClient]

    async def must(self, by: str, *operations: Message, attests: bool = False) -> None:
        receipt = await self.clients[by].submit(*operations, attests=attests)
        assert receipt.accepted, receipt


@asynccontextmanager
async def open_desk(root: Path, patience_s: float = 20.0) -> AsyncIterator[Desk]:
    folder, destination = make_folder(root / "natreg", PEOPLE, RECORDS, ROLES)
    node = RunningNode(folder.root)
    network = hashlib.sha256(folder.genesis.read_bytes()).digest()
    signers = {person.participant: SeedSigner(person.seed) for person in PEOPLE}
    try:
        async with open_aio_channel(destination._replace(address=node.address)) as channel:
            clients = {
                name: LedgerClient(channel, network, name, Signatory(signer, (signers["hub"],)), patience_s=patience_s)
                for name, signer in signers.items()
            }
            yield Desk(node, clients)
    finally:
        node.stop()


async def begin(desk: Desk) -> None:
    """alice's linked account with Puro units."""
    await desk.must("alice", op.OpenAccount(account="alice/puro", owner="alice"))
    project = op.RegisterProject(project="char", programme="corc", name="Biochar", host="FI")
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
        observations=[op.Observation(first_number="1", units=UNITS, status=op.Observation.ACTIVE)],
    )
    await desk.must("hub", project, issue)
    link = op.Link(
        account="alice/puro",
        registry="puro",
        registry_account=ACCOUNTS[0],
        hub="hub",
        control=op.Link.CUSTODY,
        claims=[op.Range(batch="corc-1", first=1, units=UNITS)],
        evidence=EVIDENCE,
    )
    await desk.must("alice", link, attests=True)


def hold_of(number: bytes, now_ms: int) -> op.Hold:
    return op.Hold(
        hold=number,
        account="alice/puro",
        selection=op.Selection(units=100),
        purpose=op.Hold.FOR_RETIREMENT,
        expires_ms=now_ms + DAY_MS,
        buyer="bob",
        beneficiary=b"\x07" * 32,
    )


def test_a_hold_goes_to_the_registry_and_back_over_a_real_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.dispatch.run.LOOK_MS", 86_400_000)

    async def run() -> None:
        async with open_desk(tmp_path) as desk:
            await begin(desk)
            ledger = desk.clients["hub"]
            now_ms = (await ledger.status()).time_ms
            sandbox = PuroSandbox(SandboxClock(now_ms))
            sandbox.fill(UNITS)
            assert SYSTEM.open is not None
            secrets = {"key-id": KEY_ID, "key-secret": KEY_SECRET}
            adapter = SYSTEM.open(Driver.SANDBOX, Settings(await sandbox.start(), secrets.__getitem__))
            shelf = EvidenceShelf(tmp_path / "shelf")
            seat = Seat("hub", ledger, {"puro": adapter}, shelf.put, lambda: now_ms, lambda: 500, describe_buyer)
            try:
                hold = make_number(now_ms)
                await desk.must("alice", hold_of(hold, now_ms))
                await Dispatcher(seat).step()
                found = await ledger.hold(hold)
                assert (found.phase, found.captured, found.registry) == ("CAPTURED", 100, "puro")
                assert (len(found.instruction), found.beneficiary) == (32, b"\x07" * 32)
                assert sandbox.book.effects() == {hold.hex(): 100}
                opened = await ledger.event_at(found.opened.height, found.opened.ordinal)
                assert (opened.kind, sum(move.range.units for move in opened.moves)) == ("HELD", 100)
                names = Names(ledger)
                used = (await names.find([parse(SERIAL).part(1, 150)]))[0]
                assert (used.state, used.captured_by, used.range.units) == ("RETIRED", hold.hex(), 100)
                serials = await names.to_serials([used.range])
                assert print_range(serials[0]) == SERIAL.replace(f"1-{UNITS}", "1-100")
                await follow_a_hold(desk, seat, now_ms)
                whole = [each async for page in ledger.watch(None, until_now=True) for each in page.events]
                assert [await ledger.event_at(each.place.height, each.place.ordinal) for each in whole] == whole
                with pytest.raises(Unnameable):
                    await names.find([parse(SERIAL).part(1, 1)._replace(space="puro:elsewhere")])
            finally:
                await adapter.close()
                await sandbox.stop()

    asyncio.run(run())


async def follow_a_hold(desk: Desk, seat: Seat, now_ms: int) -> None:
    """The loop, woken by the ledger alone, takes a hold that is placed while it runs; its next round is far off."""
    ledger, stop, hub = desk.clients["hub"], asyncio.Event(), Dispatcher(seat)
    tasks = [asyncio.create_task(hub.run(stop)), asyncio.create_task(follow(ledger, hub.wake, stop))]
    hold = make_number(now_ms)
    await desk.must("alice", hold_of(hold, now_ms))
    async for page in ledger.watch(((await ledger.hold(hold)).opened.height, 0)):
        if any(event.kind == "RETIRED" for event in page.events):
            break
    assert (await ledger.hold(hold)).phase == "CAPTURED"
    stop.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 60)


def test_answers_refusals_and_silence_are_told_apart(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_desk(tmp_path, patience_s=0.3) as desk:
            await begin(desk)
            ledger, alice = desk.clients["hub"], desk.clients["alice"]
            now_ms = (await ledger.status()).time_ms
            with pytest.raises(NotOnLedger):
                await ledger.hold(bytes(16))
            with pytest.raises(LedgerRefusal):
                await ledger.hold(b"short")
            refused = await alice.submit(op.Release(hold=b"no such hold 123"))
            assert refused.reason == "HOLD_NOT_FOUND"
            assert (await ledger.registry_policy("puro")).settling_ms == 60_000
            windows = op.LinkState(account="alice/puro", state=op.LinkState.MAINTENANCE, from_ms=now_ms + DAY_MS)
            assert (await ledger.submit(windows)).accepted
            account = await ledger.account("alice/puro")
            assert (account.link_state, account.link_windows[0].from_ms) == ("NORMAL", now_ms + DAY_MS)
            assert [each.account for each in await ledger.accounts()].count("alice/puro") == 1
            assert sum(lot.range.units for lot in await ledger.lots(account="alice/puro")) == UNITS
            number = make_number(now_ms)
            hold = hold_of(number, now_ms)
            desk.node.freeze()
            with pytest.raises(OutcomeUnknown) as silence:
                await asyncio.wait_for(impatient(alice).submit(hold, number=number), 60)
            assert silence.value.number == number
            desk.node.thaw()
            alice.call_s = 10.0
            again = await alice.submit(hold, number=number)
            assert again.accepted
            found = await alice.find_receipt(number)
            assert found is not None
            assert found.accepted
            assert await alice.find_receipt(make_number(now_ms)) is None
            assert [each.hold for each in await ledger.live_holds()] == [number]

    asyncio.run(run())


def impatient(client: LedgerClient) -> LedgerClient:
    """The same client, whose calls end at once."""
    client.call_s = 0.2
    return client
