"""What a hub is made of, as its file says: what outlives it is in its folder."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from adapters.systems import CannotOpenError
from hub.inbound.keys import KeyTextError
from hub.ledger_client import Signatory
from hub.service.config import parse_config, place_paths
from hub.service.parts import Parts, open_salt_keys
from network.keys import SeedSigner

RULE = '[[rules]]\nname = "r"\nregistry = "puro"\naction = "accept"\naccounts = ["A"]\nunits_most = 5\n'
FILE = 'participant = "hub"\n[[registries]]\nname = "puro"\nurl = "http://127.0.0.1:1"\n'


class Unasked:
    """A ledger that only knows who signs."""

    network = bytes(32)

    def __init__(self, seed: int = 1) -> None:
        signer = SeedSigner(bytes([seed] * 32))
        self.signatory = Signatory(signer, (signer,))


LEDGER = cast(Any, Unasked())


def test_a_quiet_time_outlives_the_process_but_not_the_folder(tmp_path: Path) -> None:
    config = place_paths(parse_config(FILE), tmp_path)

    async def run() -> None:
        def start() -> Parts:
            return Parts(config, LEDGER, lambda: 1_000)

        found = []
        for gone in (False, False, True):
            if gone:
                shutil.rmtree(config.folder)
            parts = start()
            found.append(parts.dispatcher.lines.quiet_until("puro"))
            parts.dispatcher.lines.keep_quiet("puro", 5_000)
            await parts.close()
        assert found == [0, 5_000, 0]

    asyncio.run(run())


def test_a_rule_for_a_registry_without_proposals_is_refused_at_start(tmp_path: Path) -> None:
    config = place_paths(parse_config(FILE + RULE), tmp_path)
    with pytest.raises(CannotOpenError, match="rule r: puro has no proposals to accept"):
        Parts(config, LEDGER)


def test_processes_share_salts_by_their_key_or_by_a_file_and_know_those_of_before(tmp_path: Path) -> None:
    alone = place_paths(parse_config(FILE), tmp_path)
    (key,) = open_salt_keys(alone, LEDGER)
    assert open_salt_keys(alone, cast(Any, Unasked())) == (key,)
    assert open_salt_keys(alone, cast(Any, Unasked(2))) != (key,)
    shared = place_paths(parse_config(FILE + '[ledger]\nsalt = "salt"\n'), tmp_path)
    (tmp_path / "salt").write_text(f"{'n' * 40}\n{'o' * 40}\n")
    keys = open_salt_keys(shared, LEDGER)
    assert (len(keys), keys[2]) == (3, key)
    assert open_salt_keys(shared, cast(Any, Unasked(2)))[:2] == keys[:2]


@pytest.mark.parametrize("text", [None, "", "short"])
def test_a_salt_that_can_be_guessed_is_refused_at_start(tmp_path: Path, text: str | None) -> None:
    config = place_paths(parse_config(FILE + '[ledger]\nsalt = "salt"\n'), tmp_path)
    if text is not None:
        (tmp_path / "salt").write_text(text)
    with pytest.raises(CannotOpenError, match="salt: a secret of 32 characters or more"):
        Parts(config, LEDGER)


def test_a_key_that_is_none_is_told_once_and_the_others_go_on(tmp_path: Path) -> None:
    config = place_paths(parse_config(FILE + 'secrets = "keys"\ninbound_keys = ["old", "new"]\n'), tmp_path)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "old").write_text("whsec_" + "A" * 32)
    (tmp_path / "keys" / "new").write_text("whsec_%%%")
    parts = Parts(config, LEDGER)
    with capture_logs() as logs:
        assert [key.name for key in parts.find_keys("puro")] == ["old"]
        assert [key.name for key in parts.find_keys("puro")] == ["old"]
    assert [each["why"] for each in logs] == ["key new: what follows whsec_ is not base64"]
    (tmp_path / "keys" / "old").unlink()
    with pytest.raises(KeyTextError, match="key new"):
        parts.find_keys("puro")
    (tmp_path / "keys" / "new").write_text("whsec_" + "B" * 32)
    assert [key.name for key in parts.find_keys("puro")] == ["new"]
    asyncio.run(parts.close())
