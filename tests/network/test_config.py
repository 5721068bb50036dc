"""The node's configuration: read, overridden, written, and refused with line and key."""

from __future__ import annotations

import base64
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from network.config import (
    KeyPaths,
    Limits,
    NodeConfig,
    PeerConfig,
    TlsPaths,
    list_variables,
    load_config,
    parse_config,
)
from network.config_text import format_commented, format_tables, locate_keys
from network.settings import ConfigError
from network.trust import build_trust
from tests.network.party import Party

SMALLEST = 'origin = "ledger.example/main"\nparticipant = "natreg"\n'
PEER = Party("exchange")
PEER_KEY = base64.b64encode(PEER.pin.public_key).decode()


def test_the_smallest_file_has_every_default() -> None:
    config = parse_config(SMALLEST, {})
    assert config == NodeConfig(origin="ledger.example/main", participant="natreg")
    assert config.limits == Limits(
        submission_transactions=500, call_bytes=4 * 1024 * 1024, entry_bytes=1024 * 1024, linger_ms=3
    )
    assert config.listen == "127.0.0.1:7451"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(SMALLEST + 'data = "/srv/ledger"\n[keys]\nvote = "hsm/vote.key"\n')
    config = load_config(tmp_path / "node.toml", {})
    assert config.data == Path("/srv/ledger")
    assert config.genesis == tmp_path / "genesis"
    assert config.keys.vote == tmp_path / "hsm/vote.key"
    assert config.keys.log == tmp_path / "keys/log.key"
    assert config.tls.certificate == tmp_path / "tls/certificate.pem"


def test_peers_become_trust() -> None:
    text = SMALLEST + f'[[peers]]\nparticipant = "exchange"\ntls_key = "{PEER_KEY}"\naddress = "10.0.0.2:7451"\n'
    own = Party("natreg")
    config = parse_config(text, {})
    assert config.trust(own.pin.public_key) == build_trust("ledger.example/main", [own.pin, PEER.pin])


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        parse_config(SMALLEST, {}).listen = "0.0.0.0:1"


