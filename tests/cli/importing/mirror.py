"""Real exports into a ledger in memory: the real parsers, plans, operations and rules, without a node between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from adapters.exports import Record, UnitRow
from adapters.registry import parse_file
from cli.importing.model import BatchPlan, KnownBatch, KnownLot, SourceRow, Stranger, UnitSource
from cli.importing.packing import Parcel, build_parcels, build_registrations, pack_submissions
from cli.importing.plan import plan_batch
from cli.importing.report import Line, Report, judge
from cli.importing.run import identify_run
from keeling.units import UnitState, unassigned_account
from network.standard_records import build_standard_records
from node.core import tables as t
from node.core.intervals import MarkKind, read_marks
from node.core.records import Batch
from tests.adapters.exports import EXPORTS
from tests.fakes.world import World

FOLDERS = {
    "verra": "verra",
    "gold_standard": "gold-standard",
    "acr": "american-carbon-registry",
    "car": "climate-action-reserve",
    "art": "art-trees",
    "cercarbono": "cercarbono",
    "isometric": "isometric",
    "arb": "arb",
}
"""Where the exports of each registry lie."""


def new_ledger() -> World:
    """A ledger whose founder may import for every registry we read."""
    return World({"natreg": ("registry",), "acme": ("group",)}, build_standard_records("natreg"))


def read_rows(registry: str) -> tuple[tuple[str, ...], list[SourceRow]]:
    """All rows of a registry's real exports; files that are no units of it (projects) are left out."""
    rows, names = [], []
    for path in sorted((EXPORTS / FOLDERS[registry]).glob("*.csv")):
        if path.name == "projects.csv":
            continue
        names.append(path.name)
        parsed = parse_file(registry, path.read_bytes(), file_name=path.name)
        rows += [SourceRow(len(names) - 1, record) for record in parsed.rows()]
    return tuple(names), rows


def plan_rows(world: World, registry: str, rows: Iterable[SourceRow]) -> list[BatchPlan]:
    """What an import of these rows would do to the ledger as it is."""
    batches: dict[str, list[UnitSource]] = {}
    for row in rows:
        if isinstance(row.record, UnitRow):
            batches.setdefault(row.record.batch.key, []).append(UnitSource(row.file, row.record))
    account = unassigned_account(registry)
    return [plan_batch(key, chosen, know(world, key, chosen), account) for key, chosen in batches.items()]


def import_rows(world: World, registry: str, rows: Sequence[SourceRow], names: tuple[str, ...] = ("",)) -> Report:
    """Import rows as one run: a block for each submission. Anything the ledger refuses is a failure of the test."""
    plans = plan_rows(world, registry, rows)
    records: list[Record] = [row.record for row in rows]
    run = identify_run(registry, records)
    known = [t.PROJECTS.parts(key)[0] for key, _ in world.state.scan(t.PROJECTS)]
    projects = [each for each in build_registrations(plans, registry) if each.project not in known]
    parcels = [Parcel("", (each,)) for each in projects]
    parcels += [parcel for plan in plans if plan.is_news for parcel in build_parcels(plan, run)]
    for group in pack_submissions(parcels):
        raws = [world.transaction("natreg", *parcel.operations) for parcel in group]
        for answer in world.block(world.submission("natreg", *raws)).submissions[0].answers:
            assert answer.refusal is None, answer.refusal
    verdicts = {
        (row.file, row.record.source.row): verdict
        for plan in plans
        for row, verdict in zip(plan.rows, plan.verdicts, strict=True)
    }
    lines = [Line(row, judge(row.record) or verdicts[row.file, row.record.source.row]) for row in rows]
    return Report(names, tuple(lines), tuple(plans))


def know(world: World, key: str, rows: Sequence[UnitSource]) -> KnownBatch:
    """What `lookup` finds of a batch."""
    space, strangers, found = rows[0].record.serials.space, list[Stranger](), KnownBatch()
    for at, item in world.state.scan(t.SPACES, space):
        batch, first = _batch(world, item.batch), t.SPACES.parts(at)[1]
        if batch.name != key:
            strangers.append(Stranger(batch.name, first, item.last))
            continue
        found = KnownBatch(
            batch.base + batch.low,
            batch.base + batch.high,
            batch.base,
            batch.exact,
            batch.high - batch.low + 1 - batch.seen,
            tuple(_lots(world, item.batch, batch)),
            assumed=world.state.get(t.ASSUMED, item.batch) is not None,
        )
    return found._replace(strangers=tuple(strangers))


