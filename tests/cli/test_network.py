"""`keeling network` and `keeling node`: a file, what it bears, cards that meet, nodes that come up and go down."""

from __future__ import annotations

from pathlib import Path

from network.folders import NodeFolder
from network.processes import find_process
from tests.cli.command_line import Keeling
from tests.fakes.real_node import free_port

ORIGIN = "ledger.example/two"


def test_a_network_file_is_written_and_explained(keeling: Keeling) -> None:
    file = keeling.root / "trial.toml"
    words = [f"--organisation={name}:group" for name in ("a", "b", "c", "d")]
    assert "4 validators: 1 may be down, 1 may lie; 3 decide" in keeling.must("network", "new", file, *words).out
    facts = keeling.json("network", "plan", file)
    assert (facts["quorum"], facts["may_be_down"], facts["may_lie"]) == (3, 1, 1)
    again = keeling("network", "new", file, *words)
    assert (again.code, "exists already; nothing was overwritten" in again.err) == (1, True)


def test_mistakes_are_one_line(keeling: Keeling) -> None:
    assert keeling("network", "new", keeling.root / "n.toml").code == 2
    (keeling.root / "n.toml").write_text('origin = "a.example"\n[[organisations]]\nid = "a"\n')
    ended = keeling("network", "plan", keeling.root / "n.toml")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.strip().endswith("n.toml line 2: organisations.0.listen is missing")


def test_prepared_nodes_become_a_network(keeling: Keeling) -> None:
    root = keeling.root
    for name, port in (("natreg", 7461), ("audit", 7462)):
        listen = f"127.0.0.1:{port}"
        told = keeling.json(
            "node", "prepare", root / name, "--origin", ORIGIN, "--participant", name, "--listen", listen
        )
        assert told["card"] == str(root / name / "card.json")
    (root / "network.toml").write_text(
        f'origin = "{ORIGIN}"\n'
        '[[organisations]]\nid = "natreg"\nroles = ["registry"]\nlisten = "127.0.0.1:7461"\ncard = "natreg/card.json"\n'
        '[[organisations]]\nid = "audit"\nroles = ["auditor"]\nlisten = "127.0.0.1:7462"\ncard = "audit/card.json"\n'
        "validator = false\n"
    )
    genesis = root / "genesis"
    number = keeling.json("network", "found", root / "network.toml", "-o", genesis)["network"]
    for name, other in (("natreg", "audit"), ("audit", "natreg")):
        card = root / other / "card.json"
        facts = keeling.json("node", "join", root / name, "--genesis", genesis, "--card", card)
        assert facts == {"origin": ORIGIN, "network": number, "peers": [other]}
    assert "exist" in keeling("network", "found", root / "network.toml", "-o", genesis).err


def test_nodes_come_up_and_go_down(keeling: Keeling, tmp_path: Path) -> None:
    file = keeling.root / "one.toml"
    file.write_text(
        'origin = "one.example"\n[[organisations]]\nid = "natreg"\nroles = ["registry"]\nlisten = "127.0.0.1:0"\n'
    )
    folder = NodeFolder(keeling.root / "one" / "natreg")
    try:
        started = keeling.json("network", "up", file)["started"]
        assert [each["node"] for each in started] == ["natreg"]
        assert find_process(folder) == int(started[0]["process"])
        assert keeling.json("network", "up", file)["started"] == []
    finally:
        assert keeling.json("network", "down", file)["stopped"] == ["natreg"]
    assert find_process(folder) is None
    assert keeling.json("network", "down", file)["stopped"] == []


def test_a_node_that_does_not_start_says_why(keeling: Keeling) -> None:
    file = keeling.root / "one.toml"
    file.write_text('origin = "one.example"\n[[organisations]]\nid = "natreg"\nlisten = "127.0.0.1:0"\n')
    keeling.must("network", "up", file)
    keeling.must("network", "down", file)
    (keeling.root / "one" / "natreg" / "genesis").write_bytes(b"{}")
    ended = keeling("network", "up", file)
    assert ended.code == 1
    assert "the node in" in ended.err
    assert "cannot go on" in ended.err


def test_four_nodes_seen_at_a_glance(keeling: Keeling) -> None:
    file = keeling.root / "four.toml"
    names = ("natreg", "acme", "power", "audit")
    ports = [free_port() for _ in names]
    file.write_text(
        'origin = "four.example"\n'
        + "".join(
            f'[[organisations]]\nid = "{name}"\nroles = ["registry"]\nlisten = "127.0.0.1:{port}"\n'
            for name, port in zip(names, ports, strict=True)
        )
    )
    try:
        keeling.must("network", "up", file)
        keeling.must("account", "open", "acme/a", "--owner", "acme", "--profile", "acme")
        facts = keeling.json("network", "status", file)
        assert (facts["validators_up"], facts["may_still_stop"]) == (4, 1)
        keeling.must("network", "reseed", file)
        keeling.must("account", "open", "acme/b", "--owner", "acme", "--profile", "acme")
        keeling.must("network", "down", file, "--only", "power")
        told = keeling.must("network", "status", file).out
        assert "3 of 4 validators answer, 3 decide: 0 more may stop" in told
        keeling.must("account", "open", "acme/c", "--owner", "acme", "--profile", "acme")
        keeling.must("network", "down", file, "--only", "audit")
        ended = keeling("network", "status", file)
        assert (ended.code, "nothing becomes final" in ended.out) == (4, True)
        assert "nothing listens at" in ended.out
    finally:
        keeling.must("network", "down", file)
