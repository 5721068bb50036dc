"""Two processes of one hub, and one that starts again: who has an attempt, and how long a registry is left alone."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from network.ports import find_ports
from tests.cli.command_line import Keeling
from tests.cli.hub_stage import WAIT_S, HubProcess, HubStage, read_blocks
from tests.cli.test_hub_kills import UNITS, hurry, place

SECOND = "second.toml"
ANOTHER = "another process of natreg: this process asks about it and does not send it"


@pytest.fixture
def stage(keeling: Keeling) -> Iterator[HubStage]:
    made = HubStage(keeling)
    try:
        for block in read_blocks()[:-2]:
            made.type(block, hurry)
        yield made
    finally:
        made.close()


def until(seen: Callable[[], Any]) -> Any:
    """Ask a hub until it says so; returns what it said."""
    ends = time.monotonic() + WAIT_S
    while not (found := seen()):
        assert time.monotonic() < ends, "it never said so"
    return found


def rounds(hub: HubProcess) -> int:
    with urllib.request.urlopen(f"http://{hub.address}/health", timeout=WAIT_S) as answer:
        return int(json.load(answer)["rounds"])


def why(stage: HubStage, hold: str, file: str = "group.toml") -> str:
    """What a hub says of a hold; empty: it is not among what it has under way."""
    lines = stage.keeling.json("hub", "backlog", "--config", file)["backlog"]
    return next((str(line["why"]) for line in lines if line["hold"] == hold.replace("-", "")), "")


def start_second(stage: HubStage) -> HubProcess:
    """The same file with another address and another folder."""
    port = find_ports()[0]
    text = (stage.keeling.root / "group.toml").read_text()
    text = text.replace(stage.ports["7480"], str(port)).replace("[ledger]", 'folder = "second"\n\n[ledger]', 1)
    (stage.keeling.root / SECOND).write_text(text)
    return HubProcess(stage.keeling, SECOND)


def test_the_other_says_who_has_it_and_a_restart_goes_on_waiting(stage: HubStage) -> None:
    second = start_second(stage)
    try:
        check_pair(stage, second)
    finally:
        second.kill()
    check_waiting(stage)


def check_pair(stage: HubStage, second: HubProcess) -> None:
    """One of them dispatches; the other knows that it was not itself, says so in its log too, and sends nothing."""
    assert stage.hub is not None
    for hub in (stage.hub, second):
        until(lambda hub=hub: rounds(hub))  # type: ignore[misc]
    hold = place(stage, "acme/verra")
    stage.wait_for_phase(hold, "INSTRUCTED")
    files = ("group.toml", SECOND)
    until(lambda: all(why(stage, hold, file) for file in files) and any(ANOTHER in why(stage, hold, f) for f in files))
    (loser,) = (file for file in files if ANOTHER in why(stage, hold, file))
    (winner,) = (file for file in files if file != loser)
    assert "another process" not in why(stage, hold, winner)
    shown = stage.keeling.must("hub", "backlog", "--config", loser).out
    assert "attempt 1 was dispatched at 20" in shown
    assert "… goes on in: keeling hub backlog --json" in shown
    logged = [json.loads(line) for line in stage.hub.log.read_text().splitlines() if "another process" in line]
    assert [(each["hold"], each["attempt"], each["hub"]) for each in logged] == [(hold.replace("-", ""), 1, "natreg")]
    stage.keeling.must("hub", "sandbox", "clock", "--advance", "24h")
    stage.wait_for_phase(hold, "CAPTURED")
    assert stage.admin("verra", "book")["effects"] == {hold.replace("-", ""): UNITS}


def check_waiting(stage: HubStage) -> None:
    """Told to wait an hour, killed and started again, it waits; without its folder it asks, and carries on."""
    assert stage.hub is not None
    stage.admin("puro", "faults", [{"kind": "throttle", "path": "POST /mypuro", "times": 1, "value": 3_600}])
    hold = place(stage, "acme/puro")
    until(lambda: "throttled until 20" in why(stage, hold))
    stage.hub.kill()
    again = stage.start_hub()
    until(lambda: "puro asked to be left alone until 20" in why(stage, hold))
    before = rounds(again)
    stage.keeling.must("hold", "place", "1", "--account", "acme/verra", "--as", "natreg-keys/acme.key")
    until(lambda: rounds(again) > before)
    assert stage.admin("puro", "book")["effects"] == {}
    again.kill()
    shutil.rmtree(stage.keeling.root / "hub")
    stage.start_hub()
    stage.wait_for_phase(hold, "CAPTURED")
    assert stage.admin("puro", "book")["effects"] == {hold.replace("-", ""): UNITS}
