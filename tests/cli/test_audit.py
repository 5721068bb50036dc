"""`keeling audit` as typed: verdicts, exit codes and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.audit import audit_app
from keeling.bundle import Kind, parse_bundle
from node.export import export_cut, export_whole
from node.store.contract import Batch, Family
from node.store.rocks import RocksStore
from tests.fakes.recorded_world import story
from tests.keeling.bundle_forgery import forge_whole


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A genesis file, a whole bundle, a cut, and a node's folder."""
    folder, world = tmp_path_factory.mktemp("audit"), story()
    height = world.tip.height
    (folder / "genesis").write_bytes(world.genesis_bytes)
    (folder / "whole.bundle").write_bytes(b"".join(export_whole(world.store, world.genesis, height)))
    cut = export_cut(world.store, world.genesis, "alice-main", 0, 2**62, height)
    (folder / "a.bundle").write_bytes(b"".join(cut))
    store = RocksStore.create(folder / "node" / "data" / "store")
    copy = Batch()
    for family in (Family.STATE, Family.BLOCKS, Family.BODIES, Family.EVENTS):
        for key, value in world.store.scan(family):
            copy.put(family, key, value)
    store.commit(copy)
    store.close()
    return folder


def run(folder: Path, command: str, name: str, *more: str, genesis: str = "genesis") -> Result:
    arguments = [command, str(folder / name), "--genesis", str(folder / genesis), *more]
    return CliRunner().invoke(audit_app, arguments)


def test_whole_bundle_is_intact_and_follows_the_rules(folder: Path) -> None:
    done = run(folder, "verify", "whole.bundle", "--replay")
    assert done.exit_code == 0
    assert done.stdout.startswith("intact and final to height 14\nrules hold (version 1)\n")
    assert "every block from genesis to height 14: 17 transactions" in done.stdout
    assert "rules" not in run(folder, "verify", "whole.bundle").stdout


def test_cut_says_what_it_shows_and_no_more(folder: Path) -> None:
    done = run(folder, "verify", "a.bundle")
    assert done.exit_code == 0
    assert done.stdout.startswith("intact and final to height 14\n")
    scope = "6 transactions and 1 event of expiry of account alice-main from 1970-01-01T00:00:00.000Z until"
    assert scope in " ".join(done.stdout.split())
    assert "nothing about what is not shown" in " ".join(done.stdout.split())


def test_facts_are_printed_as_json(folder: Path) -> None:
    facts = json.loads(run(folder, "verify", "whole.bundle", "--replay", "--json").stdout)
    assert (facts["intact"], facts["rules_hold"], facts["height"]) == (True, True, 14)
    assert (facts["transactions"], facts["accepted"], facts["signers"]) == (17, 15, ["one"])
    assert json.loads(run(folder, "verify", "a.bundle", "--json").stdout)["selection"]["account"] == "alice-main"


@pytest.mark.parametrize("name", ["whole.bundle", "a.bundle"])
def test_changed_bundle_ends_with_4_and_names_the_place(folder: Path, tmp_path: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) * 3 // 4] ^= 1
    (tmp_path / "bad").write_bytes(data)
    done = CliRunner().invoke(audit_app, ["verify", str(tmp_path / "bad"), "--genesis", str(folder / "genesis")])
    assert done.exit_code == 4
    assert done.stdout.startswith("NOT intact\n")
    for word in ("part blocks/", "height", "expected", "found"):
        assert word in done.stdout
    assert "verification failed: part blocks/" in done.stderr
    again = ["verify", str(tmp_path / "bad"), "--genesis", str(folder / "genesis"), "--json"]
    facts = json.loads(CliRunner().invoke(audit_app, again).stdout)
    assert facts["intact"] is False
    assert sorted(facts["failure"]) == ["expected", "found", "what", "where"]


def test_another_genesis_ends_with_4(folder: Path, tmp_path: Path) -> None:
    other = (folder / "genesis").read_bytes().replace(b'"Carol"', b'"Karol"')
    (tmp_path / "other").write_bytes(other)
    done = CliRunner().invoke(audit_app, ["verify", str(folder / "whole.bundle"), "--genesis", str(tmp_path / "other")])
    assert done.exit_code == 4
    assert "SHA-256 of the genesis file" in done.stderr


