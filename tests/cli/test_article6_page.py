"""docs/article6.md typed as it stands: one node, a hub for each of two Parties, one registry that both announce at.

Acceptance walk 2, steps 26 and 27. Only ports and the year differ from the page.
"""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from hub.ledger_client import LedgerClient
from keeling.v1 import ledger_pb2 as pb
from tests.cli.hub_stage import HubStage, read_blocks

PAGE = Path(__file__).parents[2] / "docs" / "article6.md"
SECTION = "Two Parties, from the letter to their reports"
SENT, USED = "019a0000-0000-7000-8000-0000000000b1", "019a0000-0000-7000-8000-0000000000b2"
HUB = "gha.toml"


def this_year(line: str) -> str:
    """The page with the year in which it is typed; dates of documents stay."""
    return re.sub(r"\b2026\b(?!-)", str(datetime.now(UTC).year), line)


async def read_events(ledger: LedgerClient, *kinds: str) -> list[pb.Event]:
    return [event async for page in ledger.watch(None, until_now=True) for event in page.events if event.kind in kinds]


def facts_of(event: pb.Event) -> dict[str, str]:
    return {fact.name: fact.value for fact in event.facts}


def wait_for_events(stage: HubStage, wanted: int, *kinds: str) -> list[pb.Event]:
    """The ledger's events of these kinds, once there are as many."""
    found: list[pb.Event] = []

    async def seen(ledger: LedgerClient) -> bool:
        found[:] = await read_events(ledger, *kinds)
        return len(found) >= wanted

    stage.wait(seen, HUB)
    return found


def test_two_announcements_of_a_transfer_are_two_recognitions_and_one_adjustment(stage: HubStage) -> None:
    blocks = read_blocks(PAGE, SECTION)
    for block in blocks[:5]:
        stage.type(block, this_year)
    stage.wait_for_phase(SENT, "CAPTURED", HUB)
    wait_for_events(stage, 1, "RECOGNISED")
    stage.type(blocks[5], this_year)
    first, second = wait_for_events(stage, 2, "RECOGNISED")
    assert [(facts_of(each)["party"], facts_of(each)["side"]) for each in (first, second)] == [
        ("GHA", "given"),
        ("CHE", "got"),
    ]
    assert 3_600_000 <= second.effective.ms - first.effective.ms < 7_200_000, "an hour apart"
    stage.type(blocks[6], this_year)
    stage.wait_for_phase(USED, "CAPTURED", HUB)
    adjusted = wait_for_events(stage, 2, "ADJUSTED")
    assert [(facts_of(each)["party"], facts_of(each)["units"]) for each in adjusted] == [("GHA", "400"), ("CHE", "150")]
    stage.type(blocks[7], this_year)
    assert any(f"used for NDC {datetime.now(UTC).year}\n" in ended.out for ended in stage.said.values())
    stage.type(blocks[8], this_year)
    check_feed(stage)
    stage.type(blocks[9], this_year)
    check_reports(stage)
    stage.type(blocks[10], this_year)
    check_refused(stage)
    for file in stage.hubs:
        assert stage.keeling.json("hub", "backlog", "--config", file)["backlog"] == []
    assert "warning" not in stage.hubs[HUB].log.read_text(), "no announcement needed a person"


def check_feed(stage: HubStage) -> None:
    """Read at both hubs, and once more: the registry heard everything once, and books what the ledger adjusted."""
    read = [ended.out for line, ended in stage.said.items() if " read url=" in line]
    assert [re.search(r"new +(\d+)", said)[1] == "0" for said in read] == [False, True]  # type: ignore[index]
    url = stage.place("http://127.0.0.1:7480/article6/events")
    heard = stage.keeling.json("hub", "sandbox", "act", "national_62", "read", f"url={url}")
    assert heard["new"] == 0
    assert {"ADJUSTED 2", "RECOGNISED 2", "AUTHORIZED 1"} <= set(heard["heard"])
    assert heard["adjusted there"] == heard["adjusted here"] == ["CHE -150", "GHA +400"]


def check_reports(stage: HubStage) -> None:
    """One row of each Party for the transfer, at its own time; the sums are those of the ledger."""
    balance = next(ended.out for line, ended in stage.said.items() if line.startswith("keeling adjust balance"))
    assert re.search(r"GHA-2023-FT-\S+ +host +400 +GHA-CHE-2026-001", balance)
    rows = {name: (stage.keeling.root / f"{name}.csv").read_text().splitlines() for name in ("gha", "che")}
    gave = [row for row in rows["gha"] if ",First transfer,First transfer to another Party," in row]
    got = [row for row in rows["che"] if ",Acquisition," in row]
    assert (len(gave), len(got)) == (1, 1)
    assert ",GHA01,1,400," in gave[0]
    assert ",CHE01,1,400," in got[0]
    times = [datetime.fromisoformat(row[0].split(",")[0]) for row in (gave, got)]
    assert all(3600 <= (later - earlier).total_seconds() < 7200 for earlier, later in pairwise(times))
    for name in ("gha", "che"):
        made = stage.keeling.json("aef", "check", f"{name}.csv")
        assert made["findings"] == []


def check_refused(stage: HubStage) -> None:
    """The two commands that the page ends with."""
    text = PAGE.read_text("utf-8").partition(SECTION)[2]
    lines = [line.strip() for line in text.splitlines() if line.startswith("    keeling ")]
    told: dict[str, Any] = {}
    for line in lines:
        ended = stage.keeling(*shlex.split(line)[1:])
        assert ended.code == 1
        told[shlex.split(line)[-1]] = ended.err
    assert "table 3, row 2, filled-by-CARP" in told["carp.csv"]
    assert "table 3, row 2, not-applicable: Acquiring participating Party ID" in told["acquirer.csv"]
