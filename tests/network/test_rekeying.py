"""New keys beside the old ones: what the card shows, what is refused, and taking them into use, also twice."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from network.cards import parse_card
from network.certificates import encode_public_key
from network.config import load_config
from network.folders import FolderRefused, NodeFolder
from network.founding import prepare_node
from network.keys import NODE_ROLES, Role, describe_key_file
from network.rekeying import PARTS, list_changes, prepare_keys, read_waiting_vote_key, take_keys
from network.transport import TlsFiles

NOW = datetime.now(UTC)


def made(root: Path) -> tuple[NodeFolder, dict[Role, bytes]]:
    identity = prepare_node(root, "ledger.example/new", "a", "127.0.0.1:1", "", NOW, None)
    return NodeFolder(root), dict(identity.keys)


def in_use(folder: NodeFolder) -> dict[Role, bytes]:
    return {role: describe_key_file(folder.key(role)).public_key for role in NODE_ROLES}


def test_a_new_key_waits_until_it_is_taken_into_use(tmp_path: Path) -> None:
    folder, before = made(tmp_path / "a")
    config = load_config(folder.config, {})
    card = parse_card(prepare_keys(folder, ["vote"], None, NOW).read_bytes())
    assert {role for role in NODE_ROLES if card.keys[role] != before[role]} == {Role.VOTE}
    assert in_use(folder) == before
    assert read_waiting_vote_key(config) == card.keys[Role.VOTE]
    assert take_keys(folder, config) == ["vote"]
    assert in_use(folder) == dict(card.keys)
    assert describe_key_file(folder.root / "keys" / "vote.key.old").public_key == before[Role.VOTE]
    assert parse_card((folder.root / "card.json").read_bytes()) == card
    assert take_keys(folder, config) == []


def test_everything_at_once(tmp_path: Path) -> None:
    folder, before = made(tmp_path / "a")
    config = load_config(folder.config, {})
    files = TlsFiles(config.tls.key, config.tls.certificate)
    card = parse_card(prepare_keys(folder, PARTS, None, NOW).read_bytes())
    assert not set(card.keys.values()) & set(before.values())
    assert take_keys(folder, config) == list(PARTS)
    assert encode_public_key(files.current().key) == card.tls.public_key
    assert files.problem is None


def test_taking_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    folder, _ = made(tmp_path / "a")
    config = load_config(folder.config, {})
    card = parse_card(prepare_keys(folder, ["vote", "entry"], None, NOW).read_bytes())
    first = list_changes(config)[0]
    first.place.rename(first.place.with_name(first.place.name + ".old"))
    assert set(take_keys(folder, config)) == {"vote", "entry"}
    assert in_use(folder) == dict(card.keys)


@pytest.mark.parametrize(("parts", "text"), [(["votes"], "votes cannot be made anew"), ([], "nothing cannot be made")])
def test_parts_that_are_none(tmp_path: Path, parts: list[str], text: str) -> None:
    folder, before = made(tmp_path / "a")
    with pytest.raises(FolderRefused, match=text):
        prepare_keys(folder, parts, None, NOW)
    assert in_use(folder) == before


def test_only_one_change_waits(tmp_path: Path) -> None:
    folder, _ = made(tmp_path / "a")
    prepare_keys(folder, ["log"], None, NOW)
    with pytest.raises(FolderRefused, match=r"wait already \(log\)"):
        prepare_keys(folder, ["vote"], None, NOW)
