"""The hub's process killed amid its work, its folder deleted, started again: nothing is instructed twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from cli.identifiers import format_id, make_uuid7
from hub.ledger_client import LedgerClient
from tests.cli.command_line import Keeling
from tests.cli.hub_stage import HubStage, read_blocks

HOLDS = 8
UNITS = 100


@pytest.fixture
def stage(keeling: Keeling) -> Iterator[HubStage]:
    made = HubStage(keeling)
    try:
        for block in read_blocks()[:-2]:
            made.type(block, hurry)
        yield made
    finally:
        made.close()


def hurry(line: str) -> str:
    """The page's settings, with short calls: what is unknown is asked about after twice that time."""
    return line.replace("60000", "4000").replace("\naccounts", "\ntimeout_ms = 2000\naccounts")


def place(stage: HubStage, account: str) -> str:
    hold = format_id(make_uuid7())
    words = ("hold", "place", str(UNITS), "--account", account, "--purpose", "retire", "--buyer", "globex")
    stage.keeling.must(*words, "--as", "natreg-keys/acme.key", "--hold", hold)
    return hold


def kill(stage: HubStage) -> None:
    """The process, and everything in its folder."""
    assert stage.hub is not None
    stage.hub.kill()
    shutil.rmtree(stage.keeling.root / "hub", ignore_errors=True)


def count(phases: set[str], holds: list[str], at_least: int) -> Any:
    async def seen(ledger: LedgerClient) -> bool:
        found = [(await ledger.hold(bytes.fromhex(hold.replace("-", "")))).phase for hold in holds]
        return sum(phase in phases for phase in found) >= at_least

    return seen


def test_killed_at_every_stage_and_started_again_it_instructs_each_hold_once(stage: HubStage) -> None:
    """Before a message leaves, while its answer is on the way, when the answer is lost, and between two captures."""
    kill(stage)
    holds = [place(stage, "acme/puro") for _ in range(HOLDS)]
    holds += [place(stage, "acme/verra") for _ in range(2)]
    whole = len(holds)
    post = "POST /mypuro"
    stage.admin("puro", "faults", [{"kind": "latency", "path": post, "times": HOLDS // 2, "value": 3_600_000}])
    stage.start_hub()
    stage.wait(count({"INSTRUCTED", "CAPTURED"}, holds, 1))
    kill(stage)  # the first attempts are on record; messages are leaving, or their answers are on the way
    stage.start_hub()
    stage.wait(count({"INSTRUCTED", "CAPTURED"}, holds, whole))
    kill(stage)
    stage.admin("puro", "faults", [{"kind": "cut-after", "path": post, "times": 4}])
    stage.start_hub()
    stage.wait(count({"CAPTURED"}, holds, 1))
    kill(stage)
    stage.start_hub()
    stage.wait(count({"CAPTURED"}, holds, HOLDS))
    kill(stage)
    stage.keeling.must("hub", "sandbox", "clock", "--advance", "24h")
    stage.start_hub()
    stage.wait(count({"CAPTURED"}, holds, whole))
    books = {name: stage.admin(name, "book") for name in ("puro", "verra")}
    effects = books["puro"]["effects"] | books["verra"]["effects"]
    assert effects == {hold.replace("-", ""): UNITS for hold in holds}
    for name, book in books.items():
        retired = sum(row["units"] for row in book["holdings"] if row["state"] == "retired")
        assert retired == UNITS * (HOLDS if name == "puro" else 2)
        compared = stage.keeling.json("hub", "reconcile", name)
        assert (compared["alarm"], compared["broken_units"], compared["differences"]) == ("", "0", [])
