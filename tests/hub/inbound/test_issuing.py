"""Issuances that arrive: taken over by the names a file would give, read again, forwarded, and what waits instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.contract import Adapter, Change, ChangeKind, Changes, Moment, Settings
from adapters.exports import UnitRow
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.unfccc import HOLDING, UnfcccSandbox
from adapters.unfccc import SYSTEM
from adapters.unfccc.mapping import PENDING
from cli.importing.model import UnitSource
from cli.importing.plan import plan_batch
from hub.inbound.intake import Defaults, Desk, Intake, Outcome
from hub.inbound.waiting import WaitingList
from hub.ledger_client import OutcomeUnknown, digest_of
from keeling.serials import SerialRange, parse
from keeling.v1 import operations_pb2 as op
from network.standard_records import build_standard_records
from tests.adapters.article6_stand import open_exchange, secrets_for
from tests.adapters.exports import read_sample
from tests.cli.importing.rows import UNASSIGNED, hand_in, known_of, lots_of, parcels_of
from tests.hub.inbound.scene import tell
from tests.hub.memory_ledger import MemoryLedger, lose_answer
from tests.node.reads.trading_world import IndexedWorld

ROLES: dict[str, Sequence[str]] = {"natreg": ("registry",), "acme": ("group",), "other": ("group",)}
ISSUED, RETIRED = ChangeKind.ISSUED, ChangeKind.RETIRED


class Deaf:
    async def hear(self, registry: str, change: Change) -> bool:
        return False


def records(importer: str = "natreg") -> list[op.SetRecord]:
    """The standard ones, and the UNFCCC's registry with the levies of Article 6.4."""
    policy = op.RegistryPolicy(
        scheme="a64er", attestors=[importer], importers=[importer], capture_grade="B", attestors_needed=1
    )
    levies = [
        op.Levy(name="SOP", basis_points=500, rounding=op.Levy.UP, kind=op.Levy.ADAPTATION, account="x"),
        op.Levy(name="OMGE", basis_points=200, rounding=op.Levy.UP, kind=op.Levy.OMGE, cancelled=True, account="x"),
    ]
    rules = op.Programme(
        registry="unfccc",
        grain="T_CO2E",
        scheme="a64er",
        transfer_rule=op.Programme.FREE,
        retirable=True,
        levies=levies,
    )
    return [
        *build_standard_records("natreg"),
        op.SetRecord(id="registry:unfccc", version=1, source="test", registry=policy),
        op.SetRecord(id="A6.4ER", version=1, source="test", programme=rules),
    ]


class Registry:
    """The ledger, and intakes that remember nothing of each other but the waiting list of a folder."""

    def __init__(self, world: IndexedWorld, issued: Mapping[str, Defaults] | None = None) -> None:
        self.world, self.issued = world, issued or {}
        self.ledger = MemoryLedger(world, "natreg")
        self.waiting = WaitingList(None, lambda: world.now_ms)

    def intake(self) -> Intake:
        desk = Desk(self.ledger, {}, Deaf(), digest_of, waiting=self.waiting, issued=self.issued)
        return Intake(desk)

    async def take(self, registry: str, *changes: Change, grade: str = "B") -> list[str]:
        return tell(await self.intake().take(registry, changes, grade))

    def lots(self, batch: str) -> list[tuple[int, int, str, str]]:
        return lots_of(self.world, batch)

    def said(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.ledger.said if isinstance(each, kind)]


def open_registry(issued: Mapping[str, Defaults] | None = None, importer: str = "natreg") -> Registry:
    return Registry(IndexedWorld(ROLES, records(importer)), issued)


def verra(first: int, last: int, kind: ChangeKind = ISSUED, name: str = "", at_ms: int = 1) -> Change:
    serials = parse(f"29001-{first}-{last}-VCS-VCU-1491-VER-RW-3-9101-01102024-31122024-0")
    return Change(name or f"{kind}/{first}", kind, at_ms, serials, effective=Moment(86_400_000, exact=False))


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


# -- what waits