def _batch(world: World, number: int) -> Batch:
    found = world.state.get(t.BATCHES, number)
    assert found is not None
    return found


def _lots(world: World, number: int, batch: Batch) -> list[KnownLot]:
    lots = []
    for key, lot in world.state.scan(t.LOTS, number):
        first = t.LOTS.parts(key)[1]
        marks = [
            (kind, name, mark.value, at, at + mark.units)
            for kind, name, at, mark in read_marks(world.state, number, first, lot.units)
            if kind in (MarkKind.LABEL, MarkKind.REGISTRY_STATE)
        ]
        borders = {first, first + lot.units}
        borders |= {at for mark in marks for at in mark[3:] if first < at < first + lot.units}
        account = world.state.get(t.ACCOUNTS, lot.account)
        assert account is not None
        whole = (batch.base + first, batch.base + first + lot.units - 1)
        for at, after in pairwise(sorted(borders)):
            on = [mark for mark in marks if mark[3] <= at and after <= mark[4]]
            labels = frozenset(name for kind, name, *_ in on if kind == MarkKind.LABEL)
            said = next((value for kind, _, value, *_ in on if kind == MarkKind.REGISTRY_STATE), "")
            state = UnitState(lot.state).name
            numbers = (batch.base + at, batch.base + after - 1)
            lots.append(KnownLot(*numbers, state, account.name, labels, said, whole))
    return lots


def describe(world: World) -> dict[str, object]:
    """The ledger without what depends on the order of imports: no heights, no internal numbers, no ids."""
    names = {t.BATCHES.parts(key)[0]: batch for key, batch in world.state.scan(t.BATCHES)}
    accounts = {t.ACCOUNTS.parts(key)[0]: account.name for key, account in world.state.scan(t.ACCOUNTS)}
    return {
        "batches": {(b.name, b.low, b.high, b.exact, b.seen, b.restrictions, b.host, b.space) for b in names.values()},
        "assumed": {batch.name for number, batch in names.items() if world.state.get(t.ASSUMED, number) is not None},
        "lots": {
            (names[number].name, first, lot.units, accounts[lot.account], lot.state)
            for (number, first), lot in ((t.LOTS.parts(key), lot) for key, lot in world.state.scan(t.LOTS))
        },
        "holdings": {
            (accounts[account], state, names[number].name, first, holding.units)
            for (account, state, number, first), holding in (
                (t.HOLDINGS.parts(key), holding) for key, holding in world.state.scan(t.HOLDINGS)
            )
        },
        "totals": {
            (accounts[account], state, names[number].name, total.units, total.lots)
            for (account, state, number), total in (
                (t.TOTALS.parts(key), total) for key, total in world.state.scan(t.TOTALS)
            )
        },
        "marks": {
            (names[number].name, kind, name, first, mark.units, mark.value if kind != MarkKind.TWIN else "")
            for (number, kind, name, first), mark in (
                (t.MARKS.parts(key), mark) for key, mark in world.state.scan(t.MARKS)
            )
        },
        "proposals": {
            (names[number].name, first, row.units, row.destination, row.status)
            for (number, first), row in ((t.PROPOSALS.parts(key), row) for key, row in world.state.scan(t.PROPOSALS))
        },
    }


def units_in(world: World, account: str, state: UnitState) -> int:
    """Units of an account in a state, over all its batches."""
    number = world.state.get(t.ACCOUNT_NUMBERS, account)
    return sum(total.units for _, total in world.state.scan(t.TOTALS, number, state))


def refusals(report: Report) -> list[tuple[int, str]]:
    """(row, reason) of every refused row."""
    return [
        (line.source.record.source.row, line.verdict.reason) for line in report.lines if line.verdict.fate == "refused"
    ]
