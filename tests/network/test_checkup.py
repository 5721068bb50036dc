"""A node folder looked over: every finding, well and wrong, and that nothing is changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from keeling.v1.ledger_pb2 import Status
from network.checkup import Finding, Mark, examine
from network.config import load_config
from network.folders import FolderRefused, NodeFolder, install_genesis, locked, renew, restore_folder
from network.founding import Founded, found_here, list_peers, prepare_node
from network.plan import NetworkPlan, Organisation
from network.rekeying import prepare_keys, take_keys
from network.transport import Destination

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ORIGIN = "ledger.example/two"


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    organisations = tuple(Organisation(id=name, listen=f"127.0.0.1:{port}") for name, port in (("a", 1), ("b", 2)))
    return found_here(NetworkPlan(origin=ORIGIN, organisations=organisations), tmp_path, NOW, None)


def look(root: Path, now: datetime = NOW, problem: str | None = None) -> dict[str, Finding]:
    def reach(destination: Destination) -> str | None:
        return problem

    return {finding.what: finding for finding in examine(NodeFolder(root), None, now, reach)}


def test_a_sound_folder(founded: Founded, tmp_path: Path) -> None:
    found = look(tmp_path / "a")
    assert [what for what, finding in found.items() if finding.mark is not Mark.WELL] == ["running"]
    assert found["part"].text == "by the genesis file this node is a validator"
    assert found["peer b"].text == "reached at 127.0.0.1:2"
    assert found["running"].advice.startswith("keeling node run ")


def test_a_peer_that_cannot_be_reached(founded: Founded, tmp_path: Path) -> None:
    finding = look(tmp_path / "a", problem="nobody listens at 127.0.0.1:2")["peer b"]
    assert (finding.mark, finding.text) == (Mark.WARNING, "nobody listens at 127.0.0.1:2")


@pytest.mark.parametrize(("days", "mark"), [(0, Mark.WELL), (340, Mark.WARNING), (400, Mark.WRONG)])
def test_the_certificate_ends(founded: Founded, tmp_path: Path, days: int, mark: Mark) -> None:
    root = tmp_path / "a"
    then = NOW + timedelta(days=days)
    assert look(root, then)["certificate"].mark is mark
    renew(NodeFolder(root), None, then)
    assert look(root, then)["certificate"].mark is Mark.WELL


def test_what_is_wrong_is_said(founded: Founded, tmp_path: Path) -> None:
    root = tmp_path / "a"
    (root / "keys" / "vote.key").unlink()
    (root / "genesis").write_bytes(b"{}")
    found = look(root)
    assert {what for what, finding in found.items() if finding.mark is Mark.WRONG} == {"vote key", "genesis"}
    (root / "node.toml").write_text("origin = 1\n")
    assert [finding.mark for finding in examine(NodeFolder(root), None, NOW)] == [Mark.WRONG, Mark.WRONG]


def test_another_network(founded: Founded, tmp_path: Path) -> None:
    prepare_node(tmp_path / "c", "ledger.example/other", "c", "127.0.0.1:3", "", NOW, None)
    assert look(tmp_path / "c")["genesis"].text == "the node belongs to no network yet"
    install_genesis(NodeFolder(tmp_path / "c"), founded.genesis, list_peers(founded.nodes))
    text = look(tmp_path / "c")["genesis"].text
    assert text == "the genesis file is of ledger.example/two, the configuration of ledger.example/other"


def test_a_restored_folder_is_whole_or_not_there(founded: Founded, tmp_path: Path) -> None:
    backup, secrets, target = tmp_path / "backup", tmp_path / "a", NodeFolder(tmp_path / "again")
    backup.mkdir()
    with pytest.raises(FolderRefused, match="is not there: give the backup"):
        restore_folder(backup, target, secrets)
    assert not target.root.exists()
    for name in ("node.toml", "genesis"):
        (backup / name).write_bytes((secrets / name).read_bytes())
    (backup / "data").mkdir()
    restore_folder(backup, target, secrets)
    assert [finding.what for finding in look(target.root).values() if finding.mark is Mark.WRONG] == []
    with pytest.raises(FolderRefused, match="exists already"):
        restore_folder(backup, target, secrets)


def test_a_running_node_is_asked_which_keys_the_ledger_names(founded: Founded, tmp_path: Path) -> None:
    answers: list[Status | grpc.RpcError] = []

    def ask(destination: Destination) -> Status:
        assert (destination.address, destination.participant) == ("127.0.0.1:1", "a")
        answer = answers.pop()
        if isinstance(answer, grpc.RpcError):
            raise answer
        return answer

    def look_running() -> dict[str, Finding]:
        found = examine(NodeFolder(tmp_path / "a"), None, NOW, lambda _: None, ask)
        return {finding.what: finding for finding in found}

    with locked(NodeFolder(tmp_path / "a")):
        answers.append(Status())
        assert {finding.mark for finding in look_running().values()} == {Mark.WELL}
        answers.append(Status(wrong_keys=["vote"]))
        found = look_running()["keys on the ledger"]
        assert (found.mark, "(it does not vote)" in found.text) == (Mark.WRONG, True)
        assert "keeling node rekey FOLDER --use" in found.advice
        answers.append(grpc.RpcError("nobody is there"))
        assert look_running()["answering"] == Finding(
            "answering", Mark.WARNING, "it does not answer: nobody is there", "look again shortly, and at its log"
        )


def test_a_founders_other_vote_key_is_told_from_the_files_alone(founded: Founded, tmp_path: Path) -> None:
    folder = NodeFolder(tmp_path / "a")
    prepare_keys(folder, ["vote"], None, NOW)
    assert look(folder.root)["part"].mark is Mark.WELL, "what waits is not in use"
    take_keys(folder, load_config(folder.config))
    found = look(folder.root)["part"]
    assert (found.mark, "well, if the ledger has changed it" in found.text) == (Mark.WARNING, True)
