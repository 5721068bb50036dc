"""Two of four organisations are gone for good: the others go on in a successor network, as people type it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

from network.folders import NodeFolder
from network.processes import start_nodes, stop_nodes
from tests.cli.command_line import Keeling
from tests.cli.level import wait_level
from tests.fakes.real_node import free_port

NAMES = ("natreg", "acme", "power", "audit")
LOST = ("power", "audit")
ORIGIN = "second.example/main"
ID = str(UUID(int=(time.time_ns() // 1_000_000 << 80) | (7 << 76) | (2 << 62) | 0x5EED))


def handed_over(*arguments: str | Path) -> str:
    """`python -m node`, as the command becomes it."""
    command = [sys.executable, "-m", "node", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def found_first(keeling: Keeling) -> Path:
    """A network of four with units in two accounts."""
    file = keeling.root / "first.toml"
    words = [f"--organisation={name}:registry,group" for name in NAMES]
    keeling.must("network", "new", file, *words, "--origin", "first.example/main")
    text = file.read_text()
    for at in range(len(NAMES)):
        text = text.replace(f"127.0.0.1:{7461 + at}", f"127.0.0.1:{free_port()}")
    file.write_text(text)
    keeling.must("network", "up", file)
    for name in ("natreg", "acme"):
        keeling.must("account", "open", f"{name}/a", "--owner", name, "--profile", name)
    units = ("--programme", "NATIONAL", "--activity", "1", "--host", "IN", "--vintage", "2024", "--quantity", "1000")
    keeling.must("issue", *units, "--batch", "b", "--to", "natreg/a", "--profile", "natreg")
    give(keeling, 300, "--id", ID)
    return file


def give(keeling: Keeling, units: int, *more: str) -> None:
    words = ("--from", "natreg/a", "--to", "acme/a", "--batch", "b", "--profile", "natreg")
    keeling.must("transfer", str(units), *words, *more)


def prepare_second(keeling: Keeling) -> Path:
    """Everybody makes a new node and gives its card."""
    file = keeling.root / "second.toml"
    tables = [f'origin = "{ORIGIN}"\n']
    for name in NAMES:
        listen, folder = f"127.0.0.1:{free_port()}", keeling.root / "second" / name
        words = ("--origin", ORIGIN, "--participant", name, "--listen", listen)
        keeling.must("node", "prepare", folder, *words)
        roles = '["group", "bank"]' if name == "acme" else '["registry", "group"]'
        table = f'id = "{name}"\nroles = {roles}\nlisten = "{listen}"\ncard = "second/{name}/card.json"\n'
        tables.append(f"[[organisations]]\n{table}")
    file.write_text("\n".join(tables))
    return file


def units_of(keeling: Keeling, account: str) -> int:
    lots = keeling.json("lot", "list", "--account", account, "--profile", "natreg")["lots"]
    return sum(int(lot["range"]["units"]) for lot in lots)


def test_a_successor_goes_on_from_the_last_final_block(keeling: Keeling) -> None:
    root = keeling.root
    first = found_first(keeling)
    wait_level(keeling, ("natreg", "acme"))
    keeling.must("log", "export", "-o", root / "first.bundle", "--profile", "natreg")
    keeling.must("network", "down", first)
    old, old_genesis = root / "first" / "natreg", root / "first" / "natreg" / "genesis"
    for name in LOST:
        shutil.rmtree(root / "first" / name)
    second = prepare_second(keeling)
    genesis = root / "genesis-2"
    planned = keeling.must("network", "plan", second, "--before", old).out
    assert not (old / "data" / "snapshots").exists(), "looking changes nothing"
    told = keeling.json("network", "succeed", second, "--before", old, "-o", genesis)
    assert keeling("network", "succeed", second, "--before", old, "-o", genesis).code == 1
    check = ("audit", "succession", genesis, "--before-genesis", old_genesis, "--before")
    for place in (old, root / "first" / "acme", root / "first.bundle"):
        facts = keeling.json(*check, place)
        assert (facts["digest"], facts["changes"]) == (told["digest"], told["changes"])
    said = {each["participant"]: each["text"] for each in told["changes"]}
    assert list(said) == list(NAMES)
    assert said["acme"] == "LOSES registry; gains bank; its node validates"
    assert "LOSES registry; gains bank" in planned
    assert "warning: roles are taken from participants: acme registry" in planned
    shutil.copytree(old / "data" / "snapshots", root / "carried")
    for name in NAMES:
        folder = root / "second" / name
        keeling.must("node", "join", folder, "--genesis", genesis)
        handed_over("succeed", folder, root / "carried" if name in LOST else old)
    folders = [NodeFolder(root / "second" / name) for name in NAMES]
    started: list[str] = []
    try:
        start_nodes(folders, lambda folder, process: started.append(folder.root.name))
        assert (units_of(keeling, "natreg/a"), units_of(keeling, "acme/a")) == (700, 300)
        give(keeling, 300, "--id", ID)  # handed in again: it has had its effect, in the network before
        give(keeling, 50)
        stop_nodes([folders[3]])
        give(keeling, 25)
        assert (units_of(keeling, "natreg/a"), units_of(keeling, "acme/a")) == (625, 375)
        wait_level(keeling, ("natreg", "acme"))
        status = keeling.json("status", "--profile", "acme")
        assert (status["height"], status["validators"]) == (told["height"] + 3, 4)
        bundle = root / "second.bundle"
        keeling.must("log", "export", "-o", bundle, "--profile", "acme")
    finally:
        stop_nodes(folders)
    verify = ("audit", "verify", bundle, "--genesis", genesis)
    assert keeling.json(*verify)["intact"]
    assert keeling(*verify, "--replay").code == 2
    assert keeling.json(*verify, "--replay", "--before", old)["rules_hold"]
    rebuilt = root / "second" / "power"
    handed_over("rebuild", rebuilt)
    assert keeling.json("audit", "state", rebuilt, "--genesis", genesis)["equal"]
    handed_over("backup", rebuilt, root / "copy")
    assert keeling.json("audit", "state", root / "copy", "--genesis", genesis)["equal"]