def short(first: int, last: int, name: str = "e1") -> Change:
    """Puro shows a number and nothing else."""
    serials = parse(f"40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d_{first}-{last}", "puro_short_v2")
    return Change(name, ISSUED, 1, serials, reference="ISS-1")


PURO = [
    op.SetRecord(
        id="registry:puro",
        version=1,
        source="test",
        registry=op.RegistryPolicy(scheme="puro", attestors=["natreg"], importers=["natreg"], capture_grade="B"),
    ),
    op.SetRecord(
        id="CORC",
        version=1,
        source="test",
        programme=op.Programme(
            registry="puro", grain="T_CO2E", scheme="puro", transfer_rule=op.Programme.FREE, retirable=True
        ),
    ),
]


def with_puro(issued: Mapping[str, Defaults] | None = None) -> Registry:
    return Registry(IndexedWorld(ROLES, [*records(), *PURO]), issued)


def test_what_the_event_does_not_say_comes_from_the_file_or_waits_with_what_is_missing() -> None:
    async def story() -> None:
        registry = with_puro()
        assert await registry.take("puro", short(1, 100)) == ["unknown-units"]
        (item,) = registry.waiting.list_all("puro")
        assert item.refusal.detail == "not known of the issuance: project, host, vintage"
        assert "registries.issued" in item.advice
        known = {"puro": Defaults(project="643002", host="FIN", vintage="2024")}
        registry = with_puro(known)
        assert await registry.take("puro", short(1, 100), short(101, 200, "e2")) == ["issued", "issued"]
        batch = await registry.ledger.batch("puro:40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d")
        assert (batch.programme, batch.project, batch.host) == ("CORC", "puro:643002", "FIN")

    asyncio.run(story())


GAPS: list[tuple[str, Defaults, str]] = [
    ("two programmes fit", Defaults(), "programme"),
    ("a programme of the file that is not on record", Defaults(programme="GS-X"), "no programme 'GS-X' on record"),
]


@pytest.mark.parametrize("case", GAPS, ids=lambda each: each[0])
def test_a_programme_that_is_not_clear_waits(case: tuple[str, Defaults, str]) -> None:
    _, file, text = case

    async def story() -> None:
        registry = open_registry({"gold_standard": file})
        event = Change("7", ISSUED, 1, parse("GS1-1-KE-GS99001-16-2024-50001-1-1500"))
        assert await registry.take("gold_standard", event) == ["unknown-units"]
        assert text in registry.waiting.list_all("gold_standard")[0].refusal.detail
        registry = open_registry({"gold_standard": Defaults(programme="GS")})
        assert await registry.take("gold_standard", event) == ["issued"]
        assert registry.lots("gold_standard:99001-16-2024-50001")[0][:3] == (1, 1500, "FREE")

    asyncio.run(story())


def test_what_happened_to_units_nobody_knows_waits_and_is_taken_when_they_come() -> None:
    async def story() -> None:
        registry = open_registry()
        gone, moved = verra(10, 19, RETIRED, at_ms=2), verra(20, 29, ChangeKind.TRANSFERRED, at_ms=3)
        assert await registry.take("verra", gone, moved) == ["unknown-units", "unknown-units"]
        assert [each.change.id for each in registry.waiting.list_all("verra")] == [gone.id, moved.id]
        assert "keeling import" in registry.waiting.list_all("verra")[0].advice
        assert await registry.intake().retry("verra") == []
        assert registry.ledger.said == [], "nothing is said of units the ledger does not have"
        assert await registry.take("verra", verra(1, 100)) == ["issued"]
        assert registry.waiting.list_all("verra") == [], "at once, because the issuance is of their space"
        assert [lot[:3] for lot in registry.lots("verra:29001")] == [
            (1, 9, "FREE"),
            (10, 19, "RETIRED"),
            (20, 100, "FREE"),
        ]

    asyncio.run(story())


