"""What a registry says of an account in sums, where it says so: what is free, blocked, banked, and how it behaved.

Which units these are is in the registry's books (`Adapter.snapshot`); few registries tell sums.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from adapters.contract import Trouble


class Balance(NamedTuple):
    """What an account has, in units, and how it stands. `debarred_until`: a day, or empty."""

    free: int
    blocked: int
    banked: int
    surrendered: int
    extinguished: int
    breaches: int
    debarred_until: str


@runtime_checkable
class Balancing(Protocol):
    """An adapter of a registry that tells sums."""

    async def balance(self, account: str) -> Balance | Trouble | None:
        """Of an account by the registry's name of it, as it is now; None: it tells no sums after all."""
