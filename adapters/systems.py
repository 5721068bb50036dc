"""Every outside system the hub can speak with, one line each. What is exchanged as files alone is in `registry`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from adapters import cadt, gold_standard, icm, irec, isometric, national_62, puro, uk_ets, unfccc, verra
from adapters.contract import Adapter, Driver, Settings, System

SYSTEMS: Final[Mapping[str, System]] = {
    system.name: system
    for system in (
        cadt.SYSTEM,
        gold_standard.SYSTEM,
        irec.SYSTEM,
        isometric.SYSTEM,
        puro.SYSTEM,
        verra.SYSTEM,
        uk_ets.SYSTEM,
        unfccc.SYSTEM,
        national_62.SYSTEM,
        icm.SYSTEM,
    )
}  # fmt: skip
"""By the registry's key, as in `Link.registry` on the ledger."""


_LOOPBACK: Final = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?(/|$)", re.ASCII)
"""This machine itself, where a node of one's own may listen without TLS."""


class CannotOpenError(ValueError):
    """The system cannot be opened so: the text says which of what it needs is missing."""


def open_system(name: str, driver: Driver, settings: Settings) -> Adapter:
    """Open an adapter; raises `CannotOpenError`. Live needs https and every credential; nothing is sent yet.

    Plain http is for a system on this machine that needs no credentials.
    """
    system = SYSTEMS.get(name)
    if system is None:
        raise CannotOpenError(f"no system {name!r}; there are {', '.join(sorted(SYSTEMS))}")
    if system.open is None or driver not in system.drivers:
        raise CannotOpenError(f"{name} has no {driver} driver; it has {', '.join(system.drivers)}")
    if driver is Driver.FILE:
        raise CannotOpenError(f"{name}'s files are not opened but read: keeling import --registry {name}")
    if driver is Driver.LIVE:
        missing = [f"secret {each!r}" for each in system.secrets if not settings.secret(each)]
        if not settings.base_url:
            missing.insert(0, "url")
        if missing:
            raise CannotOpenError(f"{name} live is refused: missing {', '.join(missing)}")
        if not settings.base_url.startswith("https://") and (system.secrets or not _LOOPBACK.match(settings.base_url)):
            raise CannotOpenError(f"{name} live is refused: {settings.base_url!r} is not https")
    return system.open(driver, settings)
