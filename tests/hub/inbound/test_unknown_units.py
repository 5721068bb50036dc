"""News of units that the ledger does not have: it waits, is taken when they come, and says what a person can do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.contract import Change, ChangeKind
from adapters.unfccc.mapping import PENDING
from hub.inbound.intake import Defaults, Outcome
from hub.inbound.refusals import Why
from hub.units import Names
from keeling.serials import parse, print_range
from keeling.v1 import operations_pb2 as op
from tests.hub.inbound.registry import ISSUED, RETIRED, ROLES, Registry, open_registry, records, verra
from tests.hub.inbound.scene import tell
from tests.hub.memory_ledger import MemoryLedger
from tests.node.reads.trading_world import IndexedWorld

WHOLE = parse("MMR-UN01-0007-2024-1-7125")


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
        (named,) = await Names(registry.ledger).to_serials([op.Range(batch=batch.batch, first=5, units=3)])
        assert print_range(named) == "40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d_5-7", "as the registry is told of them"
        found = await registry.ledger.find_lots(named.space, 5, 7)
        assert found.lots[0].lot.serials == "40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d_1-100"

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
        registry.world.later(600_000)
        intake, said = registry.intake(), len(registry.ledger.said)
        await intake.retry("verra")
        registry.world.later(600_000)
        again = len(registry.ledger.said)
        assert again - said <= 2, "the parts that are known, once more by their names"
        await intake.retry("verra")
        assert len(registry.ledger.said) == again
        await registry.take("verra", verra(11, 20))
        ended = [lot[:2] for lot in registry.lots("verra:29001") if lot[2] == "RETIRED"]
        assert (ended[0][0], ended[-1]) == (6, (31, 35)), "what came is taken at once"
        assert sum(last - first + 1 for first, last in ended) == 20
        await registry.take("verra", verra(21, 30))
        ended = [lot[:2] for lot in registry.lots("verra:29001") if lot[2] == "RETIRED"]
        assert (ended[0][0], ended[-1][1]) == (6, 35)
        assert registry.waiting.list_all("verra") == []

    asyncio.run(story())


def test_a_known_part_that_the_ledger_refused_is_tried_again_while_the_rest_is_still_missing() -> None:
    async def story() -> None:
        registry = open_registry()
        await registry.take("verra", verra(1, 10))
        intake = registry.intake()
        registry.ledger.participant = "other"
        blocked = verra(6, 15, ChangeKind.BLOCKED, at_ms=2)
        assert tell(await intake.take("verra", [blocked], "B")) == ["ledger-refused"]
        for _ in range(3):
            registry.world.later(3_600_000)
            assert await intake.retry("verra") == []
        registry.ledger.participant = "natreg"
        registry.world.later(3_600_000)
        await intake.retry("verra")
        known = verra(1, 10).serials
        parts = await Names(registry.ledger).find([known] if known else [])
        assert [(laid.range.first, laid.range.units) for part in parts for laid in part.restrictions] == [(6, 5)]
        (item,) = registry.waiting.list_all("verra")
        assert item.refusal.why is Why.UNKNOWN_UNITS

    asyncio.run(story())


def test_a_number_longer_than_any_on_the_ledger_stops_nothing_that_comes_after_it() -> None:
    async def story() -> None:
        registry = open_registry()
        odd, good = 10**70, verra(1, 10, at_ms=9)
        told = await registry.take("verra", verra(odd, odd + 9, RETIRED), verra(odd, odd + 9), good)
        assert told == ["unknown-units", "ledger-refused", "issued"]

    asyncio.run(story())


def test_news_of_more_lots_than_one_answer_holds_is_taken_whole() -> None:
    async def story() -> None:
        registry = open_registry()
        many = [verra(first, first, name=f"i/{first}", at_ms=first) for first in range(1, 260, 2)]
        assert set(await registry.take("verra", *many)) == {"issued"}
        gone = verra(1, 259, RETIRED, at_ms=1_000)
        assert await registry.take("verra", gone) == ["unknown-units"]
        assert {lot[2] for lot in registry.lots("verra:29001")} == {"RETIRED"}
        assert await registry.take("verra", verra(1, 259, name="all")) == ["issued"]
        lots = registry.lots("verra:29001")
        assert (sum(last - first + 1 for first, last, _, _ in lots), {lot[2] for lot in lots}) == (259, {"RETIRED"})

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