REFUSED = [
    ("x = = 1", "node.toml is not TOML: Invalid value (at line 1, column 5)"),
    ('origin = "a"', "node.toml: participant is missing"),
    (SMALLEST + "lsiten = 1", "node.toml line 3: unknown key lsiten: did you mean listen?"),
    (SMALLEST + "\n[limits]\n# 1\nlinger = 1", "node.toml line 6: unknown key limits.linger: did you mean linger_ms?"),
    (SMALLEST + "nothing_like_it = 1", "node.toml line 3: unknown key nothing_like_it"),
    (SMALLEST + "[limit]\nx = 1", "node.toml line 3: unknown key limit: did you mean limits?"),
    (SMALLEST + "limits = 3", "node.toml line 3: limits: this is a table, found 3"),
    (SMALLEST + "limits.linger_ms = 5000", "node.toml line 3: limits.linger_ms: input should be less than or equal to"),
    (SMALLEST + "limits = { linger_ms = -1 }", "node.toml line 3: limits.linger_ms: input should be greater than or"),
    (SMALLEST + "[limits]\nsubmission_transactions = 501", "node.toml line 4: limits.submission_transactions: input"),
    (SMALLEST + "[limits]\ncall_bytes = 4194305", "node.toml line 4: limits.call_bytes: input should be less than"),
    (SMALLEST + "[limits]\nentry_bytes = 1048577", "node.toml line 4: limits.entry_bytes: input should be less than"),
    (SMALLEST + "[limits]\ncall_bytes = 1048576", "node.toml line 3: limits: entry_bytes (1048576) and 65536 bytes"),
    (SMALLEST + 'listen = "7451"', "node.toml line 3: listen: '7451' is not an address: write host:port"),
    (SMALLEST + "listen = 7451", "node.toml line 3: listen: input should be a valid string, found 7451"),
    ('origin = "A"\nparticipant = "b"', "node.toml line 1: origin: 'A' cannot name a network"),
    ('origin = "a"\nparticipant = "B"', "node.toml line 2: participant: 'B' cannot be a participant's id"),
    (SMALLEST + '[[peers]]\n[[peers]]\nparticipant = "x"', "node.toml line 4: peers.1.tls_key is missing"),
    (SMALLEST + '[[peers]]\nadress = ""', "node.toml line 4: unknown key peers.0.adress: did you mean address?"),
    (SMALLEST + '[[peers]]\ntls_key = "zz"', "node.toml line 4: peers.0.tls_key: this is no TLS public key in base64"),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_refused_with_line_and_key(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(text, {})
    assert any(problem.startswith(expected) for problem in refusal.value.problems), refusal.value.problems


def test_every_problem_is_told_at_once_in_the_order_of_the_lines() -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(SMALLEST + "lsiten = 1\nsignature_workers = -1\n[limits]\nlinger_ms = true\ncall_bytes = 1", {})
    assert [problem.split(":")[0] for problem in refusal.value.problems] == [
        f"node.toml line {line}" for line in (3, 4, 7)
    ]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no configuration .*: make a node folder with `keeling init`"):
        load_config(tmp_path / "node.toml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path, {})
    (tmp_path / "node.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"is not UTF-8 text \(byte 0\)"):
        load_config(tmp_path / "node.toml", {})


def test_the_environment_overrides() -> None:
    variables = {"KEELING_LISTEN": "0.0.0.0:9", "KEELING_LIMITS__LINGER_MS": "7", "KEELING_TLS__KEY": "/run/key.pem"}
    config = parse_config(SMALLEST + "limits.linger_ms = 5", variables)
    assert (config.listen, config.limits.linger_ms, config.tls.key) == ("0.0.0.0:9", 7, Path("/run/key.pem"))


def test_what_is_no_setting_of_a_node_is_left_alone() -> None:
    others = ["PASSPHRASE", "PASSPHRASE_FILE", "HOME", "HUB_LISTEN", "SERVICE_HOST", "PORT_7451_TCP_ADDR"]
    assert parse_config(SMALLEST, {f"KEELING_{name}": "x" for name in others}) == parse_config(SMALLEST, {})


WRONG_VARIABLES = [
    ("KEELING_LISTN", "x", "the variable KEELING_LISTN is no setting: did you mean KEELING_LISTEN?"),
    ("KEELING_LIMITS_LINGER_MS", "1", "did you mean KEELING_LIMITS__LINGER_MS?"),
    ("KEELING_LISTEN", "x", "the variable KEELING_LISTEN: 'x' is not an address"),
    ("KEELING_LIMITS__LINGER_MS", "x", "the variable KEELING_LIMITS__LINGER_MS: input should be a valid integer"),
]


@pytest.mark.parametrize(("variable", "value", "expected"), WRONG_VARIABLES)
def test_wrong_variables(variable: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(SMALLEST, {variable: value})
    assert expected in str(refusal.value)


def test_a_variable_for_a_table_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"sets one of \[limits\], and the file has no such table"):
        parse_config(SMALLEST + "limits = 3", {"KEELING_LIMITS__LINGER_MS": "1"})


def test_every_setting_has_a_variable_and_a_reason() -> None:
    assert list_variables()["KEELING_KEYS__VOTE"] == ("keys", "vote")
    assert len(list_variables()) == 24
    models: list[type[BaseModel]] = [NodeConfig, KeyPaths, TlsPaths, Limits, PeerConfig]
    for model in models:
        for key, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{key} has no docstring"


WRITTEN = [
    NodeConfig(origin="a", participant="b"),
    NodeConfig(
        origin="a", participant="b", listen="[::1]:0", metrics="", data=Path('od"d\\é\x7f'), limits=Limits(linger_ms=9)
    ),
    NodeConfig(
        origin="a",
        participant="b",
        peers=(PeerConfig(participant="x", tls_key=PEER_KEY), PeerConfig(participant="y", tls_key=PEER_KEY)),
    ),
]


@pytest.mark.parametrize("config", WRITTEN)
def test_a_written_file_is_read_back(config: NodeConfig) -> None:
    text = format_commented(config, "A heading.")
    assert parse_config(text, {}) == config
    assert text.startswith("# A heading.\n")


def test_a_written_file_explains_every_setting_and_leaves_defaults_to_the_program() -> None:
    text = format_commented(WRITTEN[0], "A heading.")
    lines = text.splitlines()
    for place in list_variables().values():
        key = place[-1]
        assert any(line.startswith((f"{key} = ", f"# {key} = ")) for line in lines), key
    assert [line for line in lines if line and not line.startswith(("#", "["))] == ['origin = "a"', 'participant = "b"']


def test_keys_are_found_in_their_lines() -> None:
    text = 'a = 1\n# b = 2\n[t]\n"b" = 2\nc.d = 3\n\n[[l]]\nx = 1\n[[l]] # more\nx = 1\n[t.u]\ny=1'
    assert locate_keys(text) == {
        ("a",): 1,
        ("t",): 3,
        ("t", "b"): 4,
        ("t", "c", "d"): 5,
        ("l",): 7,
        ("l", 0): 7,
        ("l", 0, "x"): 8,
        ("l", 1): 9,
        ("l", 1, "x"): 10,
        ("t", "u"): 11,
        ("t", "u", "y"): 12,
    }


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_written_as_toml(text: str) -> None:
    written = format_tables({"t": {"x": text}}, {"y": text}, "h")
    assert tomllib.loads(written) == {"y": text, "t": {"x": text}}
