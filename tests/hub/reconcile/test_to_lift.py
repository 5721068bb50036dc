"""What an earlier difference restricted is told until somebody lifts it, and a break that shrinks keeps its age."""

from __future__ import annotations

from adapters.contract import ChangeKind
from adapters.sandbox.puro import ACCOUNTS
from hub.reconcile.classes import Difference, Kind
from hub.reconcile.report import Ages, Line
from hub.reconcile.rules import Action
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import DAY_MS, UNITS, Stage, play
from tests.hub.inbound.scene import change, open_hub
from tests.hub.reconcile.test_reconcile import Listing, open_reconciler, shown, tell


def test_units_that_were_missing_for_a_while_are_told_until_a_person_lifts_the_restriction() -> None:
    async def story(stage: Stage) -> None:
        listing = Listing(shown(1, UNITS - 100))
        reconciler = open_reconciler(stage, listing)
        run = await reconciler.reconcile("puro")
        assert tell(run)[1] == ("missing there", 100, "restrict")
        listing.rows = [shown(1, UNITS - 40)]
        part = await reconciler.reconcile("puro", run)
        assert tell(part) == [("agreed", UNITS - 100, ""), ("missing there", 40, "restrict"), ("to lift", 60, "ask")]
        assert sum(units for _, units, _ in tell(part)) == UNITS
        listing.rows = [shown(1, UNITS)]
        stage.later(DAY_MS)
        whole = await reconciler.reconcile("puro", part)
        assert tell(whole) == [("agreed", UNITS - 100, ""), ("to lift", 100, "ask")]
        names = {line.difference.why.split(" ")[2].rstrip(",") for line in whole.lines}
        said = len(stage.ledger.said)
        for line in whole.lines:
            assert line.range is not None
            name = line.difference.why.split(" ")[2].rstrip(",")
            lift = op.Unrestrict(restriction=name, ranges=[line.range], reason="their list was wrong")
            assert (await stage.ledger.submit(lift)).accepted
        assert len(names) == 1
        assert tell(await reconciler.reconcile("puro", whole)) == [("agreed", UNITS, "")]
        assert len(stage.ledger.said) == said + len(whole.lines) + 1, "the lifts, and the run's own record"

    play(story)


def test_units_that_came_back_without_a_word_are_told_too() -> None:
    async def story(stage: Stage) -> None:
        gone = change("e1", ChangeKind.TRANSFERRED, 1, 10, account=ACCOUNTS[0], to_account="SOMEBODY")
        await open_hub(stage).intake.take("puro", [gone], "B")
        run = await open_reconciler(stage, Listing(shown(1, UNITS))).reconcile("puro")
        assert tell(run) == [("agreed", UNITS - 10, ""), ("to lift", 10, "ask")]
        assert "inbound/moved/" in run.lines[0].difference.why
        away = Listing(shown(1, 10, account="SOMEBODY"), shown(11, UNITS))
        run = await open_reconciler(stage, away).reconcile("puro")
        assert tell(run)[1:] == [("owner", 10, "restrict")]
        assert [line.outcome for line in run.lines] == ["restricted already"]

    play(story)


def test_a_batch_whose_serials_nobody_can_read_is_compared_by_its_numbers() -> None:
    async def story(stage: Stage) -> None:
        issue = op.Issue(
            batch="odd",
            project="char",
            programme="corc",
            space="puro:odd",
            first_number="1",
            units=10,
            extent=op.Issue.EXACT,
            account="alice/puro",
            serial_form="nothing that Puro prints",
            evidence=op.Evidence(digest=bytes(32), grade="C"),
        )
        stage.world.must("hub", issue)
        odd = shown(1, 10)._replace(serials=shown(1, 10).serials._replace(space="puro:odd"))
        run = await open_reconciler(stage, Listing(shown(1, UNITS), odd)).reconcile("puro")
        assert tell(run) == [("agreed", UNITS + 10, "")]
        gone = change("e1", ChangeKind.RETIRED, 0, 0, serials=odd.serials)
        (taken,) = await open_hub(stage).intake.take("puro", [gone], "B")
        assert taken.outcome.value == "contradicted"

    play(story)


def line(first: int, last: int, since_ms: int, kind: Kind = Kind.STATE) -> Line:
    return Line(Difference("s", first, last, kind, None, None, since_ms=since_ms), Action.ASK, None)


def test_a_difference_is_as_old_as_the_oldest_of_its_class_on_its_units() -> None:
    known = Ages([line(1, 10, 5), line(11, 20, 3), line(30, 40, 7), line(1, 40, 1, Kind.OWNER)])
    for first, last, since in (
        (1, 10, 5),
        (4, 6, 5),
        (10, 11, 3),
        (1, 50, 3),
        (20, 30, 3),
        (21, 29, 0),
        (41, 50, 0),
        (0, 0, 0),
        (0, 1, 5),
    ):
        assert known.find(line(first, last, 0).difference) == since, (first, last)
    assert known.find(line(35, 36, 0, Kind.TWIN).difference) == 0
    assert known.find(line(1, 1, 0)._replace().difference._replace(space="other")) == 0
