"""Reconciliations of a real ledger with Puro's sandbox, and with lists that a test writes itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from adapters.capabilities import Capabilities
from adapters.contract import Driver, Holding, Holdings, HoldingState, Throttled, Trouble, Unavailable, WrongShape
from adapters.puro.basis import CAPABILITIES
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.puro import ACCOUNTS
from hub.dispatch.run import Dispatcher
from hub.ledger_client import digest_of
from hub.reconcile.classes import Kind
from hub.reconcile.report import COLUMNS, Run, draw_table, encode_run, sum_up, tell_run, write_csv
from hub.reconcile.rules import GRADES, TABLE, Action
from hub.reconcile.run import Bench, Page, Reconciler
from keeling.serials import SerialRange, parse
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import DAY_MS, SERIAL, UNITS, Stage, play
from tests.hub.memory_ledger import lose_answer

WHOLE = parse(SERIAL)


class Listing:
    """An adapter whose books are what a test says."""

    name = "puro"
    driver = Driver.SANDBOX

    def __init__(self, *rows: Holding, **changed: Any) -> None:
        self.rows: Sequence[Holding] = rows
        self.grade = changed.get("grade", "B")
        self.stated = changed.get("stated")
        self.trouble: Trouble | None = changed.get("trouble")
        self.as_of_ms = changed.get("as_of_ms", 0)
        self.page = int(changed.get("page", 2))
        self.unread: tuple[str, ...] = changed.get("unread", ())

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES._replace(grade=self.grade)

    async def snapshot(self, page: str = "") -> Holdings | Trouble:
        if self.trouble is not None:
            return self.trouble
        at = int(page or 0)
        more = str(at + self.page) if at + self.page < len(self.rows) else ""
        return Holdings(tuple(self.rows[at : at + self.page]), more, self.as_of_ms, self.stated, self.unread)


def shown(first: int, last: int, state: HoldingState = HoldingState.ACTIVE, account: str = ACCOUNTS[0]) -> Holding:
    return Holding(WHOLE._replace(first=first, last=last), account, state, "row")


def open_reconciler(stage: Stage, adapter: Any = None, hub: Dispatcher | None = None) -> Reconciler:
    now = lambda: stage.world.now_ms  # noqa: E731
    adapters = {"puro": adapter or stage.adapter}
    return Reconciler(Bench(stage.ledger, adapters, hub or stage.hub(), stage.keep, now))


def tell(run: Run) -> list[tuple[str, int, str]]:
    return [(each.name, each.units, each.action) for each in sum_up(run)]


def test_books_that_agree_are_one_row_and_on_record() -> None:
    async def story(stage: Stage) -> None:
        run = await open_reconciler(stage).reconcile("puro")
        assert tell(run) == [("agreed", UNITS, "")]
        anchor = stage.ledger.said[-1]
        assert isinstance(anchor, op.Anchor)
        assert (anchor.kind, anchor.digest) == ("reconciliation", digest_of(encode_run(run)))
        assert stage.shelf[anchor.digest] == encode_run(run)
        assert int(run.anchored) > 0

    play(story)


def test_what_is_under_way_is_in_flight_then_late_and_heals_when_the_registry_has_done_it() -> None:
    async def story(stage: Stage) -> None:
        hub = stage.hub()
        hold = stage.place(units=100)
        await hub.step()
        reconciler = open_reconciler(stage, hub=hub)
        run = await reconciler.reconcile("puro")
        assert tell(run) == [("agreed", UNITS - 100, ""), ("in flight", 100, "wait")]
        assert run.broken_units == 0
        stage.later(3_600_000)
        assert (await stage.hold(hold)).phase == "INSTRUCTED"
        run = await reconciler.reconcile("puro", run)
        assert tell(run)[1][2] == "heal"
        assert [line.outcome for line in run.lines] == ["asked"]
        assert (await stage.hold(hold)).phase == "CAPTURED"
        run = await reconciler.reconcile("puro", run)
        assert tell(run) == [("agreed", UNITS, "")]

    play(story, approval_ms=3_600_000)


def test_a_retirement_nobody_asked_for_is_restricted_once_and_the_other_units_go_on() -> None:
    async def story(stage: Stage) -> None:
        listing = Listing(shown(1, 500), shown(501, 520, HoldingState.RETIRED), shown(521, UNITS))
        reconciler = open_reconciler(stage, listing)
        run = await reconciler.reconcile("puro")
        assert tell(run) == [("agreed", UNITS - 20, ""), ("state", 20, "restrict")]
        assert [line.outcome for line in run.lines] == ["contradiction recorded"]
        found = await stage.ledger.discrepancies()
        assert [(d.ledger, d.claimed, d.restricted) for d in found] == [("FREE in alice/puro", "RETIRED", True)]
        stage.later(DAY_MS)
        again = await reconciler.reconcile("puro", run)
        assert [line.outcome for line in again.lines] == ["restricted already"]
        assert len(await stage.ledger.discrepancies()) == 1
        assert again.lines[0].difference.since_ms == run.lines[0].difference.since_ms
        assert stage.place(first=1, units=10)

    play(story)


CASES = [
    ("a list that misses units", [shown(1, 9_900)], Kind.MISSING_THERE, 100, Action.RESTRICT),
    (
        "another account of ours",
        [shown(1, 9_900), shown(9_901, UNITS, account=ACCOUNTS[1])],
        Kind.OWNER,
        100,
        "restrict",
    ),
    ("shown twice", [shown(1, UNITS), shown(7, 9)], Kind.OVERLAP, 3, "restrict"),
    ("more than is known", [shown(1, UNITS + 50)], Kind.QUANTITY, 50, "ask"),
    ("never seen", [shown(1, UNITS), shown(UNITS + 1, UNITS + 9)], Kind.MISSING_HERE, 9, "ask"),
    (
        "blocked by nobody here",
        [shown(1, UNITS - 4), shown(UNITS - 3, UNITS, HoldingState.BLOCKED)],
        Kind.STATE,
        4,
        "restrict",
    ),
    (
        "lives elsewhere",
        [shown(1, UNITS - 4), shown(UNITS - 3, UNITS, HoldingState.CONVERTED)],
        Kind.TWIN,
        4,
        "restrict",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda each: each[0])
def test_each_class_and_what_is_done(case: tuple[str, list[Holding], Kind, int, str]) -> None:
    _, rows, kind, units, action = case

    async def story(stage: Stage) -> None:
        reconciler = open_reconciler(stage, Listing(*rows))
        run = await reconciler.reconcile("puro")
        found = [each for each in tell(run) if each[0] != "agreed"]
        assert found == [(kind.value, units, str(action))]
        done = [line.outcome for line in run.lines if line.action is Action.RESTRICT]
        assert all(each in ("restricted", "contradiction recorded") for each in done)
        again = await reconciler.reconcile("puro", run)
        assert all(line.outcome == "restricted already" for line in again.lines if line.action is Action.RESTRICT)

    play(story)


@pytest.mark.parametrize("grade", ["C", "D"])
def test_a_public_list_is_only_a_question(grade: str) -> None:
    async def story(stage: Stage) -> None:
        run = await open_reconciler(stage, Listing(shown(1, 9_900), grade=grade)).reconcile("puro")
        assert [line.action for line in run.lines] == [Action.ASK]
        assert [type(each).__name__ for each in stage.ledger.said] == ["Anchor"]

    play(story)


def test_only_a_confirmation_heals_by_itself() -> None:
    assert set(TABLE) == set(Kind)
    assert all(set(row) == set(GRADES) and Action.HEAL not in row.values() for row in TABLE.values())


ALARMS = [
    (Listing(), "registry shrank"),
    (Listing(shown(1, 5_000)), "registry shrank"),
    (Listing(shown(1, UNITS), stated=UNITS + 1), "total disagrees"),
    (Listing(trouble=WrongShape("a page of HTML")), "wrong shape"),
    (Listing(trouble=Unavailable("closed")), "unreachable"),
]


@pytest.mark.parametrize("case", ALARMS, ids=lambda each: each[1])
def test_an_alarm_changes_nothing_and_makes_no_differences(case: tuple[Listing, str]) -> None:
    async def story(stage: Stage) -> None:
        run = await open_reconciler(stage, case[0]).reconcile("puro")
        assert run.alarm.startswith(case[1])
        assert run.lines == ()
        assert [type(each).__name__ for each in stage.ledger.said] == ["Anchor"]
        assert "ALARM" in draw_table(run)[1]

    play(story)


def test_the_sandbox_says_html_and_nothing_is_made_of_it() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.HTML, "^GET"))
        run = await open_reconciler(stage).reconcile("puro")
        assert run.alarm.startswith("wrong shape")

    play(story)


def test_a_list_may_shrink_by_what_ended_here_and_no_more() -> None:
    async def story(stage: Stage) -> None:
        listing = Listing(shown(1, UNITS))
        hub = stage.hub()
        reconciler = open_reconciler(stage, listing, hub)
        run = await reconciler.reconcile("puro")
        hold = stage.place(units=4_000, first=1)
        await stage.settle(hub, hold)
        listing.rows = [shown(4_001, UNITS)]
        after = await reconciler.reconcile("puro", run)
        assert tell(after) == [("agreed", 6_000, ""), ("ended, no longer listed there", 4_000, "")]
        listing.rows = [shown(4_001, 5_000)]
        assert (await reconciler.reconcile("puro", after)).alarm.startswith("registry shrank")
        believed = await reconciler.reconcile("puro", after, believe_shrunk=True)
        assert [line.difference.units for line in believed.lines] == [5_000]

    play(story)


def test_books_read_before_the_ledger_changed_accuse_nobody() -> None:
    async def story(stage: Stage) -> None:
        listing = Listing(shown(1, UNITS), as_of_ms=stage.world.now_ms)
        stage.later(1_000)
        hub = stage.hub()
        hold = stage.place(units=100)
        await stage.settle(hub, hold)
        run = await open_reconciler(stage, listing, hub).reconcile("puro")
        assert tell(run) == [("agreed", UNITS - 100, ""), ("in flight", 100, "wait")]
        assert "after the registry's books" in run.lines[0].difference.why

    play(story)


def test_other_serials_than_asked_are_no_break_while_the_hold_waits() -> None:
    async def story(stage: Stage) -> None:
        hub = stage.hub()
        hold = stage.place(units=100, first=1)
        await hub.step()
        rows = [shown(1, 9_900), shown(9_901, UNITS, HoldingState.RETIRED)]
        run = await open_reconciler(stage, Listing(*rows), hub).reconcile("puro")
        assert [(s.name, s.units, s.action) for s in sum_up(run)] == [
            ("agreed", UNITS - 200, ""),
            ("in flight", 100, "heal"),
            ("in flight", 100, "wait"),
        ]
        assert (await stage.hold(hold)).phase == "INSTRUCTED"

    play(story, approval_ms=DAY_MS)


def test_table_json_and_csv_tell_the_same() -> None:
    async def story(stage: Stage) -> None:
        listing = Listing(shown(1, 500), shown(501, 520, HoldingState.RETIRED), shown(521, UNITS - 9), page=1)
        run = await open_reconciler(stage, listing).reconcile("puro", act=False)
        told = json.loads(encode_run(run))
        assert told == tell_run(run)
        rows = list(csv.DictReader(io.StringIO(write_csv(run))))
        assert rows == told["differences"]
        assert tuple(rows[0]) == COLUMNS
        assert sum(int(each["units"]) for each in told["sums"]) == UNITS
        text = "\n".join(draw_table(run))
        for each in told["differences"]:
            assert f"{each['first']}" in text
            assert each["class"] in text
        assert stage.ledger.said == []

    play(story)


@pytest.mark.parametrize("took_effect", [False, True], ids=["failed", "answer lost"])
@pytest.mark.parametrize("kind", [op.Attest, op.Restrict, op.Anchor])
def test_a_broken_step_is_told_and_done_by_the_next_run(kind: Any, took_effect: bool) -> None:
    async def story(stage: Stage) -> None:
        rows = [shown(1, 500), shown(501, 520, HoldingState.RETIRED), shown(521, UNITS - 9)]
        reconciler = open_reconciler(stage, Listing(*rows))
        lose_answer(kind, stage.ledger, took_effect=took_effect)
        run = await reconciler.reconcile("puro")
        assert ("not" in run.anchored) == (kind is op.Anchor)
        assert sum(line.outcome.startswith("not done") for line in run.lines) == (kind is not op.Anchor)
        stage.later(1_000)
        again = await open_reconciler(stage, Listing(*rows)).reconcile("puro")
        assert all(line.outcome for line in again.lines)
        assert not any(line.outcome.startswith("not") for line in again.lines)
        assert len(await stage.ledger.discrepancies()) == 1
        parts = await stage.ledger.find_lots(WHOLE.space, 1, UNITS)
        marks = [m for lot in parts.lots for m in lot.marks if m.kind == "RESTRICTION"]
        assert len({(m.name, m.range.first) for m in marks}) == 2

    play(story)


def test_the_serials_of_a_test_are_those_of_the_stage() -> None:
    assert isinstance(WHOLE, SerialRange)
    assert WHOLE.units == UNITS


def test_rows_that_contradict_themselves_are_shown_and_their_units_are_not_called_missing() -> None:
    async def story(stage: Stage) -> None:
        odd = "row 7: 10 units, its serials are 12"
        listing = Listing(shown(1, UNITS - 10), unread=(odd,), stated=UNITS)
        run = await open_reconciler(stage, listing).reconcile("puro")
        assert (run.alarm, run.unread) == ("", (odd,))
        assert tell(run) == [("agreed", UNITS - 10, ""), ("unread", 10, "ask")]
        assert all(each.kind is not Kind.MISSING_THERE for each in (line.difference for line in run.lines))
        assert f"not read, because it contradicts itself: {odd}" in draw_table(run)
        assert json.loads(encode_run(run))["unread"] == [odd]
        assert stage.place(first=UNITS - 5, units=5), "nothing was restricted"
        listing.unread = ()
        listing.stated = UNITS - 10
        certain = await open_reconciler(stage, listing).reconcile("puro", run)
        assert tell(certain)[1][0] == "missing there"
        listing.unread, listing.stated = (odd,), 5
        assert "total disagrees" in (await open_reconciler(stage, listing).reconcile("puro")).alarm

    play(story)


def test_a_list_that_a_person_believes_is_compared_and_the_run_says_so() -> None:
    async def story(stage: Stage) -> None:
        listing = Listing(shown(1, UNITS // 2))
        reconciler = open_reconciler(stage, listing)
        alarmed = await reconciler.reconcile("puro")
        assert "shrank" in alarmed.alarm
        run = await reconciler.reconcile("puro", believe_shrunk=True)
        assert (run.alarm, tell(run)[1]) == ("", ("missing there", UNITS - UNITS // 2, "restrict"))
        assert f"the registry lists {UNITS // 2} units now" in run.believed
        assert any(line.startswith("BELIEVED") for line in draw_table(run))
        whole = await open_reconciler(stage, Listing(shown(1, UNITS))).reconcile("puro", believe_shrunk=True)
        assert whole.believed == "", "there was nothing to set aside"

    play(story)


def test_every_page_is_asked_for_in_its_turn_and_not_while_the_registry_wants_to_be_left_alone() -> None:
    async def story(stage: Stage) -> None:
        rows = [shown(1, UNITS // 2), shown(UNITS // 2 + 1, UNITS)]
        asked: list[str] = []
        quiet: list[Throttled] = []

        async def ask(registry: str, make: Callable[[], Awaitable[Page]]) -> Page:
            asked.append(registry)
            return quiet[0] if quiet else await make()

        now = lambda: stage.world.now_ms  # noqa: E731
        registry: Any = Listing(*rows, page=1)
        bench = Bench(stage.ledger, {"puro": registry}, stage.hub(), stage.keep, now, ask)
        assert (await Reconciler(bench).reconcile("puro")).alarm == ""
        assert asked == ["puro", "puro"]
        quiet.append(Throttled(3_600_000, "not called: it asked to be left alone"))
        run = await Reconciler(bench).reconcile("puro")
        assert "not called: it asked to be left alone" in run.alarm
        assert run.lines == ()

    play(story)
