"""Several accounts here of one account there, and units that are blocked on one side, on both, and on neither."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.contract import ChangeKind, HoldingState
from adapters.sandbox.puro import ACCOUNTS
from hub.reconcile.books import POOL_NAMED_MAX, name_pool
from hub.reconcile.classes import BLOCKED_HERE, Kind
from hub.reconcile.rules import Action
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import DAY_MS, EVIDENCE, UNITS, Stage, play
from tests.hub.inbound.scene import change, open_hub, restricted
from tests.hub.reconcile.test_reconcile import Listing, open_reconciler, shown, tell
from tests.node.reads.trading_world import hold_id

BLOCKED = HoldingState.BLOCKED


def link(stage: Stage, account: str, there: str, first: int = 0, units: int = 0) -> None:
    """Another account here, with some of alice's units."""
    stage.world.must("alice", op.OpenAccount(account=account, owner="alice"))
    made = op.Link(account=account, registry="puro", registry_account=there, hub="hub", control=op.Link.CUSTODY)
    stage.world.must("alice", made, approvals=("alice", "hub"))
    if units:
        part = op.Range(batch="corc-1", first=first, units=units)
        leg = op.UnitLeg(from_account="alice/puro", to_account=account, selection=op.Selection(ranges=[part]))
        stage.world.must("alice", op.Transfer(units=[leg]))


def test_accounts_that_share_one_there_are_compared_as_one_sum() -> None:
    async def story(stage: Stage) -> None:
        link(stage, "alice/second", ACCOUNTS[0], 1, 400)
        link(stage, "alice/empty", ACCOUNTS[0])
        link(stage, "alice/other", ACCOUNTS[1])
        run = await open_reconciler(stage, Listing(shown(1, UNITS))).reconcile("puro")
        assert tell(run) == [("agreed", UNITS, "")]
        books = [shown(1, 300), shown(301, 9_100, account=ACCOUNTS[1]), shown(9_101, UNITS)]
        run = await open_reconciler(stage, Listing(*books)).reconcile("puro")
        assert tell(run) == [("agreed", 300 + 900, ""), ("owner", 8_800, "restrict")]
        pool = "alice/empty + alice/puro + alice/second"
        assert {line.difference.here.account for line in run.lines if line.difference.here} == {pool}
        assert {line.difference.there.account for line in run.lines if line.difference.there} == {"alice/other"}
        assert sum(units for _, units, _ in tell(run)) == UNITS, "every unit once"

    play(story)


def test_a_hold_of_one_account_of_a_pool_explains_what_happened_there() -> None:
    async def story(stage: Stage) -> None:
        link(stage, "alice/second", ACCOUNTS[0], 9_001, 400)
        hub, hold = stage.hub(), stage.place(units=100, first=1)
        await hub.step()
        rows = [shown(1, 9_300), shown(9_301, 9_400, HoldingState.RETIRED), shown(9_401, UNITS)]
        run = await open_reconciler(stage, Listing(*rows), hub).reconcile("puro")
        assert [(name, units) for name, units, _ in tell(run)[1:]] == [("in flight", 100), ("in flight", 100)]
        assert (await stage.hold(hold)).phase == "INSTRUCTED"

    play(story, approval_ms=86_400_000)


@pytest.mark.parametrize(
    ("there", "classes"),
    [(ACCOUNTS[1], [("in flight", 100, "wait")]), (ACCOUNTS[0], [("in flight", 100, "wait")])],
    ids=["arrived", "still there"],
)
def test_units_are_in_flight_where_another_hubs_instruction_moves_them(there: str, classes: list[Any]) -> None:
    async def story(stage: Stage) -> None:
        link(stage, "alice/other", ACCOUNTS[1])
        hold = move(stage, 1, 100)
        rows = [shown(1, 100, account=there), shown(101, UNITS)]
        run = await open_reconciler(stage, Listing(*rows)).reconcile("puro")
        assert tell(run) == [("agreed", UNITS - 100, ""), *classes]
        assert await restricted(stage) == []
        assert (await stage.hold(hold)).phase == "INSTRUCTED"

    play(story)


def test_units_that_went_elsewhere_than_they_were_sent_are_restricted() -> None:
    async def story(stage: Stage) -> None:
        link(stage, "alice/other", ACCOUNTS[1])
        link(stage, "alice/third", "a third account there")
        move(stage, 1, 100)
        rows = [shown(1, 100, account="a third account there"), shown(101, UNITS)]
        run = await open_reconciler(stage, Listing(*rows)).reconcile("puro")
        assert tell(run) == [("agreed", UNITS - 100, ""), ("owner", 100, "restrict")]
        assert await restricted(stage) == [(1, 100)]

    play(story)


