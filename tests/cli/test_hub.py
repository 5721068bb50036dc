"""`keeling hub`: registries with honest marks, sandboxes started and stopped, one line for what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.systems import SYSTEMS
from tests.cli.command_line import Keeling


@pytest.fixture
def keeling(tmp_path: Path) -> Keeling:
    return Keeling(tmp_path)


def test_every_system_says_what_is_known_and_what_assumed(keeling: Keeling) -> None:
    found = {each["registry"]: each for each in keeling.json("hub", "registries")["registries"]}
    assert set(SYSTEMS) <= set(found)
    for name, system in SYSTEMS.items():
        drivers = found[name]["drivers"]
        if "sandbox" in system.drivers:
            assert drivers["sandbox"] == f"sandbox ({system.marks})"
        if "live" in system.drivers:
            assert drivers["live"].startswith("live (refused until given: url")
        assert all(item["says"] for item in found[name]["basis"])
    assert found["acr"]["drivers"] == {"file": "file (real format)"}


def test_sandboxes_start_move_their_clock_and_stop(keeling: Keeling) -> None:
    assert keeling.json("hub", "sandbox", "down") == {"stopped": []}
    started = keeling.json("hub", "sandbox", "up", "puro", "verra", "--frozen")
    try:
        assert set(started["sandboxes"]) == {"puro", "verra"}
        again = keeling("hub", "sandbox", "up", "puro")
        assert (again.code, "run already" in again.err) == (1, True)
        before = keeling.json("hub", "sandbox", "clock")["now_ms"]
        assert keeling.json("hub", "sandbox", "clock", "--advance", "24h")["now_ms"] == before + 86_400_000
        listed = {each["registry"]: each["sandbox"] for each in keeling.json("hub", "registries")["registries"]}
        assert listed["puro"] == started["sandboxes"]["puro"]
    finally:
        stopped = keeling.json("hub", "sandbox", "down")
        os.waitpid(started["process"], 0)
    assert stopped["stopped"] == ["puro", "verra"]
    assert keeling("hub", "sandbox", "clock").code == 3


CONFIG = (
    'participant = "hub"\nlisten = "127.0.0.1:9"\n[[registries]]\nname = "puro"\nurl = "{url}"\ndriver = "{driver}"\n'
)


@pytest.mark.parametrize(
    ("words", "config", "code", "told"),
    [
        (("hub", "simulate", "unicorn"), "", 2, "there is no story 'unicorn'"),
        (("hub", "sandbox", "up", "pruo"), "", 2, "there is no sandbox of 'pruo'"),
        (("hub", "run", "group.toml"), "", 2, "there is no configuration"),
        (("hub", "backlog", "--config", "group.toml"), CONFIG, 2, "names no caller that is viewer"),
        (
            ("hub", "reconcile", "puro", "--config", "group.toml"),
            CONFIG + '[[callers]]\nname="a"\nrole="operator"\ntoken="t"\n',
            69,
            "no hub answers at 127.0.0.1:9",
        ),
    ],
)
def test_what_is_wrong_is_one_line(keeling: Keeling, words: tuple[str, ...], config: str, code: int, told: str) -> None:
    if config:
        (keeling.root / "group.toml").write_text(config.format(url="http://127.0.0.1:9", driver="sandbox"))
    ended = keeling(*[str(keeling.root / word) if word == "group.toml" else word for word in words])
    assert (ended.code, told in ended.err, ended.err.count("\n")) == (code, True, 1), ended.err
