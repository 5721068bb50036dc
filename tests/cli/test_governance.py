"""What docs/governance.md says to type, typed as it stands: on a trial network of four, which becomes one of five."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from network.config import load_config
from network.folders import NodeFolder
from network.keys import Role, describe_key_file
from network.processes import find_process, start_nodes, stop_nodes
from tests.cli.command_line import Keeling
from tests.cli.level import wait_level
from tests.fakes.real_node import free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "governance.md").read_text("utf-8")
FOUR = ["natreg:registry,authority", "power:exchange", "bank:bank", "audit:auditor"]


def typed() -> list[list[str]]:
    """The commands of the page's blocks, in order."""
    blocks = PAGE.split("```")[1::2]
    return [shlex.split(line) for block in blocks for line in block.strip().split("\n")]


def wait_for(keeling: Keeling, names: set[str]) -> None:
    """Until these validate, by what follows from the genesis file."""
    until = time.monotonic() + 150
    while {each["name"] for each in keeling.json("policy", "--profile", "natreg")["validators"]} != names:
        assert time.monotonic() < until, f"{names} never validated"
        time.sleep(0.1)


def become_node(keeling: Keeling, words: list[str]) -> None:
    """A command that goes on as the node's own program, so it cannot run in this process."""
    environment = {**os.environ, "KEELING_HOME": str(keeling.home), "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}"}
    command = [sys.executable, "-m", "cli.main", *words[1:]]
    subprocess.run(command, cwd=keeling.root, env=environment, check=True, capture_output=True)


def found(keeling: Keeling, file: Path) -> None:
    """A trial network whose ports are free."""
    words = [word for each in FOUR for word in ("--organisation", each)]
    keeling.must("network", "new", file, "--origin", "trial.keeling.local/ledger", *words)
    text = file.read_text()
    for at in range(len(FOUR)):
        text = text.replace(f"127.0.0.1:{7461 + at}", f"127.0.0.1:{free_port()}")
    file.write_text(text)
    keeling.must("network", "up", file)


def check_people_replaced(keeling: Keeling, acme: NodeFolder) -> None:
    """One key of acme's people acts now, the one its operator made; the stolen one, and no key twice."""
    listed = keeling.json("participant", "list", "--profile", "natreg")["participants"]
    keys = next(each["keys"] for each in listed if each["participant"] == "acme")
    acting = [each["key"] for each in keys if each["purposes"] and not int(each["retired_height"])]
    assert acting == [describe_key_file(acme.key(Role.SUBMISSION)).public_key.hex()]
    stolen = acme.key(Role.SUBMISSION).with_suffix(".key.old")
    assert describe_key_file(stolen).public_key.hex() not in acting
    words = ("participant", "replace", "acme", "--card", acme.root / "card.json", "--people", "--motion", "again")
    ended = keeling(*words, "--because", "typed twice", "--profile", "natreg")
    assert (ended.code, "no key comes twice" in ended.err) == (2, True)


def test_what_the_page_says_is_typed(keeling: Keeling) -> None:
    file, acme = keeling.root / "trial.toml", NodeFolder(keeling.root / "acme")
    founders = {each.partition(":")[0] for each in FOUR}
    try:
        found(keeling, file)
        (keeling.root / "genesis").write_bytes((keeling.root / "trial" / "natreg" / "genesis").read_bytes())
        for words in typed():
            if words[0] == "kill":
                stop_nodes([acme])
            elif words[-1] == "&":
                start_nodes([acme], lambda *_: None)
                wait_for(keeling, {*founders, "acme"})
            elif words[1:4] == ["node", "rekey", "acme"] and words[-1] == "--use":
                become_node(keeling, words)
            else:
                ports = [word.replace("127.0.0.1:7471", f"127.0.0.1:{free_port()}") for word in words[1:]]
                keeling.must(*ports)
                wait_level(keeling, [*founders, *(["acme"] if find_process(acme) else [])])
        wait_for(keeling, founders)
        assert load_config(acme.config).peers == ()
        standings = {each["participant"]: each["standing"] for each in keeling.json("network", "members")["members"]}
        assert standings == dict.fromkeys(founders, "validator") | {"acme": "candidate"}
        assert keeling.json("motion", "list")["motions"] == []
        decided = {each["motion"]: each["status"] for each in keeling.json("motion", "list", "--all")["motions"]}
        assert decided == dict.fromkeys(("admit-acme", "acme-vote", "acme-people", "suspend-acme"), "decided")
        check_people_replaced(keeling, acme)
    finally:
        stop_nodes([acme])
        keeling("network", "down", file)