def move(stage: Stage, first: int, units: int) -> bytes:
    """A hold that moves units to alice's other account, instructed by a process that is not asked here."""
    hold = op.Hold(
        hold=hold_id("move"),
        account="alice/puro",
        selection=op.Selection(ranges=[op.Range(batch="corc-1", first=first, units=units)]),
        purpose=op.Hold.FOR_TRANSFER,
        to_account="alice/other",
        expires_ms=stage.world.now_ms + DAY_MS,
    )
    stage.world.must("alice", hold)
    stage.world.must("hub", op.Dispatch(hold=hold.hold, attempt=1, instruction=bytes(32)))
    return hold.hold


def test_a_pool_is_called_by_its_accounts_and_a_large_one_by_its_account_there() -> None:
    assert name_pool("T", ["b", "a"]) == "a + b"
    many = [f"a{n}" for n in range(POOL_NAMED_MAX + 1)]
    assert name_pool("T", many) == f"a0 + {POOL_NAMED_MAX} more of T" != name_pool("U", many)


async def block(stage: Stage, name: str, first: int, units: int) -> None:
    if name == "inbound":
        await open_hub(stage).intake.take("puro", [change("e1", ChangeKind.BLOCKED, first, first + units - 1)], "B")
        return
    ranges = [op.Range(batch="corc-1", first=first, units=units)]
    said = op.Restrict(restriction=name, ranges=ranges, reason="said", evidence=EVIDENCE)
    assert (await stage.ledger.submit(said)).accepted


CASES: list[tuple[str, list[Any], list[tuple[str, int, str]]]] = [
    ("inbound", [shown(11, 20, BLOCKED)], []),
    ("session/IEX", [shown(11, 20, BLOCKED)], []),
    ("session/IEX", [shown(11, 20)], []),
    ("authorization/L-1", [shown(11, 20, BLOCKED)], []),
    ("inbound", [shown(11, 15, BLOCKED), shown(16, 20)], [("state", 5, "ask")]),
    ("inbound", [shown(11, 20, HoldingState.RETIRED)], [("state", 10, "restrict")]),
    ("court", [shown(11, 20, BLOCKED)], [("state", 10, "restrict")]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda each: f"{each[0]} {each[1][0].state}")
def test_what_is_blocked_there_and_restricted_for_it_here_agrees(case: Any) -> None:
    name, rows, expected = case

    async def story(stage: Stage) -> None:
        await block(stage, name, 11, 10)
        listing = Listing(shown(1, 10), *rows, shown(21, UNITS), page=9)
        run = await open_reconciler(stage, listing).reconcile("puro")
        assert tell(run)[1:] == expected
        for line in run.lines:
            if line.action is Action.ASK:
                assert line.difference.here is not None
                assert line.difference.here.state == BLOCKED_HERE
                assert "no longer shows" in line.difference.why

    play(story)


def test_only_the_part_that_is_not_restricted_for_its_block_is_a_break_and_its_end_frees_all() -> None:
    """What the reconciler restricts because it is blocked, the registry's own word frees, as if it had been first."""

    async def story(stage: Stage) -> None:
        await block(stage, "inbound", 14, 3)
        listing = Listing(shown(1, 10), shown(11, 20, BLOCKED), shown(21, UNITS), as_of_ms=stage.world.now_ms)
        reconciler = open_reconciler(stage, listing)
        run = await reconciler.reconcile("puro")
        assert tell(run)[1:] == [("state", 7, "restrict")]
        assert await restricted(stage) == [(11, 13), (14, 16), (17, 20)]
        again = await reconciler.reconcile("puro", run)
        assert tell(again) == [("agreed", UNITS, "")]
        told = [
            change("e1", ChangeKind.BLOCKED, 11, 20),
            change("e2", ChangeKind.UNBLOCKED, 11, 20, at_ms=stage.world.now_ms + 1, reference="row"),
        ]
        await open_hub(stage).intake.take("puro", told, "B")
        assert await restricted(stage) == [(14, 16)], "e1 is of another reference than the list's rows"
        over = change("e3", ChangeKind.UNBLOCKED, 11, 20, at_ms=stage.world.now_ms + 2)
        await open_hub(stage).intake.take("puro", [over], "B")
        assert await restricted(stage) == []
        listing.rows = [shown(1, UNITS)]
        assert tell(await reconciler.reconcile("puro", again)) == [("agreed", UNITS, "")]

    play(story)


def test_a_kind_is_only_asked_about_where_the_registry_itself_freed_it() -> None:
    async def story(stage: Stage) -> None:
        await block(stage, "inbound", 11, 10)
        listing = Listing(shown(1, 10), shown(21, UNITS))
        run = await open_reconciler(stage, listing).reconcile("puro")
        assert [(line.difference.kind, line.action, line.outcome) for line in run.lines] == [
            (Kind.MISSING_THERE, Action.RESTRICT, "restricted already")
        ]

    play(story)
