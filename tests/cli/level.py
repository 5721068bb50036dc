"""Waiting until nodes know what others know: an answer is final, and elsewhere it may be a moment later."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from tests.cli.command_line import Keeling

WAIT_S: Final = 120.0
AGAIN_S: Final = 0.05


def wait_level(keeling: Keeling, profiles: Iterable[str]) -> int:
    """Until each of these nodes is as far as the furthest of them was when this began; returns how far that is."""
    target, until = 0, time.monotonic() + WAIT_S
    names = list(profiles)
    for name in (*names, *names):
        while (height := int(keeling.json("status", "--profile", name)["height"])) < target:
            assert time.monotonic() < until, f"{name} stays at {height}, another is at {target}"
            time.sleep(AGAIN_S)
        target = max(target, height)
    return target
