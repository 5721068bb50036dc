"""`group.toml`: every mistake is named with its line; paths are the file's; secrets are read at every call."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.capabilities import Limit
from hub.dispatch.words import describe_with
from hub.service.config import load_config, parse_config
from hub.service.parts import read_limits, read_words
from hub.service.secrets import name_variable, open_secrets
from keeling.v1 import ledger_pb2 as pb
from network.settings import ConfigError
from tests.cli.command_line import Keeling

GOOD = """participant = "hub"
[[registries]]
name = "puro"
url = "http://127.0.0.1:7490"
secrets = "secrets/puro"
[[callers]]
name = "desk"
role = "trader"
token = "secrets/desk"
"""
TOKEN = 'token = "secrets/desk"\n'
RULE = '[[rules]]\nname = "r"\nregistry = "puro"\naction = "accept"\naccounts = ["A"]\nunits_most = 5\n'
MISTAKES = [
    ('secrets = "secrets/puro"', 'secrts = "secrets/puro"', r"line 5: unknown key .*secrts: did you mean secrets"),
    ('name = "puro"', 'name = "pruo"', r"line 2: registries.0: 'pruo' is no system; there are .*puro"),
    ('url = "http://127.0.0.1:7490"', 'url = "ftp://x"', r"line 4: registries.0.url: 'ftp://x' is no http"),
    ("[[callers]]", "[[caller]]", r"line 6: unknown key caller: did you mean callers"),
    ('role = "trader"', 'role = "king"', r"line 8: callers.0.role: .*'viewer', 'trader' or 'operator'"),
    ('participant = "hub"', "", r"participant is missing"),
    ('token = "secrets/desk"', "", r"callers.0: a caller needs a token \(for HTTP\), a tls_key \(for gRPC\), or both"),
    ('participant = "hub"', 'participant = "hub"\ngrpc_listen = "127.0.0.1:1"', r"no \[\[callers\]\] has a tls_key"),
    ('token = "secrets/desk"', 'tls_key = "abc"', r"callers.0.tls_key.*no TLS public key"),
    ('role = "trader"', 'role = "trader"\n[article6]\ncode = "x y"', r"article6.code"),
    ('role = "trader"', 'role = "trader"\n[[peers]]\nname = "v"\nurl = "http://v.example"', r"peers.0.url.*on the way"),
    (TOKEN, TOKEN + RULE.replace("puro", "verra"), "rule r is for verra, which is none of the registries here"),
    (TOKEN, TOKEN + RULE.replace('"A"', ""), r"line 14: rules.0.accounts"),
    (
        'secrets = "secrets/puro"',
        "limits = [{requests = 0, per_ms = 1000}]",
        r"registries.0.limits.0.requests: .*greater than or equal to 1",
    ),
    ('secrets = "secrets/puro"', "limits = [{request = 5, per_ms = 1000}]", r"request: did you mean requests"),
    ('name = "desk"', 'name = "De sk"', r"line 7: callers.0.name: 'De sk' is no name"),
]


@pytest.mark.parametrize(("good", "bad", "told"), MISTAKES)
def test_every_mistake_is_named_with_its_line(good: str, bad: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_config(GOOD.replace(good, bad))


def test_a_typo_ends_the_command_with_the_line_and_code_2(tmp_path: Path) -> None:
    file = tmp_path / "group.toml"
    file.write_text(GOOD.replace("secrets = ", "secrts = "))
    ended = Keeling(tmp_path)("hub", "run", file)
    assert ended.code == 2
    assert f"{file} line 5: unknown key registries.0.secrts: did you mean secrets?" in ended.err


def test_paths_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "group.toml").write_text(GOOD)
    config = load_config(tmp_path / "group.toml")
    assert (config.folder, config.evidence) == (tmp_path / "hub", tmp_path / "evidence")
    assert (config.registries[0].secrets, config.registries[0].adapter) == (tmp_path / "secrets/puro", "puro")
    assert config.callers[0].token == tmp_path / "secrets/desk"


def test_limits_are_the_adapters_unless_others_were_agreed() -> None:
    def read(line: str) -> dict[str, tuple[Limit, ...]]:
        return read_limits(parse_config(GOOD.replace("[[callers]]", f"{line}\n[[callers]]")))

    assert read("") == {}
    assert read("limits = []") == {"puro": ()}
    agreed = (Limit(50, 60_000, stated=True), Limit(2, 1_000, stated=True))
    assert read("limits = [{requests = 50, per_ms = 60000}, {requests = 2, per_ms = 1000}]") == {"puro": agreed}


def test_secrets_are_read_at_every_call_and_from_nowhere_else(tmp_path: Path) -> None:
    secret = open_secrets("puro", tmp_path, {})
    assert secret("key-id") == ""
    (tmp_path / "key-id").write_text("first\n")
    assert secret("key-id") == "first"
    (tmp_path / "key-id").write_text("second\n")
    assert secret("key-id") == "second"
    (tmp_path.parent / "outside").write_text("no")
    assert secret("../outside") == ""
    assert name_variable("uk_ets", "key-id") == "KEELING_SECRET_UK_ETS_KEY_ID"
    assert open_secrets("puro", None, {"KEELING_SECRET_PURO_KEY_ID": "e"})("key-id") == "e"
    (tmp_path / "their-key").write_text("theirs")
    assert open_secrets("article6", tmp_path)("their-key") == "theirs"
    assert open_secrets("article6", tmp_path)("reader:\0") == ""
    assert open_secrets("article6", tmp_path)("reader:\ud800") == ""
    assert open_secrets("article6", tmp_path)("reader:../their-key") == "", "who calls itself so is no reader"


def test_words_for_a_registry_are_those_of_the_buyer_before_the_general_ones() -> None:
    text = (
        'participant = "hub"\n[[registries]]\nname = "isometric"\nurl = "http://127.0.0.1:1"\n'
        '[registries.words]\npurpose = "offset"\nbeneficiary_id = "org_ours"\n'
        '[registries.buyers.globex]\nbeneficiary_id = "org_globex"\n'
    )
    describe = describe_with(read_words(parse_config(text)))
    told = {
        buyer: describe(pb.HoldInfo(registry="isometric", buyer=buyer, holder="acme"))
        for buyer in ("globex", "initech")
    }
    assert told == {
        "globex": {"beneficiary": "globex", "purpose": "offset", "beneficiary_id": "org_globex"},
        "initech": {"beneficiary": "initech", "purpose": "offset", "beneficiary_id": "org_ours"},
    }
