"""What a hub is made of, as its file says: what outlives it is in its folder."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from adapters.systems import CannotOpenError
from hub.service.config import parse_config, place_paths
from hub.service.parts import Parts

RULE = '[[rules]]\nname = "r"\nregistry = "puro"\naction = "accept"\naccounts = ["A"]\nunits_most = 5\n'
FILE = 'participant = "hub"\n[[registries]]\nname = "puro"\nurl = "http://127.0.0.1:1"\n'


def test_a_quiet_time_outlives_the_process_but_not_the_folder(tmp_path: Path) -> None:
    config = place_paths(parse_config(FILE), tmp_path)

    async def run() -> None:
        def start() -> Parts:
            return Parts(config, cast(Any, None), lambda: 1_000)

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
        Parts(config, cast(Any, None))
