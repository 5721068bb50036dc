"""What the tests of registries that follow the exchange share: opening one, and its keys."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.contract import Adapter, Driver, Settings, System
from adapters.des.signing import print_public_key, read_signing_key
from adapters.sandbox.exchange import HUB_CODE, HUB_SEED, ExchangeSandbox

OTHER_SEED = "b3RoZXIgc2VlZCBvdGhlciBzZWVkIG90aGVyIHNlZWQ"


def secrets_for(sandbox: ExchangeSandbox) -> Mapping[str, str]:
    """The ledger's credentials at this sandbox."""
    return {
        "registry-code": HUB_CODE,
        "signing-key": HUB_SEED,
        "their-key": sandbox.public_key,
        "their-code": sandbox.code,
    }


def open_exchange(system: System, settings: Settings) -> Adapter:
    assert system.open is not None
    return system.open(Driver.SANDBOX, settings)


def public_of(seed: str) -> str:
    return print_public_key(read_signing_key(seed))
