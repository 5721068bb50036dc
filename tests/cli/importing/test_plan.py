"""Rows against what the ledger knows: fates as a table, and an import that may be stopped anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.exports import Extent, UnitStatus
from cli.importing.model import BatchPlan, Fate, KnownBatch, KnownLot, Stranger, UnitSource
from cli.importing.plan import plan_batch
from keeling.v1 import operations_pb2 as op
from tests.cli.importing.rows import (
    UNASSIGNED,
    hand_in,
    known_of,
    lots_of,
    new_world,
    open_account,
    parcels_of,
    row,
)
from tests.fakes.world import World

ACTIVE, ENDED, RETIRED, BUFFER = UnitStatus.ACTIVE, UnitStatus.ENDED, UnitStatus.RETIRED, UnitStatus.BUFFER


def lot(first: int, last: int, state: str = "FREE", account: str = UNASSIGNED, **more: Any) -> KnownLot:
    return KnownLot(first, last, state, account, whole=(first, last))._replace(**more)


def known(*lots: KnownLot, **more: Any) -> KnownBatch:
    first, last = min(x.first for x in lots), max(x.last for x in lots)
    unseen = last - first + 1 - sum(x.last - x.first + 1 for x in lots)
    return KnownBatch(first, last, 0, False, unseen, lots)._replace(**more)


FATES: list[tuple[str, UnitSource, KnownBatch, Fate, str]] = [
    ("nothing is known", row(10, 19), KnownBatch(), Fate.NEW, ""),
    ("a gap of the batch", row(10, 19), known(lot(1, 9), lot(20, 29)), Fate.NEW, ""),
    ("half of it", row(10, 19), known(lot(15, 24)), Fate.NEW, ""),
    ("beyond the extent", row(10, 19), known(lot(1, 5)), Fate.NEW, ""),
    ("the same state", row(10, 19), known(lot(10, 19)), Fate.KNOWN, ""),
    ("the same state in a wider lot", row(10, 19), known(lot(1, 99)), Fate.KNOWN, ""),
    ("ended since", row(10, 19, ENDED), known(lot(10, 19)), Fate.CHANGED, ""),
    (
        "ended since, of another registry than the file's",
        row(10, 19, ENDED),
        known(lot(10, 19, account="unassigned@acr"), registry="acr"),
        Fate.CHANGED,
        "",
    ),
    ("ended, and the ledger knows how", row(10, 19, ENDED), known(lot(10, 19, "RETIRED")), Fate.KNOWN, ""),
    ("undone at the registry", row(10, 19), known(lot(10, 19, "ENDED")), Fate.CONTRADICTS, ""),
    ("claimed and live", row(10, 19), known(lot(10, 19, "HELD", "A")), Fate.KNOWN, ""),
    ("instructed and ended", row(10, 19, ENDED), known(lot(10, 19, "INSTRUCTED", "A")), Fate.KNOWN, ""),
    ("claimed and ended behind our back", row(10, 19, ENDED), known(lot(10, 19, "FREE", "A")), Fate.CONTRADICTS, ""),
    ("a new label", row(10, 19, labels=["ccp"]), known(lot(10, 19)), Fate.LABELLED, ""),
    ("a known label", row(10, 19, labels=["ccp"]), known(lot(10, 19, labels=frozenset({"ccp"}))), Fate.KNOWN, ""),
    (
        "an issuance of units that ended since",
        row(10, 19, extent=Extent.EXACT),
        known(lot(10, 19, "RETIRED")),
        Fate.KNOWN,
        "",
    ),
    (
        "another batch has some",
        row(10, 19),
        KnownBatch(strangers=(Stranger("verra:8", 15, 30),)),
        Fate.REFUSED,
        "SERIALS_OVERLAP",
    ),
    (
        "another batch lies between",
        row(10, 19),
        known(lot(1, 5), strangers=(Stranger("verra:8", 7, 8),)),
        Fate.REFUSED,
        "BEYOND_ANOTHER_BATCH",
    ),
    ("outside an exact extent", row(10, 30), known(lot(10, 19), exact=True), Fate.REFUSED, "OUTSIDE_EXTENT"),
    (
        "an issuance that was another",
        row(10, 18, extent=Extent.EXACT),
        known(lot(10, 19), exact=True),
        Fate.REFUSED,
        "CONTRADICTION",
    ),
    ("across an alignment", row(2**63 - 1, 2**63), KnownBatch(), Fate.REFUSED, "OUTSIDE_EXTENT"),
]


@pytest.mark.parametrize(("rows", "ledger", "fate", "reason"), [f[1:] for f in FATES], ids=[f[0] for f in FATES])
def test_fates(rows: UnitSource, ledger: KnownBatch, fate: Fate, reason: str) -> None:
    (verdict,) = plan_batch("verra:7", [rows], ledger, UNASSIGNED).verdicts
    assert (verdict.fate, verdict.reason) == (fate, reason)


def test_a_row_of_another_project_than_its_batch_is_refused_and_says_both() -> None:
    planned = plan_batch("verra:7", [row(10, 19), row(20, 29, project="77"), row(30, 39)], KnownBatch(), UNASSIGNED)
    assert [verdict.fate for verdict in planned.verdicts] == [Fate.NEW, Fate.REFUSED, Fate.NEW]
    refused = planned.verdicts[1]
    assert refused.reason == "CONTRADICTION"
    assert refused.detail == "the row is of VCS 77, other rows of batch verra:7 are of VCS 1340"
    assert planned.about.project == "1340"


def plan(world: World, *rows: UnitSource, batch: str = "verra:7") -> BatchPlan:
    return plan_batch(batch, rows, known_of(world, batch), UNASSIGNED)


def take(world: World, *rows: UnitSource) -> BatchPlan:
    """Plan, hand everything in, and make sure that nothing is news any more."""
    planned = plan(world, *rows)
    hand_in(world, parcels_of([planned]))
    assert not plan(world, *rows).is_news
    return planned


def test_a_new_batch_with_its_unseen_units() -> None:
    world = new_world()
    planned = take(world, row(10, 19), row(30, 39, ENDED))
    assert lots_of(world, "verra:7") == [(10, 19, "FREE", UNASSIGNED), (30, 39, "ENDED", UNASSIGNED)]
    assert (planned.unseen_before, planned.unseen_after) == (0, 10)


def test_next_month_a_block_is_cut() -> None:
    world = new_world()
    take(world, row(1, 100))
    planned = take(world, row(1, 40, RETIRED), row(41, 100))
    assert [verdict.fate for verdict in planned.verdicts] == [Fate.CHANGED, Fate.KNOWN]
    assert (planned.lots_split, planned.units) == (1, {"changed": 40, "known": 60})
    assert lots_of(world, "verra:7") == [(1, 40, "RETIRED", UNASSIGNED), (41, 100, "FREE", UNASSIGNED)]


def test_a_whole_lot_that_ends_in_two_rows_is_not_split() -> None:
    world = new_world()
    take(world, row(1, 10))
    assert take(world, row(1, 4, RETIRED), row(5, 10, ENDED)).lots_split == 0


def test_an_issuance_and_its_retirements_in_one_run() -> None:
    world = new_world()
    issuance = row(1, 20, extent=Extent.EXACT, buffer_units=5)
    planned = take(world, row(3, 4, RETIRED), issuance)
    assert planned.becomes_exact
    assert [item[:3] for item in lots_of(world, "verra:7")] == [
        (1, 2, "FREE"),
        (3, 4, "RETIRED"),
        (5, 15, "FREE"),
        (16, 20, "BUFFER"),
    ]
    assert plan(world, row(21, 22)).verdicts[0].reason == "OUTSIDE_EXTENT"


def test_of_two_sizes_of_one_issuance_the_smaller_is_told() -> None:
    world = new_world()
    small, whole = (
        row(1, 10, extent=Extent.EXACT, first_known=False),
        row(1, 12, extent=Extent.EXACT, first_known=False),
    )
    refused, taken = plan(world, small, whole).verdicts
    assert (taken.fate, refused.reason) == (Fate.NEW, "CONTRADICTION")
    assert refused.detail == "the row shows an issuance of 1 to 10, which was shown as 1 to 12"


@pytest.mark.parametrize(("seen_zero", "numbers"), [(True, (0, 9)), (False, (1, 10))])
def test_an_issuance_without_numbers_starts_where_others_show(seen_zero: bool, numbers: tuple[int, int]) -> None:
    world = new_world()
    issuance = row(1, 10, extent=Extent.EXACT, first_known=False)
    rows = [issuance, row(0, 3, RETIRED)] if seen_zero else [issuance]
    take(world, *rows)
    lots = lots_of(world, "verra:7")
    assert (lots[0][0], lots[-1][1]) == numbers


def test_labels_are_news_once() -> None:
    world = new_world()
    take(world, row(1, 10))
    planned = take(world, row(1, 5, labels=["ccp", "corsia:first"]))
    assert planned.verdicts[0].fate is Fate.LABELLED


def test_a_contradiction_is_recorded_once_and_restricts() -> None:
    world = new_world()
    take(world, row(1, 10))
    open_account(world, "A", [op.Range(batch="verra:7", first=1, units=10)])
    planned = take(world, row(1, 3, RETIRED))
    assert planned.verdicts[0].fate is Fate.CONTRADICTS
    assert lots_of(world, "verra:7") == [(1, 10, "FREE", "A")]
    again = plan(world, row(1, 3, RETIRED))
    assert (again.verdicts[0].fate, again.is_news) == (Fate.CONTRADICTS, False)


STATUSES = st.sampled_from([ACTIVE, ENDED, RETIRED, BUFFER])


@st.composite
def exports(draw: st.DrawFn) -> list[UnitSource]:
    """Disjoint rows of one batch, in any order."""
    borders = sorted(draw(st.sets(st.integers(1, 60), min_size=2, max_size=12)))
    pieces = [(first, after - 1) for first, after in pairwise(borders)]
    chosen = draw(st.permutations([piece for piece in pieces if draw(st.booleans())]))
    labels = st.lists(st.sampled_from(["ccp", "corsia:first"]), unique=True)
    return [row(*piece, draw(STATUSES), labels=draw(labels)) for piece in chosen]


@settings(max_examples=25, deadline=None)
@given(exports(), exports(), st.data())
def test_an_import_that_is_stopped_anywhere_ends_in_the_same_state(
    old: list[UnitSource], new: list[UnitSource], data: st.DataObject
) -> None:
    whole, stopped = new_world(), new_world()
    for rows in (old, new):
        if not rows:
            continue
        take(whole, *rows)
        _stop_and_go_on(stopped, rows, data)
    assert lots_of(stopped, "verra:7") == lots_of(whole, "verra:7")
    assert known_of(stopped, "verra:7") == known_of(whole, "verra:7")


def _stop_and_go_on(world: World, rows: Sequence[UnitSource], data: st.DataObject) -> None:
    """Hand in one row after the other in transactions of their own, each time planned anew, some twice."""
    for size in range(1, len(rows) + 1):
        if data.draw(st.booleans()):
            parcels = parcels_of([plan(world, *rows[:size])])
            count = data.draw(st.integers(0, len(parcels)))
            hand_in(world, parcels[:count])
            if data.draw(st.booleans()):
                hand_in(world, parcels[:count])  # the answer was lost, and the same was handed in again
    take(world, *rows)
