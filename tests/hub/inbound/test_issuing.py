"""Issuances that arrive: taken over by the names a file would give, read again, forwarded, and what waits instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.contract import Adapter, Change, ChangeKind, Changes, Moment, Settings
from adapters.exports import UnitRow
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.unfccc import HOLDING, UnfcccSandbox
from adapters.unfccc import SYSTEM
from adapters.unfccc.mapping import PENDING
from cli.importing.model import UnitSource
from cli.importing.plan import plan_batch
from hub.inbound.intake import Defaults
from hub.ledger_client import OutcomeUnknown
from keeling.serials import SerialRange, parse
from keeling.v1 import operations_pb2 as op
from tests.adapters.article6_stand import open_exchange, secrets_for
from tests.adapters.exports import read_sample
from tests.cli.importing.rows import UNASSIGNED, hand_in, known_of, parcels_of
from tests.hub.inbound.registry import ISSUED, Registry, open_registry, verra
from tests.hub.inbound.scene import tell
from tests.hub.memory_ledger import lose_answer

# -- names


def test_what_an_event_brings_a_file_finds_known_and_what_a_file_brings_an_event() -> None:
    rows = [row for row in read_sample("verra", "verra-transactions.csv") if isinstance(row, UnitRow)]
    rows = [row for row in rows if row.batch.key == "verra:29001"]

    async def by_event(registry: Registry) -> None:
        changes = [
            Change(f"i/{at}", ISSUED, 1, row.serials, effective=Moment(1, exact=False)) for at, row in enumerate(rows)
        ]
        assert set(await registry.take("verra", *changes)) == {"issued"}, registry.waiting.list_all("verra")

    def by_file(registry: Registry) -> Any:
        sources = [UnitSource(0, row) for row in rows]
        plan = plan_batch("verra:29001", sources, known_of(registry.world, "verra:29001"), UNASSIGNED)
        assert {each.refusal for each in hand_in(registry.world, parcels_of([plan]))} <= {None}
        return plan

    event_first = open_registry()
    asyncio.run(by_event(event_first))
    plan = by_file(event_first)
    assert set(plan.units) <= {"known", "changed"}
    assert plan.units["known"] == sum(row.serials.units for row in rows if row.effective is None)
    assert {verdict.fate.value for verdict in plan.verdicts} <= {"known", "labelled", "changed"}
    file_first = open_registry()
    by_file(file_first)

    async def again(registry: Registry) -> None:
        told = await registry.take("verra", *(Change(f"i/{at}", ISSUED, 1, r.serials) for at, r in enumerate(rows)))
        assert set(told) == {"known"}

    asyncio.run(again(file_first))
    assert file_first.ledger.said == []
    assert event_first.lots("verra:29001") == file_first.lots("verra:29001")


def test_a_batch_is_made_once_and_extended_and_says_what_its_serials_say() -> None:
    async def story(registry: Registry) -> None:
        assert await registry.take("verra", verra(101, 200), verra(301, 400), verra(151, 250)) == ["issued"] * 3
        assert await registry.take("verra", verra(101, 200), verra(301, 400), verra(151, 250)) == ["known"] * 3
        batch = await registry.ledger.batch("verra:29001")
        assert (batch.programme, batch.project, batch.host, batch.exact) == ("VCS", "verra:9101", "RWA", False)
        days = (batch.vintage_start.ms // 86_400_000, batch.vintage_end.ms // 86_400_000)
        assert days == (19_997, 20_088), "1 October to 31 December 2024"
        assert registry.lots("verra:29001") == [
            (101, 200, "FREE", UNASSIGNED),
            (201, 250, "FREE", UNASSIGNED),
            (301, 400, "FREE", UNASSIGNED),
        ]
        found = await registry.ledger.find_lots("verra", 101, 101)
        assert [(mark.kind, mark.value) for mark in found.lots[0].marks] == [("GRADE", "B")]

    asyncio.run(story(open_registry()))


def test_an_issuance_into_a_buffer_is_one() -> None:
    async def story(registry: Registry) -> None:
        assert await registry.take("verra", verra(1, 9, ChangeKind.BUFFERED)) == ["issued"]
        assert registry.lots("verra:29001") == [(1, 9, "BUFFER", UNASSIGNED)]

    asyncio.run(story(open_registry()))


# -- the UNFCCC's


class Stand:
    """The sandbox, its adapter, and the ledger."""

    def __init__(self, registry: Registry, sandbox: UnfcccSandbox, adapter: Adapter) -> None:
        self.registry, self.sandbox, self.adapter = registry, sandbox, adapter

    async def read_all(self) -> list[str]:
        """Everything from the first event on, to a hub that has lost its folder."""
        found: list[str] = []
        cursor, more = "", True
        while more:
            page = await self.adapter.changes(cursor)
            assert isinstance(page, Changes)
            found += tell(await self.registry.intake().take("unfccc", page.items, "A"))
            cursor, more = page.cursor, page.more
        return found


@asynccontextmanager
async def open_stand(issued: Mapping[str, Defaults] | None = None, importer: str = "natreg") -> AsyncIterator[Stand]:
    registry = open_registry(issued, importer)
    sandbox = UnfcccSandbox(SandboxClock(registry.world.now_ms))
    adapter = open_exchange(SYSTEM, Settings(await sandbox.start(), secrets_for(sandbox).__getitem__))
    try:
        yield Stand(registry, sandbox, adapter)
    finally:
        await adapter.close()
        await sandbox.stop()


def play(story: Callable[[Stand], Awaitable[None]], **opened: Any) -> None:
    async def run() -> None:
        async with open_stand(**opened) as stand:
            await story(stand)

    asyncio.run(run())


WHOLE = parse("MMR-UN01-0007-2024-1-7125")
BATCH = "a64er:7-2024"
AT = "unassigned@unfccc"


def forward(stand: Stand, part: SerialRange, reference: str = "FWD") -> None:
    book = stand.sandbox.book
    book.change(
        stand.registry.world.now_ms,
        ChangeKind.TRANSFERRED,
        PENDING,
        [part],
        state=book.touch(part)[0].state,
        reference=reference,
        to_account=HOLDING,
    )
    stand.sandbox.tell()


def test_an_issuance_is_taken_over_whole_with_its_levies_and_forwarded() -> None:
    async def story(stand: Stand) -> None:
        stand.sandbox.issue(WHOLE)
        assert await stand.read_all() == ["issued", "noted", "known"], "issuance, adaptation share, OMGE"
        assert stand.registry.lots(BATCH) == [
            (1, 357, "FREE", AT),
            (358, 500, "CANCELLED", AT),
            (501, 7125, "PENDING", AT),
        ]
        batch = await stand.registry.ledger.batch(BATCH)
        assert (batch.exact, batch.programme, batch.host, batch.project) == (True, "A6.4ER", "MMR", "unfccc:0007")
        *_, issue = stand.registry.said(op.Issue)
        assert [(levy.name, levy.units) for levy in issue.levies] == [("SOP", 357), ("OMGE", 143)]
        assert (issue.evidence.grade, len(issue.evidence.digest)) == ("A", 32)
        forward(stand, WHOLE.part(501, 1500))
        assert await stand.read_all() == ["known", "noted", "known", "attested"]
        assert stand.registry.lots(BATCH)[2:] == [(501, 1500, "FREE", AT), (1501, 7125, "PENDING", AT)]
        said = len(stand.registry.ledger.said)
        assert await stand.read_all() == ["known", "noted", "known", "noted"], "read once more from the first event"
        assert len(stand.registry.ledger.said) == said

    play(story)


def test_the_next_issuance_of_the_activity_and_year_is_a_batch_of_its_own() -> None:
    async def story(stand: Stand) -> None:
        stand.sandbox.issue(WHOLE)
        await stand.read_all()
        stand.sandbox.issue(parse("MMR-UN01-0007-2024-7126-8125"))
        assert (await stand.read_all())[3:] == ["issued", "noted", "known"]
        assert [lot[:3] for lot in stand.registry.lots(f"{BATCH}-7126")] == [
            (7126, 7175, "FREE"),
            (7176, 7195, "CANCELLED"),
            (7196, 8125, "PENDING"),
        ]
        assert (await stand.read_all()) == ["known", "noted", "known"] * 2

    play(story)


@pytest.mark.parametrize(
    ("owner", "there", "account"), [("acme", HOLDING, "acme/unfccc"), ("natreg", HOLDING, AT), ("acme", "X", AT)]
)
def test_units_issued_into_a_linked_account_are_put_there_unless_it_is_our_own(
    owner: str, there: str, account: str
) -> None:
    async def story(stand: Stand) -> None:
        name, world = "acme/unfccc", stand.registry.world
        world.must(owner, op.OpenAccount(account=name, owner=owner))
        link = op.Link(account=name, registry="unfccc", registry_account=there, hub="natreg", control=op.Link.CUSTODY)
        world.must(owner, link, approvals=(owner, "natreg"))
        stand.sandbox.fill(1000)
        assert await stand.read_all() == ["issued"]
        assert stand.registry.lots(BATCH) == [(1, 1000, "FREE", account)]
        assert await stand.read_all() == ["known"]

    play(story)


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("kind", [op.Issue, op.RegisterProject])
def test_an_answer_that_was_lost_brings_the_units_once(kind: type[Any], took_effect: bool) -> None:
    async def story(stand: Stand) -> None:
        stand.sandbox.issue(WHOLE)
        lose_answer(kind, stand.registry.ledger, took_effect=took_effect)
        with pytest.raises(OutcomeUnknown):
            await stand.read_all()
        assert (await stand.read_all())[1:] == ["noted", "known"]
        assert sum(lot[1] - lot[0] + 1 for lot in stand.registry.lots(BATCH)) == WHOLE.units

    play(story)


def test_levies_below_the_record_are_refused_by_the_ledger_and_the_issuance_waits_for_a_person() -> None:
    async def story(stand: Stand) -> None:
        stand.sandbox.issue(WHOLE)
        page = await stand.adapter.changes("")
        assert isinstance(page, Changes)
        cheap = page.items[0]._replace(details={**page.items[0].details, "levy omge": "142"})
        assert await stand.registry.take("unfccc", cheap) == ["ledger-refused"]
        (item,) = stand.registry.waiting.list_all("unfccc")
        assert item.refusal.detail.startswith("LEVIES_DISAGREE")
        more = cheap._replace(details={**cheap.details, "levy omge": "200"})
        assert await stand.registry.take("unfccc", more) == ["issued"], "mitigation may be more than the least"
        assert stand.registry.waiting.list_all("unfccc") == []

    play(story)
