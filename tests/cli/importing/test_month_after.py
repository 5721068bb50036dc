"""April's real files, then files of May made from them: only the news is handed in, and April again changes nothing."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

import pytest

from adapters.exports import EvidenceRow, RefusedRow, UnitRow
from cli.importing.model import SourceRow
from keeling.events import EVENT, Event
from keeling.units import UnitState
from node.core import tables as t
from tests.adapters.exports import EXPORTS
from tests.cli.importing.mirror import Imported, describe, import_rows, new_ledger, units_in
from tests.cli.importing.months import (
    EDITORS,
    MAY,
    PART,
    QUANTITIES,
    Month,
    News,
    copy_month,
    parse_month,
    read_month,
    sum_column,
)
from tests.fakes.world import World

pytestmark = pytest.mark.skipif(not EXPORTS.exists(), reason="the real exports are not beside the repository")

APRIL_END, MAY_END = "2026-04-30", "2026-05-31"


class Story(NamedTuple):
    """A registry's two months, imported one after the other."""

    april: World
    may: World
    april_rows: tuple[SourceRow, ...]
    may_rows: tuple[SourceRow, ...]
    files: Month
    news: News
    report: Imported


@cache
def story(registry: str) -> Story:
    """Nobody may write into these worlds."""
    april_files = read_month(registry)
    files = copy_month(april_files)
    news = EDITORS[registry](registry, files)
    april_rows, may_rows = parse_month(registry, april_files), parse_month(registry, files)
    april = new_ledger()
    import_rows(april, registry, april_rows, tuple(april_files), as_of=APRIL_END)
    may = april.clone()
    report = import_rows(may, registry, may_rows, tuple(files), as_of=MAY_END)
    return Story(april, may, tuple(april_rows), tuple(may_rows), files, news, report)


def events_of_may(told: Story) -> list[Event]:
    blocks = told.may.blocks[len(told.april.blocks) :]
    answers = [answer for block in blocks for submission in block.submissions for answer in submission.answers]
    return [EVENT.decode(raw) for answer in answers for raw in answer.events]


@pytest.mark.parametrize("registry", EDITORS)
def test_only_the_news_is_handed_in(registry: str) -> None:
    told = story(registry)
    facts = told.report.facts()
    units = facts["units_by_outcome"]
    assert (units["new"], units["changed"]) == (told.news.new, told.news.changed)
    assert (units["older"], units["contradicts"]) == (0, 0)
    moved = Counter[str]()
    for event in events_of_may(told):
        for move in event.moves:
            moved[UnitState(move.to_state).name] += move.units
    assert moved.pop("FREE", 0) == told.news.new, "what is new arrives free, and moves on from there"
    assert moved == {state: units for state, units in told.news.moved if state != "FREE"}
    assert not list(told.may.state.scan(t.DISCREPANCIES))
    if not (told.news.new or told.news.changed):
        assert told.may.tip.height == told.april.tip.height, "nothing was handed in"


@pytest.mark.parametrize("registry", EDITORS)
def test_totals_are_those_of_mays_files(registry: str) -> None:
    told = story(registry)
    columns = QUANTITIES[registry]
    in_files = sum(sum_column(table, columns.get(name, columns[""])) for name, table in told.files.items())
    facts = told.report.facts()
    assert facts["rows"] == len(told.may_rows) == sum(len(table.rows) for table in told.files.values())
    assert sum(each["units"] for each in facts["totals"]) == in_files
    assert not [row for row in told.may_rows if isinstance(row.record, RefusedRow)]
    evidence = [
        sum(row.record.units or 0 for row in rows if isinstance(row.record, EvidenceRow))
        for rows in (told.april_rows, told.may_rows)
    ]
    assert evidence[1] - evidence[0] == told.news.evidence


@pytest.mark.parametrize("registry", EDITORS)
def test_the_ledger_has_april_and_the_news_and_what_is_gone_stays(registry: str) -> None:
    told = story(registry)
    account = f"unassigned@{registry}"
    grown = {
        state.name: units_in(told.may, account, state) - units_in(told.april, account, state) for state in UnitState
    }
    added = Counter(dict(told.news.moved))
    added["FREE"] -= told.news.changed
    assert {name: units for name, units in grown.items() if units} == {k: v for k, v in added.items() if v}
    before, after = (
        {batch.name: batch for _, batch in world.state.scan(t.BATCHES)} for world in (told.april, told.may)
    )
    exact = [sum(batch.exact for batch in batches.values()) for batches in (before, after)]
    assert exact[1] - exact[0] == told.news.exact
    for name in told.news.gone:
        assert before[name] == after[name]


@pytest.mark.parametrize("registry", EDITORS)
def test_april_again_changes_nothing(registry: str) -> None:
    told = story(registry)
    again = told.may.clone()
    report = import_rows(again, registry, told.april_rows, as_of=APRIL_END)
    assert again.tip.height == told.may.tip.height, "nothing was handed in"
    assert describe(again) == describe(told.may)
    assert not {verdict.fate.value for _, verdict in report.lines} & {"new", "changed", "labelled", "contradicts"}
    may_again = import_rows(again, registry, told.may_rows, as_of=MAY_END)
    assert again.tip.height == told.may.tip.height
    assert may_again.facts()["units_by_outcome"]["known"] == sum(
        row.record.units for row in told.may_rows if isinstance(row.record, UnitRow)
    )


@pytest.mark.parametrize("registry", ["acr", "car", "art", "cercarbono"])
def test_what_was_retired_in_may_has_mays_date(registry: str) -> None:
    retired = [
        event
        for event in events_of_may(story(registry))
        if any(move.to_state == UnitState.RETIRED for move in event.moves)
    ]
    days = {datetime.fromtimestamp(event.effective.ms / 1000, UTC).date().isoformat() for event in retired}
    assert days == {MAY}


@pytest.mark.parametrize(
    ("registry", "split"), [("cercarbono", 1), ("isometric", 1), ("acr", 0), ("car", 0), ("art", 0)]
)
def test_a_block_is_split_where_a_part_of_it_changed_and_nowhere_else(registry: str, split: int) -> None:
    """A registry that prints one ended block as two has changed nothing: the lot stays whole."""
    told = story(registry)
    assert told.report.facts()["lots_split"] == split
    assert PART in {move.units for event in events_of_may(told) for move in event.moves}