def test_of_units_half_of_which_are_known_that_half_is_taken_at_once() -> None:
    async def story() -> None:
        registry = open_registry()
        await registry.take("verra", verra(1, 10), verra(31, 40))
        gone = verra(6, 35, RETIRED, at_ms=2)
        assert await registry.take("verra", gone) == ["unknown-units"]
        ended = [lot[:2] for lot in registry.lots("verra:29001") if lot[2] == "RETIRED"]
        assert ended == [(6, 10), (31, 35)]
        said = len(registry.ledger.said)
        await registry.intake().retry("verra")
        assert len(registry.ledger.said) == said
        await registry.take("verra", verra(11, 30))
        ended = [lot[:2] for lot in registry.lots("verra:29001") if lot[2] == "RETIRED"]
        assert (ended[0][0], ended[-1][1]) == (6, 35)
        assert registry.waiting.list_all("verra") == []

    asyncio.run(story())


def test_a_hub_that_may_not_import_waits_for_one_that_may() -> None:
    async def story() -> None:
        registry = open_registry(importer="other")
        issued = Change("1", ISSUED, 1, WHOLE, to_account=PENDING, details={"whole": "yes", "state": "pending"})
        assert await registry.take("unfccc", issued) == ["ledger-refused"]
        (item,) = registry.waiting.list_all("unfccc")
        assert item.refusal.detail.startswith("NOT_PERMITTED")
        assert "name us" in item.advice
        registry.ledger = MemoryLedger(registry.world, "other")
        assert tell(await registry.intake().retry("unfccc")) == ["issued"]
        assert registry.waiting.list_all("unfccc") == []

    asyncio.run(story())


def test_a_registry_that_the_ledger_does_not_know_waits_and_serials_of_another_are_refused() -> None:
    async def story() -> None:
        registry = open_registry()
        assert await registry.take("nowhere", verra(1, 9)) == ["unknown-registry"]
        assert "registry:nowhere" in registry.waiting.list_all("nowhere")[0].advice
        assert await registry.take("verra", Change("x", ISSUED, 1, WHOLE)) == ["foreign-serials"]
        assert registry.waiting.list_all("verra") == []
        assert (await registry.intake().take("verra", [verra(1, 9)], "B"))[0].outcome is Outcome.ISSUED

    asyncio.run(story())


# -- any order


SPANS = st.tuples(st.integers(1, 30), st.integers(1, 30)).map(lambda pair: (min(pair), max(pair)))
EVENTS = st.lists(st.tuples(st.sampled_from([ISSUED, RETIRED]), SPANS), max_size=6)


@settings(max_examples=40, deadline=None)
@given(EVENTS, st.randoms(use_true_random=False))
def test_in_whatever_order_events_come_every_issued_unit_is_there_once_and_every_ended_one_has_ended(
    events: list[tuple[ChangeKind, tuple[int, int]]], order: Any
) -> None:
    changes = [verra(*span, kind, name=f"{kind}/{place}", at_ms=place + 1) for place, (kind, span) in enumerate(events)]
    shuffled = list(changes)
    order.shuffle(shuffled)

    async def story() -> None:
        registry = open_registry()
        for each in shuffled:
            await registry.take("verra", each)
        await registry.take("verra", *changes)
        registry.world.later(600_000)
        await registry.intake().retry("verra")
        issued = {unit for kind, (first, last) in events if kind is ISSUED for unit in range(first, last + 1)}
        ended = {unit for kind, (first, last) in events if kind is RETIRED for unit in range(first, last + 1)}
        lots = registry.lots("verra:29001")
        here = [unit for first, last, _, _ in lots for unit in range(first, last + 1)]
        assert here == sorted(issued)
        retired = {unit for first, last, state, _ in lots if state == "RETIRED" for unit in range(first, last + 1)}
        assert retired == issued & ended
        waits = {each.change.id for each in registry.waiting.list_all("verra")}
        assert waits == {
            each.id
            for each in changes
            if each.kind is RETIRED
            and each.serials
            and not set(range(each.serials.first, each.serials.last + 1)) <= issued
        }
        said = len(registry.ledger.said)
        await registry.take("verra", *changes)
        assert len(registry.ledger.said) == said

    asyncio.run(story())
