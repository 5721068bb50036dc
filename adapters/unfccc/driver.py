"""The UNFCCC's registries as a `System`: the exchange with what is theirs. Not live: no interface is published."""

from __future__ import annotations

from typing import Final

from adapters.capabilities import Action
from adapters.contract import Adapter, Driver, Settings, System
from adapters.des.driver import SECRETS, Dialect, ExchangeAdapter
from adapters.unfccc.basis import BASIS, CAPABILITIES
from adapters.unfccc.mapping import CODE, explain, place

_HOUR_MS: Final = 3_600_000
DIALECT: Final = Dialect("unfccc", CODE, CAPABILITIES, place, {Action.TRANSFER: 24 * _HOUR_MS}, explain)


def _open(driver: Driver, settings: Settings) -> Adapter:
    return ExchangeAdapter(DIALECT, driver, settings)


SYSTEM: Final = System("unfccc", "UNFCCC Article 6.4 registry", (Driver.SANDBOX,), BASIS, SECRETS, _open)
