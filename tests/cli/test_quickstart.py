"""docs/network.md for four organisations on four machines, typed as it stands: here in four folders and homes."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path

import pytest

from network.folders import NodeFolder
from network.processes import start_nodes, stop_nodes
from tests.cli.command_line import Keeling
from tests.fakes.real_node import free_port

PAGE = (Path(__file__).parent.parent.parent / "docs" / "network.md").read_text("utf-8")
NAMES = ("natreg", "acme", "power", "audit")
SHOWN = "acme"
"""Whose machine the page shows."""


class Machine(Keeling):
    """One organisation's: a folder of its own to work in, and a home."""

    def __init__(self, name: str, root: Path, ports: dict[str, int]) -> None:
        root.mkdir()
        super().__init__(root)
        self.name = name
        self._ports = ports

    @property
    def node(self) -> NodeFolder:
        return NodeFolder(self.root / self.name)

    def put_down(self, text: str) -> str:
        """What the page says, with addresses that this test has."""
        for name, port in self._ports.items():
            text = text.replace(f"node.{name}.example:7451", f"127.0.0.1:{port}")
        return text

    def type(self, block: str, patch: pytest.MonkeyPatch) -> None:
        """Every command of a block, for this organisation, in its folder."""
        patch.chdir(self.root)
        for line in block.strip().split("\n"):
            mine = self.put_down(re.sub(rf"\b{SHOWN}(?=[/ ]|$|\.example)", self.name, line.strip()))
            words = shlex.split(mine)[1:]
            if words[-1] == "&":
                start_nodes([self.node], lambda *_: None)
            elif words[0] == "network" and words[1] == "status":
                self.wait_for_all(words)
            else:
                self.must(*words)

    def wait_for_all(self, words: list[str]) -> None:
        until = time.monotonic() + 150
        while self.json(*words)["validators_up"] != len(NAMES):
            assert time.monotonic() < until
            time.sleep(0.1)


def blocks_of(page: str) -> list[str]:
    """The blocks of the part on four machines, in order."""
    part = page.split("## Four organisations on four machines")[1].partition("\n## ")[0]
    return [block.partition("\n")[2] for block in part.split("```")[1::2]]


def test_the_quickstart_is_typed_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare, plan, found, begin, use = blocks_of(PAGE)
    ports = {name: free_port() for name in NAMES}
    machines = [Machine(name, tmp_path / name, ports) for name in NAMES]
    founder = machines[0]
    for machine in machines:
        machine.type(prepare, monkeypatch)
    (founder.root / "cards").mkdir()
    for machine in machines:
        card = (machine.node.root / "card.json").read_bytes()
        (founder.root / "cards" / f"{machine.name}.json").write_bytes(card)
    (founder.root / "network.toml").write_text(founder.put_down("\n".join(line[3:] for line in plan.split("\n"))))
    founder.type(found, monkeypatch)
    for machine in machines[1:]:
        for name in ("genesis", "network.toml"):
            (machine.root / name).write_bytes((founder.root / name).read_bytes())
    try:
        for machine in machines:
            machine.type(begin, monkeypatch)
        for machine in machines:
            machine.type(use, monkeypatch)
            assert machine("node", "doctor", machine.name).code == 0
    finally:
        stop_nodes([machine.node for machine in machines])
