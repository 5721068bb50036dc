"""Founding a network: cards meet, one genesis comes out, and every folder belongs to it; or nothing was made."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keeling.genesis import parse_genesis
from keeling.operations import Contact
from keeling.policy import parse_policy
from network.cards import CardRefused, compute_card_digest, format_card, parse_card
from network.config import load_config
from network.contacts import contact_of, with_founders
from network.folders import FolderRefused, NodeFolder, install_genesis
from network.founding import Founded, found_from_cards, found_here, list_peers, prepare_node
from network.keys import Role
from network.plan import NetworkPlan, Organisation

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ORIGIN = "ledger.example/two"


def plan(**cards: Path) -> NetworkPlan:
    organisations = (
        Organisation(id="natreg", roles=("registry",), listen="127.0.0.1:7461", card=cards.get("natreg")),
        Organisation(id="audit", roles=("auditor",), listen="127.0.0.1:7462", validator=False, card=cards.get("audit")),
    )
    return NetworkPlan(origin=ORIGIN, organisations=organisations)


def check_founded(founded: Founded) -> None:
    genesis = parse_genesis(founded.genesis)
    policy = parse_policy(genesis.policy)
    natreg, audit = (node.identity for node in founded.nodes)
    assert [validator.vote_key for validator in policy.validators] == [natreg.keys[Role.VOTE]]
    assert [(validator.participant, validator.entry_key) for validator in genesis.validators] == [
        ("natreg", natreg.keys[Role.ENTRY])
    ]
    assert [(founder.participant, founder.roles) for founder in genesis.founders] == [
        ("natreg", ("registry",)),
        ("audit", ("auditor",)),
    ]
    assert genesis.founders[1].keys[0].key == audit.keys[Role.SUBMISSION]


def test_on_one_machine(tmp_path: Path) -> None:
    founded = found_here(plan(), tmp_path, NOW, None)
    check_founded(founded)
    for name, other in (("natreg", "audit"), ("audit", "natreg")):
        folder = NodeFolder(tmp_path / name)
        assert folder.genesis.read_bytes() == founded.genesis
        config = load_config(folder.config, {})
        assert config.peers == ()
        known = with_founders(config, parse_genesis(founded.genesis)).peers
        assert known == tuple(peer for peer in list_peers(founded.nodes) if peer.participant == other)


def test_nothing_is_made_when_a_folder_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "audit").mkdir()
    with pytest.raises(FolderRefused, match="audit exist already; nothing was changed"):
        found_here(plan(), tmp_path, NOW, None)
    assert not (tmp_path / "natreg").exists()


def test_from_cards(tmp_path: Path) -> None:
    for name, port in (("natreg", 7461), ("audit", 7462)):
        prepare_node(tmp_path / name, ORIGIN, name, f"127.0.0.1:{port}", "", NOW, None)
        assert not NodeFolder(tmp_path / name).genesis.exists()
    cards = {name: tmp_path / name / "card.json" for name in ("natreg", "audit")}
    founded = found_from_cards(plan(**cards), NOW)
    check_founded(founded)
    folder = NodeFolder(tmp_path / "natreg")
    for _ in range(2):
        install_genesis(folder, founded.genesis, list_peers(founded.nodes))
    assert [peer.address for peer in load_config(folder.config, {}).peers] == ["127.0.0.1:7462"]
    with pytest.raises(FolderRefused, match="belongs to another network already"):
        install_genesis(folder, founded.genesis + b" ", ())


def test_cards_are_refused_with_the_reason(tmp_path: Path) -> None:
    identity = prepare_node(tmp_path / "natreg", ORIGIN, "natreg", "127.0.0.1:7461", "", NOW, None)
    card = format_card(identity)
    assert parse_card(card) == identity
    assert compute_card_digest(card).count(" ") == 7
    content = json.loads(card)
    for change, problem in [
        ({"origin": "A B"}, "cannot name a network"),
        ({"tls_key": "AAAA"}, "the card is damaged"),
        ({"keys": {**content["keys"], "vote": "00"}}, "vote key has 1 bytes"),
        ({"keys": {**content["keys"], "vote": "zz"}}, "vote key is no hexadecimal number"),
        ({"keys": {}}, "says nothing of 'submission'"),
        ({"format": 2}, "no card of format 1"),
        ({"more": 1}, "the card was edited"),
    ]:
        with pytest.raises(CardRefused, match=problem):
            parse_card(json.dumps(content | change, indent=2).encode())
    with pytest.raises(CardRefused, match="this is no card"):
        parse_card(b"hello")
    strange = plan(natreg=tmp_path / "natreg" / "card.json", audit=tmp_path / "natreg" / "card.json")
    with pytest.raises(CardRefused, match=r"is the card of natreg .* the network file says audit"):
        found_from_cards(strange, NOW)


def test_a_node_that_listens_everywhere_does_not_say_where(tmp_path: Path) -> None:
    identity = prepare_node(tmp_path / "a", ORIGIN, "a", "0.0.0.0:7461", "", NOW, None)
    assert contact_of(identity) == Contact("", (identity.tls.public_key,))
