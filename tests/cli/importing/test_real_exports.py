"""The real exports end to end on a ledger in memory: figures, every order, every month, and the page about them."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.exports import EvidenceRow, Extent, RowSource, UnitRow, UnitStatus
from cli.importing.model import SourceRow
from hub.reports.html import format_html
from hub.reports.summary import format_json
from keeling.events import EVENT, Move
from keeling.units import UnitState
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.block import Answer
from tests.adapters.exports import EXPORTS
from tests.cli.importing.mirror import (
    FOLDERS,
    Imported,
    describe,
    import_rows,
    new_ledger,
    read_rows,
    refusals,
    units_in,
)
from tests.fakes.world import World

NEXT_MONTH = "2026-06-30"

pytestmark = pytest.mark.skipif(not EXPORTS.exists(), reason="the real exports are not beside the repository")


@cache
def imported(registry: str) -> tuple[World, Imported, tuple[SourceRow, ...]]:
    """All files of a registry in one run; nobody may write into the world."""
    names, rows = read_rows(registry)
    world = new_ledger()
    return world, import_rows(world, registry, rows, names), tuple(rows)


FIGURES = [
    ("verra", {("lot", "active"): (50, 1_730_799), ("lot", "ended"): (50, 66_011)}, 63),
    (
        "gold_standard",
        {("lot", "active"): (50, 2_388_803), ("lot", "retired"): (46, 311_293), ("lot", "cancelled"): (4, 649_481)},
        76,
    ),
    ("acr", {("lot", "converted"): (23, 1_643_833)}, None),
    ("car", {("lot", "converted"): (25, 2_648_313)}, None),
    ("cercarbono", {("lot", "buffer"): (21, 261_771)}, 55),
]


@pytest.mark.parametrize(("registry", "wanted", "batches"), FIGURES, ids=[row[0] for row in FIGURES])
def test_figures_of_the_files_are_the_figures_of_the_report_and_of_the_ledger(
    registry: str, wanted: dict[tuple[str, str], tuple[int, int]], batches: int | None
) -> None:
    world, report, rows = imported(registry)
    facts = report.facts()
    sums = {(each["class"], each["status"]): (each["rows"], each["units"]) for each in facts["totals"]}
    assert wanted.items() <= sums.items()
    assert facts["rows"] == len(rows) == sum(size for size, _ in sums.values())
    assert sum(units for _, units in sums.values()) == sum(row.record.units or 0 for row in rows)
    assert batches in (None, facts["batches"])
    states = {"active": UnitState.FREE, "ended": UnitState.ENDED, "buffer": UnitState.BUFFER}
    for (_, status), (_, units) in wanted.items():
        state = states.get(status) or UnitState[status.upper()]
        assert units_in(world, f"unassigned@{registry}", state) == units


def test_rows_without_serials_are_evidence_and_never_units() -> None:
    without = 0
    for registry in ("acr", "car", "art"):
        world, _, rows = imported(registry)
        without += sum(isinstance(row.record, EvidenceRow) for row in rows)
        in_lots = sum(lot.units for _, lot in world.state.scan(t.LOTS))
        assert in_lots == sum(row.record.units or 0 for row in rows if isinstance(row.record, UnitRow))
    assert without == 106
    art = [row.record for row in imported("art")[2] if isinstance(row.record, EvidenceRow)]
    assert sum(record.buffer_units for record in art) == 1_307_766
    assert imported("arb")[1].facts()["batches"] == 0


def test_isometric_counts_kilograms() -> None:
    _, report, rows = imported("isometric")
    facts = report.facts()
    assert {each["grain"] for each in facts["totals"]} == {"KG_CO2E"}
    retired = next(each for each in facts["totals"] if each["status"] == "retirement")
    assert (retired["class"], retired["units"]) == ("evidence", 6_208_448)
    issued = [each for each in facts["totals"] if each["class"] == "lot"]
    assert sum(each["units"] for each in issued) == 36_681_380
    assert sum(each["buffer_units"] for each in issued) == 1_258_111
    assert min(row.record.units or 0 for row in rows if row.record.units) == 2


def test_moves_to_other_registries_wait_for_a_person() -> None:
    queued = {
        registry: list(imported(registry)[0].state.scan(t.PROPOSALS)) for registry in ("gold_standard", "acr", "car")
    }
    assert {name: (len(rows), sum(row.units for _, row in rows)) for name, rows in queued.items()} == {
        "gold_standard": (2, 479_359),
        "acr": (23, 1_643_833),
        "car": (25, 2_648_313),
    }


def test_cercarbono_counts_from_zero_and_from_one_and_knows_some_batches_in_part() -> None:
    world, _, _ = imported("cercarbono")
    batches = {batch.name: batch for _, batch in world.state.scan(t.BATCHES)}
    zero = {name.removeprefix("cercarbono:"): batch.seen for name, batch in batches.items() if batch.low == 0}
    assert zero == {"CDC_2_1_1_321_14_1": 9516, "CDC_5_1_1_321_14_1": 15245}
    partly = [batch for batch in batches.values() if not batch.exact]
    rows = [row.record for row in imported("cercarbono")[2] if isinstance(row.record, UnitRow)]
    unissued = [row for row in rows if row.batch.key in {batch.name for batch in partly}]
    assert (len(partly), len(unissued)) == (5, 7)


@pytest.mark.parametrize("registry", FOLDERS)
def test_the_same_files_again_change_nothing(registry: str) -> None:
    world, _, rows = imported(registry)
    before, again = describe(world), world.clone()
    report = import_rows(again, registry, rows)
    assert describe(again) == before
    assert again.tip.height == world.tip.height, "nothing was handed in"
    assert {verdict.fate.value for _, verdict in report.lines} <= {"known", "evidence", "duplicate"}


@pytest.mark.parametrize("registry", FOLDERS)
@given(seed=st.integers(0, 2**32), parts=st.integers(2, 4))
@settings(max_examples=5, deadline=None)
def test_files_in_parts_and_in_any_order_make_the_same_ledger(registry: str, seed: int, parts: int) -> None:
    world, _, rows = imported(registry)
    chance = random.Random(seed)
    shares: list[list[SourceRow]] = [[] for _ in range(parts)]
    for row in rows:
        shares[chance.randrange(parts)].append(row)
    other = new_ledger()
    for share in shares:
        import_rows(other, registry, share)
    assert describe(other) == describe(world)


# -- the month after


def after_a_month(rows: tuple[SourceRow, ...]) -> tuple[list[SourceRow], UnitRow]:
    """The same export, one active block of 100 units or more now cut: its first 40 units retired, the rest active."""
    chosen = next(
        row.record
        for row in rows
        if isinstance(row.record, UnitRow)
        and row.record.status is UnitStatus.ACTIVE
        and row.record.units >= 100
        and not row.record.buffer_units
    )
    block = chosen.serials
    cut = block.first + 39
    later: list[SourceRow] = []
    for row in rows:
        if row.record is not chosen:
            later.append(row)
            continue
        ended = chosen._replace(
            source=RowSource(9001, 9001, b"\1" * 32), serials=block.part(block.first, cut), status=UnitStatus.RETIRED
        )
        rest = chosen._replace(source=RowSource(9002, 9002, b"\2" * 32), serials=block.part(cut + 1, block.last))
        later += [SourceRow(row.file, ended), SourceRow(row.file, rest)]
    return later, chosen


@pytest.mark.parametrize("registry", ["verra", "gold_standard"])
def test_next_month_brings_only_its_news(registry: str) -> None:
    world, first, rows = imported(registry)
    later, block = after_a_month(rows)
    now = world.clone()
    report = import_rows(now, registry, later)
    facts = report.facts()
    assert (facts["lots_split"], facts["units_by_outcome"]["changed"], facts["units_by_outcome"]["new"]) == (1, 40, 0)
    moves = [m for b in now.blocks[len(world.blocks) :] for answer in b.submissions[0].answers for m in _moves(answer)]
    assert [(move.batch, move.units, move.to_state) for move in moves] == [(block.batch.key, 40, UnitState.RETIRED)]
    assert first.facts()["rows_by_outcome"]["new"] > 0, "the old report says what it said"


def _moves(answer: Answer) -> list[Move]:
    return [move for raw in answer.events for move in EVENT.decode(raw).moves]


def test_two_exports_that_contradict_each_other_are_both_on_record() -> None:
    world, _, rows = imported("verra")
    at, ended = next(
        (row.file, row.record)
        for row in rows
        if isinstance(row.record, UnitRow) and row.record.status is UnitStatus.ENDED
    )
    back = SourceRow(at, ended._replace(status=UnitStatus.ACTIVE, effective=None))
    now = world.clone()
    report = import_rows(now, "verra", [back], as_of=NEXT_MONTH)
    ((_, row),) = now.state.scan(t.DISCREPANCIES)
    assert (row.ledger, row.registry, row.piece.units) == ("ENDED in unassigned@verra", "FREE", ended.units)
    assert row.since.height < now.tip.height, "the other side is the event of the first export"
    (line,) = report.lines
    assert line[1].fate == "contradicts"
    assert "the ledger has ENDED in unassigned@verra, the file shows FREE" in line[1].detail
    again = now.clone()
    import_rows(again, "verra", [back], as_of=NEXT_MONTH)
    assert again.tip.height == now.tip.height, "the same contradiction is known"


@pytest.mark.parametrize("registry", FOLDERS)
def test_an_older_export_brings_what_was_not_known_and_contradicts_nothing(registry: str) -> None:
    """The month before: what has ended was active then, and one row was not in the later file."""
    world, _, rows = imported(registry)
    before, missing = as_a_month_before(rows)
    now = world.clone()
    report = import_rows(now, registry, before, as_of="2000-01-31")
    assert not list(now.state.scan(t.DISCREPANCIES))
    assert describe(now) == describe(world)
    ended = [row for row in rows if isinstance(row.record, UnitRow) and row.record.status in GONE]
    facts = report.facts()
    assert facts["units_by_outcome"]["older"] == sum(row.record.units or 0 for row in ended)
    assert facts["rows_by_outcome"]["older"] == len(ended)
    if missing is not None:
        other = new_ledger()
        import_rows(other, registry, [row for row in rows if row is not missing])
        report = import_rows(other, registry, before, as_of="2000-01-31")
        assert report.facts()["units_by_outcome"]["new"] == missing.record.units
        assert not list(other.state.scan(t.DISCREPANCIES))


GONE = (UnitStatus.ENDED, UnitStatus.RETIRED, UnitStatus.CANCELLED, UnitStatus.CONVERTED)


def as_a_month_before(rows: tuple[SourceRow, ...]) -> tuple[list[SourceRow], SourceRow | None]:
    """The rows with everything that ended still active, and one active row that states numbers."""
    before = []
    for row in rows:
        record = row.record
        if isinstance(record, UnitRow) and record.status in GONE:
            record = record._replace(status=UnitStatus.ACTIVE, effective=None, twin=None)
        before.append(row._replace(record=record))
    counted = (
        row
        for row in rows
        if isinstance(row.record, UnitRow)
        and row.record.status is UnitStatus.ACTIVE
        and row.record.batch.extent is Extent.AT_LEAST
    )
    return before, next(counted, None)


@pytest.mark.parametrize("registry", FOLDERS)
@given(window_rows=st.integers(1, 7), seed=st.integers(0, 2**32))
@settings(max_examples=4, deadline=None)
def test_batches_too_big_for_memory_are_planned_the_same(registry: str, window_rows: int, seed: int) -> None:
    world, whole, rows = imported(registry)
    other = new_ledger()
    report = import_rows(other, registry, rows, window_rows=window_rows)
    assert describe(other) == describe(world)
    assert (report.lines, report.plans) == (whole.lines, whole.plans)
    half = [row for row in rows if random.Random(seed + (row.record.source.row)).randrange(2)]
    plain, windowed = new_ledger(), new_ledger()
    first = [import_rows(plain, registry, part) for part in (half, rows)]
    second = [import_rows(windowed, registry, part, window_rows=window_rows) for part in (half, rows)]
    assert describe(windowed) == describe(plain)
    assert [each.lines for each in second] == [each.lines for each in first]


def test_an_issuance_that_comes_later_corrects_the_vintage() -> None:
    """Retirements of Cercarbono state one year; the issuance, when it is seen, the whole period."""
    world, _, rows = imported("cercarbono")
    wanted = {batch.name: (batch.vintage_start, batch.vintage_end) for _, batch in world.state.scan(t.BATCHES)}
    units = [(row, row.record) for row in rows if isinstance(row.record, UnitRow)]
    issued = [row for row, record in units if record.batch.extent is Extent.EXACT]
    other = new_ledger()
    import_rows(other, "cercarbono", [row for row, _ in units if row not in issued])
    years = {batch.name: (batch.vintage_start, batch.vintage_end) for _, batch in other.state.scan(t.BATCHES)}
    import_rows(other, "cercarbono", issued)
    now = {batch.name: (batch.vintage_start, batch.vintage_end) for _, batch in other.state.scan(t.BATCHES)}
    assert now == wanted
    assert any(years[name] != now[name] for name in years), "some of them were known by one year only"


def test_a_claimed_unit_that_ends_at_the_registry_is_restricted() -> None:
    world, _, rows = imported("verra")
    now = world.clone()
    later, block = after_a_month(rows)
    now.must("acme", op.OpenAccount(account="A", owner="acme"))
    number = now.state.get(t.BATCH_NUMBERS, block.batch.key)
    batch = now.state.get(t.BATCHES, number)
    assert batch is not None
    base = batch.base
    claims = [op.Range(batch=block.batch.key, first=block.serials.first - base, units=block.units)]
    proof = op.Evidence(digest=bytes(32), grade="B", reference="S")
    link = op.Link(
        account="A",
        registry="verra",
        registry_account="1",
        hub="acme",
        control=op.Link.OWNER,
        claims=claims,
        evidence=proof,
    )
    now.must("acme", link, approvals=("natreg",))
    import_rows(now, "verra", later)
    ((_, row),) = now.state.scan(t.DISCREPANCIES)
    assert (row.ledger, row.registry, row.piece.units) == ("FREE in A", "RETIRED", 40)
    restricted = now.state.get(t.BATCHES, number)
    assert restricted is not None
    assert restricted.restrictions == 1


# -- the page


@pytest.mark.parametrize("registry", FOLDERS)
def test_page_says_what_the_files_say(registry: str) -> None:
    _, report, rows = imported(registry)
    facts = report.summary(registry)
    assert facts["rows"] == len(rows)
    for grain in facts["grains"]:
        of_grain = [row.record for row in rows if row.record.grain.name == grain["grain"]]
        assert (grain["rows"], grain["units"]) == (len(of_grain), sum(record.units or 0 for record in of_grain))
    assert not refusals(report)
    assert len(facts["first"]) <= 5
    page = format_html(facts)
    assert "@" not in page.replace("@media", "").replace("@page", ""), "no addresses of people"
    assert "http" not in page
    assert format_json(facts) == format_json(report.summary(registry))
