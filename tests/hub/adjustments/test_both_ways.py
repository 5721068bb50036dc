"""A first transfer seen by a registry and by the ledger, told both ways: two recognitions, one adjustment, no echo.

What the sandbox's events say becomes recognitions on the ledger; what the ledger booked reaches the sandbox over the
feed, and both hold the same sum for the host.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from adapters.capabilities import Action
from adapters.contract import Adapter, Changes, Instruction, Report, Settings, System
from adapters.des.signing import SignatureError, print_public_key, read_signing_key
from adapters.national_62 import SYSTEM as NATIONAL
from adapters.sandbox import national_62, unfccc
from adapters.sandbox.article6 import Letter
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.feed_reader import FeedReader
from adapters.sandbox.party_acts import PartySandbox
from adapters.unfccc import SYSTEM as UNFCCC
from hub.adjustments.feed import PATH, Feed
from hub.adjustments.recognition import Outcome, Recogniser
from keeling.events import EventKind
from keeling.serials import SerialRange, parse
from keeling.v1 import operations_pb2 as op
from tests.adapters.article6_stand import OTHER_SEED, open_exchange, public_of, secrets_for
from tests.hub.adjustments.ledger import PartyLedger
from tests.node.core.article6.parties import Parties, accepted, date, terms

HOUR_MS = 3_600_000
UNITS = 1_000
LETTER = "GHA-CHE-2024-001"


class Side(NamedTuple):
    """A registry, the account the units are in, and what it calls them."""

    system: System
    sandbox: type[PartySandbox]
    account: str
    units: SerialRange


SIDES = {
    "national": Side(
        NATIONAL,
        national_62.NationalSandbox,
        national_62.ACCOUNT,
        parse(f"CA0004-GHA01-GHA-1-2023 - CA0004-GHA01-GHA-{UNITS}-2023"),
    ),
    "unfccc": Side(UNFCCC, unfccc.UnfcccSandbox, unfccc.HOLDING, parse(f"GHA-UN01-0007-2023-1-{UNITS}")),
}


class Story:
    """The ledger, the registry, the line between, and the feed."""

    def __init__(self, side: Side, world: Parties, sandbox: PartySandbox, adapter: Adapter, feed: str) -> None:
        self.side, self.world, self.sandbox, self.adapter, self.feed = side, world, sandbox, adapter, feed
        self._cursor = ""

    async def transfer_there(self, first: int, units: int) -> str:
        """At the registry: to Switzerland, recognised by Ghana, and by Switzerland an hour later."""
        lots = (self.side.units.part(first, first + units - 1),)
        out = Instruction(f"{first:032x}", Action.TRANSFER, self.side.account, lots, "CHE01:CHE-1")
        said = await self.adapter.instruct(out)
        assert isinstance(said, Report)
        if self.side.system is UNFCCC:
            self.sandbox.recognise("GHA", said.reference)
        self.sandbox.clock.advance(HOUR_MS)
        self.sandbox.recognise("CHE", said.reference)
        return said.reference

    def transfer_here(self, first: int, units: int) -> None:
        """On the ledger: the same units."""
        accepted(self.world.send("gh", "ch", 0, date(2025, 3, 14), op.Range(batch="b", first=first - 1, units=units)))

    async def take_news(self) -> list[str]:
        """What is new at the registry, to the authority of each Party; outcomes of what was announced."""
        page = await self.adapter.changes(self._cursor)
        assert isinstance(page, Changes)
        self._cursor = page.cursor
        found = []
        for party, by in (("GHA", "gha-epa"), ("CHE", "che-bafu")):
            recogniser = Recogniser(PartyLedger(self.world, by), self._locate, lambda body: bytes(32), "A")
            own = [change for change in page.items if change.details.get("party") == party]
            found += [taken.outcome.value for taken in await recogniser.take(own)]
        return found

    async def _locate(self, serials: SerialRange) -> Sequence[op.Range]:
        return (op.Range(batch="b", first=serials.first - 1, units=serials.units),)

    def reader(self, cursor: str = "", their_key: str = "") -> FeedReader:
        key = their_key or public_of(OTHER_SEED)
        return FeedReader(self.feed, self.sandbox.code, self.sandbox.key, key, cursor)

    def adjusted_here(self) -> int:
        told = self.world.events_of(EventKind.ADJUSTED)
        return sum(int(each.fact("units")) for each in told if each.fact("party") == "GHA")


@asynccontextmanager
async def open_story(name: str) -> AsyncIterator[Story]:
    side, world = SIDES[name], Parties()
    accepted(world.issue("b", 2 * UNITS, 2023))
    accepted(world.authorize(LETTER, terms=terms(cap=5 * UNITS)))
    sandbox = side.sandbox(SandboxClock(date(2025, 3, 14).ms))
    sandbox.book.issue(sandbox.clock.now_ms, side.units, side.account)
    sandbox.authorize(Letter(LETTER, "GHA", "NDC", (side.units,)))
    adapter = open_exchange(side.system, Settings(await sandbox.start(), secrets_for(sandbox).__getitem__))
    known = {"feed-key": OTHER_SEED, f"reader:{sandbox.code}": print_public_key(sandbox.key)}
    app = web.Application()
    app.add_routes(Feed(PartyLedger(world, "che-bafu"), "HUB01", lambda asked: known.get(asked, "")).routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Story(side, world, sandbox, adapter, f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}")
    finally:
        await runner.cleanup()
        await adapter.close()
        await sandbox.stop()


def play(name: str, story: Any) -> None:
    async def run() -> None:
        async with open_story(name) as opened:
            await story(opened)

    asyncio.run(run())


@pytest.mark.parametrize("name", SIDES)
def test_a_first_transfer_is_recognised_by_both_and_its_adjustment_reaches_the_registry(name: str) -> None:
    async def tell(story: Story) -> None:
        reader = story.reader()
        await reader.read_on()
        assert reader.heard[0]["kind"] == "AUTHORIZED", "the letter"
        await story.transfer_there(1, 400)
        assert await story.take_news() == [Outcome.WAITING, Outcome.WAITING], "the ledger has no such transfer yet"
        story.transfer_here(1, 400)
        story._cursor = ""
        assert await story.take_news() == [Outcome.RECOGNISED, Outcome.RECOGNISED]
        story._cursor = ""
        assert await story.take_news() == [Outcome.KNOWN, Outcome.KNOWN], "the same news again"
        await reader.read_on(limit=2)
        kinds = [each["kind"] for each in reader.heard]
        assert kinds.count("RECOGNISED") == 2
        assert kinds.count("ADJUSTED") == 1, "the action adjusted, the recognitions did not"
        assert "ITMO_ACTION" in kinds
        booked = story.sandbox.marks.total("GHA", 2023)
        assert reader.total_adjusted("GHA") == story.adjusted_here() == booked == 400

    play(name, tell)


@pytest.mark.parametrize("name", SIDES)
def test_a_reader_goes_on_from_its_cursor_and_hears_nothing_twice(name: str) -> None:
    async def tell(story: Story) -> None:
        first = story.reader()
        story.transfer_here(1, 100)
        await first.read_on()
        again = story.reader(first.cursor)
        assert await again.read_on() == 0
        story.transfer_here(101, 250)
        fresh = await again.read_on(limit=1)
        assert fresh == len({each["id"] for each in again.heard}) > 0
        assert not {each["id"] for each in first.heard} & {each["id"] for each in again.heard}
        assert first.total_adjusted("GHA") + again.total_adjusted("GHA") == story.adjusted_here() == 350

    play(name, tell)


def test_what_was_withdrawn_since_is_taken_off_what_was_heard() -> None:
    def adjusted(name: str, party: str, side: str, units: int) -> dict[str, Any]:
        return {"kind": "ADJUSTED", "subject": name, "facts": {"party": party, "side": side, "units": str(units)}}

    def withdrawn(units: int, adjustments: str) -> dict[str, Any]:
        return {"kind": "ACTION_WITHDRAWN", "subject": "X", "facts": {"units": str(units), "adjustments": adjustments}}

    own = read_signing_key(OTHER_SEED)
    reader = FeedReader("http://127.0.0.1/article6/events", "GHA01", own, print_public_key(own))
    reader.heard = [
        adjusted("G1", "GHA", "HOST", 400),
        adjusted("C1", "CHE", "USER", 150),
        withdrawn(100, "G1 C1"),
        adjusted("G2", "GHA", "HOST", 7),
        withdrawn(5, "elsewhere"),
        withdrawn(300, "G1"),
    ]
    assert (reader.total_adjusted("GHA"), reader.total_adjusted("CHE"), reader.total_adjusted("KEN")) == (7, -50, 0)


def test_a_feed_that_somebody_else_signs_is_not_believed() -> None:
    async def tell(story: Story) -> None:
        with pytest.raises(SignatureError):
            await story.reader(their_key=story.sandbox.public_key).read_on()

    play("national", tell)