def test_bundle_of_another_ledger_ends_with_4(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign").write_bytes(forge_whole(lambda blocks: blocks))
    done = CliRunner().invoke(audit_app, ["verify", str(tmp_path / "foreign"), "--genesis", str(folder / "genesis")])
    assert done.exit_code == 4


@pytest.mark.parametrize(
    ("command", "name", "genesis", "more", "code", "text"),
    [
        ("verify", "none", "genesis", (), 3, "there is no such file"),
        ("verify", "whole.bundle", "none", (), 3, "there is no such file"),
        ("verify", "whole.bundle", "whole.bundle", (), 2, "not a genesis file"),
        ("verify", "a.bundle", "genesis", ("--replay",), 2, "only a whole bundle can be re-executed"),
        ("verify", "whole.bundle", "genesis", ("--jobs", "0"), 2, ""),
        ("verify", "genesis", "genesis", (), 4, "first line"),
        ("state", "none", "genesis", (), 3, "no such folder"),
        ("state", "node/data/store/records", "genesis", (), 3, "holds no store"),
        ("state", "a.bundle", "genesis", (), 2, "a cut bundle has no state"),
        ("state", "genesis", "genesis", (), 4, "first line"),
    ],
)
def test_misuse_and_absence_have_their_codes(
    folder: Path, command: str, name: str, genesis: str, more: tuple[str, ...], code: int, text: str
) -> None:
    done = run(folder, command, name, *more, genesis=genesis)
    assert done.exit_code == code, done.stderr
    assert text in done.stderr


def test_empty_file_is_no_bundle(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    done = CliRunner().invoke(audit_app, ["verify", str(tmp_path / "empty"), "--genesis", str(folder / "genesis")])
    assert done.exit_code == 4


def test_state_of_a_node_equals_that_of_its_bundle(folder: Path) -> None:
    node = json.loads(run(folder, "state", "node", "--json").stdout)
    bundle = json.loads(run(folder, "state", "whole.bundle", "--json").stdout)
    assert (node["equal"], node["height"], node["differing"]) == (True, 14, 0)
    assert node["computed"] == node["stored"] == bundle["computed"]
    done = run(folder, "state", "node")
    assert done.exit_code == 0
    assert done.stdout.startswith("the stored state is the one the log gives\n")


def test_changed_state_ends_with_4_and_names_the_key(folder: Path, tmp_path: Path) -> None:
    store = RocksStore.create(tmp_path / "node")
    copy = Batch()
    for family in (Family.STATE, Family.BLOCKS, Family.BODIES, Family.EVENTS):
        for key, value in story().store.scan(family):
            copy.put(family, key, value)
    copy.put(Family.STATE, b"\xff", b"planted")
    store.commit(copy)
    store.close()
    done = CliRunner().invoke(audit_app, ["state", str(tmp_path / "node"), "--genesis", str(folder / "genesis")])
    assert done.exit_code == 4
    assert b"planted".hex() in done.stdout
    assert "keys that differ: 1" in done.stderr


def test_several_processes_come_to_the_same_verdict(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part is checked in another process, the answers come in order, and a failure ends it."""
    from cli.audit import _run_in_processes
    from keeling import bundle as bundle_module
    from keeling.verify import verify_bundle

    world = story()
    monkeypatch.setattr(bundle_module, "PART_BYTES_FULL", 1)
    data = b"".join(export_whole(world.store, world.genesis, world.tip.height))
    monkeypatch.undo()
    assert len(parse_bundle(data).manifest.parts) == 3 + 14
    assert parse_bundle(data).manifest.kind is Kind.WHOLE
    here = verify_bundle(data, world.genesis_bytes)
    there = verify_bundle(data, world.genesis_bytes, _run_in_processes(2))
    assert here == there
    assert here.failure is not None
    assert here.failure.what == "length"
    good = (folder / "whole.bundle").read_bytes()
    assert verify_bundle(good, world.genesis_bytes, _run_in_processes(2)).facts is not None
