"""Rows of a made-up Verra export, and a ledger that runs the real rules, to import them into."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime

from adapters.exports import Answer, Batch, Effective, Extent, Label, Period, Precision, RowSource, UnitRow, UnitStatus
from cli.importing.identity import Run
from cli.importing.model import BatchPlan, KnownBatch, KnownLot, Stranger, UnitSource
from cli.importing.packing import Parcel, build_parcels, build_registration
from keeling.serials import parse
from keeling.units import UnitState
from keeling.v1 import operations_pb2 as op
from network.standard_records import build_standard_records
from node.core import tables as t
from node.core.block import Answer as BlockAnswer
from node.core.intervals import MarkKind
from tests.fakes.world import World

UNASSIGNED = "unassigned@verra"
RUN = Run("run-1", "verra", hashlib.sha256(b"a file").digest(), "")
DAY = Effective(datetime(2026, 3, 20, tzinfo=UTC), Precision.DATE)


def row(
    first: int,
    last: int,
    status: UnitStatus = UnitStatus.ACTIVE,
    *,
    batch: int = 7,
    number: int = 0,
    labels: Sequence[str] = (),
    extent: Extent = Extent.AT_LEAST,
    first_known: bool = True,
    buffer_units: int = 0,
    project: str = "1340",
) -> UnitSource:
    """One row of the export."""
    serials = parse(f"{batch}-{first}-{last}-VCS-VCU-1-VER-ET-14-1340-01012020-31122020-0")
    vintage = Period(date(2020, 1, 1), date(2020, 12, 31))
    about = Batch(
        f"verra:{batch}", "VCS", project, vintage, "ETH", DAY, extent, vintage_exact=True, first_known=first_known
    )
    source = RowSource(number, number + 1, hashlib.sha256(repr((first, last, status)).encode()).digest())
    effective = None if status is UnitStatus.ACTIVE else DAY
    marks = tuple(Label(name, Answer.YES) for name in labels)
    return UnitSource(0, UnitRow(source, serials, status, about, effective, marks, buffer_units=buffer_units))


def new_world() -> World:
    """A ledger founded by `natreg`, which may import."""
    return World({"natreg": ("registry",), "acme": ("group",)}, build_standard_records("natreg"))


def parcels_of(plans: Sequence[BatchPlan]) -> list[Parcel]:
    """Every transaction of the plans, projects first, as if none of the projects were known."""
    new = {plan.about.project: build_registration(plan, "verra") for plan in plans if not plan.exists and plan.is_news}
    parcels = [Parcel("", (each,)) for each in new.values()]
    for plan in plans:
        parcels += build_parcels(plan, RUN, plan.issued, plan.shown)
    return parcels


def hand_in(world: World, parcels: Sequence[Parcel]) -> list[BlockAnswer]:
    """Execute each parcel in a block of its own."""
    return [world.run("natreg", *parcel.operations) for parcel in parcels]


def lots_of(world: World, batch: str) -> list[tuple[int, int, str, str]]:
    """(first number, last number, state, account) of every lot."""
    return [(lot.first, lot.last, lot.state, lot.account) for lot in _lots(world, batch, whole=True)]


def known_of(world: World, batch: str, space: str = "verra") -> KnownBatch:
    """What `lookup` would find of a batch; all of it, with every other batch of the space."""
    others = []
    found = KnownBatch()
    for key, item in world.state.scan(t.SPACES, space):
        first, name = t.SPACES.parts(key)[1], world.row(t.BATCHES, item.batch).name
        if name != batch:
            others.append(Stranger(name, first, item.last))
            continue
        about = world.row(t.BATCHES, item.batch)
        unseen = about.high - about.low + 1 - about.seen
        lots = tuple(_lots(world, batch, whole=False))
        found = KnownBatch(about.base + about.low, about.base + about.high, about.base, about.exact, unseen, lots)
    return found._replace(strangers=tuple(others))


def _lots(world: World, name: str, whole: bool) -> list[KnownLot]:
    number = world.state.get(t.BATCH_NUMBERS, name)
    if number is None:
        return []
    base, lots = world.row(t.BATCHES, number).base, []
    for key, lot in world.state.scan(t.LOTS, number):
        first = t.LOTS.parts(key)[1] + base
        account = world.state.get(t.ACCOUNTS, lot.account)
        assert account is not None
        known = KnownLot(first, first + lot.units - 1, UnitState(lot.state).name, account.name)
        known = known._replace(whole=(known.first, known.last))
        lots += [known] if whole else _cut(world, number, base, known)
    return lots


def _cut(world: World, number: int, base: int, lot: KnownLot) -> list[KnownLot]:
    """The lot unit by unit with its marks: slow and plainly right."""
    parts = []
    for at in range(lot.first, lot.last + 1):
        labels, said = set(), ""
        for key, mark in world.state.scan(t.MARKS, number):
            _, kind, name, first = t.MARKS.parts(key)
            if base + first <= at < base + first + mark.units:
                if kind == MarkKind.LABEL:
                    labels.add(name)
                if kind == MarkKind.REGISTRY_STATE:
                    said = mark.value
        parts.append(lot._replace(first=at, last=at, labels=frozenset(labels), said=said))
    return parts


def open_account(world: World, name: str, claims: Sequence[op.Range]) -> None:
    """An account of acme that has claimed units of Verra."""
    world.must("acme", op.OpenAccount(account=name, owner="acme"))
    link = op.Link(
        account=name,
        registry="verra",
        registry_account="1",
        hub="acme",
        control=op.Link.CUSTODY,
        claims=claims,
        evidence=op.Evidence(digest=bytes(32), grade="C"),
    )
    world.must("acme", link, approvals=["natreg"])
