"""Real exports into a ledger in memory: the real parsers, plans, operations and rules, without a node between them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

from adapters.registry import parse_file
from cli.importing.big import plan_big
from cli.importing.identity import Run, day_of_run, identify_run
from cli.importing.lookup import Between
from cli.importing.model import BatchPlan, KnownBatch, KnownLot, SourceRow, Stranger, Verdict
from cli.importing.packing import pack_submissions
from cli.importing.page import build_batch, build_row
from cli.importing.report import Tally
from cli.importing.run import pack_news, plan_all, read_lines
from cli.importing.spool import Spool
from hub.reports.summary import Summary
from keeling.units import UnitState, unassigned_account
from network.standard_records import build_standard_records
from node.core import tables as t
from node.core.intervals import MarkKind, read_marks
from node.core.records import Batch, Lot
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


class WorldLedger:
    """What a node would answer, from a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def describe(self, key: str) -> KnownBatch:
        number = self._world.state.get(t.BATCH_NUMBERS, key)
        if number is None:
            return KnownBatch()
        batch = _batch(self._world, number)
        return KnownBatch(
            batch.base + batch.low,
            batch.base + batch.high,
            batch.base,
            batch.exact,
            batch.high - batch.low + 1 - batch.seen,
            assumed=self._world.state.get(t.ASSUMED, number) is not None,
            registry=batch.registry,
        )

    def find(self, key: str, known: KnownBatch, space: str, span: tuple[int, int], starts: Sequence[int]) -> Between:
        lots, others = list[KnownLot](), set[str]()
        for at, item in self._world.state.scan(t.SPACES, space):
            batch, first = _batch(self._world, item.batch), t.SPACES.parts(at)[1]
            if first <= span[1] and span[0] <= item.last:
                if batch.name != key:
                    others.add(batch.name)
                else:
                    lots += [lot for each in _lots(self._world, item.batch, batch) for lot in _clip(each, span)]
        return Between(lots, others)

    def describe_other(self, name: str) -> Stranger:
        known = self.describe(name)
        return Stranger(name, known.first, known.last)


def _clip(lot: KnownLot, span: tuple[int, int]) -> list[KnownLot]:
    clipped = lot._replace(first=max(lot.first, span[0]), last=min(lot.last, span[1]))
    return [clipped] if clipped.first <= clipped.last else []


class Imported(NamedTuple):
    """What an import came to."""

    files: tuple[str, ...]
    run: Run
    lines: tuple[tuple[SourceRow, Verdict], ...]
    plans: tuple[BatchPlan, ...]

    def facts(self) -> dict[str, Any]:
        """The command's own facts."""
        tally = Tally(self.files)
        for source, verdict in self.lines:
            tally.add(source, verdict)
        return tally.facts(self.plans)

    def summary(self, registry: str) -> dict[str, Any]:
        """The owner's report."""
        summary = Summary(registry, self.run.id, self.files, ())
        for source, verdict in self.lines:
            summary.add_row(build_row(self.files, source, verdict))
        for plan in self.plans:
            summary.add_batch(build_batch(plan))
        return summary.finish({})


def import_rows(
    world: World,
    registry: str,
    rows: Sequence[SourceRow],
    names: tuple[str, ...] = ("",),
    *,
    as_of: str = "",
    window_rows: int | None = None,
) -> Imported:
    """Import rows as one run: a block for each submission. Anything the ledger refuses is a failure of the test.

    With `window_rows` every batch is planned as one that is too big for memory.
    """
    known = {t.PROJECTS.parts(key)[0] for key, _ in world.state.scan(t.PROJECTS)}
    with Spool() as spool:
        for row in rows:
            spool.add(row.file, [row.record])
        run = identify_run(registry, [row.record for row in rows], as_of)
        if window_rows is None:
            plan_all(WorldLedger(world), spool, run)
        else:
            for batch in spool.batches():
                plan_big(WorldLedger(world), spool, batch, unassigned_account(registry), run.as_of, window_rows)
        parcels = pack_news(spool, run, spool.batches(), lambda some: [op for op in some if op.project not in known])
        for group in pack_submissions(parcels):
            raws = [world.transaction("natreg", *parcel.operations) for parcel in group]
            for answer in world.block(world.submission("natreg", *raws)).submissions[0].answers:
                assert answer.refusal is None, answer.refusal
        return Imported(names, run, tuple(read_lines(spool)), tuple(plan for _, plan in spool.plans()))


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
            lots.append(KnownLot(*numbers, state, account.name, labels, said, whole, _as_of(world, lot)))
    return lots


def _as_of(world: World, lot: Lot) -> str:
    """What `lookup` makes of the event that put a lot where it is."""
    block = world.blocks[lot.height - 1]
    event = block.events[lot.ordinal]
    run = event.fact("run")
    said = event.effective.ms if event.effective.ms not in (0, block.header.time_ms) else 0
    return max(day_of_run(run), datetime.fromtimestamp(said / 1000, UTC).date().isoformat() if said else "")


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


def refusals(report: Imported) -> list[tuple[int, str]]:
    """(row, reason) of every refused row."""
    return [(source.record.source.row, verdict.reason) for source, verdict in report.lines if verdict.fate == "refused"]
